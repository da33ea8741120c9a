"""What the Relayer does to sessions, told to the processes that have them in memory.

Rows are written in the transaction that makes the change, so that neither is there without the other, and only by the
process that has the lease `node`: they become visible in the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from exclave.store.leases import session_resource
from exclave.store.repository import Repository
from exclave.store.schema import session_changes

KEPT = 100_000
"""Changes that are remembered. Who missed more must read its sessions anew."""


@dataclass(frozen=True, slots=True)
class SessionChange:
    """`token` None: the session has news (it began, or has messages). Otherwise whoever has it with an older token has
    lost it.
    """

    sequence: int
    session_id: int
    token: int | None


class SessionChanges(Repository):
    def touch(self, session_ids: Iterable[int], *, connection: Connection) -> None:
        """These sessions have news in the store."""
        self._add([(session_id, None) for session_id in session_ids], connection)

    def revoke(self, session_ids: Iterable[int], *, connection: Connection) -> None:
        """What these sessions are in memory isn't what they are in the store any more: nobody writes to them
        (INVARIANT I1, I4) until they are read again.
        """
        ids = {session_resource(session_id): session_id for session_id in session_ids}
        tokens = self._store.leases.revoke(ids, connection=connection)
        self._add([(ids[resource], token) for resource, token in tokens.items()], connection)

    def last(self, *, connection: Connection | None = None) -> int:
        """The number of the newest change, 0 before the first."""
        return self._read(lambda tx: int(tx.scalar(select(func.max(session_changes.c.sequence))) or 0), connection)

    def since(self, sequence: int, *, connection: Connection) -> list[SessionChange] | None:
        """The changes after `sequence`, in order; None when some of them are forgotten."""
        oldest = connection.scalar(select(func.min(session_changes.c.sequence)))
        if oldest is not None and sequence < oldest - 1:
            return None
        query = (
            select(session_changes).where(session_changes.c.sequence > sequence).order_by(session_changes.c.sequence)
        )
        return [SessionChange(**row._mapping) for row in connection.execute(query)]

    def _add(self, changes: list[tuple[int, int | None]], connection: Connection) -> None:
        if not changes:
            return
        rows = [{"session_id": session_id, "token": token} for session_id, token in changes]
        connection.execute(insert(session_changes), rows)
        newest = self.last(connection=connection)
        connection.execute(delete(session_changes).where(session_changes.c.sequence <= newest - KEPT))
