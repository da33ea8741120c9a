"""Unsigned and signed L1 transactions as bytes, without I/O: EIP-1559 (type 2) and EIP-4844 (type 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from exclave.protocol.fields import encode_rlp, keccak256, require_bytes, require_unsigned

MAX_TRANSACTION_GAS: Final = 16_777_216
"""EIP-7825: the most gas that one transaction may ask for."""

MAX_TRANSACTION_BYTES: Final = 131_072
"""The largest transaction, without blobs, that geth's pool takes (txMaxSize)."""

MAX_CALLDATA_BYTES: Final = MAX_TRANSACTION_BYTES - 400
"""Calldata that such a transaction has room for: its other fields and its signature take less than the rest."""

GAS_PER_BLOB: Final = 131_072
"""EIP-4844."""


@dataclass(frozen=True, slots=True)
class Fees:
    """In wei a gas; `max_fee_per_blob_gas` in wei a blob gas, zero without blobs."""

    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    max_fee_per_blob_gas: int = 0


@dataclass(frozen=True, slots=True)
class Transaction:
    """A type 2 transaction, or type 3 when it has blobs. `value` in wei, `to` None for a creation.

    Raises `InvalidField` for values out of range.
    """

    chain_id: int
    nonce: int
    fees: Fees
    gas_limit: int
    to: bytes | None
    value: int
    data: bytes
    blob_versioned_hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        require_unsigned("chain id", self.chain_id, 64)
        require_unsigned("nonce", self.nonce, 64)
        require_unsigned("gas limit", self.gas_limit, 64)
        require_unsigned("value", self.value, 256)
        for name in ("max_fee_per_gas", "max_priority_fee_per_gas", "max_fee_per_blob_gas"):
            require_unsigned(name, getattr(self.fees, name), 256)
        require_bytes("data", self.data)
        if self.to is not None:
            require_bytes("to", self.to, 20)

    @property
    def type(self) -> int:
        return 3 if self.blob_versioned_hashes else 2

    @property
    def max_cost(self) -> int:
        """The balance that the sender must have, in wei (EIP-1559, EIP-4844)."""
        blobs = len(self.blob_versioned_hashes) * GAS_PER_BLOB * self.fees.max_fee_per_blob_gas
        return self.value + self.gas_limit * self.fees.max_fee_per_gas + blobs

    def signing_payload(self) -> bytes:
        """What is hashed with keccak256 and signed."""
        return bytes([self.type]) + encode_rlp(self._fields())

    def signing_hash(self) -> bytes:
        return keccak256(self.signing_payload())

    def with_signature(self, signature: bytes) -> bytes:
        """The signed transaction as blocks have it (blobs aside). `signature`: 65 bytes r, s, v (27 or 28)."""
        require_bytes("signature", signature, 65)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
        return bytes([self.type]) + encode_rlp([*self._fields(), signature[64] - 27, r, s])

    def _fields(self) -> list[Any]:
        fields: list[Any] = [
            self.chain_id,
            self.nonce,
            self.fees.max_priority_fee_per_gas,
            self.fees.max_fee_per_gas,
            self.gas_limit,
            self.to or b"",
            self.value,
            self.data,
            [],  # access list
        ]
        if self.blob_versioned_hashes:
            fields += [self.fees.max_fee_per_blob_gas, list(self.blob_versioned_hashes)]
        return fields


def transaction_hash(signed: bytes) -> bytes:
    """The hash under which L1 knows a signed transaction (given without its blobs)."""
    return keccak256(signed)
