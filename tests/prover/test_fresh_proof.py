"""A proof that is made now, of a block that is played now, on an L1 that is started now."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

GAME = Path(__file__).parents[1] / "cli" / "counter"
PYTHONPATH = os.pathsep.join(filter(None, [str(GAME.parents[1]), os.environ.get("PYTHONPATH")]))


@pytest.mark.timeout(1500)
def test_a_fresh_block_is_proven_and_verified_on_l1(
    exclave: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    """The demo's proof, and what else the commands do with the database and the proof that it leaves."""
    kept = tmp_path / "kept"
    shown = exclave("demo", "--prove", "--game", str(GAME), "--keep", str(kept), seconds=1400, PYTHONPATH=PYTHONPATH)
    assert "combined into one proof: step 4 of 4" in shown.stderr
    assert re.search(r"verdict +valid", shown.stdout)
    found = re.search(r"gas +([\d,]+) in 2 transactions", shown.stdout)
    assert found is not None and int(found[1].replace(",", "")) <= 20_000_000

    (proof,) = (kept / "proofs").glob("*.proof")
    assert "The proof is valid." in exclave("verify", str(proof)).stderr
    configuration = ("--config", str(kept / "exclave.toml"))
    assert "blocks 1 to" in exclave("prove", "1", "--block", "99", *configuration, code=1).stderr
    assert "no session 7" in exclave("prove", "7", "--block", "1", *configuration, code=1).stderr
