from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

GAME = Path(__file__).parent / "counter"
TESTS = str(GAME.parents[1])

Run = Callable[..., "CompletedProcess[str]"]


def test_the_demo_opens_plays_claims_and_settles(exclave: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = exclave("demo", "--game", str(GAME), "--keep", str(kept), PYTHONPATH=TESTS)
    for phase in ("match 1: staking on L1", "match 2: settled", "stakes are paid out"):
        assert phase in done.stderr
    assert done.stdout.count("bytes of result on L1") == 2
    assert "deploy ZkRelayer" in done.stdout and "node: " in done.stdout
    assert re.search(r"match 2, player 2 .* ETH", done.stdout)
    assert (kept / "node.log").exists() and (kept / "data" / "exclave.db").exists()


def test_an_interrupted_demo_stops_everything_it_started(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from exclave.cli import main; main()"]
    environment = {**os.environ, "PYTHONPATH": TESTS}
    demo = subprocess.Popen(
        [*command, "demo", "--stay", "--game", str(GAME), "--keep", str(tmp_path / "kept")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "session  http" in line:
            break
    else:
        raise AssertionError("the demo ended before it stayed")
    demo.send_signal(signal.SIGINT)
    demo.stdout.read()
    assert demo.wait(60) == 0
    time.sleep(0.1)
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False).stdout
    assert left == ""


def test_a_demo_without_its_game_says_what_to_do(exclave: Run, tmp_path: Path) -> None:
    assert "run the demo from a checkout" in exclave("demo", "--game", str(tmp_path), code=1).stderr
