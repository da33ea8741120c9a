"""A PostgreSQL server of the tests' own, and fresh databases on it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_counter = itertools.count(1)


def _binaries() -> Path:
    """Debian's PostgreSQL, the newest version that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parent.parent.name))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise RuntimeError("PostgreSQL is not installed: run scripts/setup")
    return Path(on_path).resolve().parent


@contextmanager
def postgres_server() -> Iterator[str]:
    """A server on a Unix socket in a directory of its own; yields that directory. PostgreSQL refuses to run as root,
    then it runs as `postgres`.
    """
    binaries = _binaries()
    directory = Path(tempfile.mkdtemp(prefix="exclave-postgres-"))
    # The server ends with the tests, even when they are killed.
    prefix = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
        prefix += ["--reuid", "postgres", "--regid", "postgres", "--init-groups"]
    data = directory / "data"
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(directory)}
    try:
        initialise = [*prefix, str(binaries / "initdb"), "-D", str(data), "-U", "exclave", "--auth=trust", "--no-sync"]
        subprocess.run(initialise, check=True, capture_output=True, env=environment, cwd=directory)
        # The tests kill clients, never the server: it may leave its writes to the system's cache.
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(directory),
            "fsync": "off",
            "max_connections": "200",
        }
        server = subprocess.Popen(
            [
                *prefix,
                str(binaries / "postgres"),
                "-D",
                str(data),
                *(f"--{key}={value}" for key, value in options.items()),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=directory,
        )
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    psycopg.connect(host=str(directory), user="exclave", dbname="postgres").close()
                    break
                except psycopg.OperationalError:
                    if server.poll() is not None or time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
            yield str(directory)
        finally:
            server.send_signal(2)
            server.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def fresh_postgres_url(directory: str) -> str:
    """The URL of an empty database on a server of `postgres_server`: a schema of its own, which is quicker to make
    than a database.
    """
    schema = f"test_{os.getpid()}_{next(_counter)}"
    with psycopg.connect(host=directory, user="exclave", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")  # type: ignore[call-overload]
    return f"postgresql://exclave@/postgres?host={directory}&options=-csearch_path%3D{schema}"
