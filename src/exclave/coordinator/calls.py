"""Calls of ZkRelayer that the coordinator makes: calldata, and reads through L1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from exclave import contracts
from exclave.l1.client import CallRequest, L1Client
from exclave.l1.payloads import encode_call, parameters_of, selector_of
from exclave.protocol import Anchor, ClaimHeader, SessionConfig, Settlement, Terms
from exclave.protocol.constants import ZERO_HASH
from exclave.protocol.errors import DecodeError
from exclave.protocol.fields import decode_abi, decode_abi_loosely

_ZK_RELAYER: Final = contracts.load("ZkRelayer")
CLAIM_SELECTOR: Final = selector_of(_ZK_RELAYER, "claim")


class L1SessionStatus(IntEnum):
    """`SessionStatus` of the contract."""

    NONE = 0
    OPEN = 1
    SETTLED = 2
    ABORTED = 3


@dataclass(frozen=True, slots=True)
class ClaimRecord:
    """What L1 keeps of a claim: leaves `held` and `killed` by disputes, and whether the bond is back."""

    claimant: bytes
    held: int
    killed: int
    released: bool
    header_hash: bytes


def encode_claim(
    root: bytes, count: int, terms: Terms, data_hash: bytes, data: bytes, operator_signature: bytes
) -> bytes:
    """`claim`: `data_hash` counts for on-demand claims only, `data` for calldata claims only, the signature (of
    `claim_digest`) where the terms name no dispute contract.
    """
    return _call("claim", root, count, terms.as_abi_tuple(), data_hash, data, operator_signature)


def read_claim_data(call: bytes) -> bytes:
    """The `data` argument of a `claim` call, from its call data. Raises `DecodeError`."""
    if call[:4] != CLAIM_SELECTOR:
        raise DecodeError("not a claim")
    return bytes(decode_abi_loosely(parameters_of(_ZK_RELAYER, "claim"), call[4:])[4])


def encode_settle(
    claim_id: int, header: ClaimHeader, item: Settlement, index: int, proof: Sequence[bytes], anchor: Anchor
) -> bytes:
    """What takes one leaf of a claim to its end.

    `settle`, or `settleFromCheckpoint` when its range starts at a checkpoint, or `confirmCheckpoint` when it is one.
    """
    arguments = (claim_id, header.as_abi_tuple(), item.as_abi_tuple(), index, list(proof))
    blocks = (item.leaf.chain_as_abi_tuple(), anchor.as_abi_tuple())
    if item.leaf.result_hash == ZERO_HASH:
        return _call("confirmCheckpoint", *arguments, *blocks)
    if item.leaf.first_number:
        return _call("settleFromCheckpoint", *arguments, *blocks)
    return _call("settle", *arguments)


def encode_settle_all(claim_id: int, header: ClaimHeader, items: Sequence[Settlement], least: int) -> bytes:
    """`settleAll`: a claim's sessions in the order of its leaves, as far as the gas goes, but at least `least`."""
    return _call("settleAll", claim_id, header.as_abi_tuple(), [item.as_abi_tuple() for item in items], least)


def encode_release_bond(claim_id: int, header: ClaimHeader) -> bytes:
    """`releaseBond`."""
    return _call("releaseBond", claim_id, header.as_abi_tuple())


def encode_retry_callback(config: SessionConfig, result: bytes) -> bytes:
    """`retryCallback`: `result` is empty for an aborted session."""
    return _call("retryCallback", config.as_abi_tuple(), result)


class ZkRelayerReader:
    """Reads of ZkRelayer's state at L1's newest block. All raise `L1Error`."""

    def __init__(self, l1: L1Client, zk_relayer: bytes) -> None:
        self._l1 = l1
        self._zk_relayer = zk_relayer

    async def chain_id_base(self) -> int:
        """`chainIdBase`, which is what tells a ZkRelayer from another contract."""
        (base,) = await self._read("chainIdBase", ["uint64"])
        return int(base)

    async def session_status(self, session_id: int) -> L1SessionStatus:
        """The session's state on L1."""
        request = CallRequest(to=self._zk_relayer, data=_call("sessionStatus", session_id))
        return await self._l1.call_for(request, lambda answer: L1SessionStatus(*decode_abi(["uint8"], answer)))

    async def callback_failed(self, session_id: int) -> bool:
        """Whether the session's game has refused its outcome and hasn't taken it since."""
        (failed,) = await self._read("callbackFailed", ["bool"], session_id)
        return bool(failed)

    async def available_deposit(self, account: bytes) -> int:
        """Wei that the account can lock or withdraw."""
        available, _locked = await self._read("bondAccount", ["uint256", "uint256"], account)
        return int(available)

    async def claim_record(self, claim_id: int) -> ClaimRecord:
        """What L1 keeps of a claim."""
        claimant, held, killed, released, header_hash = await self._read(
            "claimRecord", ["address", "uint32", "uint32", "bool", "bytes32"], claim_id
        )
        return ClaimRecord(bytes.fromhex(claimant[2:]), held, killed, released, header_hash)

    async def _read(self, name: str, types: Sequence[str], *values: object) -> tuple[Any, ...]:
        request = CallRequest(to=self._zk_relayer, data=_call(name, *values))
        return await self._l1.call_for(request, lambda answer: decode_abi(types, answer))


def _call(name: str, *arguments: object) -> bytes:
    return encode_call(_ZK_RELAYER, name, *arguments)
