"""Intents toward L1 and every transaction that was ever signed for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
    update,
)

from exclave.l1.intents import (
    GAP_FILLER,
    OPEN_STATES,
    Attempt,
    Intent,
    IntentConflict,
    IntentRecord,
    IntentState,
    KeyInUse,
    KeyLeased,
    NonceConflict,
    Purpose,
    SignerLease,
    UnknownIntent,
)
from exclave.l1.transactions import Fees
from exclave.store.errors import LeaseHeld, LeaseLost, StateConflict
from exclave.store.leases import Lease
from exclave.store.repository import Repository
from exclave.store.schema import RowId, Uint256, metadata

if TYPE_CHECKING:
    from exclave.store.store import Store

intents = Table(
    "intents",
    metadata,
    Column("sequence", RowId, primary_key=True),
    Column("key", String(200), nullable=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("sender", LargeBinary, nullable=False),
    Column("to", LargeBinary),  # null: a creation
    Column("data", LargeBinary, nullable=False),
    Column("value", Uint256, nullable=False),
    Column("blob_count", Integer, nullable=False),
    Column("gas_limit", BigInteger),
    Column("not_after", BigInteger),
    Column("kind", String(200), nullable=False),
    Column("preflight", Boolean, nullable=False),
    Column("effect_hash", LargeBinary, nullable=False),
    Column("state", String(20), nullable=False),  # IntentState
    Column("nonce", BigInteger),
    Column("first_block", BigInteger),  # L1's head when the nonce was given
    Column("transaction_hash", LargeBinary),
    Column("block_number", BigInteger),
    Column("block_hash", LargeBinary),
    Column("gas_used", BigInteger),
    Column("effective_gas_price", Uint256),
    Column("reason", Text),
    Column("revert_data", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("key"),
    # INVARIANT I7: a nonce belongs to one intent.
    UniqueConstraint("chain_id", "sender", "nonce"),
    Index(None, "state"),
)

intent_blobs = Table(
    "intent_blobs",
    metadata,
    Column("sequence", RowId, ForeignKey("intents.sequence"), primary_key=True, autoincrement=False),
    Column("blob_index", Integer, primary_key=True, autoincrement=False),
    Column("blob", LargeBinary, nullable=False),
)

intent_attempts = Table(
    "intent_attempts",
    metadata,
    Column("attempt", RowId, primary_key=True),
    Column("sequence", RowId, ForeignKey("intents.sequence"), nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("purpose", String(10), nullable=False),  # Purpose
    Column("max_fee_per_gas", Uint256, nullable=False),
    Column("max_priority_fee_per_gas", Uint256, nullable=False),
    Column("max_fee_per_blob_gas", Uint256, nullable=False),
    Column("gas_limit", BigInteger, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("created_at", Float(53), nullable=False),
    UniqueConstraint("hash"),
    Index(None, "sequence"),
)


def signer_resource(chain_id: int, sender: bytes) -> str:
    """The name of the lease whose holder may use a signer's nonces."""
    return f"signer:{chain_id}:0x{sender.hex()}"


class IntentRepository(Repository):
    """The `IntentStore` of EthTxManager on the durable store."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)

    # reading

    def get(self, key: str, *, connection: Connection | None = None) -> IntentRecord | None:
        return self._read(lambda tx: self._one(tx, intents.c.key == key), connection)

    def blobs(self, key: str, *, connection: Connection | None = None) -> tuple[bytes, ...]:
        def work(tx: Connection) -> tuple[bytes, ...]:
            query = (
                select(intent_blobs.c.blob)
                .join(intents)
                .where(intents.c.key == key)
                .order_by(intent_blobs.c.blob_index)
            )
            return tuple(tx.scalars(query))

        return self._read(work, connection)

    def open(self, chain_id: int, sender: bytes, *, connection: Connection | None = None) -> list[IntentRecord]:
        def work(tx: Connection) -> list[IntentRecord]:
            return _records(tx, _of(chain_id, sender) & intents.c.state.in_(OPEN_STATES))

        return self._read(work, connection)

    def find(
        self,
        states: Sequence[IntentState] | None = None,
        *,
        before: int | None = None,
        limit: int = 100,
        connection: Connection | None = None,
    ) -> list[IntentRecord]:
        """Intents in the given states (all, when None) with sequence numbers below `before`, newest first."""

        def work(tx: Connection) -> list[IntentRecord]:
            condition = intents.c.sequence >= 0
            if states is not None:
                condition &= intents.c.state.in_(states)
            if before is not None:
                condition &= intents.c.sequence < before
            newest = select(intents.c.sequence).where(condition).order_by(intents.c.sequence.desc()).limit(limit)
            return _records(tx, intents.c.sequence.in_(list(tx.scalars(newest))))[::-1]

        return self._read(work, connection)

    def by_nonce(
        self, chain_id: int, sender: bytes, nonce: int, *, connection: Connection | None = None
    ) -> IntentRecord | None:
        return self._read(lambda tx: self._one(tx, _of(chain_id, sender) & (intents.c.nonce == nonce)), connection)

    def next_nonce(self, chain_id: int, sender: bytes, *, connection: Connection | None = None) -> int | None:
        def work(tx: Connection) -> int | None:
            query = select(func.max(intent_attempts.c.nonce)).join(intents).where(_of(chain_id, sender))
            highest = tx.scalar(query)
            return None if highest is None else int(highest) + 1

        return self._read(work, connection)

    def series(self, prefix: str, *, connection: Connection | None = None) -> list[IntentRecord]:
        """The intents `prefix:0`, `prefix:1`, ...: attempts at one effect, oldest first."""

        def work(tx: Connection) -> list[IntentRecord]:
            found: list[IntentRecord] = []
            while (record := self._one(tx, intents.c.key == f"{prefix}:{len(found)}")) is not None:
                found.append(record)
            return found

        return self._read(work, connection)

    # writing

    def insert(
        self, intent: Intent, chain_id: int, sender: bytes, *, connection: Connection | None = None
    ) -> IntentRecord:
        def work(tx: Connection) -> IntentRecord:
            known = self._one(tx, intents.c.key == intent.key)
            if known is not None:
                if (known.chain_id, known.sender, known.effect_hash) != (chain_id, sender, intent.effect_hash()):
                    raise IntentConflict(f"the intent {intent.key} exists and has another effect, chain or sender")
                return known
            sequence = self._insert(tx, intent, chain_id, sender)
            if intent.blobs:
                rows = [{"sequence": sequence, "blob_index": i, "blob": blob} for i, blob in enumerate(intent.blobs)]
                tx.execute(insert(intent_blobs), rows)
            return self._by_sequence(tx, sequence)

        return self._write(work, connection)

    def add_attempt(
        self,
        lease: SignerLease,
        key: str,
        attempt: Attempt,
        first_block: int,
        *,
        connection: Connection | None = None,
    ) -> IntentRecord:
        def work(tx: Connection) -> IntentRecord:
            self._fence(tx, lease)
            record = self._existing(tx, key)
            # INVARIANT I7: one nonce for all attempts, and the nonce for no other intent.
            if record.state not in (IntentState.QUEUED, IntentState.SENT):
                raise NonceConflict(f"the intent {key} is {record.state}: nothing more may be signed for it")
            if record.nonce is None:
                owner = self._one(tx, _of(record.chain_id, record.sender) & (intents.c.nonce == attempt.nonce))
                if owner is not None:
                    raise NonceConflict(f"the nonce {attempt.nonce} belongs to the intent {owner.key}")
            elif record.nonce != attempt.nonce:
                raise NonceConflict(f"the intent {key} has the nonce {record.nonce}, not {attempt.nonce}")
            values: dict[str, Any] = {
                "state": IntentState.SENT,
                "nonce": attempt.nonce,
                "updated_at": self._store.now(),
            }
            if record.nonce is None:
                values["first_block"] = first_block
            tx.execute(update(intents).where(intents.c.sequence == record.sequence).values(**values))
            tx.execute(insert(intent_attempts).values(**_attempt_row(record.sequence, attempt)))
            return self._by_sequence(tx, record.sequence)

        return self._write(work, connection)

    def insert_gap_filler(
        self, lease: SignerLease, chain_id: int, sender: bytes, attempt: Attempt, first_block: int
    ) -> IntentRecord:
        def work(tx: Connection) -> IntentRecord:
            self._fence(tx, lease)
            if self._one(tx, _of(chain_id, sender) & (intents.c.nonce == attempt.nonce)) is not None:
                raise NonceConflict(f"the nonce {attempt.nonce} belongs to an intent")
            key = f"{GAP_FILLER}:{chain_id}:0x{sender.hex()}:{attempt.nonce}:0x{attempt.hash.hex()[:16]}"
            intent = Intent(key=key, to=sender, kind=GAP_FILLER, preflight=False)
            sequence = self._insert(tx, intent, chain_id, sender)
            tx.execute(
                update(intents)
                .where(intents.c.sequence == sequence)
                .values(state=IntentState.SENT, nonce=attempt.nonce, first_block=first_block)
            )
            tx.execute(insert(intent_attempts).values(**_attempt_row(sequence, attempt)))
            return self._by_sequence(tx, sequence)

        return self._write(work, None)

    def release_nonce(self, lease: SignerLease, key: str, nonce: int, consumed_by: bytes) -> IntentRecord:
        def work(tx: Connection) -> IntentRecord:
            self._fence(tx, lease)
            record = self._existing(tx, key)
            # INVARIANT I7: the old attempts can never be mined any more.
            if record.nonce != nonce or record.state is not IntentState.SENT:
                raise NonceConflict(f"the intent {key} is {record.state} with the nonce {record.nonce}, not {nonce}")
            if any(attempt.hash == consumed_by for attempt in record.attempts):
                raise NonceConflict(f"the nonce {nonce} was used by the intent {key} itself")
            tx.execute(
                update(intents)
                .where(intents.c.sequence == record.sequence)
                .values(state=IntentState.QUEUED, nonce=None, first_block=None, updated_at=self._store.now())
            )
            return self._by_sequence(tx, record.sequence)

        return self._write(work, None)

    def move(
        self, lease: SignerLease, key: str, before: Collection[IntentState], after: IntentState, **fields: Any
    ) -> IntentRecord:
        def work(tx: Connection) -> IntentRecord:
            self._fence(tx, lease)
            moved = tx.execute(
                update(intents)
                .where(intents.c.key == key, intents.c.state.in_(before))
                .values(state=after, updated_at=self._store.now(), **fields)
            )
            record = self._existing(tx, key)
            if not moved.rowcount:
                raise StateConflict(f"the intent {key} is {record.state}, not {' or '.join(before)}")
            return record

        return self._write(work, None)

    # the right to use a signer's nonces

    def acquire(self, chain_id: int, sender: bytes, owner: str, seconds: float) -> Lease:
        try:
            return self._store.leases.acquire(signer_resource(chain_id, sender), owner, seconds)
        except LeaseHeld as error:
            raise KeyLeased(
                f"the key of 0x{sender.hex()} is used by {error.owner} with this database: stop that process, or give "
                "this one another key",
                error.expires_in,
            ) from error

    def renew(self, lease: SignerLease, seconds: float) -> Lease:
        try:
            return self._store.leases.renew([cast(Lease, lease)], seconds)[0]
        except LeaseLost as error:
            raise _lost(cast(Lease, lease)) from error

    def release(self, lease: SignerLease) -> None:
        self._store.leases.release([cast(Lease, lease)])

    # internals

    def _fence(self, tx: Connection, lease: SignerLease) -> None:
        try:
            self._store.leases.check(cast(Lease, lease), connection=tx)
        except LeaseLost as error:
            raise _lost(cast(Lease, lease)) from error

    def _insert(self, tx: Connection, intent: Intent, chain_id: int, sender: bytes) -> int:
        now = self._store.now()
        inserted = tx.execute(
            insert(intents).values(
                key=intent.key,
                chain_id=chain_id,
                sender=sender,
                to=intent.to,
                data=intent.data,
                value=intent.value,
                blob_count=len(intent.blobs),
                gas_limit=intent.gas_limit,
                not_after=intent.not_after,
                kind=intent.kind,
                preflight=intent.preflight,
                effect_hash=intent.effect_hash(),
                state=IntentState.QUEUED,
                created_at=now,
                updated_at=now,
            )
        )
        assert inserted.inserted_primary_key is not None
        return int(inserted.inserted_primary_key[0])

    def _existing(self, tx: Connection, key: str) -> IntentRecord:
        record = self._one(tx, intents.c.key == key)
        if record is None:
            raise UnknownIntent(f"there is no intent {key}")
        return record

    def _by_sequence(self, tx: Connection, sequence: int) -> IntentRecord:
        return _records(tx, intents.c.sequence == sequence)[0]

    @staticmethod
    def _one(tx: Connection, condition: Any) -> IntentRecord | None:
        found = _records(tx, condition)
        return found[0] if found else None


def _of(chain_id: int, sender: bytes) -> Any:
    return (intents.c.chain_id == chain_id) & (intents.c.sender == sender)


def _lost(lease: Lease) -> KeyInUse:
    return KeyInUse(f"another process took over {lease.resource} while this one was paused: it stops using the key")


def _attempt_row(sequence: int, attempt: Attempt) -> dict[str, Any]:
    return {
        "sequence": sequence,
        "hash": attempt.hash,
        "nonce": attempt.nonce,
        "purpose": attempt.purpose,
        **dataclasses.asdict(attempt.fees),
        "gas_limit": attempt.gas_limit,
        "raw": attempt.raw,
        "created_at": attempt.created_at,
    }


def _records(tx: Connection, condition: Any) -> list[IntentRecord]:
    """Records with their attempts, oldest first."""
    rows = tx.execute(select(intents).where(condition).order_by(intents.c.sequence)).all()
    attempts: dict[int, list[Attempt]] = {row.sequence: [] for row in rows}
    if rows:
        query = (
            select(intent_attempts)
            .where(intent_attempts.c.sequence.in_(list(attempts)))
            .order_by(intent_attempts.c.attempt)
        )
        for row in tx.execute(query):
            attempts[row.sequence].append(
                Attempt(
                    hash=row.hash,
                    nonce=row.nonce,
                    purpose=Purpose(row.purpose),
                    fees=Fees(row.max_fee_per_gas, row.max_priority_fee_per_gas, row.max_fee_per_blob_gas),
                    gas_limit=row.gas_limit,
                    raw=row.raw,
                    created_at=row.created_at,
                )
            )
    records = []
    for row in rows:
        values = dict(row._mapping)
        values["state"] = IntentState(values["state"])
        records.append(IntentRecord(**values, attempts=tuple(attempts[row.sequence])))
    return records
