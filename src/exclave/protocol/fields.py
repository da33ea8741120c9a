"""Hashing and the checks of field lengths and ranges that the protocol's types share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import rlp  # type: ignore[import-untyped]
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError as AbiDecodingError
from rlp.exceptions import RLPException  # type: ignore[import-untyped]

from exclave import _engine
from exclave.protocol.errors import DecodeError, InvalidField


def keccak256(data: bytes) -> bytes:
    """Ethereum's Keccak-256 of `data`, 32 bytes."""
    return _engine.keccak256(data)


def require_unsigned(name: str, value: object, bits: int) -> None:
    """Raises `InvalidField` unless `value` is an integer of at most `bits` bits."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << bits:
        raise InvalidField(f"{name} must be an unsigned integer of {bits} bits, not {_shown(value)}")


def require_bytes(name: str, value: object, length: int | None = None) -> None:
    """Raises `InvalidField` unless `value` is a byte string (of exactly `length` bytes if given)."""
    if not isinstance(value, bytes):
        raise InvalidField(f"{name} must be bytes, not {_shown(value)}")
    if length is not None and len(value) != length:
        raise InvalidField(f"{name} must be {length} bytes, not {len(value)}")


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def encode_abi(types: Sequence[str], values: Iterable[Any]) -> bytes:
    """Solidity's `abi.encode`. Values must have been checked before."""
    return encode(list(types), list(values))


def decode_abi(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Decodes `abi.encode` output. Raises `DecodeError` on anything but the canonical encoding."""
    try:
        values = decode(list(types), data)
        canonical = encode(list(types), list(values)) == data
    except (AbiDecodingError, ValueError, OverflowError, TypeError, MemoryError) as error:
        raise DecodeError(f"not an ABI encoding of ({','.join(types)}): {error}") from error
    if not canonical:
        raise DecodeError(f"not the canonical ABI encoding of ({','.join(types)})")
    return tuple(values)


def decode_abi_loosely(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Decodes what a contract accepts as `abi.encode`, also where it isn't the canonical encoding: who writes call data
    may arrange it as he likes. Raises `DecodeError`.
    """
    try:
        return tuple(decode(list(types), data, strict=False))
    except (AbiDecodingError, ValueError, OverflowError, TypeError, MemoryError) as error:
        raise DecodeError(f"not an ABI encoding of ({','.join(types)}): {error}") from error


def encode_rlp(value: Any) -> bytes:
    """RLP of nested sequences of bytes and non-negative integers."""
    return bytes(rlp.encode(value))


def decode_rlp(data: bytes, what: str) -> Any:
    """Strict RLP decoding into nested lists of bytes. Raises `DecodeError`.

    `what` names the thing for the error's text. Nesting so deep that it exhausts the stack is an error like any
    other: no encoding of the protocol is deeper than six levels.
    """
    try:
        return _as_lists(rlp.decode(data, strict=True))
    except (RLPException, RecursionError, ValueError, TypeError, IndexError) as error:
        raise DecodeError(f"{what} is not valid RLP: {type(error).__name__}: {str(error)[:200]}") from error


def _as_lists(value: Any) -> Any:
    return bytes(value) if isinstance(value, bytes | bytearray) else [_as_lists(item) for item in value]


def read_list(value: Any, what: str, length: int | None = None) -> list[Any]:
    """`value` as a list (of exactly `length` items if given), or `DecodeError`."""
    if not isinstance(value, list):
        raise DecodeError(f"{what} must be a list")
    if length is not None and len(value) != length:
        raise DecodeError(f"{what} must have {length} items, not {len(value)}")
    return value


def read_bytes(value: Any, what: str, length: int | None = None) -> bytes:
    """`value` as a byte string (of exactly `length` bytes if given), or `DecodeError`."""
    if not isinstance(value, bytes):
        raise DecodeError(f"{what} must be a byte string")
    if length is not None and len(value) != length:
        raise DecodeError(f"{what} must be {length} bytes, not {len(value)}")
    return value


def read_unsigned(value: Any, what: str, bits: int) -> int:
    """`value` as a minimal big-endian integer of at most `bits` bits, or `DecodeError`."""
    data = read_bytes(value, what)
    if data[:1] == b"\0":
        raise DecodeError(f"{what} has a leading zero")
    if len(data) * 8 > bits:
        raise DecodeError(f"{what} exceeds {bits} bits")
    return int.from_bytes(data, "big")
