"""INVARIANT I5: no session can read, delay or corrupt another."""

from __future__ import annotations

import resource
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from support.engine import (
    COUNTER,
    LOG_FLOOD,
    LOOP,
    PLAYERS,
    RECIPIENT,
    SELF_DESTRUCT,
    Node,
    chain_id,
    request,
    results,
    sign,
)

from exclave import _engine
from exclave.protocol import keccak256
from exclave.protocol.fields import encode_rlp

HEAVY = 16_777_216


def play(node: Node, session_id: int, moves: int = 12) -> list[tuple[object, ...]]:
    """A small game; what its blocks say apart from their times."""
    for nonce in range(moves):
        node.submit(
            session_id, sign(session_id, PLAYERS[0], nonce, COUNTER), sign(session_id, PLAYERS[1], nonce, value=1)
        )
    blocks = [node.store.blocks[session_id, number] for number in range(1, node.info(session_id).number + 1)]
    # One transaction a line: two may share a block or not.
    return [row[1:9] for block in blocks for row in block.transactions] + [
        log[2:] for block in blocks for log in block.logs
    ]


def attack(node: Node, session_id: int, count: int = 12) -> list[Future[list[bytes]]]:
    """Endless loops, floods of logs, self-destructs, clashing addresses.

    All with as much gas as a transaction can have.
    """
    targets = [LOOP, LOG_FLOOD, SELF_DESTRUCT, LOOP]
    return [
        node.submit_later(
            session_id, *(sign(session_id, player, nonce, targets[nonce % 4], gas=HEAVY) for nonce in range(count))
        )
        for player in PLAYERS[:4]
    ]


def created_by(creator: bytes, nonce: int) -> bytes:
    return keccak256(encode_rlp([creator, nonce]))[12:]


def state_of(node: Node, session_id: int) -> bytes:
    return node.engine.export_template(session_id)


def test_invariant_i5_a_hostile_session_changes_nothing_for_others(start: Callable[..., Node]) -> None:
    alone = start()
    alone.open(1)
    expected = play(alone, 1)

    crowd = start()
    crowd.open(1, *range(2, 8))
    attacks = [future for session in range(2, 8) for future in attack(crowd, session, 4)]
    assert play(crowd, 1) == expected
    assert state_of(crowd, 1) == state_of(alone, 1)
    results(attacks)


def test_invariant_i5_a_polite_session_gets_its_turns_among_hostile_ones(start: Callable[..., Node]) -> None:
    node = start(limits={"builder_threads": 1})
    node.open(1, 2, 3)
    attacks = attack(node, 2, 20) + attack(node, 3, 20)
    blocks_before = len(node.store.blocks)
    for nonce in range(5):
        node.submit(1, sign(1, PLAYERS[0], nonce))
        # While the attackers have work a polite move waits for what is being built, not for their queues.
    served_to_attackers = len(node.store.blocks) - blocks_before - 5
    assert node.info(1).number == 6
    assert served_to_attackers <= 5 * 4
    assert not all(future.done() for future in attacks)
    results(attacks)


def test_invariant_i5_floods_of_logs_are_in_the_receipts_of_their_session(node: Node) -> None:
    node.open(1, 2)
    node.submit(2, sign(2, PLAYERS[0], 0, LOG_FLOOD, gas=HEAVY))
    block = node.store.blocks[2, 2]
    assert [row[7] for row in block.transactions] == [True]
    assert len(block.logs) > 100
    assert {(log[2], len(log[7])) for log in block.logs} == {(LOG_FLOOD, 0x4000)}
    node.submit(1, sign(1, PLAYERS[0], 0))
    assert node.store.blocks[1, 2].logs == []


def test_invariant_i5_contracts_created_and_destroyed_in_a_transaction_leave_nothing(node: Node) -> None:
    node.open(1)
    before = state_of(node, 1)
    node.submit(1, sign(1, PLAYERS[0], 0, SELF_DESTRUCT, gas=HEAVY))
    row = node.store.blocks[1, 2].transactions[0]
    assert row[7] and row[8] > HEAVY - 300_000
    port = node.engine.serve("127.0.0.1", 0)

    def ask(method: str, account: bytes) -> int:
        return int(str(request(port, "/session/1", method, "0x" + account.hex(), "latest")["result"]), 16)

    # The creator's nonce tells how many there were; it has its wei again.
    created = ask("eth_getTransactionCount", SELF_DESTRUCT) - 1
    assert created > 100
    assert ask("eth_getBalance", SELF_DESTRUCT) == 7
    for nonce in (1, created):
        child = created_by(SELF_DESTRUCT, nonce)
        assert (ask("eth_getTransactionCount", child), ask("eth_getBalance", child)) == (0, 0)
    # Two nonces changed in the state, and no account is new.
    assert len(state_of(node, 1)) - len(before) <= 4


def test_invariant_i5_reverts_with_much_data_take_no_memory(node: Node) -> None:
    node.open(1)
    # PUSH3 0x2c0000, PUSH0, REVERT: all the gas that a transaction can have makes 2.9 MB of it.
    reverting = bytes.fromhex("622c00005ffd")

    def revert(nonces: range) -> int:
        node.submit(1, *(sign(1, PLAYERS[0], nonce, to=b"", data=reverting, gas=HEAVY) for nonce in nonces))
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    before = revert(range(5))
    grown = revert(range(5, 45)) - before
    assert grown < 40 * 0x2C0000 / 4
    blocks = [node.store.blocks[1, number] for number in range(2, node.info(1).number + 1)]
    assert [row[7] for block in blocks for row in block.transactions] == [False] * 45


def test_invariant_i5_sessions_of_one_template_share_no_state(node: Node) -> None:
    node.open(1, 2)
    node.submit(1, sign(1, PLAYERS[0], 0, COUNTER), sign(1, PLAYERS[0], 1, SELF_DESTRUCT))
    node.submit(2, sign(2, PLAYERS[0], 0, COUNTER))
    assert int.from_bytes(node.store.blocks[2, 2].logs[0][7], "big") == 1
    node.open(3)
    assert len({node.store.blocks[session_id, 1].state_root for session_id in (1, 2, 3)}) == 1


def test_invariant_i5_the_same_contract_address_in_two_sessions(node: Node) -> None:
    node.open(1, 2)
    code = {1: "60015f5500", 2: "60025f5500"}
    for session_id, runtime in code.items():
        init = bytes.fromhex(f"64{runtime}5f526005601bf3")
        node.submit(session_id, sign(session_id, PLAYERS[0], 0, to=b"", data=init))
    created = {session_id: node.store.blocks[session_id, 2].transactions[0][10] for session_id in code}
    assert created[1] == created[2]
    assert state_of(node, 1) != state_of(node, 2)


def test_invariant_i5_a_transaction_can_not_be_replayed_in_another_session(node: Node) -> None:
    node.open(1, 2)
    raw = sign(1, PLAYERS[0], 0, RECIPIENT, value=1)
    node.submit(1, raw)
    with pytest.raises(_engine.SubmitError, match=f"have {chain_id(1)} want {chain_id(2)}"):
        node.submit(2, raw)


def test_invariant_i5_a_full_queue_is_the_flooded_session_s_alone(start: Callable[..., Node]) -> None:
    node = start(limits={"session_queue": 10, "sender_queue": 10})
    node.open(1, 2)
    with node.store.held() as held:
        first = node.submit_later(2, sign(2, PLAYERS[9], 0))
        assert held.wait(30)
        flood = [node.submit_later(2, sign(2, player, 0)) for player in PLAYERS[10:20]]
        for player in PLAYERS[10:20]:
            node.wait_queued(2, player, 0)
        with pytest.raises(_engine.SubmitError, match="txpool is full"):
            node.submit(2, sign(2, PLAYERS[20], 0))
        polite = node.submit_later(1, sign(1, PLAYERS[0], 0))
        node.wait_queued(1, PLAYERS[0], 0)
    results([first, polite, *flood])


def test_invariant_i5_block_gas_is_bounded(node: Node) -> None:
    node.open(1)
    results(attack(node, 1, 3))
    blocks = [node.store.blocks[1, number] for number in range(2, node.info(1).number + 1)]
    assert sum(len(block.transactions) for block in blocks) == 12
    assert max(block.gas_used for block in blocks) <= 30_000_000


def test_invariant_i5_many_sessions_play_at_once(node: Node) -> None:
    sessions = range(1, 31)
    node.open(*sessions)
    results(
        [
            node.submit_later(session, *(sign(session, player, nonce, COUNTER) for nonce in range(5)))
            for session in sessions
            for player in PLAYERS[:4]
        ]
    )
    roots = {node.store.blocks[session, node.info(session).number].state_root for session in sessions}
    assert len(roots) == 1
    assert [node.store.blocks[session, node.info(session).number].logs[-1][7][-1] for session in sessions] == [20] * 30
