"""The events that the node follows, of ZkRelayer and of dispute contracts, decoded and checked against the protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from exclave.dispute.payloads import DisputeEvent
from exclave.dispute.payloads import read_event as read_dispute_event
from exclave.l1.errors import L1Error
from exclave.l1.values import L1Header, L1Log
from exclave.protocol import (
    ClaimHeader,
    DataMode,
    Message,
    ProtocolError,
    SessionConfig,
    Terms,
    address_bytes,
    keccak256,
    players_hash,
    session_chain_id,
)
from exclave.protocol.claims import CLAIM_HEADER_ABI
from exclave.protocol.fields import decode_abi
from exclave.protocol.terms import TERMS_ABI


class InconsistentEvent(L1Error):
    """A log that ZkRelayer can't have emitted: an endpoint lies, or the address is of another contract."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where on L1 an event was emitted; `timestamp` is the block's."""

    block_number: int
    block_hash: bytes
    timestamp: int
    transaction_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True)
class TermsRegistered:
    """Sessions of a template may be opened with these terms."""

    origin: Origin
    terms: Terms


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A game contract opened a session. Its terms were registered before."""

    origin: Origin
    config: SessionConfig
    config_hash: bytes
    players: tuple[bytes, ...]
    init_data: bytes


@dataclass(frozen=True, slots=True)
class MessageEnqueued:
    """Somebody forced a transaction; `inbox_hash` is the accumulator after it."""

    origin: Origin
    session_id: int
    message: Message
    inbox_hash: bytes


@dataclass(frozen=True, slots=True)
class ClaimPosted:
    """Somebody claimed sessions' results."""

    origin: Origin
    claim_id: int
    claimant: bytes
    header: ClaimHeader
    data_mode: DataMode
    data_hash: bytes
    blob_hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BondReleased:
    """A claim's bond is back in its claimant's deposit: all about the claim is over."""

    origin: Origin
    claim_id: int


@dataclass(frozen=True, slots=True)
class CheckpointConfirmed:
    """A checkpoint passed its review: later ranges may start at its last block."""

    origin: Origin
    session_id: int
    claim_id: int
    number: int
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class SessionSettled:
    """A session's result is final; `claim_id` is 0 when its players signed the result."""

    origin: Origin
    session_id: int
    claim_id: int
    result_hash: bytes


@dataclass(frozen=True, slots=True)
class SessionAborted:
    """A session was given up: stakes go back."""

    origin: Origin
    session_id: int


@dataclass(frozen=True, slots=True)
class CallbackFailed:
    """The game contract didn't take the outcome; anyone may call `retryCallback`."""

    origin: Origin
    session_id: int


@dataclass(frozen=True, slots=True)
class LeafHeld:
    """A session of a claim is in dispute."""

    origin: Origin
    claim_id: int
    leaf_index: int


@dataclass(frozen=True, slots=True)
class LeafReleased:
    """The last dispute about a session of a claim ended in the claim's favour."""

    origin: Origin
    claim_id: int
    leaf_index: int


@dataclass(frozen=True, slots=True)
class LeafKilled:
    """A dispute ended against the claim of a session."""

    origin: Origin
    claim_id: int
    leaf_index: int


@dataclass(frozen=True, slots=True)
class DisputeNews:
    """What a dispute contract tells."""

    origin: Origin
    contract: bytes
    event: DisputeEvent


Event = (
    TermsRegistered
    | SessionOpened
    | MessageEnqueued
    | ClaimPosted
    | BondReleased
    | CheckpointConfirmed
    | SessionSettled
    | SessionAborted
    | CallbackFailed
    | LeafHeld
    | LeafReleased
    | LeafKilled
    | DisputeNews
)

SIGNATURES: Final = {
    "TermsRegistered": f"TermsRegistered(bytes32,bytes32,{TERMS_ABI})",
    "SessionOpened": "SessionOpened(uint64,address,bytes32,uint64,bytes32,address[],bytes)",
    "MessageEnqueued": "MessageEnqueued(uint64,uint64,address,address,uint64,uint64,bytes,bytes32)",
    "ClaimPosted": f"ClaimPosted(uint64,address,{CLAIM_HEADER_ABI},uint8,bytes32,bytes32[])",
    "ClaimReleased": "ClaimReleased(uint64,uint256)",
    "LeafHeld": "LeafHeld(uint64,uint32)",
    "LeafReleased": "LeafReleased(uint64,uint32)",
    "LeafKilled": "LeafKilled(uint64,uint32)",
    "CheckpointConfirmed": "CheckpointConfirmed(uint64,uint64,uint64,bytes32)",
    "SessionSettled": "SessionSettled(uint64,uint64,bytes32)",
    "SessionAborted": "SessionAborted(uint64)",
    "CallbackFailed": "CallbackFailed(uint64)",
}

TOPICS: Final = {keccak256(signature.encode()): name for name, signature in SIGNATURES.items()}


class EventReader:
    """Reads logs of one ZkRelayer and of dispute contracts."""

    def __init__(self, zk_relayer: bytes, l1_chain_id: int) -> None:
        self._zk_relayer = zk_relayer
        self._l1_chain_id = l1_chain_id
        self._readers: dict[str, Callable[[Origin, L1Log], Event]] = {
            "TermsRegistered": self._terms_registered,
            "SessionOpened": self._session_opened,
            "MessageEnqueued": self._message_enqueued,
            "ClaimPosted": self._claim_posted,
            "ClaimReleased": lambda origin, log: BondReleased(origin, _uint(log.topics[1])),
            "LeafHeld": lambda origin, log: LeafHeld(origin, _uint(log.topics[1]), _uint(log.topics[2])),
            "LeafReleased": lambda origin, log: LeafReleased(origin, _uint(log.topics[1]), _uint(log.topics[2])),
            "LeafKilled": lambda origin, log: LeafKilled(origin, _uint(log.topics[1]), _uint(log.topics[2])),
            "CheckpointConfirmed": self._checkpoint_confirmed,
            "SessionSettled": self._session_settled,
            "SessionAborted": lambda origin, log: SessionAborted(origin, _uint(log.topics[1])),
            "CallbackFailed": lambda origin, log: CallbackFailed(origin, _uint(log.topics[1])),
        }

    def read(self, log: L1Log, header: L1Header) -> Event | None:
        """The event of a log in the block of `header`; None for events that the node doesn't follow. Logs of any other
        address than ZkRelayer's are a dispute contract's.

        Raises `InconsistentEvent` for what the contract can't have emitted.
        """
        origin = Origin(log.block_number, log.block_hash, header.timestamp, log.transaction_hash, log.log_index)
        if log.address != self._zk_relayer:
            return self._of_dispute(origin, log)
        name = TOPICS.get(log.topics[0]) if log.topics else None
        if name is None:
            return None
        try:
            return self._readers[name](origin, log)
        except (ProtocolError, IndexError) as error:
            raise InconsistentEvent(
                f"the log {log.log_index} of L1 block {log.block_number} is not a valid {name}: {error}"
            ) from error

    def _of_dispute(self, origin: Origin, log: L1Log) -> DisputeNews | None:
        try:
            event = read_dispute_event(log)
        except ProtocolError as error:
            raise InconsistentEvent(
                f"the log {log.log_index} of L1 block {log.block_number} is not a dispute contract's: {error}"
            ) from error
        return None if event is None else DisputeNews(origin, log.address, event)

    def _terms_registered(self, origin: Origin, log: L1Log) -> TermsRegistered:
        (values,) = decode_abi([TERMS_ABI], log.data)
        terms = Terms.from_abi_tuple(values)
        _require(terms.hash() == log.topics[2], "its terms have another hash")
        return TermsRegistered(origin, terms)

    def _session_opened(self, origin: Origin, log: L1Log) -> SessionOpened:
        deadline, terms_hash, player_values, init_data = decode_abi(
            ["uint64", "bytes32", "address[]", "bytes"], log.data
        )
        players = tuple(address_bytes(player) for player in player_values)
        config = SessionConfig(
            session_id=_uint(log.topics[1]),
            opened_at=origin.timestamp,
            opened_block=origin.block_number,
            deadline=deadline,
            game=log.topics[2][12:],
            template_id=log.topics[3],
            players_hash=players_hash(players),
            init_data_hash=keccak256(init_data),
            terms_hash=terms_hash,
        )
        return SessionOpened(origin, config, config.hash(self._l1_chain_id, self._zk_relayer), players, init_data)

    def _message_enqueued(self, origin: Origin, log: L1Log) -> MessageEnqueued:
        to, gas_limit, due_at, data, inbox_hash = decode_abi(
            ["address", "uint64", "uint64", "bytes", "bytes32"], log.data
        )
        session_id = _uint(log.topics[1])
        message = Message(
            chain_id=session_chain_id(self._l1_chain_id, self._zk_relayer, session_id),
            index=_uint(log.topics[2]),
            sender=log.topics[3][12:],
            to=address_bytes(to),
            gas_limit=gas_limit,
            due_at=due_at,
            data=data,
        )
        return MessageEnqueued(origin, session_id, message, inbox_hash)

    def _claim_posted(self, origin: Origin, log: L1Log) -> ClaimPosted:
        header_values, mode, data_hash, blob_hashes = decode_abi(
            [CLAIM_HEADER_ABI, "uint8", "bytes32", "bytes32[]"], log.data
        )
        header = ClaimHeader.from_abi_tuple(header_values)
        _require(header.claimed_at == origin.timestamp, "it names another time")
        _require(mode in tuple(DataMode), "its data mode is unknown")
        return ClaimPosted(
            origin,
            claim_id=_uint(log.topics[1]),
            claimant=log.topics[2][12:],
            header=header,
            data_mode=DataMode(mode),
            data_hash=data_hash,
            blob_hashes=tuple(blob_hashes),
        )

    def _checkpoint_confirmed(self, origin: Origin, log: L1Log) -> CheckpointConfirmed:
        number, block_hash = decode_abi(["uint64", "bytes32"], log.data)
        return CheckpointConfirmed(origin, _uint(log.topics[1]), _uint(log.topics[2]), number, block_hash)

    def _session_settled(self, origin: Origin, log: L1Log) -> SessionSettled:
        (result_hash,) = decode_abi(["bytes32"], log.data)
        return SessionSettled(origin, _uint(log.topics[1]), _uint(log.topics[2]), result_hash)


def _uint(topic: bytes) -> int:
    return int.from_bytes(topic, "big")


def _require(condition: Any, problem: str) -> None:
    if not condition:
        raise ProtocolError(problem)
