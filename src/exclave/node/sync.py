"""Keeps the sessions in this process's memory in step with what the Relayer writes, in whichever process it runs.

One look reads, on one snapshot of the store, what changed, the L1 time up to which all messages are known, and which
processes there are. The engine hears of the messages before it hears of that time (INVARIANT I4).
"""

from __future__ import annotations

import asyncio
import time

import structlog
from sqlalchemy import Connection, String, cast, func, literal, select

from exclave.node.sessions import SessionHost
from exclave.relayer.relayer import FOLLOWER
from exclave.store import L1Block, Process, SessionChange, SessionStatus, Store, schema, session_resource

log = structlog.get_logger(__name__)

INTERVAL = 0.25
"""Seconds between looks; the Relayer's own process is told when there is something to see."""

DUE_INTERVAL = 5.0
"""Seconds between looks for sessions with messages that nobody has in memory."""


class SessionSync:
    """The follower of the store."""

    def __init__(self, store: Store, host: SessionHost) -> None:
        self._store = store
        self._host = host
        self._sequence: int | None = None
        self._news = asyncio.Event()

    def begin(self) -> None:
        """To be called before anything is in memory: what changed until now is read with the sessions."""
        self._sequence = self._store.changes.last()

    def notify(self) -> None:
        """There is something to see (from the event loop's thread)."""
        self._news.set()

    async def run(self) -> None:
        """Look until cancelled."""
        looked_for_due = 0.0
        while True:
            if time.monotonic() - looked_for_due >= DUE_INTERVAL:
                looked_for_due = time.monotonic()
                await asyncio.to_thread(self.wake_due)
            self._news.clear()
            await asyncio.to_thread(self.look)
            try:
                async with asyncio.timeout(INTERVAL):
                    await self._news.wait()
            except TimeoutError:
                pass

    def look(self) -> None:
        """One look, and what follows from it. May be repeated after a failure at any point."""
        assert self._sequence is not None, "begin() first"
        changes, newest, cursor, processes = self._store.read(self._read)
        self._host.placement.learn(processes)
        if changes is None:
            log.warning("too much changed since the last look: all sessions are read anew")
            self._host.drop_idle(0, 0)
            changes = []
        revoked = [(change.session_id, change.token) for change in changes if change.token is not None]
        for session_id, token in revoked:
            self._host.revoked(session_id, token)
        self._host.touch(sorted({change.session_id for change in changes if change.token is None}))
        self._sequence = newest
        if cursor is not None and cursor.timestamp is not None:
            self._host.followed_until(cursor.timestamp)

    def wake_due(self) -> None:
        """Messages must be in their sessions in time (INVARIANT I4), whether a player comes or not: also those of a
        session whose process died.
        """
        found = self._store.read(self._due)
        self._host.bring_in([session_id for session_id in found if self._host.placement.home(session_id) is None])

    def _read(self, tx: Connection) -> tuple[list[SessionChange] | None, int, L1Block | None, list[Process]]:
        assert self._sequence is not None
        changes = self._store.changes.since(self._sequence, connection=tx)
        newest = changes[-1].sequence if changes else self._sequence
        if changes is None:
            newest = self._store.changes.last(connection=tx)
        cursor = self._store.following.cursor(FOLLOWER, connection=tx)
        return changes, newest, cursor, self._store.processes.all(connection=tx)

    def _due(self, tx: Connection) -> list[int]:
        """Running sessions with messages that aren't in them, and that nobody holds."""
        sessions, heads, inbox, leases = schema.sessions, schema.heads, schema.inbox, schema.leases
        held = (
            select(leases.c.resource)
            .where(
                leases.c.resource == literal(session_resource(0)[:-1]) + cast(sessions.c.session_id, String),
                leases.c.owner.is_not(None),
                leases.c.expires_at_ms > self._store.now_ms(tx),
            )
            .exists()
        )
        query = (
            select(sessions.c.session_id)
            .select_from(sessions.join(inbox).outerjoin(heads, heads.c.session_id == sessions.c.session_id))
            .where(
                sessions.c.status == SessionStatus.OPEN,
                sessions.c.genesis_hash.is_not(None),
                sessions.c.refusal.is_(None),
                heads.c.result.is_(None),
                ~held,
            )
            .group_by(sessions.c.session_id, heads.c.inbox_count)
            .having(func.count() > func.coalesce(heads.c.inbox_count, 0))
        )
        return list(tx.scalars(query))
