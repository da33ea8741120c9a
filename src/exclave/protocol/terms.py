"""The terms that a game contract fixes when it opens a session (docs/protocol.md, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from exclave.protocol.errors import DecodeError, InvalidField
from exclave.protocol.fields import decode_abi, encode_abi, keccak256, require_bytes, require_unsigned


class DataMode(IntEnum):
    """How a claim's data is published."""

    BLOB = 0
    CALLDATA = 1
    ON_DEMAND = 2


TERMS_ABI: Final = "(address,address,address,bytes32,uint96,uint32,uint32,uint32,uint32,uint8)"


@dataclass(frozen=True, slots=True)
class Terms:
    """Fixed by the game contract at opening. Amounts in wei, times in seconds, gas in gas."""

    operator: bytes
    dispute_game: bytes
    verifier: bytes
    program_id: bytes
    claim_bond: int
    challenge_window: int
    inclusion_delay: int
    abort_delay: int
    callback_gas: int
    data_mode: DataMode

    def __post_init__(self) -> None:
        require_bytes("operator", self.operator, 20)
        require_bytes("dispute_game", self.dispute_game, 20)
        require_bytes("verifier", self.verifier, 20)
        require_bytes("program_id", self.program_id, 32)
        require_unsigned("claim_bond", self.claim_bond, 96)
        for name in ("challenge_window", "inclusion_delay", "abort_delay", "callback_gas"):
            require_unsigned(name, getattr(self, name), 32)
        if not isinstance(self.data_mode, DataMode):
            raise InvalidField(f"data_mode must be a DataMode, not {self.data_mode!r}")

    def as_abi_tuple(self) -> tuple[Any, ...]:
        """The struct's members in ABI order."""
        return (
            self.operator,
            self.dispute_game,
            self.verifier,
            self.program_id,
            self.claim_bond,
            self.challenge_window,
            self.inclusion_delay,
            self.abort_delay,
            self.callback_gas,
            int(self.data_mode),
        )

    @classmethod
    def from_abi_tuple(cls, values: Any) -> Terms:
        """From the members in ABI order, addresses as `0x` strings or bytes. Raises `DecodeError`."""
        try:
            operator, dispute_game, verifier, program_id, bond, window, inclusion, abort, callback, mode = values
            return cls(
                address_bytes(operator),
                address_bytes(dispute_game),
                address_bytes(verifier),
                bytes(program_id),
                bond,
                window,
                inclusion,
                abort,
                callback,
                DataMode(mode),
            )
        except (TypeError, ValueError) as error:
            raise DecodeError(f"not session terms: {error}") from error

    def encode(self) -> bytes:
        """`abi.encode(Terms)`."""
        return encode_abi([TERMS_ABI], [self.as_abi_tuple()])

    @classmethod
    def decode(cls, data: bytes) -> Terms:
        """Inverse of `encode`. Raises `DecodeError`."""
        return cls.from_abi_tuple(decode_abi([TERMS_ABI], data)[0])

    def hash(self) -> bytes:
        """`termsHash`."""
        return keccak256(self.encode())


def address_bytes(value: str | bytes) -> bytes:
    """20 bytes from a `0x` string or bytes. Raises `InvalidField`."""
    try:
        raw = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
    except (TypeError, ValueError) as error:
        raise InvalidField(f"not an address: {str(value)[:80]!r}") from error
    require_bytes("address", raw, 20)
    return raw
