"""Messages from L1: init first, then forced ones in order."""

from __future__ import annotations

import time

import pytest
from support.engine import (
    COUNTER,
    LOOP,
    OPENED_AT,
    PLAYERS,
    Node,
    forced_transaction,
    init_transaction,
    request,
    results,
    sign,
    wait_until,
)

from exclave import _engine
from exclave.protocol import Message, accumulate_inbox, keccak256


def forced(*indices: int) -> list[bytes]:
    return [forced_transaction(1, index) for index in indices]


def test_forced_messages_come_in_order_and_accumulate(node: Node) -> None:
    node.open(1)
    node.engine.enqueue_messages(1, forced(0, 1, 2))
    wait_until(lambda: node.info(1).inbox_count == 3)
    assert node.store.transaction_hashes(1)[1:] == [keccak256(raw) for raw in forced(0, 1, 2)]
    assert node.info(1).inbox_hash == accumulate_inbox(Message.decode_transaction(raw) for raw in forced(0, 1, 2))
    block = node.store.blocks[1, node.info(1).number]
    assert (block.inbox_count, block.inbox_hash) == (3, node.info(1).inbox_hash)


def test_messages_come_before_user_transactions(node: Node) -> None:
    node.open(1)
    with node.store.held() as held:
        node.submit_later(1, sign(1, PLAYERS[9], 0))
        held.wait()
        user = node.submit_later(1, sign(1, PLAYERS[0], 0))
        node.engine.enqueue_messages(1, forced(0, 1))
    user.result(30)
    wait_until(lambda: node.info(1).inbox_count == 2)
    kinds = [
        row[2] for number in range(3, node.info(1).number + 1) for row in node.store.blocks[1, number].transactions
    ]
    assert kinds == [0x7E, 0x7E, 2]


def test_messages_queued_before_activation_follow_init_in_block_1(node: Node) -> None:
    node.store.add_session(1)
    node.open_only(1)
    node.engine.enqueue_messages(1, forced(0))
    node.engine.activate(1)
    wait_until(lambda: node.info(1).number == 1)
    assert node.store.transaction_hashes(1) == [keccak256(init_transaction(1)), keccak256(forced(0)[0])]
    assert node.info(1).inbox_count == 1


def test_known_messages_are_ignored(node: Node) -> None:
    node.open(1)
    node.engine.enqueue_messages(1, forced(0, 1))
    node.engine.enqueue_messages(1, forced(0, 1, 2))
    wait_until(lambda: node.info(1).inbox_count == 3)
    node.engine.enqueue_messages(1, forced(0, 1, 2))
    node.submit(1, sign(1, PLAYERS[0], 0))
    assert node.info(1).inbox_count == 3


def test_a_gap_between_messages_is_refused(node: Node) -> None:
    node.open(1)
    with pytest.raises(_engine.EngineError, match="message 1 of session 1 is out of order: next is 0"):
        node.engine.enqueue_messages(1, forced(1))


def test_a_message_that_contradicts_an_executed_one_is_refused(node: Node) -> None:
    node.open(1)
    node.engine.enqueue_messages(1, forced(0))
    wait_until(lambda: node.info(1).inbox_count == 1)
    with pytest.raises(_engine.EngineError, match="differs from the one that was executed"):
        node.engine.enqueue_messages(1, [forced_transaction(1, 0, data=b"other")])


def test_a_queued_message_is_replaced_after_a_reorg_of_l1(node: Node) -> None:
    node.store.add_session(1)
    node.open_only(1)
    node.engine.enqueue_messages(1, forced(0, 1, 2))
    replacement = forced_transaction(1, 1, data=b"after the reorg")
    node.engine.enqueue_messages(1, [forced(0)[0], replacement])
    node.engine.activate(1)
    wait_until(lambda: node.info(1).inbox_count == 2)
    assert node.store.transaction_hashes(1)[1:] == [keccak256(forced(0)[0]), keccak256(replacement)]


def test_a_message_that_fails_changes_nothing_else(node: Node) -> None:
    node.open(1)
    node.engine.enqueue_messages(1, [forced_transaction(1, 0, to=LOOP), forced_transaction(1, 1, to=COUNTER)])
    wait_until(lambda: node.info(1).inbox_count == 2)
    rows = [row for number in range(2, node.info(1).number + 1) for row in node.store.blocks[1, number].transactions]
    assert [row[7] for row in rows] == [False, True]


def test_more_messages_than_fit_into_a_block_take_several(node: Node) -> None:
    node.open(1)
    node.engine.enqueue_messages(1, [forced_transaction(1, index, to=LOOP) for index in range(70)])
    user = node.submit_later(1, sign(1, PLAYERS[0], 0))
    user.result(60)
    assert node.info(1).inbox_count == 70
    blocks = [node.store.blocks[1, number] for number in range(2, node.info(1).number + 1)]
    assert max(block.gas_used for block in blocks) <= 30_000_000
    assert sum(len(block.transactions) for block in blocks) == 71


def test_invariant_i4_users_wait_while_l1_is_not_followed(node: Node) -> None:
    node.open(1, inclusion_delay=60)
    node.open(2)
    assert node.store.blocks[1, 1].timestamp == OPENED_AT
    raw = sign(1, PLAYERS[0], 0)
    for followed_until in (0, int(time.time()) - 60):
        node.engine.followed_until(followed_until)
        with pytest.raises(_engine.SubmitError, match=f"L1 is not followed .*{followed_until}.* again later") as error:
            node.submit(1, raw)
        assert error.value.kind == "L1NotFollowed"
    # Messages are built all the same, at a time before any message that isn't known is due.
    node.engine.followed_until(OPENED_AT + 100)
    node.engine.enqueue_messages(1, forced(0))
    wait_until(lambda: node.info(1).inbox_count == 1)
    assert node.info(1).timestamp == OPENED_AT + 160
    # A session without messages from L1 doesn't wait for it.
    node.submit(2, sign(2, PLAYERS[0], 0))
    node.engine.followed_until(int(time.time()) - 30)
    node.submit(1, raw)
    assert node.info(1).timestamp >= time.time() - 30


def test_invariant_i4_queued_users_are_answered_when_l1_is_not_followed_any_more(node: Node) -> None:
    node.open(1, inclusion_delay=60)
    port = node.engine.serve("127.0.0.1", 0)
    node.engine.followed_until(int(time.time()))
    with node.store.held() as held:
        first = node.submit_later(1, sign(1, PLAYERS[0], 0))
        assert held.wait(30)
        second = node.submit_later(1, sign(1, PLAYERS[0], 1))
        node.wait_queued(1, PLAYERS[0], 1)
        node.engine.followed_until(OPENED_AT)
    results([first])
    error = second.exception(30)
    assert isinstance(error, _engine.SubmitError) and error.kind == "L1NotFollowed"
    answer = request(port, "/session/1", "eth_sendRawTransaction", "0x" + sign(1, PLAYERS[1], 0).hex())["error"]
    assert isinstance(answer, dict) and "L1 is not followed" in answer["message"]


def test_invariant_i4_a_backlog_of_messages_is_included_whole(node: Node) -> None:
    """After an outage: each block's time leaves room for the messages that come in later ones."""
    node.store.add_session(1)
    node.open_only(1, inclusion_delay=60, block_bytes=40_000)
    node.engine.followed_until(int(time.time()))
    due = [OPENED_AT + seconds for seconds in (0, 0, 5, 5, 9, 20, 2 * 10**9)]
    messages = [
        forced_transaction(1, index, data=bytes([index]) * 15_000, due_at=due_at) for index, due_at in enumerate(due)
    ]
    node.engine.enqueue_messages(1, messages)
    node.engine.activate(1)
    wait_until(lambda: node.info(1).inbox_count == len(due))
    blocks = [node.store.blocks[1, number] for number in range(1, node.info(1).number + 1)]
    assert len(blocks) > 2
    parent = OPENED_AT
    for block in blocks:
        included = [Message.decode_transaction(row[6]) for row in block.transactions if row[2] == 0x7E]
        assert all(message.due_at == 0 or parent <= message.due_at for message in included)
        parent = block.timestamp
    node.submit(1, sign(1, PLAYERS[0], 0))
    assert node.info(1).timestamp >= time.time() - 30


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x7e", sign(1, PLAYERS[0], 0), forced_transaction(2, 0), forced_transaction(1, 0) + b"\x00"],
    ids=["empty", "only a type", "a user's", "another chain's", "with a tail"],
)
def test_malformed_messages_are_refused(node: Node, raw: bytes) -> None:
    node.open(1)
    with pytest.raises(_engine.EngineError, match="invalid message from L1"):
        node.engine.enqueue_messages(1, [raw])
