from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from l1.bench import Bench, Clock
from l1.counter import Counter
from support.anvil import Anvil

from exclave.store import Store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def new_store(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], Store]]:
    """Makes empty stores (SQLite)."""
    opened: list[Store] = []
    numbers = itertools.count()

    def make() -> Store:
        store = Store(f"sqlite:///{tmp_path}/{next(numbers)}.db", clock=clock)
        store.migrate()
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture
async def bench(
    anvil: Callable[..., Anvil], new_store: Callable[[], Store], clock: Clock
) -> AsyncIterator[Callable[..., Bench]]:
    """Makes benches; blocks are made only when a test says so."""
    async with AsyncExitStack() as exits:

        def make(*arguments: str, **fields: Any) -> Bench:
            node = anvil("--no-mining", *arguments)
            return Bench(node, new_store(), clock, Counter(node), exits, **fields)

        yield make
