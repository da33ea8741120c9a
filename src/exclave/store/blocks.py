"""Sessions' blocks with their transactions, receipts, logs and preconfirmations: the hot path, and what a restore
reads.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Protocol

from sqlalchemy import Connection, Table, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from exclave._engine import split_rlp_strings
from exclave.store.errors import Refusal, SessionsRefused
from exclave.store.leases import session_resource
from exclave.store.repository import Repository
from exclave.store.schema import blocks, heads


class SealedBlock(Protocol):
    """A sealed block as the engine gives it (`exclave._engine.Block`)."""

    @property
    def session_id(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def state_root(self) -> bytes: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def header(self) -> bytes: ...
    @property
    def preconfirmation(self) -> bytes: ...
    @property
    def inbox_count(self) -> int: ...
    @property
    def inbox_hash(self) -> bytes: ...
    @property
    def result(self) -> bytes | None: ...
    @property
    def senders(self) -> bytes: ...
    @property
    def encoded_transactions(self) -> bytes: ...
    @property
    def encoded_receipts(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as a restore or a claim needs it."""

    session_id: int
    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    header: bytes
    preconfirmation: bytes
    inbox_count: int
    inbox_hash: bytes
    result: bytes | None
    transactions: list[bytes]
    senders: list[bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """Where a session's stored chain ends; `result` is set when the session has ended."""

    session_id: int
    number: int
    hash: bytes
    timestamp: int
    inbox_count: int
    result: bytes | None


class Blocks(Repository):
    def write(self, sealed: Sequence[SealedBlock], tokens: Mapping[int, int]) -> None:
        """Make blocks of any number of sessions durable in one transaction (one fsync). On return they are on disk
        (INVARIANT I6).

        `tokens`: each session's fencing token. A session's blocks come in ascending order and continue its stored
        chain; a block that is already stored is accepted as done.

        Raises `SessionsRefused` with the sessions of which nothing was written, and why (stale token, another block
        at this height, a gap, data that the database refuses); the others' blocks are durable all the same (INVARIANT
        I5). Raises `StoreUnavailable` and the like when nothing was written.
        """
        if not sealed:
            return
        by_session: dict[int, list[SealedBlock]] = defaultdict(list)
        for block in sealed:
            by_session[block.session_id].append(block)

        try:
            refusals = self._store.run(lambda tx: self._write_all(tx, by_session, tokens))
        except (IntegrityError, DataError, OverflowError):
            # One of them has a block that the database doesn't take. All was rolled back; find out which, so that the
            # others don't suffer (INVARIANT I5).
            refusals = self._store.run(lambda tx: self._write_one_by_one(tx, by_session, tokens))
        if refusals:
            raise SessionsRefused(refusals)

    def head(self, session_id: int, *, connection: Connection | None = None) -> Head | None:
        """The last stored block of a session, None while there is only block 0."""

        def work(tx: Connection) -> Head | None:
            row = tx.execute(select(heads).where(heads.c.session_id == session_id)).first()
            return None if row is None else Head(**row._mapping)

        return self._read(work, connection)

    def load(
        self,
        session_id: int,
        first: int = 1,
        last: int | None = None,
        *,
        page: int = 256,
        connection: Connection | None = None,
    ) -> Iterator[StoredBlock]:
        """A session's blocks from `first` to `last` (or the end) in order, read in pages so that a long session needs
        little memory.
        """
        while True:
            loaded = self._page(session_id, first, last, page, connection)
            yield from loaded
            if len(loaded) < page:
                return
            first = loaded[-1].number + 1

    def hashes(self, session_id: int, first: int, last: int, *, connection: Connection | None = None) -> list[bytes]:
        """The hashes of the stored blocks `first` (at least 1) to `last`, in order."""

        def work(tx: Connection) -> list[bytes]:
            query = (
                select(blocks.c.hash)
                .where(blocks.c.session_id == session_id, blocks.c.number.between(first, last))
                .order_by(blocks.c.number)
            )
            return list(tx.scalars(query))

        return self._read(work, connection)

    def preconfirmation(self, session_id: int, number: int, *, connection: Connection | None = None) -> bytes | None:
        """The operator's signature of a block (65 bytes), None when there is no such block."""

        def work(tx: Connection) -> bytes | None:
            return tx.scalar(
                select(blocks.c.preconfirmation).where(blocks.c.session_id == session_id, blocks.c.number == number)
            )

        return self._read(work, connection)

    # internals

    def _write_all(
        self, tx: Connection, by_session: dict[int, list[SealedBlock]], tokens: Mapping[int, int]
    ) -> dict[int, Refusal]:
        refusals, accepted = self._admit(tx, by_session, tokens)
        _write(tx, accepted)
        return refusals

    def _write_one_by_one(
        self, tx: Connection, by_session: dict[int, list[SealedBlock]], tokens: Mapping[int, int]
    ) -> dict[int, Refusal]:
        refusals, accepted = self._admit(tx, by_session, tokens)
        for session_id, chain in accepted.items():
            try:
                with tx.begin_nested():
                    _write(tx, {session_id: chain})
            except (IntegrityError, DataError, OverflowError):
                refusals[session_id] = Refusal.INVALID
        return refusals

    def _admit(
        self, tx: Connection, by_session: dict[int, list[SealedBlock]], tokens: Mapping[int, int]
    ) -> tuple[dict[int, Refusal], dict[int, list[SealedBlock]]]:
        """Which sessions may be written, and which of their blocks are new."""
        refusals: dict[int, Refusal] = {}
        accepted: dict[int, list[SealedBlock]] = {}
        current_tokens = _tokens(tx, sorted(by_session))
        stored = _heads(tx, sorted(by_session))
        for session_id, chain in by_session.items():
            # INVARIANT I6: the lease's row is locked until commit, so no other process can become the owner in between.
            if session_id not in tokens or current_tokens.get(session_id) != tokens[session_id]:
                refusals[session_id] = Refusal.LEASE_LOST
                continue
            head_number, head_hash = stored.get(session_id, (0, None))
            new: list[SealedBlock] = []
            for block in chain:
                if block.number <= head_number and not new:
                    known = tx.scalar(
                        select(blocks.c.hash).where(blocks.c.session_id == session_id, blocks.c.number == block.number)
                    )
                    if known != block.hash:
                        refusals[session_id] = Refusal.CONFLICT
                        break
                elif block.number != head_number + 1:
                    refusals[session_id] = Refusal.GAP
                    break
                elif head_hash is not None and block.parent_hash != head_hash:
                    refusals[session_id] = Refusal.CONFLICT
                    break
                else:
                    new.append(block)
                    head_number, head_hash = block.number, block.hash
            else:
                if new:
                    accepted[session_id] = new
        return refusals, accepted

    def _page(
        self, session_id: int, first: int, last: int | None, page: int, connection: Connection | None
    ) -> list[StoredBlock]:
        query = (
            select(blocks)
            .where(blocks.c.session_id == session_id, blocks.c.number >= first)
            .order_by(blocks.c.number)
            .limit(page)
        )
        if last is not None:
            query = query.where(blocks.c.number <= last)
        rows = self._read(lambda tx: tx.execute(query).all(), connection)
        return [
            StoredBlock(
                session_id=session_id,
                number=row.number,
                hash=row.hash,
                parent_hash=row.parent_hash,
                timestamp=row.timestamp,
                header=row.header,
                preconfirmation=row.preconfirmation,
                inbox_count=row.inbox_count,
                inbox_hash=row.inbox_hash,
                result=row.result,
                transactions=split_rlp_strings(row.transactions),
                senders=[row.senders[at : at + 20] for at in range(0, len(row.senders), 20)],
            )
            for row in rows
        ]


# Written by hand, with all ids in one parameter, and given to the driver itself: what SQLAlchemy adds to a statement
# took longer than the database.
_TOKENS = {
    # In order, so that two writers of overlapping sessions can't wait for each other.
    "postgresql": "SELECT resource, token FROM leases WHERE resource = ANY(%s) AND owner IS NOT NULL "
    "ORDER BY resource FOR SHARE",
    "sqlite": "SELECT resource, token FROM leases WHERE resource IN (SELECT value FROM json_each(?)) "
    "AND owner IS NOT NULL",
}
_HEADS = (
    "SELECT sessions.session_id, sessions.genesis_hash, heads.number, heads.hash FROM sessions "
    "LEFT JOIN heads ON heads.session_id = sessions.session_id WHERE sessions.session_id "
)
_HEADS_OF = {
    "postgresql": _HEADS + "= ANY(%s)",
    "sqlite": _HEADS + "IN (SELECT value FROM json_each(?))",
}


def _tokens(tx: Connection, session_ids: list[int]) -> dict[int, int]:
    by_resource = {session_resource(session_id): session_id for session_id in session_ids}
    with _cursor(tx) as cursor:
        cursor.execute(_TOKENS[tx.dialect.name], (_array(tx, list(by_resource)),))
        return {by_resource[resource]: token for resource, token in cursor.fetchall()}


def _heads(tx: Connection, session_ids: list[int]) -> dict[int, tuple[int, bytes | None]]:
    """Number and hash of each session's last block; block 0 where nothing is stored yet."""
    with _cursor(tx) as cursor:
        cursor.execute(_HEADS_OF[tx.dialect.name], (_array(tx, session_ids),))
        return {
            session_id: (0, genesis_hash) if number is None else (number, head_hash)
            for session_id, genesis_hash, number, head_hash in cursor.fetchall()
        }


@contextmanager
def _cursor(tx: Connection) -> Iterator[Any]:
    """The driver's cursor in a transaction; its errors are SQLAlchemy's as everywhere."""
    errors = tx.dialect.loaded_dbapi.Error
    cursor = tx.connection.cursor()
    try:
        yield cursor
    except errors as error:
        raise DBAPIError.instance(None, None, error, errors, dialect=tx.dialect) from error
    finally:
        cursor.close()


def _array(tx: Connection, values: list[int] | list[str]) -> Any:
    return values if tx.dialect.name == "postgresql" else json.dumps(values)


_COLUMNS = (
    "session_id",
    "number",
    "hash",
    "parent_hash",
    "timestamp",
    "state_root",
    "gas_used",
    "header",
    "preconfirmation",
    "inbox_count",
    "inbox_hash",
    "result",
    "senders",
    "encoded_transactions",
    "encoded_receipts",
)
_row = attrgetter(*_COLUMNS)
"""A block as the table's columns, in their order."""


def _write(tx: Connection, accepted: dict[int, list[SealedBlock]]) -> None:
    """Plain tuples and prepared statements: this is what each acknowledged transaction waits for."""
    block_rows = [_row(block) for chain in accepted.values() for block in chain]
    head_rows = [
        (session_id, last.number, last.hash, last.timestamp, last.inbox_count, last.result)
        for session_id, chain in accepted.items()
        for last in (chain[-1],)
    ]
    if not block_rows:
        return
    with _cursor(tx) as cursor:
        cursor.executemany(_insert(blocks, tx.dialect.name), block_rows)
        cursor.executemany(_insert(heads, tx.dialect.name) + _NEW_HEAD, head_rows)


_NEW_HEAD = " ON CONFLICT (session_id) DO UPDATE SET " + ", ".join(
    f"{column} = excluded.{column}" for column in ("number", "hash", "timestamp", "inbox_count", "result")
)


@cache
def _insert(table: Table, dialect: str) -> str:
    mark = "%s" if dialect == "postgresql" else "?"
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    return f'INSERT INTO "{table.name}" ({columns}) VALUES ({", ".join([mark] * len(table.columns))})'
