#!/usr/bin/env python3
"""Writes what Python needs of the contracts (ABI, bytecode) to src/exclave/contracts, or checks that it is current.

usage: export_artifacts.py [--check]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EVALUATORS = len(list((HERE / "src" / "verifier" / "generated").glob("ConstraintEvaluator[0-9]*.sol")))
CONTRACTS = (
    *("BenchmarkToken", "CounterGame", "CounterLobby", "HostileLobby", "ExclaveSession", "ZkRelayer"),
    *("DisputeGame", "OperatorStakes", "BlockFacts", "ProofSettlement"),
    *("ZkVerifier", "ProofVerifier", "ConstraintVerifier", "OpeningVerifier"),
    *(f"ConstraintEvaluator{index}" for index in range(EVALUATORS)),
)
FORGE = HERE.parent / "toolchain" / "bin" / "forge"
TARGET = HERE.parent / "src" / "exclave" / "contracts"


def build() -> None:
    subprocess.run([FORGE, "build", "--root", HERE, "--skip", "test", "--quiet"], check=True, cwd=HERE)


def artifact(name: str) -> str:
    """The committed form of one contract: stable JSON, so that equal sources give equal files."""
    compiled = json.loads((HERE / "out" / f"{name}.sol" / f"{name}.json").read_text())
    metadata = compiled.get("metadata") or {}
    content = {
        "name": name,
        "abi": compiled["abi"],
        "bytecode": compiled["bytecode"]["object"],
        "deployedBytecode": compiled["deployedBytecode"]["object"],
        "compiler": metadata.get("compiler", {}).get("version", ""),
    }
    return json.dumps(content, indent=1, sort_keys=True) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a committed artifact is stale")
    check = parser.parse_args().check
    build()
    stale = []
    for name in CONTRACTS:
        path, content = TARGET / f"{name}.json", artifact(name)
        if path.exists() and path.read_text() == content:
            continue
        stale.append(path.name)
        if not check:
            path.write_text(content)
    if check and stale:
        print(f"stale: {', '.join(stale)}; run contracts/export_artifacts.py", file=sys.stderr)
        return 1
    print(f"{len(CONTRACTS)} artifacts are current" if check else f"{len(CONTRACTS)} artifacts, {len(stale)} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
