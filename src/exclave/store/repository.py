"""What the repositories share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from exclave.store.store import Store

T = TypeVar("T")


class Repository:
    """A group of tables with one subject."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _write(self, work: Callable[[Connection], T], connection: Connection | None) -> T:
        return self._store.run(work, connection)

    def _read(self, work: Callable[[Connection], T], connection: Connection | None) -> T:
        return self._store.read(work, connection)


def insert_all_absent(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose keys don't exist."""
    builder = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    connection.execute(builder(table).on_conflict_do_nothing(), rows)


def insert_if_absent(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row unless its key exists; whether it was inserted. The same statement in both databases."""
    builder = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    key = next(iter(table.primary_key))
    inserted = connection.execute(builder(table).values(**values).on_conflict_do_nothing().returning(key))
    return inserted.first() is not None
