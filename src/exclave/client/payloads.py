"""Calls of ZkRelayer that a player makes. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exclave import contracts
from exclave.client.opening import SessionOpening
from exclave.l1.payloads import encode_call


def encode_force(opening: SessionOpening, to: bytes, gas_limit: int, data: bytes) -> bytes:
    """`forceTransaction`: a call in the session, by whoever sends this to L1; it must be in the session in time."""
    config, terms = opening.config.as_abi_tuple(), opening.terms.as_abi_tuple()
    return _call("forceTransaction", config, terms, list(opening.players), to, gas_limit, data)


def encode_abort(opening: SessionOpening) -> bytes:
    """`abort`: from `deadline + abortDelay` on, stakes go back."""
    return _call("abort", opening.config.as_abi_tuple(), opening.terms.as_abi_tuple())


def encode_settle_unanimously(
    opening: SessionOpening, result: bytes, valid_until: int, signatures: Sequence[bytes]
) -> bytes:
    """`settleUnanimously`: the signatures in the order of the session's players."""
    config, terms = opening.config.as_abi_tuple(), opening.terms.as_abi_tuple()
    return _call("settleUnanimously", config, terms, list(opening.players), result, valid_until, list(signatures))


def encode_retry_callback(opening: SessionOpening, result: bytes) -> bytes:
    """`retryCallback`: `result` is empty for an aborted session."""
    return _call("retryCallback", opening.config.as_abi_tuple(), result)


def _call(name: str, *arguments: Any) -> bytes:
    return encode_call(contracts.load("ZkRelayer"), name, *arguments)
