"""Which of the ranges that wait go into the next claim."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, update

from exclave.coordinator.ranges import CAPACITY, ClaimedRange, build_range
from exclave.coordinator.settings import CoordinatorSettings
from exclave.protocol import Terms, encode_batch_data, keccak256
from exclave.store import Job, JobState, Session, SessionStatus, Store, StoreError, schema

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A range that is to be claimed."""

    job: Job
    session: Session
    range: ClaimedRange


@dataclass(frozen=True, slots=True)
class Proposal:
    """Ranges of sessions with the same terms, and their data, for one claim."""

    terms: Terms
    members: tuple[Member, ...]
    data: bytes


def propose_batches(store: Store, settings: CoordinatorSettings, l1_time: int) -> list[Proposal]:
    """The claims that are to be made now: groups that are full, or have waited long enough.

    `l1_time`: timestamp of L1's newest block. A claim can't speak of a later time, so ranges that end after it wait.
    """
    now = store.now()
    proposals = []
    for jobs in _by_terms(store, now).values():
        waited = now >= min(job.updated_at for job, _ in jobs) + settings.batch_delay
        if not waited and len(jobs) < settings.batch_size:
            continue
        proposal = _fill(store, jobs[: settings.batch_size], l1_time)
        if proposal is not None:
            proposals.append(proposal)
    return proposals


def _by_terms(store: Store, now: int) -> dict[bytes, list[tuple[Job, Session]]]:
    groups: dict[bytes, list[tuple[Job, Session]]] = defaultdict(list)
    for job in store.jobs.due([JobState.ENDED], now):
        session = store.sessions.get(job.session_id)
        if session is not None and session.status is SessionStatus.OPEN and session.genesis_hash is not None:
            groups[keccak256(session.terms)].append((job, session))
    return groups


def _fill(store: Store, jobs: Sequence[tuple[Job, Session]], l1_time: int) -> Proposal | None:
    terms = Terms.decode(jobs[0][1].terms)
    capacity = CAPACITY[terms.data_mode]
    members: list[Member] = []
    size = 0
    for job, session in jobs:
        assert job.last_number is not None, "ended jobs have a last block"
        try:
            claimed = build_range(store, session, job.first_number, job.last_number)
        except StoreError:
            raise
        except Exception as error:
            # INVARIANT I5: one session that can't be claimed doesn't keep the others from it.
            log.exception("a range can't be read", session=job.session_id)
            fail_job(store, job, f"it can't be read: {type(error).__name__}: {error}")
            continue
        if claimed.data_bytes > capacity:
            fail_job(store, job, f"its data is {claimed.data_bytes} bytes, a claim takes {capacity}")
            continue
        if claimed.claim.last_timestamp > l1_time:
            continue
        if size + claimed.data_bytes > capacity:
            break  # full; the rest is for the next claim
        size += claimed.data_bytes
        members.append(Member(job, session, claimed))
    while members:
        data = encode_batch_data([member.range.data for member in members])
        if len(data) <= capacity:
            return Proposal(terms, tuple(members), data)
        members.pop()
    return None


def fail_job(store: Store, job: Job, reason: str) -> None:
    """A range that waits to be claimed can't be: a person must look."""
    log.error("a range can't be claimed", session=job.session_id, first=job.first_number, reason=reason)

    def work(tx: Connection) -> None:
        tx.execute(
            update(schema.jobs)
            .where(
                schema.jobs.c.session_id == job.session_id,
                schema.jobs.c.first_number == job.first_number,
                schema.jobs.c.state == JobState.ENDED,
            )
            .values(state=JobState.FAILED, error=reason, updated_at=store.now())
        )

    store.run(work)
