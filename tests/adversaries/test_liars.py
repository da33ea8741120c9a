"""Every lie, told on L1 by `exclave fault`, against a node and a watchtower that are processes: the lie dies, the
session settles with the right result, and everybody has what docs/disputes.md says, to the wei.

Proofs take no time here and their verifier accepts all (`support.stand_in_prover`); all else is what users run.

Each row runs once, in the variant beside it: nothing happens (`PLAIN`), the honest processes are killed and started
again once the lie is on L1 (`KILLED`), or L1 is reorganised then (`REORGED`). They are spread over the rows so that
each comes with each way to die. All other pairs are in the slow tier.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from support.scene import CLAIM_BOND, HASHES, PARTIES, RULES, Scene, Variant

from exclave.dispute.payloads import DisputeKind
from exclave.protocol import DataMode

STAKE = RULES.operator_stake


@dataclass(frozen=True)
class Row:
    """`who` claims, and defends the claim as far as `answers`; `missed`: what isn't answered at last, None where a
    proof kills the lie; `hashes`: how many block hashes it has.
    """

    fault: str
    who: str
    missed: DisputeKind | None
    variant: Variant
    answers: str = "block"
    hashes: int = HASHES
    mode: DataMode = DataMode.CALLDATA


ROWS = (
    Row("forged-state", "operator", None, Variant.PLAIN),
    Row("forged-state", "stranger", None, Variant.REORGED),
    Row("forged-state", "operator", DisputeKind.BLOCK, Variant.KILLED, answers="hashes"),
    Row("forged-state", "stranger", DisputeKind.HASHES, Variant.PLAIN, answers="leaf"),
    Row("forged-result", "operator", None, Variant.KILLED),
    Row("forged-result", "operator", DisputeKind.LEAF, Variant.PLAIN, answers="none"),
    Row("wrong-init", "operator", None, Variant.REORGED),
    Row("wrong-sender", "operator", None, Variant.PLAIN),
    Row("wrong-timestamp", "operator", None, Variant.KILLED),
    Row("wrong-inbox", "operator", None, Variant.PLAIN),
    Row("continued-after-end", "operator", None, Variant.PLAIN, hashes=HASHES + 1),
    Row("garbage-root", "stranger", DisputeKind.LEAF, Variant.REORGED),
    Row("garbage-blob", "operator", DisputeKind.LEAF, Variant.PLAIN, mode=DataMode.BLOB),
    Row("self-challenge", "operator", None, Variant.PLAIN),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.fault}-{row.answers}-{row.variant.value}")
def test_a_lie_dies_and_the_truth_settles(scene: Scene, row: Row) -> None:
    """INVARIANTS I1, I2, I3."""
    play_row(scene, row, row.variant)


OTHERS = [(row, variant) for row in ROWS for variant in Variant if variant is not row.variant]


@pytest.mark.slow
@pytest.mark.parametrize(("row", "variant"), OTHERS, ids=lambda value: getattr(value, "fault", None) or value.value)
def test_a_lie_dies_whatever_happens_meanwhile(scene: Scene, row: Row, variant: Variant) -> None:
    """INVARIANTS I1, I2, I3, I7: all other pairs."""
    play_row(scene, row, variant)


def play_row(scene: Scene, row: Row, variant: Variant) -> None:
    scene.top_up_stake()
    session_id = scene.play(scene.terms(row.mode))
    before, start = scene.snapshot()
    adversary = scene.adversary(row.fault, row.who, session_id, "--answers", row.answers)
    try:
        liar = PARTIES[row.who]
        (lie,) = scene.until("the lie is on L1", lambda: scene.claims_of(liar, start))
        scene.disturb(variant)
        (lie,) = scene.claims_of(liar, start)  # after a reorganisation it may have another number
        if row.missed is not None:
            scene.let_a_deadline_pass(lie, row.missed)
        scene.until("the lie is dead", lambda: scene.leaf_state(lie).killed)
        stays = row.answers != "none" and row.missed is not DisputeKind.LEAF
        assert adversary.report()["outcome"] == ("killed" if stays else "posted")
        scene.settle(session_id)
    finally:
        adversary.stop()
    lost = CLAIM_BOND + (STAKE if row.missed is None and row.who == "operator" else 0)
    paid = scene.price_of_answers(lie, row.hashes)
    expected = {row.who: paid - lost, "watchtower": lost // 2 - paid, "burnt": lost // 2}
    scene.assert_money(before, start, expected)
