"""Disputes about this node's claims, and how the claims' leaves stand, as L1 told it.

What happened to a leaf is kept as a list of events, so that a reorg takes away the newest ones and nothing else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, func, select, update

from exclave.store.repository import Repository, insert_if_absent
from exclave.store.schema import claim_sessions, claims, disputes, leaf_events, proof_plans


class LeafEvent(StrEnum):
    """What L1 says of a leaf: the first three from ZkRelayer, the others from the dispute contract."""

    HELD = "held"
    RELEASED = "released"
    KILLED = "killed"
    UNPROVEN = "unproven"  # killed because a dispute had no answer in time
    WRONG = "wrong"  # killed by a proof
    CONTRADICTED = "contradicted"  # killed by the operator's own signature


_STANDING = (LeafEvent.HELD, LeafEvent.RELEASED, LeafEvent.KILLED)


@dataclass(frozen=True, slots=True)
class LeafStanding:
    """How a leaf stands. `cause` says why it was killed, None where L1 didn't say."""

    held: bool = False
    killed: bool = False
    cause: LeafEvent | None = None


@dataclass(frozen=True, slots=True)
class StoredDispute:
    """One dispute. `kind` is a `DisputeKind`, `bond` and `paid` in wei, `deadline` in seconds since 1970, blocks are
    L1's. `closed_block` is None while it has no answer; `answerer` is zero if its bond was given back.
    """

    claim_id: int
    leaf_index: int
    kind: int
    number: int
    opener: bytes
    bond: int
    deadline: int
    opened_block: int
    opened_transaction: bytes
    closed_block: int | None = None
    closed_transaction: bytes | None = None
    answerer: bytes | None = None
    paid: int | None = None


class Disputes(Repository):
    def open(self, dispute: StoredDispute, *, connection: Connection | None = None) -> bool:
        """Record that it was opened; False when it is known."""
        return self._write(lambda tx: insert_if_absent(tx, disputes, dataclasses.asdict(dispute)), connection)

    def close(
        self,
        claim_id: int,
        leaf_index: int,
        kind: int,
        number: int,
        *,
        block: int,
        transaction: bytes,
        answerer: bytes,
        paid: int,
        connection: Connection | None = None,
    ) -> bool:
        """Record that it is over; False when that is known, or it isn't one of this node's claims."""

        def work(tx: Connection) -> bool:
            wanted = (
                (disputes.c.claim_id == claim_id)
                & (disputes.c.leaf_index == leaf_index)
                & (disputes.c.kind == kind)
                & (disputes.c.number == number)
                & disputes.c.closed_block.is_(None)
            )
            values = {"closed_block": block, "closed_transaction": transaction, "answerer": answerer, "paid": paid}
            return tx.execute(update(disputes).where(wanted).values(**values)).rowcount > 0

        return self._write(work, connection)

    def find(
        self,
        *,
        session_id: int | None = None,
        unanswered: bool = False,
        limit: int = 1000,
        connection: Connection | None = None,
    ) -> list[StoredDispute]:
        """Disputes, the nearest deadline first; of one session, or only those without an answer whose leaf lives."""

        def work(tx: Connection) -> list[StoredDispute]:
            query = select(disputes).order_by(disputes.c.deadline, disputes.c.claim_id, disputes.c.number).limit(limit)
            if unanswered:
                killed = (
                    (leaf_events.c.claim_id == disputes.c.claim_id)
                    & (leaf_events.c.leaf_index == disputes.c.leaf_index)
                    & (leaf_events.c.event == LeafEvent.KILLED)
                )
                query = query.where(
                    disputes.c.closed_block.is_(None), ~select(leaf_events.c.claim_id).where(killed).exists()
                )
            if session_id is not None:
                about = (claim_sessions.c.claim_id == disputes.c.claim_id) & (
                    claim_sessions.c.leaf_index == disputes.c.leaf_index
                )
                query = query.join(claim_sessions, about).where(claim_sessions.c.session_id == session_id)
            return [StoredDispute(**row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)

    # -- leaves -----------------------------------------------------------------------------------------------------

    def record(
        self,
        claim_id: int,
        leaf_index: int,
        event: LeafEvent,
        *,
        block: int,
        log_index: int,
        connection: Connection | None = None,
    ) -> bool:
        """Record what happened to a leaf; False when it is known."""
        values = {
            "claim_id": claim_id,
            "leaf_index": leaf_index,
            "l1_block_number": block,
            "log_index": log_index,
            "event": event,
        }
        return self._write(lambda tx: insert_if_absent(tx, leaf_events, values), connection)

    def standing(self, claim_id: int, *, connection: Connection | None = None) -> dict[int, LeafStanding]:
        """How the leaves of a claim stand; those that nothing happened to are left out."""
        return self._read(lambda tx: _standing(tx, [claim_id]).get(claim_id, {}), connection)

    def held(self, *, connection: Connection | None = None) -> list[tuple[int, int]]:
        """The leaves (claim, index) of this node's claims that a dispute holds now."""

        def work(tx: Connection) -> list[tuple[int, int]]:
            touched = select(leaf_events.c.claim_id).where(leaf_events.c.event == LeafEvent.HELD)
            ours = select(claim_sessions.c.claim_id).where(claim_sessions.c.claim_id.in_(touched))
            # A claim whose bond is back has no leaf that is held.
            living = select(claims.c.claim_id).where(claims.c.claim_id.in_(ours), claims.c.released_block.is_(None))
            found = _standing(tx, list(tx.scalars(living)))
            return sorted(
                (claim_id, index)
                for claim_id, leaves in found.items()
                for index, standing in leaves.items()
                if standing.held
            )

        return self._read(work, connection)

    def deaths(self, session_id: int, *, connection: Connection | None = None) -> int:
        """How many claims of a session's blocks, of this node, were killed."""
        about = (claim_sessions.c.claim_id == leaf_events.c.claim_id) & (
            claim_sessions.c.leaf_index == leaf_events.c.leaf_index
        )
        query = (
            select(func.count())
            .select_from(leaf_events.join(claim_sessions, about))
            .where(claim_sessions.c.session_id == session_id, leaf_events.c.event == LeafEvent.KILLED)
        )
        return self._read(lambda tx: int(tx.scalar(query) or 0), connection)

    # -- proofs -----------------------------------------------------------------------------------------------------

    def plan(
        self, claim_id: int, leaf_index: int, from_number: int, to_number: int, *, connection: Connection | None = None
    ) -> bool:
        """A proof of the blocks after `from_number` to `to_number` is to be made; False when that is known."""
        values = {
            "claim_id": claim_id,
            "leaf_index": leaf_index,
            "from_number": from_number,
            "to_number": to_number,
        }
        return self._write(lambda tx: insert_if_absent(tx, proof_plans, values), connection)

    def plans(self, claim_id: int, leaf_index: int, *, connection: Connection | None = None) -> list[tuple[int, int]]:
        """The proofs (from, to) of a leaf that were to be made, in order."""
        query = (
            select(proof_plans.c.from_number, proof_plans.c.to_number)
            .where(proof_plans.c.claim_id == claim_id, proof_plans.c.leaf_index == leaf_index)
            .order_by(proof_plans.c.from_number, proof_plans.c.to_number)
        )
        return self._read(lambda tx: [(row[0], row[1]) for row in tx.execute(query)], connection)

    def rollback(self, number: int, *, connection: Connection | None = None) -> list[int]:
        """Undo what L1 blocks above `number` said; returns the claims with leaves that it was about."""

        def work(tx: Connection) -> list[int]:
            gone = leaf_events.c.l1_block_number > number
            changed = list(tx.scalars(select(leaf_events.c.claim_id).where(gone).distinct()))
            tx.execute(delete(leaf_events).where(gone))
            tx.execute(delete(disputes).where(disputes.c.opened_block > number))
            unanswered = {"closed_block": None, "closed_transaction": None, "answerer": None, "paid": None}
            tx.execute(update(disputes).where(disputes.c.closed_block > number).values(**unanswered))
            return sorted(changed)

        return self._write(work, connection)


def _standing(tx: Connection, claim_ids: Collection[int]) -> dict[int, dict[int, LeafStanding]]:
    found: dict[int, dict[int, LeafStanding]] = {}
    query = (
        select(leaf_events.c.claim_id, leaf_events.c.leaf_index, leaf_events.c.event)
        .where(leaf_events.c.claim_id.in_(claim_ids))
        .order_by(leaf_events.c.l1_block_number, leaf_events.c.log_index)
    )
    for claim_id, index, name in tx.execute(query):
        event = LeafEvent(name)
        leaves = found.setdefault(claim_id, {})
        before = leaves.get(index, LeafStanding())
        if event in _STANDING:
            killed = before.killed or event is LeafEvent.KILLED
            leaves[index] = LeafStanding(event is LeafEvent.HELD and not killed, killed, before.cause)
        else:
            leaves[index] = dataclasses.replace(before, cause=event)
    return found
