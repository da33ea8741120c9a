"""L1 gas of an undisputed match, alone and in a batch of a hundred, from the contracts' gas tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def gas() -> dict[str, Any]:
    """Runs forge's gas tests, which check the committed snapshot to the unit, and gives its figures."""
    subprocess.run(
        [ROOT / "toolchain/bin/forge", "test", "--match-contract", "GasTest"],
        cwd=ROOT / "contracts",
        env={**os.environ, "FORGE_SNAPSHOT_CHECK": "true"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    snapshot = json.loads((ROOT / "contracts/snapshots/match_gas.json").read_text())
    return {name: int(value) for name, value in snapshot.items()}
