from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest
from eth_account import Account

GAME = Path(__file__).parent / "counter"
# For the game, which uses the tests' support.
PYTHONPATH = os.pathsep.join(filter(None, [str(GAME.parents[1]), os.environ.get("PYTHONPATH")]))

Run = Callable[..., "CompletedProcess[str]"]


def test_the_demo_plays_holdfast_from_stakes_to_prizes(exclave: Run) -> None:
    """What the README's first command shows, as its users run it."""
    done = exclave("demo", seconds=500)
    for number in (1, 2):
        for step in ("JSON-RPC at http", "turn  1 of 12: units 1, 1, 1, 1;", "transactions, player", "settled"):
            assert re.search(rf"match {number}: .*{re.escape(step)}", done.stderr), step
        # Stakes and prizes: nothing is lost, nobody is paid but by the ranking.
        won = [Decimal(amount) for amount in re.findall(rf"match {number}, player \d .* ([+-][\d.]+) ETH", done.stdout)]
        assert sorted(won) == [Decimal("-1"), Decimal("-0.6"), Decimal("0.2"), Decimal("1.4")]
        assert done.stdout.count(f"match {number}: player ") == 4 + 3  # stakes, withdrawals
    assert len(re.findall(r"player \d: 2.4 ETH, player \d: 1.2 ETH, player \d: 0.4 ETH", done.stdout)) == 2
    assert done.stdout.count("node: claim") == done.stdout.count("node: claim of matches 1 and 2") == 1
    assert done.stdout.count("node: settlement of matches 1 and 2") == 1
    assert "Claiming and settling 2 matches took" in done.stdout


def test_the_demo_opens_plays_claims_and_settles(exclave: Run, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = exclave("demo", "--game", str(GAME), "--keep", str(kept), PYTHONPATH=PYTHONPATH)
    for phase in ("match 1: session 1;", "match 2: settled", "the winners withdraw"):
        assert phase in done.stderr
    assert done.stdout.count("bytes of result on L1") == 2
    assert "deploy ZkRelayer" in done.stdout and "node: claim of matches 1 and 2" in done.stdout
    assert re.search(r"match 2, player 2 .* ETH", done.stdout)
    assert (kept / "node.log").exists() and (kept / "data" / "exclave.db").exists()


def test_a_demo_that_stays_says_what_a_wallet_needs_and_stops_on_interrupt(tmp_path: Path) -> None:
    demo = start_demo(tmp_path, "--stay", columns=80)
    output = read_until(demo, "Everything keeps running")
    networks = re.findall(r"  (L1|match \d) +chain id (\d+) +(http://\S+)\n", output)
    assert [name for name, _, _ in networks] == ["L1", "match 1", "match 2"]
    for _, chain_id, url in networks:
        answer = httpx.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}).json()
        assert int(answer["result"], 16) == int(chain_id)
    ((address, key),) = re.findall(r"  address +(0x[0-9a-fA-F]{40})\n  private key +(0x[0-9a-f]{64})\n", output)
    assert Account.from_key(key).address == address
    demo.send_signal(signal.SIGINT)
    assert finish(demo, tmp_path) == 0


@pytest.mark.parametrize("options", [(), ("--stay",)])
def test_an_interrupted_demo_stops_everything_it_started(tmp_path: Path, options: tuple[str, ...]) -> None:
    demo = start_demo(tmp_path, *options)
    read_until(demo, "Starting the node")
    demo.send_signal(signal.SIGINT)
    assert finish(demo, tmp_path) == 130


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        ("raise GameFailed('the dice are lost')", "the demo failed: the dice are lost"),
        ("kill_node()", "the demo failed: the node ended with exit code -9"),
    ],
)
def test_a_demo_that_fails_says_why(exclave: Run, tmp_path: Path, failure: str, message: str) -> None:
    """A failure in one of the matches is shown as itself, without a traceback, and ends the others."""
    kept = tmp_path / "kept"
    game = tmp_path / "failing"
    game.mkdir()
    (game / "demo_game.py").write_text(FAILING_GAME.format(counter=str(GAME), kept=str(kept), failure=failure))
    done = exclave("demo", "--game", str(game), "--keep", str(kept), code=1, PYTHONPATH=PYTHONPATH)
    assert message in done.stderr
    assert f"Data and logs are in {kept}" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr and "TaskGroup" not in done.stderr
    assert not processes_about(tmp_path)


def test_a_demo_without_its_game_says_what_to_do(exclave: Run, tmp_path: Path) -> None:
    assert "run the demo from a checkout" in exclave("demo", "--game", str(tmp_path), code=1).stderr


FAILING_GAME = """
import os, signal, subprocess
from pathlib import Path
from exclave.demo.game import GameFailed, load_game

counter = type(load_game(Path({counter!r})))

def kill_node():
    found = subprocess.run(["pgrep", "-f", {kept!r} + "/exclave.toml"], capture_output=True, text=True)
    for pid in found.stdout.split():
        os.kill(int(pid), signal.SIGKILL)

class FailingDemo(counter):
    async def play(self, url, chain_id, match, report):
        played = await super().play(url, chain_id, match, report)
        if match.number == 2:
            {failure}
        return played

def demo_game():
    return FailingDemo()
"""


def start_demo(directory: Path, *options: str, columns: int = 200) -> subprocess.Popen[str]:
    """The demo of the smallest game, its output in one stream."""
    command = [sys.executable, "-c", "from exclave.cli import main; main()", "demo", *options]
    return subprocess.Popen(
        [*command, "--game", str(GAME), "--keep", str(directory / "kept")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "COLUMNS": str(columns)},
    )


def read_until(demo: subprocess.Popen[str], text: str) -> str:
    """What it says up to the line with `text`."""
    assert demo.stdout is not None
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"the demo ended before it said {text!r}:\n{''.join(lines)}")


def finish(demo: subprocess.Popen[str], directory: Path) -> int:
    """Its exit code; nothing that it started is left."""
    assert demo.stdout is not None
    demo.stdout.read()
    code = demo.wait(60)
    assert not processes_about(directory)
    return code


def processes_about(directory: Path) -> str:
    return subprocess.run(["pgrep", "-f", str(directory)], capture_output=True, text=True, check=False).stdout
