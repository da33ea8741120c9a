"""The processes that share a database, and where they reach each other.

Who may do what is decided by leases alone: what is here only says whom to ask, and may be out of date.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from exclave.store.repository import Repository
from exclave.store.schema import processes

REMEMBERED = 86400
"""Seconds after which a process that said nothing is forgotten."""


@dataclass(frozen=True, slots=True)
class Process:
    """`owner`: its name in leases; `url`: of its JSON-RPC for its peers; `alive`: it said so not long ago."""

    owner: str
    url: str
    alive: bool


class Processes(Repository):
    def announce(self, owner: str, url: str, seconds: float, *, connection: Connection | None = None) -> None:
        """The process lives, and is at `url`. To be said again within `seconds`."""

        def work(tx: Connection) -> None:
            values = {"url": url, "expires_at_ms": self._store.now_ms(tx) + int(seconds * 1000)}
            known = tx.execute(update(processes).where(processes.c.owner == owner).values(**values))
            if not known.rowcount:
                tx.execute(insert(processes).values(owner=owner, **values))
                # Of those that died nobody asks for anything any more.
                forgotten = self._store.now_ms(tx) - REMEMBERED * 1000
                tx.execute(delete(processes).where(processes.c.expires_at_ms < forgotten))

        self._write(work, connection)

    def withdraw(self, owner: str, *, connection: Connection | None = None) -> None:
        """The process is no more."""
        self._write(lambda tx: tx.execute(delete(processes).where(processes.c.owner == owner)), connection)

    def all(self, *, connection: Connection | None = None) -> list[Process]:
        """All processes that didn't withdraw, in the order of their names."""

        def work(tx: Connection) -> list[Process]:
            now = self._store.now_ms(tx)
            query = select(processes).order_by(processes.c.owner)
            return [Process(row.owner, row.url, row.expires_at_ms > now) for row in tx.execute(query)]

        return self._read(work, connection)
