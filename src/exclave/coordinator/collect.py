"""Which ranges of blocks are to be claimed: ended sessions, and long ones at every checkpoint."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection, and_, func, or_, select

from exclave.coordinator.ranges import CAPACITY, RangeTooLarge, cut_range
from exclave.protocol import Terms
from exclave.store import Head, Job, JobState, Session, SessionStatus, Store, StoreError, schema

log = structlog.get_logger(__name__)


def collect_ranges(store: Store, checkpoint_blocks: int) -> int:
    """Make a job of each range that is to be claimed; returns how many were made.

    `checkpoint_blocks`: claim a running session's blocks each time there are so many new ones; 0 only at its end.
    """
    made = 0
    for session_id in _due(store, checkpoint_blocks):
        session = store.sessions.get(session_id)
        head = store.blocks.head(session_id)
        if session is None or head is None or session.status is not SessionStatus.OPEN or session.genesis_hash is None:
            continue
        try:
            made += _cut_up(store, session, head)
        except StoreError:
            raise
        except Exception:
            # INVARIANT I5: one session that can't be cut up doesn't keep the others from their claims.
            log.exception("a session's blocks can't be read", session=session_id)
    return made


def collect_stranded(store: Store) -> int:
    """Have ranges claimed anew that were claimed before the claim that their checkpoint now stands in; returns how many
    there were.

    A checkpoint's claim died and was made anew. L1 never settles a range that was claimed earlier than its checkpoint
    (INVARIANT I1: nobody could have executed it), so that its session would be stuck (INVARIANT I2).
    """

    def work(tx: Connection) -> int:
        claimed = {JobState.CLAIMED, JobState.SETTLEABLE, JobState.SETTLED}
        query = (
            select(schema.jobs.c.session_id)
            .where(schema.jobs.c.state == JobState.CLAIMED, schema.jobs.c.first_number > 0)
            .distinct()
        )
        found = 0
        for session_id in sorted(tx.scalars(query)):
            before: Job | None = None
            for job in store.jobs.of_session(session_id, connection=tx):
                if before is not None and before.state in claimed and job.state is JobState.CLAIMED:
                    checkpoint, own = (_claimed_at(store, one, tx) for one in (before, job))
                    if checkpoint is not None and own is not None and own < checkpoint:
                        log.warning("claimed anew, after its checkpoint", session=session_id, first=job.first_number)
                        store.jobs.move(
                            session_id,
                            job.first_number,
                            [JobState.CLAIMED],
                            JobState.ENDED,
                            batch_id=None,
                            leaf_index=None,
                            claim_id=None,
                            claim_intent=None,
                            claim_transaction=None,
                            settle_intent=None,
                            attempts=0,
                            not_before=0,
                            connection=tx,
                        )
                        found += 1
                        break  # what follows it looks at its new claim
                before = job
        return found

    return store.run(work)


def _claimed_at(store: Store, job: Job, tx: Connection) -> int | None:
    """When a job's claim was made, in L1 seconds."""
    claim = None if job.claim_id is None else store.claims.get(job.claim_id, connection=tx)
    return None if claim is None else claim.claimed_at


def _due(store: Store, checkpoint_blocks: int) -> list[int]:
    """Open sessions with blocks that no job covers: all when ended, else enough for a checkpoint."""
    sessions, heads, jobs = schema.sessions, schema.heads, schema.jobs
    covered = func.coalesce(
        select(func.max(func.coalesce(jobs.c.last_number, 0)))
        .where(jobs.c.session_id == sessions.c.session_id)
        .scalar_subquery(),
        0,
    )
    due = and_(heads.c.result.is_not(None), heads.c.number > covered)
    if checkpoint_blocks:
        due = or_(due, heads.c.number >= covered + checkpoint_blocks)
    query = (
        select(sessions.c.session_id)
        .select_from(sessions.join(heads, heads.c.session_id == sessions.c.session_id))
        .where(sessions.c.status == SessionStatus.OPEN, sessions.c.refusal.is_(None), due)
        .order_by(sessions.c.session_id)
    )
    return store.read(lambda tx: list(tx.scalars(query)))


def _cut_up(store: Store, session: Session, head: Head) -> int:
    """Jobs from the last covered block to the head, each small enough for a claim of its own."""
    capacity = CAPACITY[Terms.decode(session.terms).data_mode]
    jobs = store.jobs.of_session(session.session_id)
    first = jobs[-1].last_number or 0 if jobs else 0
    made = 0
    while first < head.number:
        try:
            last, error = cut_range(store, session, first, head.number, capacity), None
        except RangeTooLarge as too_large:
            last, error = head.number, str(too_large)
            log.error("a session can't be claimed", session=session.session_id, reason=error)
        state = JobState.ENDED if error is None else JobState.FAILED
        _make_job(store, session.session_id, first, last, state, error)
        log.info("blocks to claim", session=session.session_id, first=first, last=last, ended=head.result is not None)
        first = last
        made += 1
    return made


def _make_job(store: Store, session_id: int, first: int, last: int, state: JobState, error: str | None) -> None:
    sessions = schema.sessions

    def work(tx: Connection) -> None:
        # Locked: the Relayer, which ends a decided session's jobs, must not do so just before this one is made.
        status = select(sessions.c.status).where(sessions.c.session_id == session_id).with_for_update()
        if tx.scalar(status) != SessionStatus.OPEN:
            return
        store.jobs.open(session_id, first, connection=tx)
        store.jobs.move(session_id, first, [JobState.OPEN], state, last_number=last, error=error, connection=tx)

    store.run(work)
