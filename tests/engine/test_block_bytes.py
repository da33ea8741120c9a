"""No block has more data than a claim takes: a session with such a block could not be settled."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.engine import PLAYERS, Node, forced_transaction, results, sign, wait_until

from exclave import _engine
from exclave.coordinator.ranges import CAPACITY, block_bytes, cut_range
from exclave.protocol import BlockData, DataMode, SessionData, encode_batch_data
from exclave.protocol.fields import encode_rlp

MODES = [DataMode.CALLDATA, DataMode.BLOB]
GAS = 16_777_216


@dataclass
class Stored:
    """One block, as the coordinator gets it from the store."""

    timestamp: int
    transactions: list[bytes]
    number: int = 1


class Blocks:
    """A store of one block."""

    def __init__(self, block: Stored) -> None:
        self.blocks = self
        self._block = block

    def load(self, session_id: int, first: int, last: int) -> list[Stored]:
        return [self._block]


def assert_claimable(timestamp: int, transactions: list[bytes], mode: DataMode) -> None:
    stored: Any = Blocks(Stored(timestamp, transactions))
    session: Any = type("Session", (), {"session_id": 1})
    assert cut_range(stored, session, 0, 1, CAPACITY[mode]) == 1
    data = encode_batch_data([SessionData(1, 0, (BlockData(timestamp, tuple(transactions)),))])
    assert len(data) <= CAPACITY[mode]


def data_bytes(transactions: list[bytes]) -> int:
    return sum(len(encode_rlp(raw)) for raw in transactions)


@settings(max_examples=30, deadline=None)
@given(
    mode=st.sampled_from(MODES), sizes=st.lists(st.integers(60, 120_000), min_size=1, max_size=400), seed=st.integers()
)
def test_what_the_budget_allows_can_be_claimed(mode: DataMode, sizes: list[int], seed: int) -> None:
    """Incompressible transactions that use the budget up, to the byte."""
    source, transactions = random.Random(seed), []
    left = block_bytes(mode)
    for size in [*sizes, *[100_000] * 8]:
        length = min(size, left - 4)
        if length < 60:
            break
        transactions.append(b"\x02" + source.randbytes(length - 1))
        left -= len(encode_rlp(transactions[-1]))
    assert data_bytes(transactions) <= block_bytes(mode)
    assert_claimable(2**40, transactions, mode)


@pytest.mark.parametrize("mode", MODES)
def test_blocks_of_large_messages_and_transactions_can_be_claimed(node: Node, mode: DataMode) -> None:
    source = random.Random(int(mode))
    largest = block_bytes(mode) - 4 if mode is DataMode.CALLDATA else 128 * 1024
    node.store.add_session(1)
    node.open_only(1, block_bytes=block_bytes(mode))
    messages = [
        forced_transaction(1, index, data=source.randbytes(source.choice([32_768, source.randrange(32_768)])))
        for index in range(60)
    ]
    node.engine.enqueue_messages(1, messages)
    sent = []
    with node.store.held() as held:
        node.engine.activate(1)
        assert held.wait(30)
        for player in PLAYERS[:12]:
            size = source.choice([largest, source.randrange(100, largest)])
            overhead = len(sign(1, player, 0, data=bytes(70_000), gas=GAS)) - 70_000
            raw = sign(1, player, 0, data=source.randbytes(size - overhead), gas=GAS)
            assert len(raw) <= largest
            sent.append(node.submit_later(1, raw))
            node.wait_queued(1, player, 0)
    results(sent)
    wait_until(lambda: node.info(1).inbox_count == len(messages))
    blocks = [node.store.blocks[1, number] for number in range(1, node.info(1).number + 1)]
    bodies = [[row[6] for row in block.transactions] for block in blocks]
    assert sum(map(len, bodies)) == 1 + len(messages) + len(sent)
    for block, body in zip(blocks, bodies, strict=True):
        assert data_bytes(body) <= block_bytes(mode)
        assert_claimable(block.timestamp, body, mode)
    # They are filled, too: a message alone would make sixty blocks.
    assert len(blocks) < 40


def test_a_transaction_that_fits_into_no_block_is_refused(node: Node) -> None:
    node.open(1, block_bytes=5_000)
    overhead = len(sign(1, PLAYERS[0], 0, data=b"\xff" * 4_000, gas=GAS)) - 4_000
    node.submit(1, sign(1, PLAYERS[0], 0, data=b"\xff" * (4_996 - overhead), gas=GAS))
    with pytest.raises(_engine.SubmitError, match="transaction size 4997, limit 4996") as error:
        node.submit(1, sign(1, PLAYERS[0], 1, data=b"\xff" * (4_997 - overhead), gas=GAS))
    assert error.value.kind == "TooLarge"
