"""L1 gas of a match, alone, in a batch of a hundred, and disputed, from the contracts' gas tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHOWN = ("demand_leaf", "answer_leaf", "challenge", "prove", "prove_fault_kill", "resolve_kill", "settle_by_proof")


def gas() -> dict[str, Any]:
    """Runs forge's gas tests, which check the committed snapshots to the unit, and gives their figures.

    `disputed` is a match that settles alone, one of whose blocks was challenged and proven: the challenge, the proof's
    verification and what it decides, whoever pays.
    """
    subprocess.run(
        [ROOT / "toolchain/bin/forge", "test", "--match-contract", "Gas"],
        cwd=ROOT / "contracts",
        env={**os.environ, "FORGE_SNAPSHOT_CHECK": "true"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    figures = _snapshot("match_gas")
    disputes, proofs = _snapshot("dispute_gas"), _snapshot("proof_gas")
    dispute = disputes["challenge"] + proofs["transactions"] + disputes["prove"]
    return {**figures, "disputed": figures["alone"] + dispute, **{f"dispute_{key}": disputes[key] for key in SHOWN}}


def _snapshot(name: str) -> dict[str, int]:
    values = json.loads((ROOT / "contracts" / "snapshots" / f"{name}.json").read_text())
    return {key: int(value) for key, value in values.items()}
