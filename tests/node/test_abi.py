"""The signatures that Python writes out against the committed artifacts of the contracts."""

from __future__ import annotations

from typing import Any

import pytest

from exclave import contracts
from exclave.coordinator.stopper import STOP_SELECTOR
from exclave.protocol import keccak256
from exclave.protocol.constants import PREDEPLOY
from exclave.protocol.messages import INIT_SELECTOR
from exclave.relayer.events import SIGNATURES


def canonical(parameter: dict[str, Any]) -> str:
    kind: str = parameter["type"]
    if kind.startswith("tuple"):
        return "(" + ",".join(canonical(part) for part in parameter["components"]) + ")" + kind[5:]
    return kind


def signature(entry: dict[str, Any]) -> str:
    return entry["name"] + "(" + ",".join(canonical(parameter) for parameter in entry["inputs"]) + ")"


def entries(contract: str, kind: str) -> dict[str, str]:
    return {e["name"]: signature(e) for e in contracts.load(contract).abi if e["type"] == kind}


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_events_of_zk_relayer(name: str) -> None:
    assert SIGNATURES[name] == entries("ZkRelayer", "event")[name]


def test_functions_of_the_session_predeploy() -> None:
    functions = entries("ExclaveSession", "function")
    assert keccak256(functions["init"].encode())[:4] == INIT_SELECTOR
    assert keccak256(functions["stop"].encode())[:4] == STOP_SELECTOR
    assert PREDEPLOY[:7] == b"Exclave"
