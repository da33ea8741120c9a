from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.anvil import run_anvil
from support.node_process import NodeProcess
from support.world import OPERATOR_KEY, World, build_game_template

from exclave.protocol import address_of


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, NodeProcess]]:
    """A running node with its L1; it may open local sessions."""
    with run_anvil("--slots-in-an-epoch", "1") as anvil:
        world = World.create(anvil, build_game_template(), address_of(OPERATOR_KEY))
        process = NodeProcess(world, tmp_path_factory.mktemp("node"), {"node.local_sessions": "true"})
        process.start()
        try:
            yield world, process
        finally:
            process.stop()
