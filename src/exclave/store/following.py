"""How far L1 was followed, and what has to be undone when L1 reorganises.

`advance` runs in the transaction that records what the block's events caused, so that after a crash neither is there
without the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from exclave.store.errors import StateConflict
from exclave.store.jobs import JobState
from exclave.store.repository import Repository
from exclave.store.schema import claim_sessions, claims, followed_blocks, inbox, jobs, proof_plans, sessions
from exclave.store.sessions import SessionStatus


@dataclass(frozen=True, slots=True)
class L1Block:
    """A block of L1; `timestamp` in seconds since 1970, None where an older version recorded it."""

    number: int
    hash: bytes
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a rollback undid, for the parts of the node that hold it in memory. All lists are in order."""

    reorged_sessions: list[int]  # no longer opened on L1
    unseeded_sessions: list[int]  # opened, but their seed must be read again
    reopened_sessions: list[int]  # their settlement or abort is gone
    shortened_inboxes: dict[int, int]  # session -> messages that are left
    removed_claims: list[int]
    changed_leaves: list[int]  # claims of which a leaf was held, freed or killed in vanished blocks


class Following(Repository):
    def cursor(self, follower: str, *, connection: Connection | None = None) -> L1Block | None:
        """The last L1 block that `follower` has worked through, None before the first."""
        newest = self.history(follower, limit=1, connection=connection)
        return newest[0] if newest else None

    def history(self, follower: str, *, limit: int = 1000, connection: Connection | None = None) -> list[L1Block]:
        """The blocks that `follower` remembers, newest first: the first that L1 still has is the common ancestor."""

        def work(tx: Connection) -> list[L1Block]:
            query = (
                select(followed_blocks.c.number, followed_blocks.c.hash, followed_blocks.c.timestamp)
                .where(followed_blocks.c.follower == follower)
                .order_by(followed_blocks.c.number.desc())
                .limit(limit)
            )
            return [L1Block(*row) for row in tx.execute(query)]

        return self._read(work, connection)

    def advance(self, follower: str, block: L1Block, *, keep: int = 1000, connection: Connection) -> None:
        """Move the cursor to a later block (it may skip blocks without events), in the transaction of what happened
        up to it. The newest `keep` remembered blocks stay.

        Raises `StateConflict` when the block isn't after the cursor.
        """
        current = self.cursor(follower, connection=connection)
        if current is not None and block.number <= current.number:
            raise StateConflict(
                f"{follower} is at L1 block {current.number} already, it can't advance to {block.number}"
            )
        connection.execute(
            insert(followed_blocks).values(
                follower=follower, number=block.number, hash=block.hash, timestamp=block.timestamp
            )
        )
        oldest = (
            select(followed_blocks.c.number)
            .where(followed_blocks.c.follower == follower)
            .order_by(followed_blocks.c.number.desc())
            .offset(keep)
            .limit(1)
            .scalar_subquery()
        )
        connection.execute(
            delete(followed_blocks).where(followed_blocks.c.follower == follower, followed_blocks.c.number <= oldest)
        )

    def complete(self, follower: str, block: L1Block, *, connection: Connection) -> None:
        """Add the time of a block that an older version recorded."""
        connection.execute(
            update(followed_blocks)
            .where(followed_blocks.c.follower == follower, followed_blocks.c.hash == block.hash)
            .values(timestamp=block.timestamp)
        )

    def rollback(self, follower: str, number: int, *, connection: Connection | None = None) -> Rollback:
        """Undo all that L1 blocks above `number` caused: they are no longer L1's. Sessions' blocks stay (see
        `Sessions.put`).
        """

        def work(tx: Connection) -> Rollback:
            tx.execute(
                delete(followed_blocks).where(followed_blocks.c.follower == follower, followed_blocks.c.number > number)
            )

            removed_claims = list(
                tx.scalars(
                    select(claims.c.claim_id).where(claims.c.l1_block_number > number).order_by(claims.c.claim_id)
                )
            )
            gone = select(claims.c.claim_id).where(claims.c.l1_block_number > number)
            tx.execute(
                update(jobs)
                .where(jobs.c.claim_id.in_(gone))
                .values(
                    state=JobState.BATCHED,
                    claim_id=None,
                    claim_transaction=None,
                    settle_intent=None,
                    settle_transaction=None,
                )
            )
            tx.execute(delete(claim_sessions).where(claim_sessions.c.claim_id.in_(gone)))
            tx.execute(delete(proof_plans).where(proof_plans.c.claim_id.in_(gone)))
            tx.execute(delete(claims).where(claims.c.l1_block_number > number))

            tx.execute(update(claims).where(claims.c.released_block > number).values(released_block=None))
            tx.execute(
                update(sessions).where(sessions.c.callback_failed_block > number).values(callback_failed_block=None)
            )

            changed_leaves = self._store.disputes.rollback(number, connection=tx)

            undone = sessions.c.settled_block > number
            reopened = list(tx.scalars(select(sessions.c.session_id).where(undone).order_by(sessions.c.session_id)))
            of_them = jobs.c.session_id.in_(select(sessions.c.session_id).where(undone))
            decided = of_them & (jobs.c.state == JobState.SETTLED)
            # INVARIANT I7: what was on its way to L1 when the session was decided may arrive yet.
            on_its_way = decided & jobs.c.batch_id.is_not(None) & jobs.c.claim_id.is_(None)
            tx.execute(update(jobs).where(on_its_way).values(state=JobState.BATCHED, settle_transaction=None))
            tx.execute(update(jobs).where(decided).values(state=JobState.SETTLEABLE, settle_transaction=None))
            tx.execute(
                update(sessions).where(undone).values(status=SessionStatus.OPEN, result=None, settled_block=None)
            )

            known = sessions.c.status.not_in([SessionStatus.LOCAL, SessionStatus.REORGED])
            reorged = list(
                tx.scalars(
                    select(sessions.c.session_id)
                    .where(known, sessions.c.opened_block > number)
                    .order_by(sessions.c.session_id)
                )
            )
            # The seed is of the block after the opening.
            unseeded = list(
                tx.scalars(
                    select(sessions.c.session_id)
                    .where(known, sessions.c.opened_block == number)
                    .order_by(sessions.c.session_id)
                )
            )
            tx.execute(
                update(sessions).where(known, sessions.c.opened_block >= number).values(seed=None, genesis_hash=None)
            )
            tx.execute(
                update(sessions).where(known, sessions.c.opened_block > number).values(status=SessionStatus.REORGED)
            )

            shortened = [
                session_id
                for session_id in tx.scalars(
                    select(inbox.c.session_id).where(inbox.c.l1_block_number > number).distinct()
                )
            ]
            tx.execute(delete(inbox).where(inbox.c.l1_block_number > number))
            left = {session_id: 0 for session_id in sorted(shortened)}
            counts = (
                select(inbox.c.session_id, func.count())
                .where(inbox.c.session_id.in_(shortened))
                .group_by(inbox.c.session_id)
            )
            left.update({session_id: count for session_id, count in tx.execute(counts)})
            return Rollback(
                reorged,
                unseeded,
                [i for i in reopened if i not in reorged],
                left,
                removed_claims,
                [i for i in changed_leaves if i not in removed_claims],
            )

        return self._write(work, connection)
