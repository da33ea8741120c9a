"""Fixtures of the adversaries' tests: honest processes that stay for a module's rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.anvil import run_anvil
from support.scene import Scene
from support.world import build_game_template


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The L1, a node and a watchtower. Each row has its own session, and counts what changes."""
    directory: Path = tmp_path_factory.mktemp("scene")
    with run_anvil("--slots-in-an-epoch", "1") as anvil:
        made = Scene.create(anvil, build_game_template(), directory)
        try:
            made.start()
            yield made
        finally:
            made.stop()
