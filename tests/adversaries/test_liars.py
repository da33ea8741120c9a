"""Every lie, told on L1 by `exclave fault`, against a node and a watchtower that are processes: the lie dies, the
session settles with the right result, and everybody has what docs/disputes.md says, to the wei.

Proofs take no time here and their verifier accepts all (`support.stand_in_prover`); all else is what users run.

Each row runs once, in the variant beside it: nothing happens (`PLAIN`), the honest processes are killed and started
again once the lie is on L1 (`KILLED`), or L1 is reorganised then (`REORGED`). They are spread over the rows so that
each comes with each way to die. All other pairs are in the slow tier.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import pytest
from eth_abi.abi import encode
from support.scene import CLAIM_BOND, PARTIES, RULES, WINDOW, Scene
from support.world import PLAYERS

from exclave.protocol import DataMode

STAKE = RULES.operator_stake


class Death(Enum):
    """How a lie ends."""

    PROVEN = "proven"
    """by a proof, at once"""
    ANSWER = "answer"
    """a demand isn't answered"""
    PROOF = "proof"
    """a challenge isn't"""


class Variant(Enum):
    """What happens once the lie is on L1."""

    PLAIN = "plain"
    KILLED = "killed"
    REORGED = "reorged"


@dataclass(frozen=True)
class Row:
    """`who` claims; `hashes`: how many block hashes the claim has."""

    fault: str
    who: str
    death: Death
    variant: Variant
    answers: str = "block"
    hashes: int = 5
    mode: DataMode = DataMode.CALLDATA


ROWS = (
    Row("forged-state", "operator", Death.PROVEN, Variant.PLAIN),
    Row("forged-result", "operator", Death.PROVEN, Variant.KILLED),
    Row("garbage-root", "stranger", Death.ANSWER, Variant.REORGED),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.fault}-{row.answers}-{row.variant.value}")
def test_a_lie_dies_and_the_truth_settles(scene: Scene, row: Row) -> None:
    """INVARIANTS I1, I2, I3."""
    play_row(scene, row, row.variant)


def play_row(scene: Scene, row: Row, variant: Variant) -> None:
    scene.top_up_stake()
    session_id = scene.play(scene.terms(row.mode))
    before, start = scene.wealth(), scene.anvil.block_number()
    adversary = scene.adversary(row.fault, row.who, session_id, "--answers", row.answers)
    try:
        liar = PARTIES[row.who]
        (lie,) = scene.until("the lie is on L1", lambda: scene.claims_of(liar, start))
        if variant is Variant.KILLED:
            scene.kill_the_honest()
        elif variant is Variant.REORGED:
            scene.reorganise()
            (lie,) = scene.claims_of(liar, start)
        if row.death is not Death.PROVEN:
            scene.let_a_deadline_pass(lie, RULES.answer_window if row.death is Death.ANSWER else RULES.proof_window)
        scene.until("the lie is dead", lambda: scene.leaf_state(lie).killed)
        assert adversary.report()["outcome"] == (
            "posted" if row.answers == "none" or row.death is Death.ANSWER else "killed"
        )
        settle(scene, session_id)
        scene.until(
            "nothing of the honest is locked",
            lambda: not any(map(scene.locked, (PARTIES["node"], PARTIES["watchtower"]))),
        )
    finally:
        adversary.stop()
    lost = CLAIM_BOND + (STAKE if row.death is Death.PROVEN and row.who == "operator" else 0)
    paid = scene.price_of_answers(lie, row.hashes)
    expected = dict.fromkeys(before, 0)
    expected[row.who] = paid - lost
    expected["watchtower"] = lost // 2 - paid
    expected["burnt"] = lost // 2
    assert_money(scene, before, start, expected)


def settle(scene: Scene, session_id: int) -> None:
    """The node's claim passes its window, and the game on L1 has the right result, once."""
    world = scene.world
    scene.until("the node has claimed", lambda: scene.node.call("zkcop_getClaimsBySession", session_id))
    scene.world.pass_time(WINDOW + 1)
    scene.until("the session is settled", lambda: world.status(session_id) == 2)
    assert world.result_on_l1(session_id) == encode(["uint256", "address"], [3, PLAYERS[0].address])
    assert world.callbacks(session_id) == 1


def assert_money(scene: Scene, before: dict[str, int], start: int, expected: dict[str, int]) -> None:
    """INVARIANT I3: to the wei."""
    after, fees = scene.wealth(), scene.fees(start)
    changes = {name: after[name] - before[name] + fees.get(name, 0) for name in before}
    assert changes == expected
    scene.assert_conserved()
