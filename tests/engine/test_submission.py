"""From a signed transaction to its place in a block, or to the error that says why not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from support.engine import (
    COUNTER,
    LOOP,
    PAUPER,
    PLAYERS,
    Node,
    chain_id,
    end_transaction,
    forced_transaction,
    results,
    sign,
    wait_until,
)

from exclave import _engine
from exclave.protocol import keccak256
from exclave.protocol.constants import PREDEPLOY


def refusal(node: Node, *transactions: bytes, session_id: int = 1) -> tuple[str, str]:
    with pytest.raises(_engine.SubmitError) as caught:
        node.submit(session_id, *transactions)
    assert isinstance(caught.value, _engine.EngineError)
    return caught.value.kind, caught.value.message


@pytest.fixture
def node(start: Callable[..., Node]) -> Node:
    node = start()
    node.open(1)
    return node


@pytest.mark.parametrize(
    "fields",
    [
        {"gasPrice": 0, "maxFeePerGas": None, "maxPriorityFeePerGas": None},
        {"gasPrice": 0, "maxFeePerGas": None, "maxPriorityFeePerGas": None, "accessList": [], "type": 1},
        {},
    ],
    ids=["legacy", "access list", "dynamic fee"],
)
def test_every_type_of_transaction_is_executed(node: Node, fields: dict[str, Any]) -> None:
    raw = sign(1, PLAYERS[0], 0, **fields)
    assert node.submit(1, raw) == [keccak256(raw)] == [row[1] for row in node.store.blocks[1, 2].transactions]


def test_a_set_code_transaction_is_executed(node: Node) -> None:
    authority = PLAYERS[1]
    authorization = authority.sign_authorization({"chainId": chain_id(1), "address": COUNTER, "nonce": 0})
    raw = sign(1, PLAYERS[0], 0, bytes.fromhex(authority.address[2:]), authorizationList=[authorization])
    node.submit(1, raw)
    assert node.store.blocks[1, 2].logs[0][2] == bytes.fromhex(authority.address[2:])


def test_an_authorization_lets_its_authority_s_next_transaction_go_on(start: Callable[..., Node]) -> None:
    node = start(limits={"nonce_gap_ms": 600_000})
    node.open(1)
    authority = PLAYERS[1]
    waiting = node.submit_later(1, sign(1, authority, 1))
    # Behind a gap it is no work: others are executed, it isn't tried again.
    node.submit(1, sign(1, PLAYERS[2], 0))
    authorization = authority.sign_authorization({"chainId": chain_id(1), "address": COUNTER, "nonce": 0})
    node.submit(1, sign(1, PLAYERS[0], 0, authorizationList=[authorization]))
    waiting.result(30)


def test_a_call_with_several_transactions_returns_all_hashes(node: Node) -> None:
    raws = [sign(1, PLAYERS[0], nonce) for nonce in range(20)]
    assert node.submit(1, *raws) == [keccak256(raw) for raw in raws]


def test_a_reverted_transaction_is_included(node: Node) -> None:
    [transaction_hash] = node.submit(1, sign(1, PLAYERS[0], 0, LOOP))
    row = node.store.blocks[1, 2].transactions[0]
    assert (row[1], row[7], row[8]) == (transaction_hash, False, 100_000)


def test_errors_have_the_words_of_ethereum_nodes(node: Node) -> None:
    player = PLAYERS[0]
    node.submit(1, sign(1, player, 0), sign(1, player, 1))
    assert refusal(node, sign(1, player, 1, value=1)) == ("NonceTooLow", "nonce too low: next nonce 2, tx nonce 1")
    assert refusal(node, sign(1, player, 1)) == ("AlreadyKnown", "already known")
    kind, message = refusal(node, sign(1, player, 2, value=2 * 10**18))
    assert kind == "InsufficientFunds" and message.startswith("insufficient funds for gas * price + value: ")
    kind, message = refusal(node, sign(1, PAUPER, 0, value=1))
    assert kind == "InsufficientFunds"
    kind, message = refusal(node, sign(1, player, 2, gas=20_999))
    assert kind == "IntrinsicGas" and message.startswith("intrinsic gas too low")
    kind, message = refusal(node, sign(1, player, 2, gas=16_777_217))
    assert kind == "GasLimitTooHigh" and message.startswith("exceeds block gas limit")
    kind, message = refusal(node, sign(2, player, 2))
    assert (kind, message) == ("InvalidChainId", f"invalid chain id for signer: have {chain_id(2)} want {chain_id(1)}")
    kind, message = refusal(
        node, sign(1, player, 2, chainId=None, gasPrice=0, maxFeePerGas=None, maxPriorityFeePerGas=None)
    )
    assert kind == "Unprotected"
    kind, _ = refusal(node, sign(1, player, 2, data=bytes(131_072)))
    assert kind == "TooLarge"
    assert refusal(node, forced_transaction(1, 0)) == ("UnsupportedType", "transaction type not supported")
    assert refusal(node, b"\x03" + b"\xc0") == ("UnsupportedType", "transaction type not supported")
    assert refusal(node, b"")[0] == "Malformed"
    assert refusal(node, b"\x02\xc0")[0] == "Malformed"
    assert refusal(node, sign(1, player, 2) + b"\x00")[0] == "Malformed"
    assert refusal(node, sign(1, player, 2), session_id=99) == ("UnknownSession", "unknown session 99")
    assert node.info(1).number == 2
    node.submit(1, sign(1, player, 2))


def test_the_first_error_of_a_call_is_raised_with_its_position(node: Node) -> None:
    with pytest.raises(_engine.SubmitError) as caught:
        node.submit(1, sign(1, PLAYERS[0], 0), sign(1, PAUPER, 0, value=1), sign(1, PLAYERS[0], 1))
    assert (caught.value.kind, caught.value.index) == ("InsufficientFunds", 1)
    assert len(node.store.transaction_hashes(1)) == 3


@pytest.mark.parametrize("order", [(2, 0, 1), (3, 2, 1, 0)])
def test_transactions_of_a_sender_are_executed_in_order_of_nonce(node: Node, order: tuple[int, ...]) -> None:
    raws = {nonce: sign(1, PLAYERS[0], nonce, COUNTER) for nonce in order}
    results([node.submit_later(1, raws[nonce]) for nonce in order])
    assert node.store.transaction_hashes(1)[1:] == [keccak256(raws[nonce]) for nonce in sorted(order)]


def test_many_senders_out_of_order_from_many_threads(node: Node) -> None:
    raws = {(player, nonce): sign(1, PLAYERS[player], nonce, COUNTER) for player in range(8) for nonce in range(12)}
    order = list(raws)
    random.Random(7).shuffle(order)
    # A player's twelve are in the pool of 64 threads long before two seconds are over.
    results([node.submit_later(1, raws[key]) for key in order])
    executed = node.store.transaction_hashes(1)[1:]
    assert sorted(executed) == sorted(keccak256(raw) for raw in raws.values())
    for player in range(8):
        positions = [executed.index(keccak256(raws[player, nonce])) for nonce in range(12)]
        assert positions == sorted(positions)
    last = max(number for _, number in node.store.blocks)
    [log] = node.store.blocks[1, last].logs[-1:]
    assert int.from_bytes(log[7], "big") == 96


def test_a_nonce_gap_that_stays_is_answered(start: Callable[..., Node]) -> None:
    node = start(limits={"nonce_gap_ms": 100})
    node.open(1)
    assert refusal(node, sign(1, PLAYERS[0], 2)) == ("NonceTooHigh", "nonce too high: next nonce 0, tx nonce 2")
    node.submit(1, sign(1, PLAYERS[0], 0))
    assert node.info(1).number == 2


def test_what_follows_a_refused_transaction_is_answered(start: Callable[..., Node]) -> None:
    node = start(limits={"nonce_gap_ms": 100})
    node.open(1)
    later = node.submit_later(1, sign(1, PLAYERS[0], 1))
    first = node.submit_later(1, sign(1, PLAYERS[0], 0, value=10**19))
    with pytest.raises(_engine.SubmitError, match="insufficient funds"):
        first.result(30)
    with pytest.raises(_engine.SubmitError, match="nonce too high: next nonce 0, tx nonce 1"):
        later.result(30)


def test_the_same_nonce_twice_in_the_queue_is_refused(node: Node) -> None:
    first, second = sign(1, PLAYERS[0], 1), sign(1, PLAYERS[0], 1, value=1)
    with pytest.raises(_engine.SubmitError) as caught:
        node.submit(1, first, second, sign(1, PLAYERS[0], 0))
    assert (caught.value.kind, caught.value.index) == ("NonceQueued", 1)
    assert node.store.transaction_hashes(1)[-1] == keccak256(first)


def test_a_transaction_that_waits_is_already_known(node: Node) -> None:
    raw = sign(1, PLAYERS[0], 1)
    with pytest.raises(_engine.SubmitError) as caught:
        node.submit(1, raw, raw, sign(1, PLAYERS[0], 0))
    assert (caught.value.kind, caught.value.index) == ("AlreadyKnown", 1)
    assert node.store.transaction_hashes(1).count(keccak256(raw)) == 1


def test_queues_are_bounded_per_sender_and_per_session(start: Callable[..., Node]) -> None:
    node = start(limits={"sender_queue": 3, "session_queue": 5})
    node.open(1)
    nonces = [0, 0, 0]
    for round_, (counts, kind, words) in enumerate(
        [
            ((3, 0, 0), "SenderQueueFull", "account limit exceeded: sender has 3 queued transactions"),
            ((3, 2, 0), "SessionQueueFull", "txpool is full: 5 transactions wait in this session"),
        ]
    ):
        with node.store.held() as held:
            futures = [node.submit_later(1, sign(1, PLAYERS[9], round_))]
            assert held.wait(30)
            for player, count in enumerate(counts):
                raws = [sign(1, PLAYERS[player], nonces[player] + at) for at in range(count)]
                nonces[player] += count
                futures.append(node.submit_later(1, *raws))
                node.wait_queued(1, PLAYERS[player], nonces[player] - 1)
            overflowing = 0 if kind == "SenderQueueFull" else 2
            assert refusal(node, sign(1, PLAYERS[overflowing], nonces[overflowing])) == (kind, words)
        results(futures)


def test_what_a_session_takes_of_memory_is_bounded(start: Callable[..., Node]) -> None:
    """INVARIANT I5: transactions cost nothing. It can be stopped all the same, and takes what L1 forces on it."""
    limit = 50_000
    node = start(limits={"session_memory": limit})
    node.open(1, 2)
    nonce = 0
    with pytest.raises(_engine.SubmitError) as caught:
        for nonce in range(1000):
            node.submit(1, sign(1, PLAYERS[0], nonce))
    used = node.engine.session_memory()
    assert caught.value.kind == "SessionFull"
    assert caught.value.message.startswith(f"session is full: its history has {used[1]} bytes, limit {limit}")
    assert 5 < nonce < 30 and limit <= used[1] < limit + 10_000 and used[2] < 10_000
    stop = keccak256(b"stop()")[:4]
    node.submit(1, sign(1, PLAYERS[0], nonce, PREDEPLOY, data=stop, gas=100_000))
    node.engine.enqueue_messages(1, [forced_transaction(1, 0)])
    wait_until(lambda: node.info(1).inbox_count == 1)
    # Nor is that a way around the bound.
    with pytest.raises(_engine.SubmitError) as stopped:
        for further in range(nonce + 1, nonce + 100):
            node.submit(1, sign(1, PLAYERS[0], further, PREDEPLOY, data=stop, gas=100_000))
    assert stopped.value.kind == "SessionFull"
    node.submit(2, sign(2, PLAYERS[0], 0))
    # What is stored comes back, and is as full as before.
    before = node.engine.session_memory()[1]
    node.engine.drop_session(1)
    assert refusal(node, sign(1, PLAYERS[1], 0))[0] == "SessionFull"
    assert node.engine.session_memory()[1] == before


def test_an_ended_session_refuses(node: Node) -> None:
    result = b"player 1 wins, 3 : 1, after a long game of more than 32 bytes"
    node.submit(1, end_transaction(1, PLAYERS[0], 0, result))
    block, info = node.store.blocks[1, 2], node.info(1)
    assert block.result == info.result == result
    assert block.result_hash == info.result_hash == keccak256(result)
    assert info.ended
    assert refusal(node, sign(1, PLAYERS[1], 0)) == ("SessionEnded", "session has ended")
    node.engine.enqueue_messages(1, [forced_transaction(1, 0)])
    assert node.info(1).number == 2


def test_transactions_queued_behind_the_ending_one_are_refused(node: Node) -> None:
    with node.store.held() as held:
        node.submit_later(1, sign(1, PLAYERS[9], 0))
        held.wait()
        futures = [
            node.submit_later(
                1, end_transaction(1, PLAYERS[0], 0, b"over"), *(sign(1, PLAYERS[0], n) for n in range(1, 5))
            )
        ]
        futures += [node.submit_later(1, *(sign(1, player, n) for n in range(30))) for player in PLAYERS[1:9]]
        for player in PLAYERS[:9]:
            node.wait_queued(1, player, 4 if player is PLAYERS[0] else 29)
    for future in futures:
        error = future.exception(30)
        assert isinstance(error, _engine.SubmitError) and error.kind == "SessionEnded"
    head = node.info(1)
    assert head.ended
    assert node.store.blocks[1, head.number].transactions[-1][5] == PREDEPLOY
