from __future__ import annotations

from collections.abc import Iterator

import pytest

from exclave.store import Store


class Clock:
    """Time that only passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    """An empty, migrated store on each kind of database."""
    with Store(database_url, clock=clock) as opened:
        opened.migrate()
        yield opened
