"""Which of the ranges that wait go into the next claim."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from exclave.coordinator.ranges import CAPACITY, MAX_PLAIN_BYTES, ClaimedRange, build_range
from exclave.coordinator.settings import CoordinatorSettings
from exclave.node.acceptance import AcceptancePolicy
from exclave.protocol import Terms, encode_batch_data, keccak256
from exclave.store import Job, JobState, Session, SessionStatus, StateConflict, Store, StoreError

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

    def without(self, session_ids: Collection[int]) -> Proposal | None:
        """The same but for these sessions; None when nothing is left."""
        members = tuple(member for member in self.members if member.session.session_id not in session_ids)
        if not members:
            return None
        return Proposal(self.terms, members, encode_batch_data([member.range.data for member in members]))


def propose_batches(
    store: Store, settings: CoordinatorSettings, policy: AcceptancePolicy, l1_time: int
) -> list[Proposal]:
    """The claims that are to be made now: groups that are full, or have waited long enough.

    `l1_time`: timestamp of L1's newest block. A claim can't speak of a later time, so ranges that end after it wait.
    """
    now = store.now()
    proposals = []
    for jobs in _by_terms(store, policy, now).values():
        waited = now >= min(job.updated_at for job, _ in jobs) + settings.batch_delay
        if not waited and len(jobs) < settings.batch_size:
            continue
        proposal = _fill(store, settings, jobs[: settings.batch_size], l1_time)
        if proposal is not None:
            proposals.append(proposal)
    return proposals


def _by_terms(store: Store, policy: AcceptancePolicy, now: int) -> dict[bytes, list[tuple[Job, Session]]]:
    groups: dict[bytes, list[tuple[Job, Session]]] = defaultdict(list)
    for job in store.jobs.due([JobState.ENDED], now):
        session = store.sessions.get(job.session_id)
        if session is None or session.status is not SessionStatus.OPEN or session.genesis_hash is None:
            continue
        if refusal := policy.refusal(session):
            # INVARIANT I3: no bond is locked under terms that the configuration doesn't accept (any more).
            fail_job(store, job, refusal)
            continue
        groups[keccak256(session.terms)].append((job, session))
    return groups


def _fill(
    store: Store, settings: CoordinatorSettings, jobs: Sequence[tuple[Job, Session]], l1_time: int
) -> Proposal | None:
    terms = Terms.decode(jobs[0][1].terms)
    capacity = CAPACITY[terms.data_mode]
    members: list[Member] = []
    size = plain = 0
    for job, session in jobs:
        assert job.last_number is not None, "ended jobs have a last block"
        try:
            claimed = build_range(store, session, job.first_number, job.last_number)
        except StoreError:
            raise
        except Exception as error:
            # INVARIANT I5: one session that can't be claimed doesn't keep the others from it.
            log.exception("a range can't be read", session=job.session_id)
            postpone_job(store, settings, job, f"it can't be read: {type(error).__name__}: {error}")
            continue
        if claimed.data_bytes > capacity:
            fail_job(store, job, f"its data is {claimed.data_bytes} bytes, a claim takes {capacity}")
            continue
        if claimed.plain_bytes > MAX_PLAIN_BYTES:
            fail_job(
                store, job, f"its data is {claimed.plain_bytes} bytes when decompressed, at most {MAX_PLAIN_BYTES}"
            )
            continue
        if claimed.claim.last_timestamp > l1_time:
            continue
        if size + claimed.data_bytes > capacity or plain + claimed.plain_bytes > MAX_PLAIN_BYTES:
            break  # full; the rest is for the next claim
        size += claimed.data_bytes
        plain += claimed.plain_bytes
        members.append(Member(job, session, claimed))
    while members:
        data = encode_batch_data([member.range.data for member in members])
        if len(data) <= capacity:
            return Proposal(terms, tuple(members), data)
        members.pop()
    return None


def fail_job(store: Store, job: Job, reason: str) -> None:
    """A range that waits to be claimed can't be: a person must look (`exclave session retry`)."""
    log.error("a range can't be claimed", session=job.session_id, first=job.first_number, reason=reason)
    _move_if_ended(store, job, state=JobState.FAILED, error=reason)


def postpone_job(store: Store, settings: CoordinatorSettings, job: Job, reason: str) -> None:
    """A range that waits to be claimed can't be now: it is tried again later."""
    pause = settings.pause(job.attempts)
    log.warning("a range can't be claimed now", session=job.session_id, reason=reason, seconds=pause)
    _move_if_ended(store, job, attempts=job.attempts + 1, not_before=store.now() + pause, error=reason)


def _move_if_ended(store: Store, job: Job, state: JobState = JobState.ENDED, **fields: Any) -> None:
    with contextlib.suppress(StateConflict):  # the Relayer has moved it on in between
        store.jobs.move(job.session_id, job.first_number, [JobState.ENDED], state, **fields)
