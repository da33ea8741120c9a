from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.anvil import run_anvil
from support.node_process import NodeProcess
from support.world import OPERATOR_KEY, World, build_game_template

from exclave.protocol import address_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]


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


@pytest.fixture
def exclave(tmp_path: Path) -> Run:
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
