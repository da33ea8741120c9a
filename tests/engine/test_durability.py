"""INVARIANT I6: nothing is acknowledged or visible that isn't in the store; group commit."""

from __future__ import annotations

import pytest
from support.engine import COUNTER, PLAYERS, Node, forced_transaction, init_transaction, results, sign, wait_until

from exclave import _engine
from exclave.protocol import keccak256


def refuse_all(blocks: list[_engine.Block]) -> None:
    raise OSError("disk full")


def test_invariant_i6_nothing_is_visible_or_acknowledged_before_it_is_stored(node: Node) -> None:
    node.open(1)
    head = node.info(1).hash
    with node.store.held() as held:
        waiting = node.submit_later(1, sign(1, PLAYERS[0], 0))
        assert held.wait(30)
        assert not waiting.done()
        assert node.info(1).hash == head
    [transaction_hash] = waiting.result(30)
    assert node.store.transaction_hashes(1)[-1] == transaction_hash


def test_invariant_i6_a_refusing_store_leaves_everything_as_it_was(node: Node) -> None:
    node.open(1)
    before, exported = node.info(1), node.engine.export_template(1)
    node.store.gate = refuse_all
    with pytest.raises(_engine.SubmitError, match="store unavailable: OSError: disk full") as caught:
        node.submit(1, sign(1, PLAYERS[0], 0, COUNTER), sign(1, PLAYERS[0], 1, COUNTER))
    assert caught.value.kind == "StoreUnavailable"
    assert (node.info(1).number, node.info(1).hash) == (before.number, before.hash)
    assert node.engine.export_template(1) == exported

    node.store.gate = lambda blocks: None
    node.submit(1, sign(1, PLAYERS[0], 0, COUNTER), sign(1, PLAYERS[0], 1, COUNTER))
    last = node.store.blocks[1, node.info(1).number]
    assert int.from_bytes(last.logs[-1][7], "big") == 2


def test_messages_are_tried_again_when_the_store_is_back(node: Node) -> None:
    node.store.add_session(1)
    node.store.gate = refuse_all
    node.open_only(1)
    node.engine.enqueue_messages(1, [forced_transaction(1, 0)])
    node.engine.activate(1)
    user = node.submit_later(1, sign(1, PLAYERS[0], 0))
    with pytest.raises(_engine.SubmitError, match="store unavailable"):
        user.result(30)
    assert node.info(1).number == 0
    node.store.gate = lambda blocks: None
    wait_until(lambda: node.info(1).number == 1)
    assert node.store.transaction_hashes(1) == [keccak256(init_transaction(1)), keccak256(forced_transaction(1, 0))]


def test_blocks_of_many_sessions_are_stored_in_one_call(node: Node) -> None:
    sessions = range(1, 51)
    node.open(*sessions)
    with node.store.held() as held:
        first = node.submit_later(1, sign(1, PLAYERS[0], 0))
        assert held.wait(30)
        node.store.groups.clear()
        others = [node.submit_later(session, sign(session, PLAYERS[0], 0)) for session in sessions[1:]]
    results([first, *others])
    assert sum(map(len, node.store.groups)) == 50
    # The first is alone, the others gathered while it was written (late ones, built after that, may make further
    # groups).
    assert len(node.store.groups[0]) == 1
    assert len(node.store.groups) < 50
    assert all(node.info(session).number == 2 for session in sessions)


def test_sessions_refused_fail_alone_and_leave_memory(node: Node) -> None:
    node.open(1, 2, 3)
    lost = {2}

    def gate(blocks: list[_engine.Block]) -> None:
        if ids := [block.session_id for block in blocks if block.session_id in lost]:
            raise _engine.SessionsRefused(ids)

    with node.store.held() as held:
        first = node.submit_later(3, sign(3, PLAYERS[0], 0))
        assert held.wait(30)
        futures = {session: node.submit_later(session, sign(session, PLAYERS[0], 0)) for session in (1, 2)}
        wait_until(lambda: not any(future.done() for future in futures.values()))
        released_gate = gate
    node.store.gate = released_gate
    first.result(30)
    # Whether they met in one group or not, session 1 goes on and session 2 is lost.
    error = futures[2].exception(30)
    if error is None:
        with pytest.raises(_engine.SubmitError) as caught:
            node.submit(2, sign(2, PLAYERS[0], 1))
        error = caught.value
    assert isinstance(error, _engine.SubmitError) and error.kind == "SessionDropped"
    futures[1].result(30)
    assert node.engine.session_ids() == [1, 3]

    # The lease is ours again: the session comes back as it is in the store.
    lost.clear()
    node.submit(2, sign(2, PLAYERS[1], 0))
    assert node.wakes == [2]
    assert [row.hash for row in node.store.load(2)][-1] == node.info(2).hash


def test_a_group_in_which_all_are_refused_ends(node: Node) -> None:
    node.open(1)

    def gate(blocks: list[_engine.Block]) -> None:
        raise _engine.SessionsRefused([77])

    node.store.gate = gate
    with pytest.raises(_engine.SubmitError) as caught:
        node.submit(1, sign(1, PLAYERS[0], 0))
    assert caught.value.kind == "StoreUnavailable"
    node.store.gate = lambda blocks: None
    node.submit(1, sign(1, PLAYERS[0], 0))


def test_a_block_whose_commit_seemed_to_fail_is_found_when_the_session_wakes(node: Node) -> None:
    """The answer of a commit was lost: the store has a block that the engine took back."""
    node.open(1)
    original = node.store.persist
    seen: list[bytes] = []

    def gate(blocks: list[_engine.Block]) -> None:
        if not seen:
            seen.extend(block.hash for block in blocks)
            node.store.gate = lambda again: None
            original(blocks)
            node.store.gate = conflict
            raise ConnectionError("the answer was lost")

    def conflict(blocks: list[_engine.Block]) -> None:
        known = {(1, row.number) for row in node.store.load(1)}
        if ids := [block.session_id for block in blocks if (block.session_id, block.number) in known]:
            raise _engine.SessionsRefused(ids)

    node.store.gate = gate
    with pytest.raises(_engine.SubmitError, match="store unavailable"):
        node.submit(1, sign(1, PLAYERS[0], 0))
    with pytest.raises(_engine.SubmitError, match="no longer served"):
        node.submit(1, sign(1, PLAYERS[0], 0, value=1))
    with pytest.raises(_engine.SubmitError, match="already known"):
        node.submit(1, sign(1, PLAYERS[0], 0))
    assert node.info(1).hash == seen[0]
