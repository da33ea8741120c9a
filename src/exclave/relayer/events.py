"""The events of ZkRelayer that the node follows, decoded and checked against the protocol."""

from __future__ import annotations

from dataclasses import dataclass

from exclave.protocol import Message, SessionConfig, Terms


@dataclass(frozen=True, slots=True)
class Origin:
    """Where on L1 an event was emitted."""

    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A game contract opened a session."""

    origin: Origin
    config: SessionConfig
    config_hash: bytes
    terms: Terms
    players: tuple[bytes, ...]
    init_data: bytes


@dataclass(frozen=True, slots=True)
class MessageEnqueued:
    """Somebody forced a transaction; `inbox_hash` is the accumulator after it, `enqueued_at` the L1 timestamp."""

    origin: Origin
    session_id: int
    message: Message
    inbox_hash: bytes
    enqueued_at: int


@dataclass(frozen=True, slots=True)
class ClaimPosted:
    """Somebody claimed sessions' results. `bond` in wei for all of them together."""

    origin: Origin
    claim_id: int
    claimant: bytes
    claims_root: bytes
    count: int
    terms_hash: bytes
    bond: int
    claimed_at: int
    settleable_at: int
    data_hash: bytes | None
    blob_hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SessionSettled:
    """A session's result is final."""

    origin: Origin
    session_id: int
    result: bytes


@dataclass(frozen=True, slots=True)
class SessionAborted:
    """A session was given up: stakes go back."""

    origin: Origin
    session_id: int


@dataclass(frozen=True, slots=True)
class ClaimHeld:
    """A dispute holds the claim."""

    origin: Origin
    claim_id: int


@dataclass(frozen=True, slots=True)
class ClaimReleased:
    """The dispute ended in the claim's favour."""

    origin: Origin
    claim_id: int


@dataclass(frozen=True, slots=True)
class ClaimKilled:
    """The dispute ended against the claim."""

    origin: Origin
    claim_id: int


Event = (
    SessionOpened
    | MessageEnqueued
    | ClaimPosted
    | SessionSettled
    | SessionAborted
    | ClaimHeld
    | ClaimReleased
    | ClaimKilled
)
