"""`exclave challenge` as a user runs it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from support.anvil import account
from support.court import CHALLENGER, CLAIM_BOND, RULES, Court, data_of, whole
from support.node_process import free_port
from support.watchtower import ME, Watching, WatchProcess, eventually, leaf_state, play

from exclave.protocol import keccak256

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def arguments(court: Court, tmp_path: Path, watching: Watching) -> list[str]:
    """What every call is given; `watching` has written the template."""
    world = court.world
    return [
        "challenge",
        *("--l1", world.anvil.url, "--zk-relayer", "0x" + world.zk_relayer.hex()),
        *("--dispute-game", "0x" + court.game.hex(), "--template", str(tmp_path / "templates")),
        *("--start-block", str(world.deployed_in), "--confirmations", "0", "--poll-interval", "0.1"),
        *("--patience", "0", "--data-dir", str(tmp_path / "command")),
    ]


async def test_once_tells_by_its_code_whether_all_agree(
    court: Court, watching: Watching, exclave: Command, arguments: list[str], tmp_path: Path
) -> None:
    async with watching(acts=False) as watch:
        chain = await play(watch, court)
    assert json.loads(exclave(*arguments, "--once", "--json").stdout) == []
    honest = court.post([whole(chain)], data_of(chain))
    assert "agrees" in exclave(*arguments, "--once").stdout
    blind = [*arguments[: arguments.index("--template")], *arguments[arguments.index("--template") + 2 : -1]]
    assert "unreviewable" in exclave(*blind, str(tmp_path / "blind"), "--once", code=3).stdout
    lie = court.post([dataclasses.replace(whole(chain), result_hash=keccak256(b"mine"))], data_of(chain))
    found = json.loads(exclave(*arguments, "--once", "--json", code=2).stdout)
    assert [(claim["claimId"], claim["verdict"]) for claim in found] == [
        (honest.claim_id, "agrees"),
        (lie.claim_id, "disagrees"),
    ]
    assert not leaf_state(court, lie).held  # there is no key


async def test_once_with_a_key_goes_on_from_run_to_run(
    court: Court, watching: Watching, exclave: Command, arguments: list[str]
) -> None:
    async with watching(acts=False) as watch:
        chain = await play(watch, court)
    posted = court.post([whole(chain)], data_of(chain), root=keccak256(b"garbage"))
    key = {"WATCH_KEY": account(CHALLENGER).key.to_0x_hex()}
    command = [*arguments, "--key-variable", "WATCH_KEY"]
    exclave(*command, "--once", code=2, **key)
    assert leaf_state(court, posted).open == 1
    court.world.pass_time(RULES.answer_window + 1)
    exclave(*command, "--once", code=2, **key)
    assert leaf_state(court, posted).killed
    assert court.deposit(court.world.zk_relayer, ME)[0] == CLAIM_BOND // 2
    before = court.world.anvil.balance(account(CHALLENGER).address)
    done = exclave(*command, "--collect", **key)
    assert "withdrawn" in done.stderr
    assert court.deposit(court.world.zk_relayer, ME) == court.deposit(court.game, ME) == (0, 0)
    assert court.world.anvil.balance(account(CHALLENGER).address) > before


async def test_what_is_wrong_with_the_arguments_is_said(exclave: Command, arguments: list[str]) -> None:
    assert "isn't an address" in exclave(*arguments, "--dispute-game", "0x12", code=1).stderr
    assert "amount of ether" in exclave(*arguments, "--max-bonds", "much", code=1).stderr
    elsewhere = [*arguments[:4], "0x" + "11" * 20, *arguments[5:]]
    assert "no ZkRelayer" in exclave(*elsewhere, "--once", code=1).stderr
    assert "EXCLAVE_NOT_SET" in exclave(*arguments, "--once", "--key-variable", "EXCLAVE_NOT_SET", code=1).stderr
    nobody = [*arguments[:2], "http://127.0.0.1:1", *arguments[3:]]
    assert "http://127.0.0.1:1" in exclave(*nobody, "--once", code=1).stderr


async def test_metrics_tell_of_a_disagreement(court: Court, watching: Watching, tmp_path: Path) -> None:
    async with watching(acts=False) as watch:
        chain = await play(watch, court)
    court.post([whole(chain)], data_of(chain), root=keccak256(b"garbage"))
    port = free_port()
    process = WatchProcess(court, tmp_path / "process", tmp_path / "templates")
    process.start("--metrics-port", str(port))

    def metrics() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return str(answer.read(), "utf-8")
        except OSError:
            return ""

    await eventually(lambda: 'exclave_challenger_claims{verdict="disagrees"} 1.0' in metrics())
    await eventually(lambda: "exclave_challenger_bonds_at_risk_ether 0.00015" in metrics())
    assert "exclave_challenger_disagreements_total 1.0" in metrics()
    await asyncio.to_thread(process.end)
    text = process.log.read_text()
    assert account(CHALLENGER).key.hex() not in text
