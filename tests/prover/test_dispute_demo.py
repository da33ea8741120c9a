"""What `exclave demo --dispute` shows: a lie and a griefer's challenge decided by fresh proofs on L1, to the wei."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from subprocess import CompletedProcess

import pytest

GAME = Path(__file__).parents[1] / "cli" / "counter"
PYTHONPATH = os.pathsep.join(filter(None, [str(GAME.parents[1]), os.environ.get("PYTHONPATH")]))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_I1_a_lie_dies_of_a_proof_and_the_honest_claim_settles(exclave: Callable[..., CompletedProcess[str]]) -> None:
    shown = exclave("demo", "--dispute", "--game", str(GAME), seconds=2900, PYTHONPATH=PYTHONPATH)
    assert "the lying claim is dead" in shown.stderr and "settles, and the players are paid" in shown.stderr
    won = {who: Decimal(amount) for who, amount in re.findall(r"│ (\w+) +│[^│]+│[^│]+│ ([+-][\d.]+) ETH", shown.stdout)}
    claim_bond, challenge_bond, stake = Decimal("0.05"), Decimal("0.1"), Decimal(1)
    # It was paid for what it showed on demand.
    assert 0 <= won["operator"] + claim_bond + stake < Decimal("0.01")
    assert won["griefer"] == -challenge_bond
    burnt = re.search(r"([\d.]+) ETH of lost bonds and stakes are burnt", shown.stdout)
    assert burnt is not None and Decimal(burnt[1]) == (claim_bond + stake + challenge_bond) / 2
    # What some lose others win, but for what is burnt; the table has six digits.
    assert abs(sum(won.values()) + Decimal(burnt[1])) < Decimal("0.00001")
    assert won["challenger"] > 0
