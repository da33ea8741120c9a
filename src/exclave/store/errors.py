"""Typed errors of the store, and the one table from the databases' errors to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from enum import StrEnum

import psycopg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError


class StoreError(Exception):
    """Anything that the store refuses or fails to do. Its text says what to do about it."""


class StoreTransientError(StoreError):
    """Another transaction was in the way: the same work, done again, will succeed. `Store.run` has already tried
    several times.
    """


class StoreUnavailable(StoreError):
    """The database can't be reached, or can't be written to (disk full, read-only)."""


class DatabaseCorrupt(StoreError):
    """The file isn't a database, or is damaged. It was left as it is."""


class DatabaseTooNew(StoreError):
    """The database was written by a newer version of Exclave. It was left as it is."""


class DatabaseTooOld(StoreError):
    """The database lacks migrations (or tables); `Store.migrate` brings it up to date."""


class RecordConflict(StoreError):
    """A record of that key exists and says something else."""


class RecordNotFound(StoreError):
    """No record has that key."""


class StateConflict(StoreError):
    """A record isn't in the state that the change starts from: somebody else changed it first."""


class LeaseHeld(StoreError):
    """Another owner holds the lease."""

    def __init__(self, resource: str, owner: str, expires_in: float) -> None:
        self.resource = resource
        self.owner = owner
        self.expires_in = expires_in
        super().__init__(
            f"{resource} is held by {owner} for another {expires_in:.1f} s: "
            "stop that process, or wait until its lease is over"
        )


class LeaseLost(StoreError):
    """The shown tokens are stale: somebody else took the leases over, or they were released."""

    def __init__(self, resources: Collection[str]) -> None:
        self.resources = frozenset(resources)
        super().__init__(f"lease lost: {', '.join(sorted(self.resources))}")


class Refusal(StrEnum):
    """Why a session's blocks were not written."""

    LEASE_LOST = "another process owns the session"
    CONFLICT = "another block is stored at this height"
    GAP = "the block doesn't follow the stored chain"
    INVALID = "the database doesn't accept the block"


class SessionsRefused(StoreError):
    """Nothing was written of these sessions; the other sessions' blocks of the same call are durable."""

    def __init__(self, refusals: Mapping[int, Refusal]) -> None:
        self.refusals = dict(refusals)
        self.session_ids = sorted(self.refusals)
        super().__init__("; ".join(f"session {i}: {self.refusals[i].value}" for i in self.session_ids))


_SQLITE_TRANSIENT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_IOERR: "the disk fails: check it and the file system",
    sqlite3.SQLITE_READONLY: "the file or its directory is read-only: check its permissions",
    sqlite3.SQLITE_CANTOPEN: "the file can't be opened: check that its directory exists and is writable",
    sqlite3.SQLITE_PERM: "the file's permissions don't allow it",
}
# SQLSTATE (PostgreSQL's appendix A): serialization_failure, deadlock_detected, lock_not_available.
_POSTGRES_TRANSIENT = {"40001", "40P01", "55P03"}


def translate(error: DBAPIError, where: str) -> StoreError | None:
    """The typed error for `error`, or None when it isn't about the database's condition (a violated constraint, wrong
    SQL). `where` names the database.
    """
    original = error.orig
    if isinstance(original, sqlite3.Error):
        code = getattr(original, "sqlite_errorcode", 0) & 0xFF  # without the extended part
        if code in _SQLITE_TRANSIENT:
            return StoreTransientError(f"{where} is busy: another process is writing to it")
        if code in _SQLITE_CORRUPT:
            return DatabaseCorrupt(
                f"{where} is damaged or not an Exclave database ({original}). It was left as it is: "
                "move it away and restore a back-up, or name another file in node.database_url"
            )
        if code in _SQLITE_UNAVAILABLE:
            return StoreUnavailable(f"{where}: {_SQLITE_UNAVAILABLE[code]} ({original})")
        return None
    if isinstance(original, psycopg.Error):
        state = original.sqlstate or ""
        if state in _POSTGRES_TRANSIENT:
            return StoreTransientError(f"{where} is busy: {original}")
        if state.startswith(("XX001", "XX002")):
            return DatabaseCorrupt(f"{where} is damaged ({original}). Restore a back-up")
        # Connection exceptions, insufficient resources (disk full), operator intervention, unknown role or database,
        # wrong password; without state: no connection.
        if state[:2] in {"08", "53", "57", "28", "3D", "25"} or (
            not state and isinstance(error, OperationalError | InterfaceError)
        ):
            return StoreUnavailable(f"{where} can't be used: {str(original).strip()}")
    return None
