"""What each event of ZkRelayer changes in the store. All may be done twice: events are read again after restarts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import structlog
from sqlalchemy import Connection, select, update

from exclave.protocol import keccak256, session_chain_id
from exclave.relayer.events import (
    BondReleased,
    CallbackFailed,
    CheckpointConfirmed,
    ClaimPosted,
    Event,
    InconsistentEvent,
    LeafHeld,
    LeafKilled,
    LeafReleased,
    MessageEnqueued,
    SessionAborted,
    SessionOpened,
    SessionSettled,
    TermsRegistered,
)
from exclave.store import (
    Batch,
    Claim,
    ClaimStatus,
    InboxMessage,
    JobState,
    Rollback,
    Session,
    SessionStatus,
    StateConflict,
    Store,
    schema,
)

log = structlog.get_logger(__name__)


Refusal = Callable[[Session], str | None]
"""Why this node serves a session not; None when it does."""


def record(
    store: Store, event: Event, l1_chain_id: int, zk_relayer: bytes, refusal: Refusal, connection: Connection
) -> bool:
    """Write the event's effect; whether it was new. Events of sessions that the node doesn't know are left alone."""
    match event:
        case TermsRegistered():
            return store.terms.put(event.terms.hash(), event.terms.encode(), connection=connection)
        case SessionOpened():
            session = _session(store, event, l1_chain_id, zk_relayer, connection)
            session = dataclasses.replace(session, refusal=refusal(session))
            return store.sessions.put(session, connection=connection)
        case MessageEnqueued():
            return _enqueue(store, event, connection)
        case ClaimPosted():
            return _claim(store, event, connection)
        case CheckpointConfirmed():
            return _confirm(store, event, connection)
        case SessionSettled():
            return _settle(store, event, connection)
        case SessionAborted():
            return _abort(store, event, connection)
        case LeafHeld():
            return _move_claim(store, event.claim_id, [ClaimStatus.POSTED], ClaimStatus.HELD, connection)
        case LeafReleased():
            return _move_claim(store, event.claim_id, [ClaimStatus.HELD], ClaimStatus.POSTED, connection)
        case LeafKilled():
            return _kill(store, event, connection)
        case BondReleased():
            return store.claims.set_released(event.claim_id, event.origin.block_number, connection=connection)
        case CallbackFailed():
            # Read again, it isn't news, and the coordinator finds out whether it was delivered meanwhile.
            store.sessions.set_callback_failed(event.session_id, event.origin.block_number, connection=connection)
            return False


def _session(
    store: Store, event: SessionOpened, l1_chain_id: int, zk_relayer: bytes, connection: Connection
) -> Session:
    config = event.config
    terms = store.terms.get(config.terms_hash, connection=connection)
    if terms is None:
        raise InconsistentEvent(
            f"session {config.session_id} was opened with terms 0x{config.terms_hash.hex()}, whose registration L1 "
            "didn't give: an endpoint left it out, or l1.start_block is later than ZkRelayer's deployment"
        )
    return Session(
        session_id=config.session_id,
        chain_id=session_chain_id(l1_chain_id, zk_relayer, config.session_id),
        config_hash=event.config_hash,
        template_id=config.template_id,
        game=config.game,
        opened_at=config.opened_at,
        opened_block=config.opened_block,
        deadline=config.deadline,
        players=event.players,
        init_data=event.init_data,
        terms=terms,
        l1_block_hash=event.origin.block_hash,
        l1_transaction_hash=event.origin.transaction_hash,
    )


def _enqueue(store: Store, event: MessageEnqueued, connection: Connection) -> bool:
    if store.sessions.get(event.session_id, connection=connection) is None:
        return False
    message = InboxMessage(
        session_id=event.session_id,
        message_index=event.message.index,
        transaction=event.message.encode_transaction(),
        inbox_hash=event.inbox_hash,
        enqueued_at=event.origin.timestamp,
        l1_block_number=event.origin.block_number,
        l1_block_hash=event.origin.block_hash,
        l1_transaction_hash=event.origin.transaction_hash,
    )
    return store.inbox.add([message], connection=connection) > 0


def _claim(store: Store, event: ClaimPosted, connection: Connection) -> bool:
    """A claim of this node finds its batch, and its sessions' jobs go on."""
    header = event.header
    batch = _batch_of(store, event, connection)
    leaves = store.batches.leaves(batch.batch_id, connection=connection) if batch else []
    claim = Claim(
        claim_id=event.claim_id,
        claimant=event.claimant,
        claims_root=header.root,
        terms_hash=header.terms_hash,
        count=header.count,
        header=header.encode(),
        bond=header.claim_bond * header.count,
        claimed_at=header.claimed_at,
        settleable_at=header.claimed_at + header.challenge_window + 1,
        data_hash=event.data_hash,
        blob_hashes=event.blob_hashes,
        l1_block_number=event.origin.block_number,
        l1_block_hash=event.origin.block_hash,
        l1_transaction_hash=event.origin.transaction_hash,
    )
    if not store.claims.put(claim, leaves, connection=connection):
        return False
    if batch is not None:
        store.batches.set_claim(batch.batch_id, event.claim_id, connection=connection)
        connection.execute(
            update(schema.jobs)
            .where(schema.jobs.c.batch_id == batch.batch_id, schema.jobs.c.state == JobState.BATCHED)
            .values(
                state=JobState.CLAIMED,
                claim_id=event.claim_id,
                claim_transaction=event.origin.transaction_hash,
                attempts=0,
                not_before=0,
                error=None,
                updated_at=store.now(),
            )
        )
    return True


def _batch_of(store: Store, event: ClaimPosted, connection: Connection) -> Batch | None:
    """This node's batch that the claim is; None for somebody else's.

    A root is public as soon as it is on its way to L1, and anybody may claim it first, under whatever terms: only a
    claim that the batch's own intent can have made is ours.
    """
    header = event.header
    batch = store.batches.by_root(header.root, connection=connection)
    intent = store.intents.get(batch.intent_key, connection=connection) if batch else None
    if batch is None or intent is None:
        return None
    ours = (
        event.claimant == intent.sender
        and header.terms_hash == batch.terms_hash
        and header.count == len(store.batches.leaves(batch.batch_id, connection=connection))
    )
    if not ours:
        log.warning("somebody else claims what this node claims", claim=event.claim_id, batch=batch.batch_id)
    return batch if ours else None


def _confirm(store: Store, event: CheckpointConfirmed, connection: Connection) -> bool:
    jobs = schema.jobs.c
    changed = connection.execute(
        update(schema.jobs)
        .where(
            jobs.session_id == event.session_id,
            jobs.claim_id == event.claim_id,
            jobs.last_number == event.number,
            jobs.state != JobState.SETTLED,
        )
        .values(
            state=JobState.SETTLED,
            settle_transaction=event.origin.transaction_hash,
            error=None,
            updated_at=store.now(),
        )
    )
    return bool(changed.rowcount)


def _settle(store: Store, event: SessionSettled, connection: Connection) -> bool:
    session = store.sessions.get(event.session_id, connection=connection)
    if session is None or session.status in (SessionStatus.SETTLED, SessionStatus.REORGED):
        return False
    head = store.blocks.head(event.session_id, connection=connection)
    result = head.result if head else None
    if result is not None and keccak256(result) != event.result_hash:
        result = None
    if result is None and head is not None:
        # Not necessarily wrong: all players may sign another result than the session's.
        log.warning("settled with a result that this node doesn't have", session=event.session_id)
    store.sessions.set_outcome(
        event.session_id, SessionStatus.SETTLED, event.origin.block_number, result, connection=connection
    )
    _finish_jobs(store, event.session_id, event.origin.transaction_hash, connection)
    return True


def _abort(store: Store, event: SessionAborted, connection: Connection) -> bool:
    session = store.sessions.get(event.session_id, connection=connection)
    if session is None or session.status in (SessionStatus.ABORTED, SessionStatus.REORGED):
        return False
    store.sessions.set_outcome(
        event.session_id, SessionStatus.ABORTED, event.origin.block_number, connection=connection
    )
    _finish_jobs(store, event.session_id, event.origin.transaction_hash, connection)
    return True


def _finish_jobs(store: Store, session_id: int, transaction: bytes, connection: Connection) -> None:
    """The session is decided, by whomever: nothing remains to be claimed or settled."""
    connection.execute(
        update(schema.jobs)
        .where(schema.jobs.c.session_id == session_id, schema.jobs.c.state != JobState.SETTLED)
        .values(state=JobState.SETTLED, settle_transaction=transaction, error=None, updated_at=store.now())
    )


def _move_claim(
    store: Store, claim_id: int, before: list[ClaimStatus], after: ClaimStatus, connection: Connection
) -> bool:
    try:
        store.claims.set_status(claim_id, before, after, connection=connection)
    except StateConflict:
        return False
    return True


def _kill(store: Store, event: LeafKilled, connection: Connection) -> bool:
    """The session must be claimed anew, by someone who looks at what was wrong first."""
    jobs = schema.jobs.c
    changed = connection.execute(
        update(schema.jobs)
        .where(
            jobs.claim_id == event.claim_id,
            jobs.leaf_index == event.leaf_index,
            jobs.state.not_in([JobState.SETTLED, JobState.FAILED]),
        )
        .values(state=JobState.FAILED, error=f"a dispute killed claim {event.claim_id}", updated_at=store.now())
    )
    moved = _move_claim(store, event.claim_id, [ClaimStatus.HELD], ClaimStatus.POSTED, connection)
    if changed.rowcount:
        log.error("a dispute killed a claim of this node", claim=event.claim_id, leaf=event.leaf_index)
    return moved or bool(changed.rowcount)


def reopen_claims(store: Store, rollback: Rollback, connection: Connection) -> None:
    """After a reorg that undid settlements: their claims are to be settled again."""
    reopened = select(schema.claim_sessions.c.claim_id).where(
        schema.claim_sessions.c.session_id.in_(rollback.reopened_sessions)
    )
    connection.execute(
        update(schema.claims)
        .where(schema.claims.c.status == ClaimStatus.SETTLED, schema.claims.c.claim_id.in_(reopened))
        .values(status=ClaimStatus.POSTED)
    )


def mark_settled_claims(store: Store, connection: Connection) -> list[int]:
    """Claims of which every known session is decided become settled; returns them."""
    decided = select(schema.sessions.c.session_id).where(
        schema.sessions.c.status.in_([SessionStatus.SETTLED, SessionStatus.ABORTED])
    )
    undecided = select(schema.claim_sessions.c.claim_id).where(schema.claim_sessions.c.session_id.not_in(decided))
    known = select(schema.claim_sessions.c.claim_id)
    query = select(schema.claims.c.claim_id).where(
        schema.claims.c.status == ClaimStatus.POSTED,
        schema.claims.c.claim_id.in_(known),
        schema.claims.c.claim_id.not_in(undecided),
    )
    found = sorted(connection.scalars(query))
    for claim_id in found:
        store.claims.set_status(claim_id, [ClaimStatus.POSTED], ClaimStatus.SETTLED, connection=connection)
    return found
