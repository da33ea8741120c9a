"""The contracts' own tests, their gas and their committed artifacts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exclave.contracts import Artifact, ArtifactError, load

ROOT = Path(__file__).parents[2]
CONTRACTS = ROOT / "contracts"
FORGE = ROOT / "toolchain" / "bin" / "forge"
CODE_LIMIT = 24_576  # EIP-170


def forge(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    if not FORGE.exists():
        raise RuntimeError("forge is not installed: run scripts/setup")
    return subprocess.run(
        [FORGE, *arguments, "--root", str(CONTRACTS)],
        cwd=CONTRACTS,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_forge_tests_pass_at_the_committed_gas() -> None:
    """`snapshots/match_gas.json` is checked to the unit; after a deliberate change run `forge test` to write it anew."""
    run = forge("test", FORGE_SNAPSHOT_CHECK="true")
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "0 skipped" in run.stdout


def test_gas_snapshot_holds() -> None:
    run = forge("snapshot", "--match-contract", "GasTest", "--check", ".gas-snapshot", "--tolerance", "1")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-2000:]


@pytest.mark.slow
def test_forge_tests_pass_with_many_runs() -> None:
    run = forge("test", FOUNDRY_PROFILE="slow")
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]


def test_artifacts_match_the_sources() -> None:
    run = subprocess.run(
        [sys.executable, CONTRACTS / "export_artifacts.py", "--check"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", ["ZkRelayer", "ExclaveSession"])
def test_artifacts_can_be_deployed(name: str) -> None:
    artifact = load(name)
    assert isinstance(artifact, Artifact)
    assert artifact.name == name
    assert artifact.deployed_bytecode and artifact.bytecode.startswith(b"\x60")
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
