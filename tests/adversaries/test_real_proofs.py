"""Some rows with real proofs, which `ZkVerifier` checks: minutes each, and gigabytes of memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.anvil import run_anvil
from support.scene import CLAIM_BOND, HASHES, PARTIES, REAL_RULES, Scene
from support.world import build_game_template

PATIENCE = 3000.0
"""Seconds that a dispute may take."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """As the other rows', but with the real verifier and prover, and L1's time not much faster than the clock's."""
    directory = tmp_path_factory.mktemp("real")
    with run_anvil("--slots-in-an-epoch", "1") as anvil:
        made = Scene.create(anvil, build_game_template(), directory, real=True)
        try:
            made.start()
            yield made
        finally:
            made.stop()


@pytest.mark.parametrize("fault", ["forged-state", "forged-result"])
def test_a_real_proof_kills_a_lie(scene: Scene, fault: str) -> None:
    """INVARIANT I1."""
    scene.top_up_stake()
    session_id = scene.play(scene.terms())
    before, start = scene.snapshot()
    adversary = scene.adversary(fault, "operator", session_id)
    try:
        (lie,) = scene.until("the lie is on L1", lambda: scene.claims_of(PARTIES["operator"], start))
        scene.until("the lie is dead", lambda: scene.leaf_state(lie).killed, PATIENCE)
        assert adversary.report()["outcome"] == "killed"
        scene.settle(session_id)
    finally:
        adversary.stop()
    lost, paid = CLAIM_BOND + REAL_RULES.operator_stake, scene.price_of_answers(lie, HASHES)
    scene.assert_money(before, start, {"operator": paid - lost, "watchtower": lost // 2 - paid, "burnt": lost // 2})


def test_a_real_proof_costs_a_griefer_his_bonds(scene: Scene) -> None:
    """INVARIANT I2."""
    session_id = scene.play(scene.terms())
    before, start = scene.snapshot()
    griefer = scene.adversary("griefing", "griefer", session_id)
    try:
        claim_id = scene.claim_on_l1(session_id)
        scene.until("it is disputed", lambda: scene.leaf_state(claim_id).open)
        assert griefer.report(seconds=PATIENCE)["outcome"] == "survived"
    finally:
        griefer.stop()
    scene.world.pass_time(REAL_RULES.response_time + 1)
    scene.settle(session_id)
    paid, lost = scene.price_of_answers(claim_id, HASHES), 4 * REAL_RULES.challenge_bond
    scene.assert_money(before, start, {"griefer": -paid - lost, "node": paid + lost // 2, "burnt": lost // 2})
