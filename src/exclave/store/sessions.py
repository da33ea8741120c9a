"""Sessions as L1 opened them (or this node, for building templates), and the templates that they start from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, func, select, update

from exclave.protocol import SessionConfig, keccak256, players_hash
from exclave.store.errors import RecordConflict, RecordNotFound
from exclave.store.repository import Repository, insert_if_absent
from exclave.store.schema import blocks, heads, inbox, jobs, sessions, templates, terms

# Session ids from here up are this node's own and unknown to L1 (docs/protocol.md 1).
FIRST_LOCAL_SESSION = 1 << 31


class SessionStatus(StrEnum):
    LOCAL = "local"  # of this node alone
    OPEN = "open"
    SETTLED = "settled"
    ABORTED = "aborted"
    REORGED = "reorged"  # L1 dropped the opening; kept, because it usually comes back


@dataclass(frozen=True, slots=True)
class Session:
    """A session's configuration (docs/protocol.md 3), where L1 opened it, and what became of it."""

    session_id: int
    chain_id: int
    config_hash: bytes
    template_id: bytes
    game: bytes
    opened_at: int
    opened_block: int
    deadline: int
    players: tuple[bytes, ...]
    init_data: bytes
    terms: bytes  # abi.encode(Terms)
    status: SessionStatus = SessionStatus.OPEN
    seed: bytes | None = None
    genesis_hash: bytes | None = None
    l1_block_hash: bytes | None = None
    l1_transaction_hash: bytes | None = None
    result: bytes | None = None
    settled_block: int | None = None
    refusal: str | None = None  # why this node doesn't serve it
    callback_failed_block: int | None = None  # L1 block in which its game refused the outcome

    def configuration(self) -> SessionConfig:
        """The configuration that L1 keeps the hash of."""
        return SessionConfig(
            session_id=self.session_id,
            opened_at=self.opened_at,
            opened_block=self.opened_block,
            deadline=self.deadline,
            game=self.game,
            template_id=self.template_id,
            players_hash=players_hash(self.players),
            init_data_hash=keccak256(self.init_data),
            terms_hash=keccak256(self.terms),
        )


@dataclass(frozen=True, slots=True)
class Template:
    template_id: bytes
    state_root: bytes
    data_hash: bytes
    data: bytes


class Sessions(Repository):
    def put(self, session: Session, *, connection: Connection | None = None) -> bool:
        """Record an opened session; False when exactly it was known. A session whose opening was reorged away and
        came back keeps its blocks; if L1 gave the id to another session instead, the blocks of the first are dropped.

        Raises `RecordConflict` when the id belongs to another session that L1 still has.
        """

        def work(tx: Connection) -> bool:
            values = dataclasses.asdict(session)
            if insert_if_absent(tx, sessions, values):
                return True
            row = tx.execute(select(sessions).where(sessions.c.session_id == session.session_id)).one()
            same = row.config_hash == session.config_hash
            if row.status != SessionStatus.REORGED:
                if same:
                    return False
                raise RecordConflict(
                    f"session {session.session_id} is stored with another configuration: "
                    "the node follows another L1 chain than before"
                )
            if same:
                # The same opening in a block of another hash; its seed is read anew.
                kept = {key: values[key] for key in ("status", "l1_block_hash", "l1_transaction_hash", "refusal")}
                tx.execute(update(sessions).where(sessions.c.session_id == session.session_id).values(**kept))
            else:
                _drop_chain(tx, session.session_id)
                tx.execute(delete(inbox).where(inbox.c.session_id == session.session_id))
                tx.execute(delete(jobs).where(jobs.c.session_id == session.session_id))
                tx.execute(update(sessions).where(sessions.c.session_id == session.session_id).values(**values))
            return True

        return self._write(work, connection)

    def get(self, session_id: int, *, connection: Connection | None = None) -> Session | None:
        """The session of that id, None when there is none."""

        def work(tx: Connection) -> Session | None:
            row = tx.execute(select(sessions).where(sessions.c.session_id == session_id)).first()
            return None if row is None else _session(row._mapping)

        return self._read(work, connection)

    def find(
        self,
        statuses: Sequence[SessionStatus] | None = None,
        *,
        after: int = 0,
        limit: int = 1000,
        connection: Connection | None = None,
    ) -> list[Session]:
        """Sessions of the given statuses (all, when None) with ids above `after`, in order of id, `limit` at most."""

        def work(tx: Connection) -> list[Session]:
            query = select(sessions).where(sessions.c.session_id > after).order_by(sessions.c.session_id).limit(limit)
            if statuses is not None:
                query = query.where(sessions.c.status.in_(statuses))
            return [_session(row._mapping) for row in tx.execute(query)]

        return self._read(work, connection)

    def next_local_id(self, *, connection: Connection) -> int:
        """An id for a session of this node alone; it is taken by `put` in the same transaction."""
        highest = connection.scalar(
            select(func.max(sessions.c.session_id)).where(sessions.c.session_id >= FIRST_LOCAL_SESSION)
        )
        return FIRST_LOCAL_SESSION if highest is None else int(highest) + 1

    def set_genesis(
        self, session_id: int, seed: bytes, genesis_hash: bytes, *, connection: Connection | None = None
    ) -> int:
        """Record the seed, and with it block 0. Returns how many stored blocks were dropped because they stem from
        another block 0 (after a reorg of the L1 block that the seed comes from).

        Raises `RecordNotFound`.
        """

        def work(tx: Connection) -> int:
            found = tx.execute(
                update(sessions).where(sessions.c.session_id == session_id).values(seed=seed, genesis_hash=genesis_hash)
            )
            if not found.rowcount:
                raise RecordNotFound(f"no session {session_id}")
            parent = tx.scalar(
                select(blocks.c.parent_hash).where(blocks.c.session_id == session_id, blocks.c.number == 1)
            )
            return 0 if parent is None or parent == genesis_hash else _drop_chain(tx, session_id)

        return self._write(work, connection)

    def set_outcome(
        self,
        session_id: int,
        status: SessionStatus,
        l1_block_number: int,
        result: bytes | None = None,
        *,
        connection: Connection | None = None,
    ) -> None:
        """L1 settled (with `result`) or aborted the session in that L1 block.

        Raises `RecordNotFound`.
        """

        def work(tx: Connection) -> None:
            found = tx.execute(
                update(sessions)
                .where(sessions.c.session_id == session_id)
                .values(status=status, settled_block=l1_block_number, result=result)
            )
            if not found.rowcount:
                raise RecordNotFound(f"no session {session_id}")

        self._write(work, connection)

    def set_callback_failed(
        self, session_id: int, l1_block_number: int | None, *, connection: Connection | None = None
    ) -> None:
        """The game refused the outcome in that L1 block; None: it has it now. Unknown sessions are left alone."""

        def work(tx: Connection) -> None:
            tx.execute(
                update(sessions)
                .where(sessions.c.session_id == session_id)
                .values(callback_failed_block=l1_block_number)
            )

        self._write(work, connection)

    def reassess(
        self, refusal: Callable[[Session], str | None], *, page: int = 1000, connection: Connection | None = None
    ) -> int:
        """Ask anew of every open session why it isn't served; returns how many answers changed."""

        def work(tx: Connection) -> int:
            changed = after = 0
            while found := self.find(
                [SessionStatus.OPEN, SessionStatus.REORGED], after=after, limit=page, connection=tx
            ):
                for session in found:
                    answer = refusal(session)
                    if answer != session.refusal:
                        of_it = sessions.c.session_id == session.session_id
                        tx.execute(update(sessions).where(of_it).values(refusal=answer))
                        changed += 1
                after = found[-1].session_id
            return changed

        return self._write(work, connection)


class Templates(Repository):
    def put(self, template: Template, *, connection: Connection | None = None) -> bool:
        """Keep a template; False when it is there already (its id commits to its data)."""
        values = {**dataclasses.asdict(template), "created_at": self._store.now()}
        return self._write(lambda tx: insert_if_absent(tx, templates, values), connection)

    def get(self, template_id: bytes, *, connection: Connection | None = None) -> Template | None:
        """The template of that id, None when there is none."""

        def work(tx: Connection) -> Template | None:
            row = tx.execute(select(templates).where(templates.c.template_id == template_id)).first()
            return None if row is None else Template(row.template_id, row.state_root, row.data_hash, row.data)

        return self._read(work, connection)

    def state_root(self, template_id: bytes, *, connection: Connection | None = None) -> bytes | None:
        """The template's state root, without reading its data; None when there is no such template."""
        query = select(templates.c.state_root).where(templates.c.template_id == template_id)
        return self._read(lambda tx: tx.scalar(query), connection)

    def ids(self, *, connection: Connection | None = None) -> list[bytes]:
        """The ids of all templates, oldest first."""
        query = select(templates.c.template_id).order_by(templates.c.created_at, templates.c.template_id)
        return self._read(lambda tx: list(tx.scalars(query)), connection)


class TermsRegistry(Repository):
    def put(self, terms_hash: bytes, encoded: bytes, *, connection: Connection | None = None) -> bool:
        """Keep `abi.encode(Terms)`; False when it is there already."""
        values = {"terms_hash": terms_hash, "terms": encoded}
        return self._write(lambda tx: insert_if_absent(tx, terms, values), connection)

    def get(self, terms_hash: bytes, *, connection: Connection | None = None) -> bytes | None:
        """`abi.encode(Terms)` of the terms with that hash, None when L1 registered none."""
        query = select(terms.c.terms).where(terms.c.terms_hash == terms_hash)
        return self._read(lambda tx: tx.scalar(query), connection)


def _session(row: object) -> Session:
    values = dict(row)  # type: ignore[call-overload]
    values["status"] = SessionStatus(values["status"])
    return Session(**values)


def _drop_chain(tx: Connection, session_id: int) -> int:
    """Drop the blocks of a session that L1 has replaced by another one."""
    tx.execute(delete(heads).where(heads.c.session_id == session_id))
    return tx.execute(delete(blocks).where(blocks.c.session_id == session_id)).rowcount
