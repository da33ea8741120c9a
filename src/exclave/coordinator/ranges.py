"""From stored blocks to what a claim says of them, and where ranges are cut so that their data fits into a claim."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from exclave.protocol import (
    BlockData,
    DataMode,
    SessionClaim,
    SessionData,
    block_hashes_root,
    encode_batch_data,
    keccak256,
)
from exclave.protocol.batch_data import MAX_DECOMPRESSED_BYTES
from exclave.protocol.constants import ZERO_HASH
from exclave.protocol.fields import encode_rlp
from exclave.store import Session, Store, StoredBlock

CALLDATA_CAPACITY = 120_000
"""Bytes of data in a calldata claim: nodes' pools refuse transactions over 131,072 bytes, and the rest needs some."""

BLOB_CAPACITY = 6 * 4096 * 31 - 4
"""Bytes of data in the six blobs that a transaction may have (EIP-7594): 31 bytes a field element, after the length."""

ON_DEMAND_CAPACITY = 32 * 1024 * 1024
"""Bytes of data of a claim that posts only its hash: what a reader must be able to decompress is bounded."""

MAX_PLAIN_BYTES = MAX_DECOMPRESSED_BYTES - 1024 * 1024
"""Bytes of a claim's data before it is compressed: readers refuse more than 64 MiB, and the lists' heads need some."""

CAPACITY = {
    DataMode.BLOB: BLOB_CAPACITY,
    DataMode.CALLDATA: CALLDATA_CAPACITY,
    DataMode.ON_DEMAND: ON_DEMAND_CAPACITY,
}


ANSWERABLE_BYTES = 65_000
"""Bytes of a block's transactions that one L1 transaction can show when the block is demanded (docs/disputes.md), also
if all of them are of the smallest kind, which the ABI nearly doubles."""


def block_bytes(mode: DataMode, *, disputable: bool = False) -> int:
    """Bytes of transactions, each with the length before it, that any block may have and still be claimed and, where
    claims can be disputed, shown on L1.

    They may be incompressible: zlib then adds less than a 2,048th, and the stream, the block's lists and its time take
    less than 128 bytes.
    """
    claimable = CAPACITY[mode] - CAPACITY[mode] // 2048 - 128
    return min(claimable, ANSWERABLE_BYTES) if disputable else claimable


class RangeTooLarge(Exception):
    """A single block's data doesn't fit into a claim of its session's data mode."""


@dataclass(frozen=True, slots=True)
class ClaimedRange:
    """Blocks of one session as a claim has them. `data_bytes` is the compressed size of their data alone, `plain_bytes`
    the size before it is compressed.
    """

    claim: SessionClaim
    data: SessionData
    data_bytes: int
    plain_bytes: int
    result: bytes | None


def build_range(store: Store, session: Session, first: int, last: int) -> ClaimedRange:
    """The claim of blocks `first` (the anchor) to `last`, from the store."""
    assert session.seed is not None and session.genesis_hash is not None, "only sessions that have started are claimed"
    hashes = [session.genesis_hash] if first == 0 else store.blocks.hashes(session.session_id, first, first)
    blocks: list[BlockData] = []
    tail: StoredBlock | None = None
    plain = 0
    for tail in store.blocks.load(session.session_id, first + 1, last):
        hashes.append(tail.hash)
        blocks.append(BlockData(tail.timestamp, tuple(tail.transactions)))
        plain += len(_encode_block(tail))
    assert tail is not None and tail.number == last, "the store has all blocks up to its head"
    data = SessionData(session.session_id, first, tuple(blocks))
    claim = SessionClaim(
        session_id=session.session_id,
        config_hash=session.config_hash,
        seed=session.seed,
        first_number=first,
        last_number=last,
        last_timestamp=tail.timestamp,
        last_hash=tail.hash,
        block_hashes_root=block_hashes_root(hashes),
        result_hash=ZERO_HASH if tail.result is None else keccak256(tail.result),
        inbox_count=tail.inbox_count,
        inbox_hash=tail.inbox_hash,
    )
    return ClaimedRange(claim, data, len(encode_batch_data([data])), plain, tail.result)


def cut_range(store: Store, session: Session, first: int, last: int, capacity: int) -> int:
    """The last block, at most `last`, up to which the data of the blocks after `first` fits into `capacity` bytes,
    and into `MAX_PLAIN_BYTES` when it is decompressed.

    Raises `RangeTooLarge` if not even one block does.
    """
    number = first
    for number, size, plain in _sizes(store, session, first, last):
        if size > capacity or plain > MAX_PLAIN_BYTES:
            if number == first + 1:
                raise RangeTooLarge(
                    f"block {number} of session {session.session_id} has {size} bytes of data ({plain} when it is "
                    f"decompressed), a claim takes {capacity} ({MAX_PLAIN_BYTES})"
                )
            return number - 1
    return number


def _sizes(store: Store, session: Session, first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Block numbers, and the compressed size (an upper bound) and the plain one of the data up to each."""
    compressor = zlib.compressobj(9)
    size = 64  # the lists around the blocks, the stream's header and end
    plain = 0
    for block in store.blocks.load(session.session_id, first + 1, last):
        encoded = _encode_block(block)
        plain += len(encoded)
        size += len(compressor.compress(encoded))
        size += len(compressor.flush(zlib.Z_SYNC_FLUSH))
        yield block.number, size, plain


def _encode_block(block: StoredBlock) -> bytes:
    """A block as a claim's data has it."""
    return encode_rlp([block.timestamp, list(block.transactions)])
