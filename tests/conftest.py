"""Fixtures that all tests can use."""

from __future__ import annotations

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
