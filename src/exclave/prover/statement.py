"""The statement of a proof, and the signatures that it leaves to L1 (docs/protocol.md, section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from exclave.protocol.errors import DecodeError
from exclave.protocol.fields import decode_abi, encode_abi, keccak256, require_bytes, require_unsigned
from exclave.protocol.terms import address_bytes

DOMAIN: Final = keccak256(b"Exclave.Statement.v1")
_TYPES: Final = [
    *["bytes32", "bytes32", "bytes32", "bytes32", "uint8", "bytes32"],
    *["bytes32", "uint64", "uint64", "bytes32", "address"],
]
_WORD: Final = 32
_RECOVERY_WORDS: Final = 5


class Verdict(IntEnum):
    """What a proof found out about the block `to`, seen from the block `from`."""

    VALID = 1
    INVALID = 2


@dataclass(frozen=True, slots=True)
class Statement:
    """What a proof shows. With `Verdict.INVALID` all that would describe the block `to` is zero. Times in seconds."""

    config_hash: bytes
    from_hash: bytes
    to_hash: bytes
    verdict: Verdict
    result_hash: bytes
    inbox_hash: bytes
    to_number: int
    to_timestamp: int
    recoveries_hash: bytes
    prover: bytes

    def __post_init__(self) -> None:
        for name in ("config_hash", "from_hash", "to_hash", "result_hash", "inbox_hash", "recoveries_hash"):
            require_bytes(name, getattr(self, name), 32)
        require_bytes("prover", self.prover, 20)
        for name in ("to_number", "to_timestamp"):
            require_unsigned(name, getattr(self, name), 64)

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The members of the contracts' `ProvenStatement`, in ABI order."""
        return (
            self.config_hash,
            self.from_hash,
            self.to_hash,
            int(self.verdict),
            self.result_hash,
            self.inbox_hash,
            self.to_number,
            self.to_timestamp,
            self.recoveries_hash,
            self.prover,
        )

    def encode(self) -> bytes:
        """Eleven words, the domain first."""
        return encode_abi(_TYPES, [DOMAIN, *self.as_abi_tuple()])

    def hash(self) -> bytes:
        """What the proof makes public."""
        return keccak256(self.encode())

    @classmethod
    def decode(cls, data: bytes) -> Statement:
        """Inverse of `encode`. Raises `DecodeError`."""
        domain, *members = decode_abi(_TYPES, data)
        if domain != DOMAIN:
            raise DecodeError("not a statement of this version")
        try:
            members[3], members[-1] = Verdict(members[3]), address_bytes(members[-1])
            return cls(*members)
        except (TypeError, ValueError) as error:
            raise DecodeError(f"not a statement: {error}") from error


@dataclass(frozen=True, slots=True)
class Recovery:
    """A signature that L1 checks for the proof: `ecrecover(hash, v, r, s)` is `signer`, zero where it fails."""

    hash: bytes
    v: int
    r: bytes
    s: bytes
    signer: bytes

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The members of the contracts' `Recovery`, in ABI order."""
        return (self.hash, self.v, self.r, self.s, self.signer)


def decode_recoveries(data: bytes) -> list[Recovery]:
    """Recoveries from their words, one after the other. Raises `DecodeError`."""
    size = _RECOVERY_WORDS * _WORD
    if len(data) % size:
        raise DecodeError(f"recoveries take {size} bytes each, not {len(data)} together")
    recoveries = []
    for start in range(0, len(data), size):
        digest, v, r, s, signer = (data[start + _WORD * i : start + _WORD * (i + 1)] for i in range(_RECOVERY_WORDS))
        if int.from_bytes(v, "big") not in (27, 28) or any(signer[:12]):
            raise DecodeError("a recovery's v is 27 or 28, and its signer an address")
        recoveries.append(Recovery(digest, v[-1], r, s, signer[12:]))
    return recoveries


def encode_recoveries(recoveries: Sequence[Recovery]) -> bytes:
    """Inverse of `decode_recoveries`; the statement has its hash."""
    types = ["bytes32", "uint256", "bytes32", "bytes32", "address"]
    return b"".join(encode_abi(types, recovery.as_abi_tuple()) for recovery in recoveries)
