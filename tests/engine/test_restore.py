"""Sessions come back from the store exactly as they were, or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.engine import COUNTER, PLAYERS, Node, Row, end_transaction, forced_transaction, results, sign, wait_until

from exclave import _engine
from exclave.protocol import Header


@pytest.fixture
def played(node: Node) -> Node:
    """A node on which session 1 has a history, with at least one block of several transactions."""
    node.open(1)
    with node.store.held() as held:
        first = node.submit_later(1, sign(1, PLAYERS[41], 0))
        assert held.wait(30)
        together = [node.submit_later(1, sign(1, player, 0)) for player in PLAYERS[42:44]]
        for player in PLAYERS[42:44]:
            node.wait_queued(1, player, 0)
    results([first, *together])
    for nonce in range(5):
        node.submit(1, sign(1, PLAYERS[0], nonce, COUNTER), sign(1, PLAYERS[1], nonce, value=nonce))
    node.engine.enqueue_messages(1, [forced_transaction(1, 0)])
    wait_until(lambda: node.info(1).inbox_count == 1)
    node.submit(1, sign(1, PLAYERS[2], 0, to=b"", data=bytes.fromhex("5f5ff3")))
    return node


def identity(node: Node, session_id: int = 1) -> tuple[object, ...]:
    info = node.info(session_id)
    return info.number, info.hash, info.timestamp, info.inbox_count, info.inbox_hash, info.ended, info.result


def test_a_restored_session_is_the_same_and_goes_on(start: Callable[..., Node], played: Node) -> None:
    before, state = identity(played), played.engine.export_template(1)
    witness = played.engine.witness(1, 3)
    played.engine.shutdown()
    other = start(store=played.store)
    other.restore(1)
    assert identity(other) == before
    assert other.engine.export_template(1) == state
    assert other.engine.witness(1, 3) == witness
    other.submit(1, sign(1, PLAYERS[0], 5, COUNTER))
    other.engine.enqueue_messages(1, [forced_transaction(1, 0), forced_transaction(1, 1)])
    wait_until(lambda: other.info(1).inbox_count == 2)


def test_an_ended_session_is_restored_ended(start: Callable[..., Node], played: Node) -> None:
    played.submit(1, end_transaction(1, PLAYERS[3], 0, b"result"))
    before = identity(played)
    other = start(store=played.store)
    other.restore(1)
    assert identity(other) == before
    with pytest.raises(_engine.SubmitError, match="session has ended"):
        other.submit(1, sign(1, PLAYERS[4], 0))


def tamper_header(row: Row) -> Row:
    header = Header.decode(row.header)
    return replace(row, header=replace(header, timestamp=header.timestamp + 1).encode())


def flip(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize(
    "tamper",
    [
        lambda row: replace(row, header=flip(row.header, 100)),
        lambda row: replace(row, header=row.header[:-1]),
        lambda row: replace(row, transactions=[*row.transactions[:-1], flip(row.transactions[-1], 40)]),
        lambda row: replace(row, transactions=row.transactions[:-1], senders=row.senders[:-1]),
        lambda row: replace(row, transactions=row.transactions[::-1]),
        lambda row: replace(row, senders=[flip(row.senders[0], 3), *row.senders[1:]]),
        lambda row: replace(row, senders=row.senders[:-1]),
    ],
    ids=[
        "header byte",
        "header cut",
        "transaction byte",
        "transaction missing",
        "order",
        "sender byte",
        "sender missing",
    ],
)
def test_a_tampered_block_is_refused(start: Callable[..., Node], played: Node, tamper: Callable[[Row], Row]) -> None:
    other = start(store=played.store)

    def tampered(rows: list[Row]) -> list[Row]:
        position = next(position for position, row in enumerate(rows) if len(row.transactions) > 1)
        return [*rows[:position], tamper(rows[position]), *rows[position + 1 :]]

    other.before_restore = tampered
    with pytest.raises(_engine.RestoreError, match="session 1"):
        other.restore(1)
    assert other.engine.session_info(1) is None
    other.before_restore = lambda rows: rows
    other.restore(1)
    assert identity(other) == identity(played)


def test_blocks_can_only_be_restored_in_order_and_before_activation(start: Callable[..., Node], played: Node) -> None:
    other = start(store=played.store)
    other.before_restore = lambda rows: rows[1:]
    with pytest.raises(_engine.RestoreError):
        other.restore(1)
    row = played.store.load(1)[0]
    with pytest.raises(_engine.RestoreError, match="unknown session"):
        other.engine.restore_block(1, row.header, row.transactions, row.senders)
    with pytest.raises(_engine.RestoreError, match="already active"):
        played.engine.restore_block(1, row.header, row.transactions, row.senders)
    assert played.engine.session_ids() == [1]


def test_a_session_is_woken_on_first_touch(start: Callable[..., Node], played: Node) -> None:
    other = start(store=played.store)
    other.submit(1, sign(1, PLAYERS[5], 0))
    assert other.wakes == [1]
    assert other.info(1).number == played.info(1).number + 1


def test_concurrent_callers_share_one_wake(start: Callable[..., Node], played: Node) -> None:
    other = start(store=played.store)
    results([other.submit_later(1, sign(1, player, 0)) for player in PLAYERS[10:40]])
    assert other.wakes == [1]


def test_unknown_sessions_are_asked_for_and_refused(node: Node) -> None:
    def refused() -> list[int]:
        with pytest.raises(_engine.SubmitError) as caught:
            node.submit(5, sign(5, PLAYERS[0], 0))
        assert caught.value.kind == "UnknownSession"
        return node.wakes

    for _ in range(2):
        assert refused() == [5]
    # A second later it may have come into the store.
    wait_until(lambda: refused() == [5, 5])


def test_a_failing_wake_says_why(start: Callable[..., Node]) -> None:
    def wake(session_id: int) -> bool:
        raise RuntimeError("its template is missing")

    node = start(wake=wake)
    with pytest.raises(
        _engine.SubmitError, match="session 5 could not be loaded: RuntimeError: its template is missing"
    ):
        node.submit(5, sign(5, PLAYERS[0], 0))


def test_requests_wait_for_a_session_that_is_being_restored(start: Callable[..., Node], played: Node) -> None:
    other = start(store=played.store)
    reached, go = threading.Event(), threading.Event()

    def slow(rows: list[Row]) -> list[Row]:
        reached.set()
        assert go.wait(30)
        return rows

    other.before_restore = slow
    restoring = threading.Thread(target=other.restore, args=(1,))
    restoring.start()
    assert reached.wait(30)
    waiting = other.submit_later(1, sign(1, PLAYERS[6], 0))
    go.set()
    waiting.result(30)
    restoring.join()
    assert other.wakes == []


def test_dropping_a_session_answers_those_who_wait(node: Node) -> None:
    node.open(1)
    waiting = node.submit_later(1, sign(1, PLAYERS[0], 1))
    in_block = node.submit_later(1, sign(1, PLAYERS[1], 0))
    in_block.result(30)
    node.engine.drop_session(1)
    error = waiting.exception(30)
    assert isinstance(error, _engine.SubmitError) and error.kind in ("SessionDropped", "NonceTooHigh")
    node.submit(1, sign(1, PLAYERS[1], 1))
    assert 1 in node.wakes


def test_dropping_waits_for_the_block_in_progress(node: Node) -> None:
    node.open(1)
    with node.store.held() as held:
        waiting = node.submit_later(1, sign(1, PLAYERS[0], 0))
        assert held.wait(30)
        dropping = threading.Thread(target=node.engine.drop_session, args=(1,))
        dropping.start()
        wait_until(lambda: node.engine.session_info(1) is None)
        assert dropping.is_alive()
    [transaction_hash] = waiting.result(30)
    dropping.join()
    node.submit(1, sign(1, PLAYERS[0], 1))
    assert transaction_hash in node.store.transaction_hashes(1)


def test_sessions_can_be_dropped_while_requests_run(node: Node) -> None:
    node.open(1)
    done = threading.Event()

    def drop() -> None:
        while not done.is_set():
            node.engine.drop_session(1)

    dropper = threading.Thread(target=drop)
    dropper.start()
    accepted: list[bytes] = []
    nonce = 0
    while len(accepted) < 10:
        raw = sign(1, PLAYERS[0], nonce)
        try:
            accepted += node.submit(1, raw)
            nonce += 1
        except _engine.SubmitError as error:
            assert error.kind in ("SessionDropped", "Internal"), error
    done.set()
    dropper.join()
    assert node.store.transaction_hashes(1)[1:] == accepted
