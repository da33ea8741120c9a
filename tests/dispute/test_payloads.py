"""What is sent to the dispute contract fits into transactions, and is read back from them."""

from __future__ import annotations

import pytest

from exclave.coordinator.ranges import ANSWERABLE_BYTES
from exclave.dispute import payloads
from exclave.dispute.payloads import LeafContent, LeafName, ShownHash, ShownLeaf
from exclave.l1.transactions import MAX_TRANSACTION_BYTES
from exclave.protocol import ClaimHeader
from exclave.protocol.errors import DecodeError

ENVELOPE = 300
"""Bytes of a transaction besides its data: fees, nonce, addresses, signature."""

HEADER = ClaimHeader(b"\1" * 32, b"\2" * 32, b"\3" * 20, 10**17, 3600, 500_000, 4096, 1_700_000_000)
CONTENT = LeafContent(
    b"\4" * 32, b"\5" * 32, bytes(32), 0, 1_700_000_000, 0, b"\6" * 32, 1 << 20, b"\7" * 32, b"\x08" * 32
)
# The largest claim, of the longest session: twelve siblings for its leaf, twenty for each hash.
LEAF = ShownLeaf(LeafName(7, 4095, HEADER), CONTENT, tuple([b"\x09" * 32] * 12))
PARENT, TARGET = (ShownHash(number, b"\x0a" * 32, tuple([b"\x0b" * 32] * 20)) for number in (41, 42))


SMALLEST = 104
"""Bytes of a legacy transaction without value and data."""


@pytest.mark.parametrize("size", [SMALLEST, 5_000, ANSWERABLE_BYTES])
def test_the_largest_block_that_is_built_can_be_shown(size: int) -> None:
    transactions = [b"\xff" * size] * (ANSWERABLE_BYTES // size)
    call = payloads.encode_answer_block(LEAF, PARENT, TARGET, b"\xff" * 700, transactions)
    assert len(call) + ENVELOPE <= MAX_TRANSACTION_BYTES


def test_a_thousand_hashes_can_be_shown() -> None:
    hashes = [bytes([index % 256]) * 32 for index in range(5_000)]
    call = payloads.encode_answer_hashes(LEAF, 3, hashes)
    assert len(call) + ENVELOPE <= MAX_TRANSACTION_BYTES
    shown, position, found = payloads.read_answered_hashes(call)
    assert (shown, position, found) == (LEAF, 3, hashes[3 * 1024 : 4 * 1024])


def test_answers_are_read_as_they_were_sent() -> None:
    assert payloads.read_answered_leaf(payloads.encode_answer_leaf(LEAF)) == LEAF
    block = (LEAF, PARENT, TARGET, b"header", [b"one", b"two"])
    assert payloads.read_answered_block(payloads.encode_answer_block(*block)) == block
    for call in (b"", b"\0" * 100, payloads.encode_answer_leaf(LEAF)[:-1], payloads.encode_answer_block(*block)):
        with pytest.raises(DecodeError):
            payloads.read_answered_leaf(call)
