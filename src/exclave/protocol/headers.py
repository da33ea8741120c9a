"""Block headers of sessions (docs/protocol.md, section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exclave.protocol.constants import (
    BLOCK_GAS_LIMIT,
    EMPTY_OMMERS_HASH,
    EMPTY_REQUESTS_HASH,
    EMPTY_TRIE_ROOT,
    ZERO_ADDRESS,
    ZERO_HASH,
)
from exclave.protocol.fields import (
    decode_rlp,
    encode_rlp,
    keccak256,
    read_bytes,
    read_list,
    read_unsigned,
    require_bytes,
    require_unsigned,
)


@dataclass(frozen=True, slots=True)
class Header:
    """An Ethereum header under Osaka rules. Fields that sessions give a meaning of their own:

    `extra_data` is the session's `configHash`, `prev_randao` its chain of randomness,
    `parent_beacon_block_root` the inbox hash (in block 0 the init message's hash).
    """

    parent_hash: bytes
    ommers_hash: bytes
    beneficiary: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    logs_bloom: bytes
    difficulty: int
    number: int
    gas_limit: int
    gas_used: int
    timestamp: int
    extra_data: bytes
    prev_randao: bytes
    nonce: bytes
    base_fee_per_gas: int
    withdrawals_root: bytes
    blob_gas_used: int
    excess_blob_gas: int
    parent_beacon_block_root: bytes
    requests_hash: bytes

    def __post_init__(self) -> None:
        for name, kind in _FIELDS:
            if kind > 0:
                require_bytes(name, getattr(self, name), kind)
            elif kind == 0:
                require_bytes(name, getattr(self, name))
            else:
                require_unsigned(name, getattr(self, name), -kind)

    def encode(self) -> bytes:
        """RLP of the header's 21 fields."""
        return encode_rlp([getattr(self, name) for name, _ in _FIELDS])

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Inverse of `encode`. Raises `DecodeError`."""
        items = read_list(decode_rlp(data, "header"), "header", len(_FIELDS))
        values: dict[str, Any] = {}
        for item, (name, kind) in zip(items, _FIELDS, strict=True):
            values[name] = read_bytes(item, name, kind or None) if kind >= 0 else read_unsigned(item, name, -kind)
        return cls(**values)

    def hash(self) -> bytes:
        """The block's hash."""
        return keccak256(self.encode())


# name, and length in bytes (0: any) or, negative, the width of an unsigned integer in bits
_FIELDS: tuple[tuple[str, int], ...] = (
    ("parent_hash", 32),
    ("ommers_hash", 32),
    ("beneficiary", 20),
    ("state_root", 32),
    ("transactions_root", 32),
    ("receipts_root", 32),
    ("logs_bloom", 256),
    ("difficulty", -256),
    ("number", -64),
    ("gas_limit", -64),
    ("gas_used", -64),
    ("timestamp", -64),
    ("extra_data", 0),
    ("prev_randao", 32),
    ("nonce", 8),
    ("base_fee_per_gas", -64),
    ("withdrawals_root", 32),
    ("blob_gas_used", -64),
    ("excess_blob_gas", -64),
    ("parent_beacon_block_root", 32),
    ("requests_hash", 32),
)


def genesis_header(
    state_root: bytes, config_hash: bytes, seed: bytes, opened_at: int, init_message_hash: bytes = ZERO_HASH
) -> Header:
    """Block 0. Its hash commits to template, configuration, seed and init message."""
    require_bytes("config_hash", config_hash, 32)
    return Header(
        parent_hash=ZERO_HASH,
        ommers_hash=EMPTY_OMMERS_HASH,
        beneficiary=ZERO_ADDRESS,
        state_root=state_root,
        transactions_root=EMPTY_TRIE_ROOT,
        receipts_root=EMPTY_TRIE_ROOT,
        logs_bloom=bytes(256),
        difficulty=0,
        number=0,
        gas_limit=BLOCK_GAS_LIMIT,
        gas_used=0,
        timestamp=opened_at,
        extra_data=config_hash,
        prev_randao=seed,
        nonce=bytes(8),
        base_fee_per_gas=0,
        withdrawals_root=EMPTY_TRIE_ROOT,
        blob_gas_used=0,
        excess_blob_gas=0,
        parent_beacon_block_root=init_message_hash,
        requests_hash=EMPTY_REQUESTS_HASH,
    )
