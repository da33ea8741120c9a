"""Fixtures that all tests can use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.anvil import Anvil, run_anvil
from support.databases import fresh_postgres_url, postgres_server


@pytest.fixture(scope="session")
def postgres_directory() -> Iterator[str]:
    """The socket directory of a real PostgreSQL server that runs while the tests do."""
    with postgres_server() as directory:
        yield directory


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite database that doesn't exist yet."""
    return f"sqlite:///{tmp_path}/exclave.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind that the store supports."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return fresh_postgres_url(request.getfixturevalue("postgres_directory"))


@pytest.fixture
def anvil() -> Iterator[Callable[..., Anvil]]:
    """Starts real L1 nodes: `anvil()`, `anvil("--no-mining")`. They end with the test."""
    with ExitStack() as running:
        yield lambda *arguments: running.enter_context(run_anvil(*arguments))


@pytest.fixture
def exclave(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in an empty directory, for at most so many seconds; `environment` is added to the test's own."""

    def run(
        *arguments: str, code: int = 0, seconds: float = 120, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EXCLAVE_")}
        command = [sys.executable, "-c", "from exclave.cli import main; main()", *arguments]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**kept, "COLUMNS": "200", **environment},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done

    return run
