"""The committed artifacts; scripts/test compares them with the sources and runs the contracts' own tests with forge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exclave.contracts import Artifact, ArtifactError, load

CONTRACTS = Path(__file__).parents[2] / "contracts"
CODE_LIMIT = 24_576  # EIP-170


@pytest.mark.parametrize(
    "name", ["BlockFacts", "DisputeGame", "ExclaveSession", "OperatorStakes", "ProofSettlement", "ZkRelayer"]
)
def test_artifacts_fit_into_a_contract(name: str) -> None:
    artifact = load(name)
    assert isinstance(artifact, Artifact)
    assert artifact.name == name
    assert 0 < len(artifact.deployed_bytecode) <= CODE_LIMIT
    assert len(artifact.bytecode) > len(artifact.deployed_bytecode)
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
