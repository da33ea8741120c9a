from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.exc import IntegrityError
from support.chain import block, session

from exclave.store import (
    DatabaseCorrupt,
    DatabaseTooNew,
    DatabaseTooOld,
    L1Block,
    Store,
    StoreError,
    StoreTransientError,
    StoreUnavailable,
    session_resource,
)
from exclave.store import store as store_module
from exclave.store.migrations import UPGRADES, newest
from exclave.store.schema import metadata, sessions

NEWEST = newest(UPGRADES)


def test_migrate_creates_every_table_once(database_url: str) -> None:
    with Store(database_url) as store:
        assert store.migrate() == (0, NEWEST)
        assert store.migrate() == (NEWEST, NEWEST)
        assert store.check_version() == NEWEST
        with store.snapshot() as connection:
            assert set(inspect(connection).get_table_names()) == set(metadata.tables)


def test_two_processes_migrate_at_once(database_url: str) -> None:
    program = "import sys; from exclave.store import Store; print(Store(sys.argv[1]).migrate())"
    running = [
        subprocess.Popen([sys.executable, "-c", program, database_url], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert sorted(process.communicate(timeout=60)[0] for process in running) == [
        f"(0, {NEWEST})\n",
        f"({NEWEST}, {NEWEST})\n",
        f"({NEWEST}, {NEWEST})\n",
    ]


def test_a_database_of_version_1_becomes_what_a_new_one_is(database_url: str) -> None:
    def columns(store: Store) -> dict[str, object]:
        with store.snapshot() as connection:
            inspector = inspect(connection)
            return {
                name: (
                    {
                        (column["name"], str(column["type"]), column["nullable"])
                        for column in inspector.get_columns(name)
                    },
                    inspector.get_pk_constraint(name)["constrained_columns"],
                )
                for name in inspector.get_table_names()
            }

    with Store(database_url) as store:
        store.migrate()
        new = columns(store)
        block_1 = L1Block(1, b"1" * 32)
        store.sessions.put(session(1))
        with store.transaction() as connection:
            store.following.advance("relayer", block_1, connection=connection)
            for statement in (
                "DROP TABLE proof_plans",
                "DROP TABLE leaf_events",
                "DROP TABLE disputes",
                "DROP TABLE session_changes",
                "DROP TABLE processes",
                "ALTER TABLE followed_blocks DROP COLUMN timestamp",
                "UPDATE schema_version SET version = 1",
            ):
                connection.exec_driver_sql(statement)
        assert store.migrate() == (1, NEWEST)
        assert columns(store) == new
        assert store.following.cursor("relayer") == block_1
        assert store.sessions.get(1) == session(1)
        with store.transaction() as connection:
            store.changes.touch([1, 1], connection=connection)
            changes = store.changes.since(0, connection=connection)
            assert changes is not None
            assert [change.sequence for change in changes] == [1, 2]


def test_upgrades_run_in_order_and_keep_what_is_there(database_url: str) -> None:
    with Store(database_url) as store:
        store.migrate()
        store.sessions.put(session(1))

    def add_column(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE sessions ADD COLUMN colour INTEGER"))

    def fill_column(connection: Connection) -> None:
        connection.execute(text("UPDATE sessions SET colour = 7"))

    with Store(database_url, upgrades=[*UPGRADES, add_column, fill_column]) as newer:
        wrong = f"has version {NEWEST}, this Exclave needs {NEWEST + 2}"
        with pytest.raises(DatabaseTooOld, match=wrong):
            newer.check_version()
        assert newer.migrate() == (NEWEST, NEWEST + 2)
        assert newer.check_version() == NEWEST + 2
        with newer.snapshot() as connection:
            assert connection.scalar(text("SELECT colour FROM sessions")) == 7
        assert newer.sessions.get(1) == session(1)


def test_an_upgrade_that_fails_changes_nothing(database_url: str) -> None:
    with Store(database_url) as store:
        store.migrate()

    def add_column(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE sessions ADD COLUMN colour INTEGER"))

    def fail(connection: Connection) -> None:
        raise RuntimeError("no")

    with Store(database_url, upgrades=[*UPGRADES, add_column, fail]) as newer, pytest.raises(RuntimeError):
        newer.migrate()
    with Store(database_url) as store:
        assert store.check_version() == NEWEST
        with store.snapshot() as connection:
            assert "colour" not in {column["name"] for column in inspect(connection).get_columns("sessions")}


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(database_url: str) -> None:
    with Store(database_url, upgrades=[*UPGRADES, lambda connection: None]) as newer:
        newer.migrate()
        newer.sessions.put(session(1))
    with Store(database_url) as older:
        for attempt in (older.migrate, older.check_version):
            with pytest.raises(
                DatabaseTooNew, match=f"has version {NEWEST + 1}, but this Exclave knows versions up to {NEWEST}"
            ):
                attempt()
    with Store(database_url, upgrades=[*UPGRADES, lambda connection: None]) as newer:
        assert newer.sessions.get(1) == session(1)


def test_another_programs_database_is_refused_and_left_as_it_is(database_url: str) -> None:
    with Store(database_url) as store:
        with store.transaction() as connection:
            connection.execute(text("CREATE TABLE recipes (name VARCHAR(20))"))
        with pytest.raises(DatabaseCorrupt, match=r"another program \(recipes\)"):
            store.migrate()
        with store.snapshot() as connection:
            assert inspect(connection).get_table_names() == ["recipes"]


def test_check_version_creates_nothing(sqlite_url: str, tmp_path: Path) -> None:
    with Store(sqlite_url) as store, pytest.raises(DatabaseTooOld, match="doesn't exist yet"):
        store.check_version()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_needs_migration(database_url: str) -> None:
    with Store(database_url) as store:
        with store.transaction():
            pass
        with pytest.raises(DatabaseTooOld):
            store.check_version()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "exclave.db"
    path.write_bytes(content)
    with Store(f"sqlite:///{path}") as store:
        for attempt in (store.migrate, store.check_version):
            with pytest.raises(DatabaseCorrupt, match="restore a back-up"):
                attempt()
    assert path.read_bytes() == content


def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    path = tmp_path / "exclave.db"
    with Store(f"sqlite:///{path}") as store:
        store.migrate()
        token = store.leases.acquire(session_resource(1), "a", 60).token
        store.sessions.put(session(1))
        for number in range(1, 50):
            store.blocks.write([block(1, number)], {1: token})
        assert store.verify() == []
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    damaged = bytearray(path.read_bytes())
    damaged[8192 : len(damaged) - 8192] = b"\x5a" * (len(damaged) - 16384)
    path.write_bytes(damaged)
    with Store(f"sqlite:///{path}") as store, pytest.raises(DatabaseCorrupt):
        if store.verify():
            raise DatabaseCorrupt("found")


def test_a_directory_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Store(f"sqlite:///{tmp_path}/file/exclave.db") as store, pytest.raises(StoreUnavailable, match="directory"):
        store.migrate()


def test_an_unreachable_server_is_reported(tmp_path: Path) -> None:
    with (
        Store(f"postgresql://exclave:secret@/nothing?host={tmp_path}") as store,
        pytest.raises(StoreUnavailable, match="can't be used") as refused,
    ):
        store.migrate()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://host/database", ""])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(StoreError, match="sqlite:///path/to/file"):
        Store(url)


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="later"), store.transaction() as connection:
        store.sessions.put(session(1), connection=connection)
        store.leases.acquire("session:1", "a", 60, connection=connection)
        store.jobs.open(1, connection=connection)
        raise RuntimeError("later")
    assert store.sessions.get(1) is None
    assert store.leases.holder("session:1") is None
    assert store.jobs.get(1) is None


def test_a_transaction_within_a_transaction_is_a_mistake(store: Store) -> None:
    with store.transaction(), pytest.raises(RuntimeError, match="connection="):
        store.sessions.put(session(1))
    store.sessions.put(session(1))  # and the store goes on


def test_a_snapshot_sees_one_moment_and_writes_nothing(store: Store) -> None:
    store.sessions.put(session(1))
    with store.snapshot() as connection:
        assert store.sessions.get(2, connection=connection) is None
        writer = threading.Thread(target=lambda: store.sessions.put(session(2)))
        writer.start()
        writer.join(30)
        assert not writer.is_alive()
        assert store.sessions.get(2, connection=connection) is None
    assert store.sessions.get(2) is not None
    with pytest.raises(Exception, match=r"readonly|read-only"), store.snapshot() as connection:
        store.sessions.put(session(3), connection=connection)


def test_violated_constraints_are_not_taken_for_a_broken_database(store: Store) -> None:
    with pytest.raises(IntegrityError):
        store.jobs.open(99)


def test_many_threads_write_at_once(store: Store) -> None:
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for session_id in range(first, first + 20):
                store.sessions.put(session(session_id))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(1 + 20 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [found.session_id for found in store.sessions.find()] == list(range(1, 161))


def test_a_busy_database_is_tried_again_and_then_reported(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.01)
    monkeypatch.setattr(store_module, "RETRY_PAUSES", (0, 0))
    with Store(sqlite_url) as store:
        store.migrate()
        other = sqlite3.connect(tmp_path / "exclave.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreTransientError, match="is busy"):
            store.sessions.put(session(1))

        attempts = []
        real_sleep = store_module.time.sleep

        def sleep(seconds: float) -> None:
            attempts.append(seconds)
            if len(attempts) == 2:
                other.execute("COMMIT")
            real_sleep(seconds)

        monkeypatch.setattr(store_module.time, "sleep", sleep)
        assert store.sessions.put(session(1))
        assert len(attempts) == 2
        other.close()


def test_a_deadlock_is_resolved_by_another_attempt(postgres_directory: str) -> None:
    from support.databases import fresh_postgres_url

    with Store(fresh_postgres_url(postgres_directory)) as store:
        store.migrate()
        store.sessions.put(session(1))
        store.sessions.put(session(2))
        both_started = threading.Barrier(2)
        attempts = {1: 0, 2: 0}

        def work(first: int, second: int) -> None:
            def lock_both(connection: Connection) -> None:
                attempts[first] += 1
                connection.execute(select(sessions).where(sessions.c.session_id == first).with_for_update())
                if attempts[first] == 1:
                    both_started.wait(30)
                connection.execute(select(sessions).where(sessions.c.session_id == second).with_for_update())

            store.run(lock_both)

        threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert sorted(attempts.values()) == [1, 2]


def test_settings_that_durability_needs(store: Store) -> None:
    """INVARIANT I6: a commit is on disk when it returns."""
    with store.transaction() as connection:
        if connection.dialect.name == "sqlite":
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        else:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_asynchronous_commits_of_the_server_are_overruled(postgres_directory: str) -> None:
    from support.databases import fresh_postgres_url

    url = fresh_postgres_url(postgres_directory) + "%20-csynchronous_commit%3Doff"
    with Store(url) as store, store.transaction() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
