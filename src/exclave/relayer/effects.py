"""What each event of ZkRelayer and of dispute contracts changes in the store.

All may be done twice: events are read again after restarts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import structlog
from sqlalchemy import Connection, select, update

from exclave.dispute.payloads import (
    BondReclaimed,
    DisputeAnswered,
    DisputeOpened,
    LeafContradicted,
    LeafProvenWrong,
    LeafUnproven,
)
from exclave.protocol import ClaimHeader, keccak256, session_chain_id
from exclave.protocol.constants import ZERO_ADDRESS
from exclave.relayer.events import (
    BondReleased,
    CallbackFailed,
    CheckpointConfirmed,
    ClaimPosted,
    DisputeNews,
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
    LeafEvent,
    Rollback,
    Session,
    SessionStatus,
    Store,
    StoredDispute,
    schema,
)

log = structlog.get_logger(__name__)

KILLED_BY = "a dispute killed claim"
"""What the errors of jobs whose leaf is dead start with, before the claim's id."""

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
            return _note(store, event, LeafEvent.HELD, connection)
        case LeafReleased():
            return _note(store, event, LeafEvent.RELEASED, connection)
        case LeafKilled():
            return _kill(store, event, connection)
        case DisputeNews():
            return _dispute(store, event, connection)
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
    same_root = store.batches.by_root(header.root, connection=connection)
    batch = same_root if same_root and _is_ours(store, event, same_root, connection) else None
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
    if same_root is not None and batch is None:
        log.warning("somebody else claims what this node claims", claim=event.claim_id, batch=same_root.batch_id)
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


def _is_ours(store: Store, event: ClaimPosted, batch: Batch, connection: Connection) -> bool:
    """Whether a claim with the root of this node's batch is that batch.

    A root is public as soon as it is on its way to L1, and anybody may claim it first, under whatever terms: only a
    claim that the batch's own intent can have made is ours.
    """
    header = event.header
    intent = store.intents.get(batch.intent_key, connection=connection)
    return (
        intent is not None
        and event.claimant == intent.sender
        and header.terms_hash == batch.terms_hash
        and header.count == len(store.batches.leaves(batch.batch_id, connection=connection))
    )


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


def _note(store: Store, event: LeafHeld | LeafReleased | LeafKilled, what: LeafEvent, connection: Connection) -> bool:
    """What happened to a leaf of a claim that the node knows; whether that was new."""
    if store.claims.get(event.claim_id, connection=connection) is None:
        return False
    origin = event.origin
    new = store.disputes.record(
        event.claim_id,
        event.leaf_index,
        what,
        block=origin.block_number,
        log_index=origin.log_index,
        connection=connection,
    )
    _restate_claim(store, event.claim_id, connection)
    return new


def _restate_claim(store: Store, claim_id: int, connection: Connection) -> None:
    """A claim is held while one of its leaves is (that is shown, the other leaves settle all the same), and dead once
    all of them were killed: nothing of its bond is left then.
    """
    claim = store.claims.get(claim_id, connection=connection)
    if claim is None:
        return
    leaves = store.disputes.standing(claim_id, connection=connection).values()
    undecided = [ClaimStatus.POSTED, ClaimStatus.HELD, ClaimStatus.DEAD]
    if any(leaf.held for leaf in leaves):
        status = ClaimStatus.HELD
    elif sum(leaf.killed for leaf in leaves) >= claim.count:
        status = ClaimStatus.DEAD
    else:
        status = ClaimStatus.POSTED
    connection.execute(
        update(schema.claims)
        .where(schema.claims.c.claim_id == claim_id, schema.claims.c.status.in_(undecided))
        .values(status=status)
    )


def _kill(store: Store, event: LeafKilled, connection: Connection) -> bool:
    """The session must be claimed anew, after a look at what was wrong first."""
    new = _note(store, event, LeafEvent.KILLED, connection)
    jobs = schema.jobs.c
    changed = connection.execute(
        update(schema.jobs)
        .where(
            jobs.claim_id == event.claim_id,
            jobs.leaf_index == event.leaf_index,
            jobs.state.not_in([JobState.SETTLED, JobState.FAILED]),
        )
        .values(state=JobState.FAILED, error=f"{KILLED_BY} {event.claim_id}", updated_at=store.now())
    )
    if changed.rowcount:
        log.error("a dispute killed a claim of this node", claim=event.claim_id, leaf=event.leaf_index)
    return new or bool(changed.rowcount)


def _dispute(store: Store, news: DisputeNews, connection: Connection) -> bool:
    """A dispute about a claim of this node. Others' are others' business."""
    event, origin = news.event, news.origin
    claim = store.claims.get(event.claim_id, connection=connection)
    if claim is None or not store.claims.leaves(event.claim_id, connection=connection):
        return False
    if ClaimHeader.decode(claim.header).dispute_game != news.contract:
        return False
    match event:
        case DisputeOpened():
            new = store.disputes.open(
                StoredDispute(
                    claim_id=event.claim_id,
                    leaf_index=event.index,
                    kind=event.kind,
                    number=event.number,
                    opener=event.opener,
                    bond=event.bond,
                    deadline=event.deadline,
                    opened_block=origin.block_number,
                    opened_transaction=origin.transaction_hash,
                ),
                connection=connection,
            )
            if new:
                log.warning(
                    "a claim of this node is disputed",
                    claim=event.claim_id,
                    leaf=event.index,
                    kind=event.kind.name.lower(),
                    number=event.number,
                    opener="0x" + event.opener.hex(),
                    deadline=event.deadline,
                )
            return new
        case DisputeAnswered():
            return store.disputes.close(
                event.claim_id,
                event.index,
                event.kind,
                event.number,
                block=origin.block_number,
                transaction=origin.transaction_hash,
                answerer=event.answerer,
                paid=event.paid,
                connection=connection,
            )
        case BondReclaimed():
            return store.disputes.close(
                event.claim_id,
                event.index,
                event.kind,
                event.number,
                block=origin.block_number,
                transaction=origin.transaction_hash,
                answerer=ZERO_ADDRESS,
                paid=0,
                connection=connection,
            )
        case LeafUnproven() | LeafProvenWrong() | LeafContradicted():
            cause = {LeafUnproven: LeafEvent.UNPROVEN, LeafProvenWrong: LeafEvent.WRONG}.get(type(event))
            return store.disputes.record(
                event.claim_id,
                event.index,
                cause or LeafEvent.CONTRADICTED,
                block=origin.block_number,
                log_index=origin.log_index,
                connection=connection,
            )


def reopen_claims(store: Store, rollback: Rollback, connection: Connection) -> None:
    """After a reorg: the claims of settlements that it undid are to be settled again, and so are the leaves that were
    killed in vanished blocks.
    """
    reopened = select(schema.claim_sessions.c.claim_id).where(
        schema.claim_sessions.c.session_id.in_(rollback.reopened_sessions)
    )
    connection.execute(
        update(schema.claims)
        .where(schema.claims.c.status == ClaimStatus.SETTLED, schema.claims.c.claim_id.in_(reopened))
        .values(status=ClaimStatus.POSTED)
    )
    jobs = schema.jobs.c
    for claim_id in rollback.changed_leaves:
        _restate_claim(store, claim_id, connection)
        standing = store.disputes.standing(claim_id, connection=connection)
        killed = [index for index, leaf in standing.items() if leaf.killed]
        connection.execute(
            update(schema.jobs)
            .where(
                jobs.claim_id == claim_id,
                jobs.leaf_index.not_in(killed),
                jobs.state == JobState.FAILED,
                jobs.error == f"{KILLED_BY} {claim_id}",
            )
            .values(state=JobState.CLAIMED, error=None, updated_at=store.now())
        )


def mark_settled_claims(store: Store, connection: Connection) -> list[int]:
    """Claims of which every known session is decided become settled; returns them."""
    decided = select(schema.sessions.c.session_id).where(
        schema.sessions.c.status.in_([SessionStatus.SETTLED, SessionStatus.ABORTED])
    )
    undecided = select(schema.claim_sessions.c.claim_id).where(schema.claim_sessions.c.session_id.not_in(decided))
    known = select(schema.claim_sessions.c.claim_id)
    query = select(schema.claims.c.claim_id).where(
        schema.claims.c.status.in_([ClaimStatus.POSTED, ClaimStatus.HELD]),
        schema.claims.c.claim_id.in_(known),
        schema.claims.c.claim_id.not_in(undecided),
    )
    found = sorted(connection.scalars(query))
    for claim_id in found:
        before = [ClaimStatus.POSTED, ClaimStatus.HELD]
        store.claims.set_status(claim_id, before, ClaimStatus.SETTLED, connection=connection)
    return found
