"""Intents: what the node wants to happen on L1, each at most once; and what a store must do for them.

INVARIANT I7: an intent is in the store before it is signed, and every signed attempt before it is sent. All attempts of
an intent have one nonce, so that at most one of them can be mined. An intent gets another nonce only when L1 has used
the old one, with enough confirmations, for a transaction that isn't one of its attempts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from exclave.l1.errors import L1Error
from exclave.l1.transactions import Fees
from exclave.protocol.fields import encode_rlp, keccak256, require_bytes, require_unsigned


class IntentConflict(L1Error):
    """An intent of that key exists and has another effect."""


class IntentRefused(L1Error):
    """No transaction can carry the intent: too large, too many blobs."""


class UnknownIntent(L1Error):
    """No intent has that key."""


class NonceConflict(L1Error):
    """An attempt would break INVARIANT I7. Nothing was written."""


class KeyInUse(L1Error):
    """Another process uses the key. Its text says which, or how one knows."""


class KeyLeased(KeyInUse):
    """Another process holds the lease on the key in this database."""

    def __init__(self, message: str, expires_in: float) -> None:
        self.expires_in = expires_in
        super().__init__(message)


class IntentState(StrEnum):
    QUEUED = "queued"  # recorded, nothing signed for its present nonce
    SENT = "sent"  # signed, recorded, and sent or about to be
    MINED = "mined"  # in a block, not yet deep enough
    CONFIRMED = "confirmed"  # its effect has happened
    FAILED = "failed"  # reverted, or couldn't be sent; no effect
    ABANDONED = "abandoned"  # out of time or not needed any more, and can't land any more; no effect


OPEN_STATES = (IntentState.QUEUED, IntentState.SENT, IntentState.MINED)
FINAL_STATES = (IntentState.CONFIRMED, IntentState.FAILED, IntentState.ABANDONED)


class Purpose(StrEnum):
    EFFECT = "effect"
    CANCEL = "cancel"  # a transfer of nothing to oneself, which uses the nonce up


@dataclass(frozen=True, slots=True)
class Intent:
    """What is to happen: a call (`to` None: a creation) with `value` wei and `data`, with blobs of 131,072 bytes.

    `key` names the effect: the same key is the same intent for ever. `gas_limit` None: estimated. `not_after` (seconds
    since 1970): not to be sent after that; one that is on its way is then taken back, which the network may not allow.
    `kind` chooses the check by which the manager sees that somebody else has had the effect already. With `preflight`
    the transaction is tried by eth_call first, and fails without cost if it reverts.
    """

    key: str
    to: bytes | None
    data: bytes = b""
    value: int = 0
    blobs: tuple[bytes, ...] = ()
    gas_limit: int | None = None
    not_after: int | None = None
    kind: str = ""
    preflight: bool = True

    def __post_init__(self) -> None:
        if not self.key or len(self.key) > 200:
            raise IntentRefused("an intent needs a key of 1 to 200 characters")
        if self.to is not None:
            require_bytes("to", self.to, 20)
        require_bytes("data", self.data)
        require_unsigned("value", self.value, 256)

    def effect_hash(self) -> bytes:
        """What must be equal for two intents of one key: everything that has effect on L1."""
        blobs = [keccak256(blob) for blob in self.blobs]
        return keccak256(encode_rlp([[] if self.to is None else [self.to], self.value, self.data, blobs]))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed transaction of an intent. `raw` is the transaction as blocks have it (without blobs); `created_at` in
    seconds since 1970.
    """

    hash: bytes
    nonce: int
    purpose: Purpose
    fees: Fees
    gas_limit: int
    raw: bytes
    created_at: float

    @property
    def max_gas_cost(self) -> int:
        """In wei, blobs aside."""
        return self.gas_limit * self.fees.max_fee_per_gas


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """An intent and what became of it. Its blobs are left out (`IntentStore.blobs`).

    `transaction_hash`, `block_number`, `block_hash`, `gas_used` and `effective_gas_price` (wei) are of the mined
    transaction. They are None for a CONFIRMED intent whose effect somebody else had.
    """

    sequence: int
    key: str
    chain_id: int
    sender: bytes
    to: bytes | None
    data: bytes
    value: int
    blob_count: int
    gas_limit: int | None
    not_after: int | None
    kind: str
    preflight: bool
    effect_hash: bytes
    state: IntentState
    nonce: int | None
    first_block: int | None
    transaction_hash: bytes | None
    block_number: int | None
    block_hash: bytes | None
    gas_used: int | None
    effective_gas_price: int | None
    reason: str | None
    revert_data: bytes | None
    created_at: int
    updated_at: int
    attempts: tuple[Attempt, ...] = ()
    """Oldest first, those of earlier nonces too."""

    @property
    def current_attempts(self) -> tuple[Attempt, ...]:
        """The attempts that can still be mined: those with the present nonce."""
        return tuple(attempt for attempt in self.attempts if attempt.nonce == self.nonce)

    @property
    def cancelling(self) -> bool:
        return any(attempt.purpose is Purpose.CANCEL for attempt in self.current_attempts)

    @property
    def is_gap_filler(self) -> bool:
        """Made by the manager itself to use a nonce up."""
        return self.kind == GAP_FILLER


GAP_FILLER = "gap-filler"


class SignerLease(Protocol):
    """The right to use a signer's nonces; shown with every write."""

    @property
    def token(self) -> int: ...


class IntentStore(Protocol):
    """Where intents live. Every method is one transaction, or joins the caller's (`connection`). Methods that take a
    lease raise `KeyInUse` when it was lost: nothing is written then.
    """

    def insert(self, intent: Intent, chain_id: int, sender: bytes, *, connection: Any = None) -> IntentRecord:
        """Record an intent, or return the record of its key. Raises `IntentConflict` for another effect."""
        ...

    def get(self, key: str, *, connection: Any = None) -> IntentRecord | None: ...

    def blobs(self, key: str, *, connection: Any = None) -> tuple[bytes, ...]: ...

    def open(self, chain_id: int, sender: bytes, *, connection: Any = None) -> list[IntentRecord]:
        """The intents that aren't final, oldest first."""
        ...

    def by_nonce(self, chain_id: int, sender: bytes, nonce: int, *, connection: Any = None) -> IntentRecord | None:
        """The intent whose present nonce this is."""
        ...

    def next_nonce(self, chain_id: int, sender: bytes, *, connection: Any = None) -> int | None:
        """One more than the highest nonce of any attempt, None when there is none."""
        ...

    def add_attempt(
        self, lease: SignerLease, key: str, attempt: Attempt, first_block: int, *, connection: Any = None
    ) -> IntentRecord:
        """Record a signed attempt; the intent becomes SENT. Raises `NonceConflict` unless the intent has no nonce yet,
        or has this one, and nobody else has it.
        """
        ...

    def insert_gap_filler(
        self, lease: SignerLease, chain_id: int, sender: bytes, attempt: Attempt, first_block: int
    ) -> IntentRecord:
        """Record an intent of the manager's own that uses up a nonce which no intent has."""
        ...

    def release_nonce(self, lease: SignerLease, key: str, nonce: int, consumed_by: bytes) -> IntentRecord:
        """L1 used the intent's nonce for the transaction `consumed_by`: the intent is QUEUED without a nonce again.

        Raises `NonceConflict` when that is one of its attempts.
        """
        ...

    def move(
        self, lease: SignerLease, key: str, before: Collection[IntentState], after: IntentState, **fields: Any
    ) -> IntentRecord:
        """Change the state from one of `before`, and the fields of `IntentRecord` about the mined transaction."""
        ...

    def acquire(self, chain_id: int, sender: bytes, owner: str, seconds: float) -> SignerLease:
        """Raises `KeyLeased`."""
        ...

    def renew(self, lease: SignerLease, seconds: float) -> SignerLease: ...

    def release(self, lease: SignerLease) -> None: ...
