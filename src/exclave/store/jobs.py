"""The coordinator's work list: what each claimed range of a session has reached on its way to settlement."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, select, update

from exclave.store.errors import StateConflict
from exclave.store.repository import Repository, insert_if_absent
from exclave.store.schema import jobs


class JobState(StrEnum):
    """In order; a job may also go to FAILED (a person must look) and from there, by `Jobs.retry`, to ENDED."""

    OPEN = "open"  # the range still grows
    ENDED = "ended"  # `last_number` is fixed: to be batched
    BATCHED = "batched"  # in a batch whose intent is recorded
    CLAIMED = "claimed"  # L1 has the claim
    SETTLEABLE = "settleable"  # its window is over; the intent to settle may be recorded
    SETTLED = "settled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    session_id: int
    first_number: int
    last_number: int | None
    state: JobState
    batch_id: int | None
    leaf_index: int | None
    claim_id: int | None
    claim_intent: str | None
    claim_transaction: bytes | None
    settle_intent: str | None
    settle_transaction: bytes | None
    attempts: int
    not_before: int
    error: str | None
    updated_at: int


class Jobs(Repository):
    def open(self, session_id: int, first_number: int = 0, *, connection: Connection | None = None) -> bool:
        """Begin a range; False when it has begun already."""
        values = {
            "session_id": session_id,
            "first_number": first_number,
            "state": JobState.OPEN,
            "attempts": 0,
            "not_before": 0,
            "updated_at": self._store.now(),
        }
        return self._write(lambda tx: insert_if_absent(tx, jobs, values), connection)

    def get(self, session_id: int, first_number: int = 0, *, connection: Connection | None = None) -> Job | None:
        """The job of a range, None when there is none."""

        def work(tx: Connection) -> Job | None:
            row = tx.execute(
                select(jobs).where(jobs.c.session_id == session_id, jobs.c.first_number == first_number)
            ).first()
            return None if row is None else _job(row._mapping)

        return self._read(work, connection)

    def of_session(self, session_id: int, *, connection: Connection | None = None) -> list[Job]:
        """A session's jobs in order of their ranges."""

        def work(tx: Connection) -> list[Job]:
            rows = tx.execute(select(jobs).where(jobs.c.session_id == session_id).order_by(jobs.c.first_number))
            return [_job(row._mapping) for row in rows]

        return self._read(work, connection)

    def due(
        self, states: Collection[JobState], now: int, *, limit: int = 1000, connection: Connection | None = None
    ) -> list[Job]:
        """Jobs of these states whose time (`not_before`, in seconds) has come, in order of session and range."""

        def work(tx: Connection) -> list[Job]:
            query = (
                select(jobs)
                .where(jobs.c.state.in_(states), jobs.c.not_before <= now)
                .order_by(jobs.c.session_id, jobs.c.first_number)
                .limit(limit)
            )
            return [_job(row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)

    def retry(self, session_id: int, first_number: int | None = None, *, connection: Connection | None = None) -> int:
        """Have a session's failed ranges, or the one from that block on, claimed anew; returns how many there were."""

        def work(tx: Connection) -> int:
            failed = (jobs.c.session_id == session_id) & (jobs.c.state == JobState.FAILED)
            if first_number is not None:
                failed &= jobs.c.first_number == first_number
            return tx.execute(
                update(jobs)
                .where(failed)
                .values(
                    state=JobState.ENDED,
                    batch_id=None,
                    leaf_index=None,
                    claim_id=None,
                    claim_intent=None,
                    claim_transaction=None,
                    settle_intent=None,
                    attempts=0,
                    not_before=0,
                    updated_at=self._store.now(),
                )
            ).rowcount

        return self._write(work, connection)

    def counts(self, *, connection: Connection | None = None) -> dict[JobState, int]:
        """How many jobs are in each state."""

        def work(tx: Connection) -> dict[JobState, int]:
            found = {
                JobState(state): int(count)
                for state, count in tx.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state))
            }
            return {state: found.get(state, 0) for state in JobState}

        return self._read(work, connection)

    def move(
        self,
        session_id: int,
        first_number: int,
        before: Sequence[JobState],
        after: JobState,
        *,
        connection: Connection | None = None,
        **fields: Any,
    ) -> None:
        """Move a job from one of the states `before` to `after` (which may be the same) and set its other fields (the
        names of `Job`).

        Raises `StateConflict` when it is in another state: somebody else moved it.
        """

        def work(tx: Connection) -> None:
            moved = tx.execute(
                update(jobs)
                .where(jobs.c.session_id == session_id, jobs.c.first_number == first_number, jobs.c.state.in_(before))
                .values(state=after, updated_at=self._store.now(), **fields)
            )
            if not moved.rowcount:
                raise StateConflict(
                    f"the job of session {session_id} from block {first_number} isn't {' or '.join(before)}"
                )

        self._write(work, connection)


def _job(row: object) -> Job:
    values = dict(row)  # type: ignore[call-overload]
    values["state"] = JobState(values["state"])
    return Job(**values)
