"""`exclave fault` as operators use it, besides what the drills themselves show."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from support.anvil import Anvil, run_anvil

from exclave.fault.forgery import FORGERIES
from exclave.fault.table import FAULTS, Role

Run = Callable[..., "subprocess.CompletedProcess[str]"]
KEY = {"EXCLAVE_FAULT_KEY": "0x" + "11" * 32}


def arguments(anvil: Anvil, name: str) -> list[str]:
    where = ["--l1", anvil.url, "--zk-relayer", "0x" + "22" * 20, "--rpc", "http://127.0.0.1:1"]
    return ["fault", "run", name, *where, "--session", "1"]


def test_all_faults_are_listed_with_what_they_cost(exclave: Run) -> None:
    listed = json.loads(exclave("fault", "list", "--json").stdout)
    assert [entry["name"] for entry in listed] == list(FAULTS)
    assert all(entry["does"] and entry["loses"] for entry in listed)
    shown = exclave("fault", "list").stdout
    assert all(name in shown for name in FAULTS)


def test_nothing_is_committed_on_the_main_network(exclave: Run) -> None:
    with run_anvil("--chain-id", "1") as anvil:
        for name in ("forged-state", "griefing", "reverting-game"):
            assert "main network" in exclave(*arguments(anvil, name), code=1, **KEY).stderr
        assert anvil.block_number() == 0


def test_what_is_wrong_with_the_arguments_is_said(exclave: Run) -> None:
    with run_anvil() as anvil:
        assert "no fault forged" in exclave(*arguments(anvil, "forged"), code=1, **KEY).stderr
        assert "--answers is" in exclave(*arguments(anvil, "no-claim"), "--answers", "all", code=1, **KEY).stderr
        assert "EXCLAVE_FAULT_KEY" in exclave(*arguments(anvil, "no-claim"), code=1).stderr
        assert "no node answers" in exclave(*arguments(anvil, "no-claim"), code=1, **KEY).stderr


def test_every_lie_has_its_forgery() -> None:
    liars = {name for name, fault in FAULTS.items() if fault.role is Role.LIAR}
    assert liars == {*FORGERIES, "no-claim"}
