"""From any earlier version of the database to this one.

A new database is made from `metadata` at once. An existing one runs the upgrades that it lacks, in order, all in one
transaction. An upgrade is a function of the connection that only uses statements of its own (never `metadata`, which
is the newest schema). It never deletes what a user can't get back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, insert, inspect, select, update

from exclave.store.errors import DatabaseCorrupt, DatabaseTooNew, DatabaseTooOld
from exclave.store.schema import metadata, schema_version

Upgrade = Callable[[Connection], None]


def _share_sessions(connection: Connection) -> None:
    """Several processes on one database: where they are, and what the Relayer tells them."""
    row_id = "BIGSERIAL" if connection.dialect.name == "postgresql" else "INTEGER NOT NULL"
    for statement in (
        "CREATE TABLE processes (owner VARCHAR(200) NOT NULL, url VARCHAR(500) NOT NULL, "
        "expires_at_ms BIGINT NOT NULL, CONSTRAINT pk_processes PRIMARY KEY (owner))",
        "ALTER TABLE followed_blocks ADD COLUMN timestamp BIGINT",
        f"CREATE TABLE session_changes (sequence {row_id}, session_id BIGINT NOT NULL, token BIGINT, "
        "CONSTRAINT pk_session_changes PRIMARY KEY (sequence))",
    ):
        connection.exec_driver_sql(statement)


def _remember_disputes(connection: Connection) -> None:
    """Disputes about claims, and what happened to claims' leaves."""
    bytes_ = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
    for statement in (
        "CREATE TABLE disputes (claim_id BIGINT NOT NULL, leaf_index BIGINT NOT NULL, kind INTEGER NOT NULL, "
        f"number {bytes_} NOT NULL, opener {bytes_} NOT NULL, bond {bytes_} NOT NULL, deadline BIGINT NOT NULL, "
        f"opened_block BIGINT NOT NULL, opened_transaction {bytes_} NOT NULL, closed_block BIGINT, "
        f"closed_transaction {bytes_}, answerer {bytes_}, paid {bytes_}, "
        "CONSTRAINT pk_disputes PRIMARY KEY (claim_id, leaf_index, kind, number))",
        "CREATE INDEX ix_disputes_opened_block ON disputes (opened_block)",
        "CREATE TABLE leaf_events (claim_id BIGINT NOT NULL, leaf_index BIGINT NOT NULL, "
        "l1_block_number BIGINT NOT NULL, log_index BIGINT NOT NULL, event VARCHAR(20) NOT NULL, "
        "CONSTRAINT pk_leaf_events PRIMARY KEY (claim_id, leaf_index, l1_block_number, log_index))",
        "CREATE INDEX ix_leaf_events_l1_block_number ON leaf_events (l1_block_number)",
        "CREATE TABLE proof_plans (claim_id BIGINT NOT NULL, leaf_index BIGINT NOT NULL, from_number BIGINT NOT NULL, "
        "to_number BIGINT NOT NULL, CONSTRAINT pk_proof_plans PRIMARY KEY "
        "(claim_id, leaf_index, from_number, to_number))",
    ):
        connection.exec_driver_sql(statement)


# UPGRADES[0] brings version 1 to version 2, and so on.
UPGRADES: tuple[Upgrade, ...] = (_share_sessions, _remember_disputes)


def newest(upgrades: Sequence[Upgrade]) -> int:
    """The version that this program writes."""
    return 1 + len(upgrades)


def version(connection: Connection, where: str) -> int:
    """The version of the database, 0 when it is empty.

    Raises `DatabaseCorrupt` when there are tables, but not Exclave's.
    """
    tables = inspect(connection).get_table_names()
    if schema_version.name not in tables:
        if tables:
            raise DatabaseCorrupt(
                f"{where} holds tables of another program ({', '.join(sorted(tables)[:3])}). "
                "It was left as it is: name another database in node.database_url"
            )
        return 0
    found = connection.scalar(select(schema_version.c.version))
    if found is None:
        raise DatabaseCorrupt(f"{where} doesn't say its version. It was left as it is: restore a back-up")
    return int(found)


def check(connection: Connection, where: str, upgrades: Sequence[Upgrade]) -> int:
    """The version of a database that is ready for use.

    Raises `DatabaseTooNew` or `DatabaseTooOld` when it isn't.
    """
    found = version(connection, where)
    known = newest(upgrades)
    if found > known:
        raise DatabaseTooNew(
            f"{where} has version {found}, but this Exclave knows versions up to {known}. It was left as it is: "
            "use the newer Exclave that wrote it, or name another database in node.database_url"
        )
    if found < known:
        raise DatabaseTooOld(
            f"{where} has version {found}, this Exclave needs {known}: start the node once, it migrates the database"
        )
    return found


def migrate(connection: Connection, where: str, now: int, upgrades: Sequence[Upgrade]) -> tuple[int, int]:
    """Bring the database up to date in the given transaction. Returns the versions before and after."""
    if connection.dialect.name == "postgresql":
        # Two nodes that start at once: the second waits, then finds the work done.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4501)")
    before = version(connection, where)
    after = newest(upgrades)
    if before > after:
        check(connection, where, upgrades)
    if before == 0:
        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(schema_version).values(version=after, applied_at=now))
    elif before < after:
        for upgrade in upgrades[before - 1 :]:
            upgrade(connection)
        connection.execute(update(schema_version).values(version=after, applied_at=now))
    return before, after
