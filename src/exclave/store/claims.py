"""Batches (what this node claims in one L1 transaction) and claims (as L1 has them, anybody's)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, func, insert, select, update

from exclave.store.errors import RecordConflict, RecordNotFound, StateConflict
from exclave.store.repository import Repository, insert_if_absent
from exclave.store.schema import batch_leaves, batches, claim_sessions, claims


@dataclass(frozen=True, slots=True)
class Leaf:
    """A session in a batch or claim; `claim` is `abi.encode(SessionClaim)` (docs/protocol.md 8)."""

    leaf_index: int
    session_id: int
    claim: bytes


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What the coordinator puts into one L1 transaction. `data` is posted, or offered on demand, as the data mode
    says.
    """

    claims_root: bytes
    terms_hash: bytes
    data_mode: int
    data: bytes
    intent_key: str
    leaves: Sequence[Leaf]


@dataclass(frozen=True, slots=True)
class Batch:
    batch_id: int
    claims_root: bytes
    terms_hash: bytes
    data_mode: int
    data: bytes
    intent_key: str
    claim_id: int | None
    created_at: int


class Batches(Repository):
    def create(self, batch: NewBatch, *, connection: Connection | None = None) -> int:
        """Record a batch with its leaves; returns its id. INVARIANT I7: in the transaction that records its intent
        and moves its jobs.

        Raises `RecordConflict` when a batch has that intent key.
        """

        def work(tx: Connection) -> int:
            if tx.scalar(select(batches.c.batch_id).where(batches.c.intent_key == batch.intent_key)) is not None:
                raise RecordConflict(f"a batch with the intent {batch.intent_key} exists")
            values = {
                field.name: getattr(batch, field.name) for field in dataclasses.fields(batch) if field.name != "leaves"
            }
            inserted = tx.execute(insert(batches).values(**values, created_at=self._store.now()))
            key = inserted.inserted_primary_key
            assert key is not None
            batch_id = int(key[0])
            tx.execute(
                insert(batch_leaves), [{"batch_id": batch_id, **dataclasses.asdict(leaf)} for leaf in batch.leaves]
            )
            return batch_id

        return self._write(work, connection)

    def get(self, batch_id: int, *, connection: Connection | None = None) -> Batch | None:
        """The batch of that id, None when there is none."""

        def work(tx: Connection) -> Batch | None:
            row = tx.execute(select(batches).where(batches.c.batch_id == batch_id)).first()
            return None if row is None else Batch(**row._mapping)

        return self._read(work, connection)

    def by_root(self, claims_root: bytes, *, connection: Connection | None = None) -> Batch | None:
        """The newest batch with that root: which of ours a claim on L1 is."""

        def work(tx: Connection) -> Batch | None:
            row = tx.execute(
                select(batches).where(batches.c.claims_root == claims_root).order_by(batches.c.batch_id.desc()).limit(1)
            ).first()
            return None if row is None else Batch(**row._mapping)

        return self._read(work, connection)

    def count_of_root(self, claims_root: bytes, *, connection: Connection | None = None) -> int:
        """How many batches have had that root: what was claimed in vain is claimed anew."""
        query = select(func.count()).where(batches.c.claims_root == claims_root)
        return self._read(lambda tx: int(tx.scalar(query) or 0), connection)

    def find(self, *, before: int | None = None, limit: int = 100, connection: Connection | None = None) -> list[Batch]:
        """Batches with ids below `before`, newest first."""

        def work(tx: Connection) -> list[Batch]:
            query = select(batches).order_by(batches.c.batch_id.desc()).limit(limit)
            if before is not None:
                query = query.where(batches.c.batch_id < before)
            return [Batch(**row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)

    def leaves(self, batch_id: int, *, connection: Connection | None = None) -> list[Leaf]:
        """The batch's sessions, in order of their leaves."""

        def work(tx: Connection) -> list[Leaf]:
            columns = batch_leaves.c
            query = (
                select(columns.leaf_index, columns.session_id, columns.claim)
                .where(columns.batch_id == batch_id)
                .order_by(columns.leaf_index)
            )
            return [Leaf(**row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)

    def set_claim(self, batch_id: int, claim_id: int | None, *, connection: Connection | None = None) -> None:
        """L1 has the batch as this claim (None: after a reorg it no longer has).

        Raises `RecordNotFound`.
        """

        def work(tx: Connection) -> None:
            if not tx.execute(update(batches).where(batches.c.batch_id == batch_id).values(claim_id=claim_id)).rowcount:
                raise RecordNotFound(f"no batch {batch_id}")

        self._write(work, connection)


class ClaimStatus(StrEnum):
    POSTED = "posted"
    HELD = "held"  # by a dispute
    DEAD = "dead"
    SETTLED = "settled"  # all of its sessions are


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as L1 recorded it; `bond` in wei for all its sessions together, until `released_block` gave it back."""

    claim_id: int
    claimant: bytes
    claims_root: bytes
    terms_hash: bytes
    count: int
    header: bytes  # abi.encode(ClaimHeader)
    bond: int
    claimed_at: int
    settleable_at: int
    data_hash: bytes | None
    blob_hashes: tuple[bytes, ...]
    l1_block_number: int
    l1_block_hash: bytes
    l1_transaction_hash: bytes
    status: ClaimStatus = ClaimStatus.POSTED
    released_block: int | None = None


class Claims(Repository):
    def put(self, claim: Claim, leaves: Sequence[Leaf] = (), *, connection: Connection | None = None) -> bool:
        """Record a claim of L1 with the leaves that are known; False when it is known already.

        Raises `RecordConflict` when L1 gave the id to another claim (a reorg that wasn't rolled back).
        """

        def work(tx: Connection) -> bool:
            if not insert_if_absent(tx, claims, dataclasses.asdict(claim)):
                known = tx.scalar(select(claims.c.claims_root).where(claims.c.claim_id == claim.claim_id))
                if known != claim.claims_root:
                    raise RecordConflict(f"claim {claim.claim_id} is stored with another root")
                return False
            if leaves:
                tx.execute(
                    insert(claim_sessions),
                    [{"claim_id": claim.claim_id, **dataclasses.asdict(leaf)} for leaf in leaves],
                )
            return True

        return self._write(work, connection)

    def get(self, claim_id: int, *, connection: Connection | None = None) -> Claim | None:
        """The claim of that id, None when there is none."""

        def work(tx: Connection) -> Claim | None:
            row = tx.execute(select(claims).where(claims.c.claim_id == claim_id)).first()
            return None if row is None else _claim(row._mapping)

        return self._read(work, connection)

    def find(
        self,
        statuses: Sequence[ClaimStatus] | None = None,
        *,
        before: int | None = None,
        limit: int = 100,
        connection: Connection | None = None,
    ) -> list[Claim]:
        """Claims of the given statuses (all, when None) with ids below `before`, newest first."""

        def work(tx: Connection) -> list[Claim]:
            query = select(claims).order_by(claims.c.claim_id.desc()).limit(limit)
            if statuses is not None:
                query = query.where(claims.c.status.in_(statuses))
            if before is not None:
                query = query.where(claims.c.claim_id < before)
            return [_claim(row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)

    def leaves(self, claim_id: int, *, connection: Connection | None = None) -> list[Leaf]:
        """The claim's sessions, in order of their leaves; empty for somebody else's whose data wasn't read."""

        def work(tx: Connection) -> list[Leaf]:
            columns = claim_sessions.c
            query = (
                select(columns.leaf_index, columns.session_id, columns.claim)
                .where(columns.claim_id == claim_id)
                .order_by(columns.leaf_index)
            )
            return [Leaf(**row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)

    def of_session(self, session_id: int, *, connection: Connection | None = None) -> list[Claim]:
        """All claims that include a session, oldest first."""

        def work(tx: Connection) -> list[Claim]:
            query = (
                select(claims)
                .join(claim_sessions)
                .where(claim_sessions.c.session_id == session_id)
                .order_by(claims.c.claim_id)
            )
            return [_claim(row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)

    def set_status(
        self, claim_id: int, before: Sequence[ClaimStatus], after: ClaimStatus, *, connection: Connection | None = None
    ) -> None:
        """Change a claim's status, if it is one of `before`.

        Raises `StateConflict` when it isn't.
        """

        def work(tx: Connection) -> None:
            changed = tx.execute(
                update(claims).where(claims.c.claim_id == claim_id, claims.c.status.in_(before)).values(status=after)
            )
            if not changed.rowcount:
                raise StateConflict(f"claim {claim_id} isn't {' or '.join(before)}")

        self._write(work, connection)

    def set_released(self, claim_id: int, l1_block_number: int, *, connection: Connection | None = None) -> bool:
        """L1 gave the bond back in that block; whether that was new."""

        def work(tx: Connection) -> bool:
            unreleased = (claims.c.claim_id == claim_id) & claims.c.released_block.is_(None)
            return tx.execute(update(claims).where(unreleased).values(released_block=l1_block_number)).rowcount > 0

        return self._write(work, connection)


def _claim(row: object) -> Claim:
    values = dict(row)  # type: ignore[call-overload]
    values["status"] = ClaimStatus(values["status"])
    return Claim(**values)
