from __future__ import annotations

import json
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support.anvil import account
from support.chain import session as make_session
from support.node_process import SIGNER, NodeProcess, free_port
from support.world import OPERATOR_KEY, World

from exclave import __version__
from exclave.store import JobState, Store

Run = Callable[..., "CompletedProcess[str]"]
KEYS = {
    "EXCLAVE_PRIVATE_KEY": "0x" + bytes(account(SIGNER).key).hex(),
    "EXCLAVE_OPERATOR_KEY": "0x" + OPERATOR_KEY.hex(),
}


def findings(done: CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    return {entry["check"]: (entry["verdict"], entry["detail"]) for entry in json.loads(done.stdout)}


def test_version_and_help(exclave: Run) -> None:
    assert exclave("--version").stdout == f"exclave {__version__}\n"
    shown = exclave("--help").stdout
    for command in ("node", "demo", "doctor", "template", "session", "claim", "config"):
        assert command in shown


@pytest.mark.parametrize(
    "command", [["nod"], ["session", "show", "x"], ["session", "list", "--limit", "0"], ["node", "--x"]]
)
def test_wrong_usage_ends_with_2(exclave: Run, command: list[str]) -> None:
    assert "Usage" in exclave(*command, code=2).stderr


def test_config_init_writes_a_private_file_once(exclave: Run, tmp_path: Path) -> None:
    exclave("config", "init")
    path = tmp_path / "exclave.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("mine")
    assert "exists" in exclave("config", "init", code=1).stderr
    assert path.read_text() == "mine"
    exclave("config", "init", "--force")
    assert "data_dir" in exclave("config", "check").stdout


def test_a_wrong_configuration_is_refused_by_every_command_that_reads_it(exclave: Run, tmp_path: Path) -> None:
    (tmp_path / "exclave.toml").write_text("[l1]\nchain_id = 'x'\n")
    for command in (["node"], ["config", "check"]):
        shown = exclave(*command, code=1).stderr
        assert "exclave.toml:2: l1.chain_id" in shown
        assert "Traceback" not in shown


def test_a_node_that_does_not_answer_is_reported(exclave: Run) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for command in (["session", "list"], ["session", "show", "1"], ["claim", "show", "1"], ["template", "list"]):
        shown = exclave(*command, "--rpc", url, code=1).stderr
        assert "no node answers" in shown and "exclave node" in shown
    assert "isn't a URL" in exclave("session", "list", "--rpc", "127.0.0.1:8645", code=1).stderr


def test_sessions_and_claims_of_a_running_node(exclave: Run, node: tuple[World, NodeProcess]) -> None:
    world, process = node
    session_id = world.open_session(mine=5)
    while process.call("zkcop_listSessions") == []:
        time.sleep(0.1)
    rpc = {"EXCLAVE_RPC_URL": process.url}
    listed = json.loads(exclave("session", "list", "--json", **rpc).stdout)
    assert [int(entry["sessionId"], 16) for entry in listed] == [session_id]
    table = exclave("session", "list", **rpc).stdout
    assert str(world.chain_id(session_id)) in table
    shown = exclave("session", "show", str(session_id), **rpc).stdout
    assert f"/session/{session_id}" in shown and "0.001 ETH" in shown
    assert json.loads(exclave("session", "show", str(session_id), "--json", **rpc).stdout)["claims"] == []
    assert "no session 99" in exclave("session", "show", "99", code=1, **rpc).stderr
    assert json.loads(exclave("claim", "list", "--json", **rpc).stdout) == []
    assert "no claim 7" in exclave("claim", "show", "7", code=1, **rpc).stderr


def test_failed_claims_are_retried(exclave: Run, node: tuple[World, NodeProcess], tmp_path: Path) -> None:
    _, process = node
    database = f"sqlite:///{tmp_path}/own.db"
    with Store(database) as store:
        store.migrate()
        store.sessions.put(make_session(3))
        store.jobs.open(3)
        store.jobs.move(3, 0, [JobState.OPEN], JobState.FAILED, last_number=5, error="a dispute killed claim 1")
        own = {"EXCLAVE_CONFIG": str(process.config_path), "EXCLAVE_NODE__DATABASE_URL": database}
        assert "Session 3: 1 range(s)" in exclave("session", "retry", "3", **own).stdout
        job = store.jobs.get(3)
        assert job is not None and job.state is JobState.ENDED
    assert "nothing of session 3 failed" in exclave("session", "retry", "3", code=1, **own).stderr
    assert "no session 4" in exclave("session", "retry", "4", code=1, **own).stderr


def test_templates_are_listed_added_and_registered(
    exclave: Run, node: tuple[World, NodeProcess], tmp_path: Path
) -> None:
    world, process = node
    file = tmp_path / "template.bin"
    file.write_bytes(world.template.data)
    template_id = "0x" + world.template.template_id.hex()
    assert template_id in exclave("template", "list", "--json", EXCLAVE_RPC_URL=process.url).stdout

    own = {"EXCLAVE_CONFIG": str(process.config_path), "EXCLAVE_NODE__DATA_DIR": str(tmp_path / "data"), **KEYS}
    added = exclave("template", "add", str(file), **own)
    assert template_id in added.stdout and "Added" in added.stderr
    assert "has it already" in exclave("template", "add", str(file), **own).stderr
    own["EXCLAVE_DEVELOPER_KEY"] = bytes(account(7).key).hex()
    assert "registered already" in exclave("template", "register", str(file), **own).stderr

    other = tmp_path / "no-template.bin"
    other.write_bytes(b"\x01\x02")
    assert "isn't a template" in exclave("template", "add", str(other), code=1, **own).stderr


def test_a_template_without_a_game_is_refused(exclave: Run, node: tuple[World, NodeProcess], tmp_path: Path) -> None:
    _, process = node
    shown = exclave("template", "build", "--", "false", code=1, EXCLAVE_RPC_URL=process.url).stderr
    assert "ended with exit code 1" in shown
    # Nothing was deployed: a template without a game is refused, and no file is left.
    shown = exclave("template", "build", "--", "true", code=1, EXCLAVE_RPC_URL=process.url).stderr
    assert "no game is bound" in shown
    assert not (tmp_path / "template.bin").exists()


def test_doctor_finds_nothing_wrong_beside_a_running_node(exclave: Run, node: tuple[World, NodeProcess]) -> None:
    _, process = node
    done = exclave("doctor", "--json", "--verify-database", EXCLAVE_CONFIG=str(process.config_path), **KEYS)
    found = findings(done)
    assert {name for name, (verdict, _) in found.items() if verdict != "ok"} <= {"JSON-RPC port"}
    assert found["engine"] == ("ok", f"version {__version__}")
    assert found["signer key"] == ("ok", account(SIGNER).address)
    assert process.url.rpartition(":")[2] in found["JSON-RPC port"][1]


def test_doctor_names_what_is_wrong(exclave: Run, node: tuple[World, NodeProcess], tmp_path: Path) -> None:
    _, process = node
    path = str(process.config_path)
    dead = f"http://127.0.0.1:{free_port()}"

    def verdict(check: str, **environment: str) -> tuple[str, str]:
        done = exclave("doctor", "--json", code=1, EXCLAVE_CONFIG=path, **{**KEYS, **environment})
        return next(value for name, value in findings(done).items() if name.startswith(check))

    assert verdict("L1 node 1", EXCLAVE_L1__RPC_URLS=dead) == ("failed", "doesn't answer: ConnectError")
    assert verdict("L1 node 1", EXCLAVE_L1__CHAIN_ID="31338")[1].startswith("has chain id 31337, not 31338")
    assert "no contract at" in verdict("L1 node 1", EXCLAVE_L1__ZK_RELAYER="0x" + "12" * 20)[1]
    assert "EXCLAVE_PRIVATE_KEY" in verdict("signer key", EXCLAVE_PRIVATE_KEY="")[1]
    (tmp_path / "other.db").write_bytes(b"no database" * 100)
    assert "damaged" in verdict("database", EXCLAVE_NODE__DATABASE_URL=f"sqlite:///{tmp_path}/other.db")[1]
    connection = sqlite3.connect(tmp_path / "newer.db")
    connection.executescript(
        "CREATE TABLE schema_version (version, applied_at); INSERT INTO schema_version VALUES (99, 0)"
    )
    connection.close()
    assert "has version 99" in verdict("database", EXCLAVE_NODE__DATABASE_URL=f"sqlite:///{tmp_path}/newer.db")[1]


def test_doctor_without_configuration_only_warns(exclave: Run) -> None:
    done = exclave("doctor")
    assert "exclave config init" in done.stdout
