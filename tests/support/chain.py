"""Blocks and sessions of made-up content, for tests of what only carries them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from exclave.protocol.fields import encode_rlp
from exclave.store import Session


def word(*parts: object) -> bytes:
    """32 bytes that follow from `parts`."""
    return hashlib.sha256(repr(parts).encode()).digest()


@dataclass(frozen=True)
class FakeBlock:
    """Has the attributes of `exclave._engine.Block`."""

    session_id: int
    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int = 1000
    state_root: bytes = b"\x01" * 32
    gas_used: int = 21000
    header: bytes = b"header"
    preconfirmation: bytes = b"\x02" * 65
    inbox_count: int = 0
    inbox_hash: bytes = b"\x00" * 32
    result: bytes | None = None
    raw: list[bytes] = field(default_factory=list)
    sender: bytes = b"\x31" * 20
    encoded_receipts: bytes = b"\xc0"

    @property
    def encoded_transactions(self) -> bytes:
        return encode_rlp(self.raw)

    @property
    def senders(self) -> bytes:
        return self.sender * len(self.raw)


def session(session_id: int, *, config: str = "a", **fields: Any) -> Session:
    values: dict[str, Any] = {
        "session_id": session_id,
        "chain_id": 0x5_0000_0000 + session_id,
        "config_hash": word("config", session_id, config),
        "template_id": word("template"),
        "game": b"\x11" * 20,
        "opened_at": 1000,
        "opened_block": 10,
        "deadline": 5000,
        "players": (b"\x21" * 20, b"\x22" * 20),
        "init_data": b"init",
        "terms": b"terms",
        "genesis_hash": block_hash(session_id, 0, "main"),
        "seed": word("seed", session_id),
        "l1_block_hash": word("l1", 10),
        "l1_transaction_hash": word("tx", session_id),
        **fields,
    }
    return Session(**values)


def block_hash(session_id: int, number: int, fork: str) -> bytes:
    return word("block", session_id, number, fork if number else "main")


def block(session_id: int, number: int, *, fork: str = "main", size: int = 2, **fields: Any) -> FakeBlock:
    """Block `number` of a chain that is the same for the same `fork`, with `size` transactions."""
    values: dict[str, Any] = {
        "session_id": session_id,
        "number": number,
        "hash": block_hash(session_id, number, fork),
        "parent_hash": block_hash(session_id, number - 1, fork),
        "timestamp": 1000 + number,
        "header": b"header" + block_hash(session_id, number, fork),
        "raw": [b"raw" + word("tx", session_id, number, i, fork) for i in range(size)],
        "encoded_receipts": encode_rlp([b"receipt" + word(session_id, number, i) for i in range(size)]),
        **fields,
    }
    return FakeBlock(**values)
