"""A real engine over a small SQLite store."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.engine import Node


@pytest.fixture
def start() -> Iterator[Callable[..., Node]]:
    """Starts nodes: `start()`, `start(limits={...}, store=other.store)`. They end with the test."""
    nodes: list[Node] = []

    def start_node(**options: object) -> Node:
        nodes.append(Node(**options))  # type: ignore[arg-type]
        return nodes[-1]

    yield start_node
    for node in nodes:
        node.engine.shutdown()


@pytest.fixture
def node(start: Callable[..., Node]) -> Node:
    return start()
