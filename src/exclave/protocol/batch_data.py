"""The data that a claim publishes: its sessions' timestamps and transactions (docs/protocol.md, section 8)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from exclave.protocol.errors import DataTooLarge, DecodeError, InvalidField
from exclave.protocol.fields import (
    decode_rlp,
    encode_rlp,
    read_bytes,
    read_list,
    read_unsigned,
    require_bytes,
    require_unsigned,
)

VERSION: Final = 1

MAX_DECOMPRESSED_BYTES: Final = 64 * 1024 * 1024
"""Default bound on decompressed data: a small claim must not cost its reader all memory."""


@dataclass(frozen=True, slots=True)
class BlockData:
    """What must be published of one block: the rest of it follows by execution."""

    timestamp: int
    transactions: tuple[bytes, ...]

    def __post_init__(self) -> None:
        require_unsigned("timestamp", self.timestamp, 64)
        if not self.transactions:
            raise InvalidField("a block has at least one transaction")
        for transaction in self.transactions:
            require_bytes("transaction", transaction)


@dataclass(frozen=True, slots=True)
class SessionData:
    """Blocks `first_number + 1`, `first_number + 2`, ... of one session; `first_number` is the claim's anchor."""

    session_id: int
    first_number: int
    blocks: tuple[BlockData, ...]

    def __post_init__(self) -> None:
        require_unsigned("session_id", self.session_id, 64)
        require_unsigned("first_number", self.first_number, 64)


def encode_batch_data(sessions: tuple[SessionData, ...] | list[SessionData]) -> bytes:
    """`zlib(rlp([1, [[sessionId, firstNumber, [[timestamp, [transaction...]]...]]...]]))`.

    Deterministic for one zlib library; readers must not depend on how well it was compressed.
    """
    return zlib.compress(
        encode_rlp(
            [
                VERSION,
                [
                    [
                        session.session_id,
                        session.first_number,
                        [[block.timestamp, list(block.transactions)] for block in session.blocks],
                    ]
                    for session in sessions
                ],
            ]
        ),
        level=9,
    )


def decode_batch_data(data: bytes, max_bytes: int = MAX_DECOMPRESSED_BYTES) -> tuple[SessionData, ...]:
    """Inverse of `encode_batch_data`. Raises `DataTooLarge` beyond `max_bytes` of RLP, else `DecodeError`."""
    outer = read_list(decode_rlp(_decompress(data, max_bytes), "batch data"), "batch data", 2)
    version = read_unsigned(outer[0], "version", 64)
    if version != VERSION:
        raise DecodeError(f"batch data of version {version}; this build knows version {VERSION}")
    try:
        return tuple(_decode_session(item) for item in read_list(outer[1], "sessions"))
    except InvalidField as error:
        raise DecodeError(str(error)) from error


def _decode_session(item: object) -> SessionData:
    session_id, first_number, blocks = read_list(item, "session", 3)
    return SessionData(
        read_unsigned(session_id, "sessionId", 64),
        read_unsigned(first_number, "firstNumber", 64),
        tuple(_decode_block(block) for block in read_list(blocks, "blocks")),
    )


def _decode_block(item: object) -> BlockData:
    timestamp, transactions = read_list(item, "block", 2)
    return BlockData(
        read_unsigned(timestamp, "timestamp", 64),
        tuple(read_bytes(transaction, "transaction") for transaction in read_list(transactions, "transactions")),
    )


def _decompress(data: bytes, max_bytes: int) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        plain = decompressor.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise DecodeError(f"batch data is not a zlib stream: {error}") from error
    if len(plain) > max_bytes:
        raise DataTooLarge(f"batch data decompresses to more than {max_bytes} bytes")
    if not decompressor.eof:
        raise DecodeError("batch data ends in the middle of its zlib stream")
    if decompressor.unused_data:
        raise DecodeError("bytes follow the batch data's zlib stream")
    return plain
