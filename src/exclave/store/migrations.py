"""From any earlier version of the database to this one.

A new database is made from `metadata` at once. An existing one runs the upgrades that it lacks, in order, all in one
transaction. An upgrade is a function of the connection that only uses statements of its own (never `metadata`, which
is the newest schema). It never deletes what a user can't get back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, insert, inspect, select, text, update

from exclave.protocol import ClaimHeader, Terms, keccak256
from exclave.store.errors import DatabaseCorrupt, DatabaseTooNew, DatabaseTooOld
from exclave.store.schema import metadata, schema_version

Upgrade = Callable[[Connection], None]


def _to_version_2(connection: Connection) -> None:
    """Why a session isn't served, callbacks that failed, claims' headers, and which bonds are back."""
    kinds = {"text": "VARCHAR", "bytes": "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"}
    for statement in (
        f"ALTER TABLE sessions ADD COLUMN refusal {kinds['text']}",
        "ALTER TABLE sessions ADD COLUMN callback_failed_block BIGINT",
        f"ALTER TABLE claims ADD COLUMN header {kinds['bytes']}",
        "ALTER TABLE claims ADD COLUMN released_block BIGINT",
        "CREATE INDEX ix_sessions_pending ON sessions (session_id) WHERE genesis_hash IS NULL AND refusal IS NULL",
    ):
        connection.exec_driver_sql(statement)
    # The headers of this node's claims, which settling takes; those of others aren't needed.
    ours = text(
        "SELECT c.claim_id, c.claims_root, c.terms_hash, c.count, c.claimed_at, s.terms FROM claims c "
        "JOIN claim_sessions l ON l.claim_id = c.claim_id JOIN sessions s ON s.session_id = l.session_id"
    )
    for claim_id, root, terms_hash, count, claimed_at, encoded in connection.execute(ours).all():
        if keccak256(encoded) != terms_hash:
            continue  # the session was replaced; another one of the claim has its terms
        terms = Terms.decode(encoded)
        header = ClaimHeader(
            root=root,
            terms_hash=terms_hash,
            dispute_game=terms.dispute_game,
            claim_bond=terms.claim_bond,
            challenge_window=terms.challenge_window,
            inclusion_delay=terms.inclusion_delay,
            callback_gas=terms.callback_gas,
            count=count,
            claimed_at=claimed_at,
        )
        connection.execute(
            text("UPDATE claims SET header = :header WHERE claim_id = :claim_id"),
            {"header": header.encode(), "claim_id": claim_id},
        )


# UPGRADES[0] brings version 1 to version 2, and so on.
UPGRADES: tuple[Upgrade, ...] = (_to_version_2,)


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
