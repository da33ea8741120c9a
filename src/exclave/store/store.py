"""The connection to the durable store: SQLite by default, PostgreSQL by URL.

Everything that must survive a crash is written through one `Store`. Its repositories (`store.blocks`,
`store.sessions`, ...) have methods that run in a transaction of their own, or in the caller's when it passes
`connection=`:

    with store.transaction() as connection:
        batch_id = store.batches.create(batch, connection=connection)
        store.intents.insert(intent, chain_id, sender, connection=connection)      # both or neither

The store is synchronous and safe to use from many threads. In asyncio code run it in a thread (`asyncio.to_thread`),
a whole transaction in one call.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from exclave.store import migrations
from exclave.store.blocks import Blocks
from exclave.store.changes import SessionChanges
from exclave.store.claims import Batches, Claims
from exclave.store.disputes import Disputes
from exclave.store.errors import DatabaseTooOld, StoreError, StoreTransientError, StoreUnavailable, translate
from exclave.store.following import Following
from exclave.store.inbox import Inbox
from exclave.store.intents import IntentRepository
from exclave.store.jobs import Jobs
from exclave.store.leases import Leases
from exclave.store.processes import Processes
from exclave.store.sessions import Sessions, Templates, TermsRegistry

T = TypeVar("T")

# Pauses between attempts at a transaction that others were in the way of, in seconds; SQLite itself waits
# BUSY_SECONDS in each.
RETRY_PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0)
BUSY_SECONDS = 10
READERS = 8


class Store:
    """The durable store at `url`.

    `url`: `sqlite:///path/to/file`, `postgresql://user:password@host/database`. `clock`: seconds since 1970. By
    default the database's own clock where several machines can share it (PostgreSQL), else this machine's.

    Nothing is opened until the first use. Call `migrate` once before anything else. Raises `StoreError` for a URL of
    another kind.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] | None = None,
        upgrades: Sequence[migrations.Upgrade] = migrations.UPGRADES,
    ) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise StoreError(
                f"not a database URL: {error}. Use sqlite:///path/to/file or postgresql://user:password@host/database"
            ) from error
        self._clock = clock
        self._upgrades = tuple(upgrades)
        self._in_transaction = threading.local()
        self._sqlite_path: Path | None = None
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            if parsed.database in (None, "", ":memory:"):
                raise StoreError("the store needs a file: use sqlite:///path/to/file")
            assert parsed.database is not None
            self._sqlite_path = Path(parsed.database)
            self.where = str(self._sqlite_path)
            parsed = parsed.set(drivername="sqlite+pysqlite")
            self._writer = self._sqlite_engine(parsed, 1, "BEGIN IMMEDIATE", read_only=False)
            self._reader = self._sqlite_engine(parsed, READERS, "BEGIN", read_only=True)
        elif backend in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
            self.where = f"PostgreSQL database {parsed.database} at {parsed.host or 'localhost'}"
            try:
                self._writer = create_engine(
                    parsed, pool_size=4, max_overflow=READERS, pool_pre_ping=True, pool_timeout=60
                )
            except NoSuchModuleError as error:
                raise StoreError(f"the PostgreSQL driver is missing: {error}") from error
            event.listen(self._writer, "connect", _postgres_connect)
            self._reader = self._writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        else:
            raise StoreError(
                f"no support for {backend} databases: use sqlite:///path/to/file or postgresql://user:password@host/database"
            )

        self.leases = Leases(self)
        self.processes = Processes(self)
        self.changes = SessionChanges(self)
        self.blocks = Blocks(self)
        self.sessions = Sessions(self)
        self.templates = Templates(self)
        self.terms = TermsRegistry(self)
        self.inbox = Inbox(self)
        self.following = Following(self)
        self.claims = Claims(self)
        self.disputes = Disputes(self)
        self.batches = Batches(self)
        self.jobs = Jobs(self)
        self.intents = IntentRepository(self)

    # life

    def migrate(self) -> tuple[int, int]:
        """Create the tables, or upgrade them to this version; returns the versions before (0: empty) and after.

        Raises `DatabaseTooNew`, `DatabaseCorrupt` (nothing is changed then) or `StoreUnavailable`.
        """
        if self._sqlite_path is not None:
            try:
                self._sqlite_path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreUnavailable(f"can't make the directory {self._sqlite_path.parent}: {error}") from error
        return self.run(lambda connection: migrations.migrate(connection, self.where, int(time.time()), self._upgrades))

    def check_version(self) -> int:
        """The database's version when it is ready for use; creates and changes nothing.

        Raises `DatabaseTooOld`, `DatabaseTooNew`, `DatabaseCorrupt` or `StoreUnavailable`.
        """
        if self._sqlite_path is not None and not self._sqlite_path.exists():
            raise DatabaseTooOld(f"{self.where} doesn't exist yet: the node creates it when it starts")
        return self.read(lambda connection: migrations.check(connection, self.where, self._upgrades))

    def verify(self) -> list[str]:
        """What SQLite's own check of the whole file finds wrong (nothing, when it is sound). Reads all of it.
        PostgreSQL: always empty.
        """
        if self._sqlite_path is None:
            return []
        with self.snapshot() as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Give the connections back. The store opens new ones when it is used again."""
        self._reader.dispose()
        self._writer.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # transactions

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: committed (durable) when the block ends, rolled back when it raises.

        Raises `StoreTransientError` when another process was in the way (`run` retries those), `StoreUnavailable`,
        `DatabaseCorrupt`.
        """
        if getattr(self._in_transaction, "active", False):
            raise RuntimeError(
                "this thread is in a transaction already: pass its connection (connection=) instead of opening another"
            )
        self._in_transaction.active = True
        try:
            with self._translated(), self._writer.begin() as connection:
                yield connection
        finally:
            self._in_transaction.active = False

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A read-only view of one moment. It waits for no writer, and no writer waits for it."""
        with self._translated(), self._reader.connect() as connection, connection.begin():
            yield connection

    def run(self, work: Callable[[Connection], T], connection: Connection | None = None) -> T:
        """`work` in the given transaction, or in one of its own, done again when others were in the way. `work` must
        have no effect but on the database.
        """
        if connection is not None:
            return work(connection)
        for pause in RETRY_PAUSES:
            try:
                with self.transaction() as own:
                    return work(own)
            except StoreTransientError:
                time.sleep(pause)
        with self.transaction() as own:
            return work(own)

    def read(self, work: Callable[[Connection], T], connection: Connection | None = None) -> T:
        """`work` on the given connection, or on a snapshot."""
        if connection is not None:
            return work(connection)
        with self.snapshot() as own:
            return work(own)

    def now_ms(self, connection: Connection) -> int:
        """Milliseconds since 1970 by the store's clock."""
        if self._clock is None and connection.dialect.name == "postgresql":
            return int(
                connection.exec_driver_sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint").scalar_one()
            )
        return int((self._clock or time.time)() * 1000)

    def now(self) -> int:
        """Seconds since 1970 by this machine's (or the injected) clock, for columns that only inform."""
        return int((self._clock or time.time)())

    # internals

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            typed = translate(error, self.where)
            if typed is None:
                raise
            raise typed from error
        except PoolTimeout as error:
            raise StoreTransientError(f"{self.where}: no connection became free in time") from error

    @staticmethod
    def _sqlite_engine(url: Any, size: int, begin: str, *, read_only: bool) -> Engine:
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=size,
            max_overflow=0,
            pool_timeout=60,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False, "isolation_level": None},
        )

        def connected(dbapi_connection: Any, _record: Any) -> None:
            cursor = dbapi_connection.cursor()
            # WAL: readers don't block the writer. FULL: a commit is on the disk, not only in the system's cache, when
            # it returns (INVARIANT I6).
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute("PRAGMA journal_size_limit = 67108864")
            cursor.execute("PRAGMA cache_size = -32768")
            if read_only:
                cursor.execute("PRAGMA query_only = ON")
            cursor.close()

        # SQLAlchemy leaves BEGIN to the driver, whose own is deferred: a writer that reads first would then fail when
        # another wrote in between.
        event.listen(engine, "connect", connected)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine


def _postgres_connect(dbapi_connection: Any, _record: Any) -> None:
    with dbapi_connection.cursor() as cursor:
        # INVARIANT I6: a commit is durable when it returns, whatever the server's default is. Stronger settings
        # (remote_apply) stay.
        cursor.execute("SELECT current_setting('synchronous_commit')")
        if cursor.fetchone()[0] in ("off", "local"):
            cursor.execute("SET synchronous_commit TO on")
        cursor.execute("SET lock_timeout TO '30s'")
    dbapi_connection.commit()
