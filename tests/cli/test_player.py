"""What players and operators do on L1 by commands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from support.anvil import ETHER
from support.disputes import RULES, Arena
from support.node_process import NodeProcess
from support.world import OPERATOR_KEY, PLAYERS, World, call_data

from exclave.protocol import address_of

Run = Callable[..., "CompletedProcess[str]"]


def opened(world: World, node: NodeProcess, **options: int) -> int:
    """A session that the node plays."""
    session_id = world.open_session(mine=5, **options)  # type: ignore[arg-type]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        running = [int(entry["sessionId"], 16) for entry in node.call("zkcop_listSessions")]
        if session_id in running and node.call("zkcop_getSession", session_id)["genesisHash"]:
            return session_id
        world.anvil.mine()
        time.sleep(0.1)
    raise AssertionError("the session wasn't opened")


def urls(world: World, node: NodeProcess, player: int = 0) -> dict[str, str]:
    """Environment of a player."""
    world.anvil.set_balance(PLAYERS[player].address, ETHER)
    return {
        "EXCLAVE_RPC_URL": node.url,
        "EXCLAVE_L1_URL": world.anvil.url,
        "EXCLAVE_PLAYER_KEY": "0x" + bytes(PLAYERS[player].key).hex(),
    }


def move(world: World, node: NodeProcess, session_id: int, nonce: int) -> None:
    raw = world.increment(session_id, PLAYERS[0], nonce)
    node.call("eth_sendRawTransaction", "0x" + raw.hex(), session=session_id)


def test_a_player_exports_forces_and_settles(exclave: Run, node: tuple[World, NodeProcess], tmp_path: Path) -> None:
    world, process = node
    session_id = opened(world, process, target=3)
    mine, others = urls(world, process), urls(world, process, 1)
    move(world, process, session_id, 0)
    shown = exclave("player", "export", str(session_id), "--relayer", "0x" + world.zk_relayer.hex(), **mine).stderr
    assert "2 blocks, all of them signed and right" in shown
    log = tmp_path / f"session-{session_id}.jsonl.gz"
    assert log.exists()
    wrong = exclave("player", "export", str(session_id), "--relayer", "0x" + "11" * 20, code=1, **mine).stderr
    assert "configHash" in wrong
    # Without the node: by the log.
    data = call_data("increment(uint256)", 2).hex()
    target = ["--to", "0x" + world.template.game.hex(), "--data", "0x" + data, "--log", str(log)]
    transaction = exclave("player", "force", str(session_id), *target, **{**mine, "EXCLAVE_RPC_URL": "http://x"}).stdout
    assert world.anvil.rpc("eth_getTransactionReceipt", transaction.strip())["status"] == "0x1"
    deadline = time.monotonic() + 30
    while process.call("zkcop_getSession", session_id)["result"] is None:
        assert time.monotonic() < deadline
        world.anvil.mine()
        time.sleep(0.1)
    until = str(world.now() + 3600)
    files = ["one.json", "two.json"]
    for environment, name in zip((mine, others), files, strict=True):
        command = ["player", "sign-result", str(session_id), "--valid-until", until, "-o", name]
        assert exclave(*command, **environment).stdout.strip() == f"--valid-until {until}"
    assert "haven't signed" in exclave("player", "settle", str(session_id), files[0], code=1, **mine).stderr
    exclave("player", "settle", str(session_id), *files, **mine)
    assert world.status(session_id) == 2
    assert world.result_on_l1(session_id)[:32] == (3).to_bytes(32, "big")


def test_an_aborted_session_s_game_is_told_again(exclave: Run, node: tuple[World, NodeProcess]) -> None:
    world, process = node
    session_id = opened(world, process, target=3, duration=600)
    mine = urls(world, process)
    early = exclave("player", "abort", str(session_id), code=1, **mine).stderr
    assert "can be aborted from" in early and "Traceback" not in early
    world.send(world.lobby, call_data("setRefusing(bool)", True))
    log = exclave("player", "export", str(session_id), "-o", "log.jsonl", **mine)
    assert log.returncode == 0
    process.stop()  # the operator is gone, and his node doesn't offer the outcome again
    try:
        world.pass_time(600 + world.terms().abort_delay + 1)
        exclave("player", "abort", str(session_id), "--log", "log.jsonl", **mine)
        assert world.status(session_id) == 3 and world.callbacks(session_id) == 0
        world.send(world.lobby, call_data("setRefusing(bool)", False))
        exclave("player", "retry-callback", str(session_id), "--log", "log.jsonl", "--result", "", **mine)
        assert world.callbacks(session_id) == 1
    finally:
        process.start()


def test_an_operator_stakes_and_takes_back(exclave: Run, node: tuple[World, NodeProcess], tmp_path: Path) -> None:
    world, process = node
    arena = Arena.create(world)
    operator = address_of(OPERATOR_KEY)
    world.anvil.set_balance("0x" + operator.hex(), ETHER)
    command = ["--config", str(process.config_path), "--dispute-game", "0x" + arena.game.hex()]
    key = {"EXCLAVE_OPERATOR_KEY": "0x" + OPERATOR_KEY.hex()}
    assert "no dispute contract" in exclave("operator", "show", *command[:2], code=1, **key).stderr
    exclave("operator", "stake", "0.3", *command, **key)
    shown = exclave("operator", "show", *command, **key).stdout
    assert "0.3 ETH" in shown and "0x" + operator.hex() in shown
    exclave("operator", "unstake", "0.2", *command, **key)
    assert "nothing to withdraw" in exclave("operator", "withdraw", *command, code=1, **key).stderr
    world.pass_time(RULES.stake_delay + 1)
    before = world.anvil.balance("0x" + operator.hex())
    assert "Withdrew 0.2 ETH" in exclave("operator", "withdraw", *command, **key).stderr
    assert world.anvil.balance("0x" + operator.hex()) > before + ETHER // 10
    assert "isn't an amount" in exclave("operator", "stake", "0", *command, code=1, **key).stderr


def test_disputes_are_listed(exclave: Run, node: tuple[World, NodeProcess]) -> None:
    _, process = node
    assert json.loads(exclave("claim", "disputes", "--open", "--json", EXCLAVE_RPC_URL=process.url).stdout) == []
    assert "Deadline" in exclave("claim", "disputes", EXCLAVE_RPC_URL=process.url).stdout


def test_what_commands_log_is_no_result_and_shows_no_secret(
    exclave: Run, node: tuple[World, NodeProcess], tmp_path: Path
) -> None:
    world, process = node
    game = "0x" + world.zk_relayer.hex()
    environment = {
        "EXCLAVE_OPERATOR_KEY": "0x" + OPERATOR_KEY.hex(),
        "EXCLAVE_L1__RPC_URLS": "http://127.0.0.1:1/hunter2",
    }
    command = ("operator", "show", "--config", str(process.config_path), "--dispute-game", game)
    done = exclave(*command, code=1, **environment)
    assert done.stdout == ""
    assert "L1 endpoint failed" in done.stderr and "hunter2" not in done.stderr
