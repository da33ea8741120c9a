"""The committed artifacts; scripts/test compares them with the sources and runs the contracts' own tests with forge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exclave.contracts import Artifact, ArtifactError, load

CONTRACTS = Path(__file__).parents[2] / "contracts"
CODE_LIMIT = 24_576  # EIP-170


@pytest.mark.parametrize("name", ["ZkRelayer", "ExclaveSession"])
def test_artifacts_can_be_deployed(name: str) -> None:
    artifact = load(name)
    assert isinstance(artifact, Artifact)
    assert artifact.name == name
    assert artifact.deployed_bytecode and artifact.bytecode[0] in (0x60, 0x61)  # pushes the free memory's start
    assert len(artifact.deployed_bytecode) <= CODE_LIMIT
    assert any(entry.get("type") == "function" for entry in artifact.abi)


def test_the_predeploy_has_neither_constructor_nor_immutables() -> None:
    """Templates hold its runtime code, which must not depend on how it was deployed."""
    artifact = load("ExclaveSession")
    assert all(entry["type"] != "constructor" for entry in artifact.abi)
    compiled = json.loads((CONTRACTS / "out" / "ExclaveSession.sol" / "ExclaveSession.json").read_text())
    assert not compiled["deployedBytecode"].get("immutableReferences")
    assert bytes.fromhex(compiled["deployedBytecode"]["object"][2:]) == artifact.deployed_bytecode


def test_an_unknown_artifact_has_a_typed_error() -> None:
    with pytest.raises(ArtifactError, match="NoSuchContract"):
        load("NoSuchContract")
