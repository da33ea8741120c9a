"""Adversaries who tell no lie in a claim: they sign twice, say nothing, oppose honest claims, steal proofs, or are
games that misbehave. Each is `exclave fault`, against a node and a watchtower that are processes; everybody has at the
end what docs/disputes.md says, to the wei.

Each row runs once, in the variant that its decorator names, and in the two others in the slow tier.
"""

from __future__ import annotations

import json

import pytest
from support.scene import (
    CLAIM_BOND,
    HASHES,
    MOVES,
    PARTIES,
    RULES,
    WINDOW,
    Adversary,
    Scene,
    Variant,
    variants,
)

from exclave.client import SessionOpening
from exclave.dispute.payloads import DisputeKind
from exclave.protocol import DataMode
from exclave.store import Store

ABORTED = 3
BOND = RULES.challenge_bond


@variants(Variant.KILLED)
def test_who_signs_two_blocks_of_one_height_loses_the_stake(scene: Scene, variant: Variant) -> None:
    """INVARIANT I3: no claim of that block can settle any more, also not the true one of the node, who loses the burnt
    share of its bond: the session ends by an abort.
    """
    scene.top_up_stake()
    session_id = scene.play(scene.terms())
    claim_id = scene.claim_on_l1(session_id)
    honest = scene.node.call("zkcop_getPreconfirmation", hex(session_id), hex(4))
    (scene.directory / "signed" / f"{session_id}.json").write_text(json.dumps(honest))
    before, start = scene.snapshot()
    path = scene.directory / "signed" / f"{session_id}-other.json"
    scene.adversary("equivocation", "operator", session_id, "--output", str(path)).report()
    scene.disturb(variant)
    scene.until("the stake is lost", lambda: scene.stake(PARTIES["operator"]) == 0)
    scene.until("the claim is dead", lambda: scene.leaf_state(claim_id).killed)
    scene.abort(scene.opening(session_id))
    scene.free()
    half, burnt = RULES.operator_stake // 2, CLAIM_BOND // 2
    expected = {"operator": -2 * half, "watchtower": half, "node": burnt - CLAIM_BOND, "burnt": half + burnt}
    # The node had locked the bond before.
    scene.assert_money(before, start, expected)


@variants(Variant.KILLED)
def test_a_claim_that_never_settles_needs_no_opponent(scene: Scene, variant: Variant) -> None:
    """INVARIANT I1: L1 itself compares the last block's time; the demand is paid, and nobody is punished."""
    session_id = scene.play(scene.terms())
    before, start = scene.snapshot()
    adversary = scene.adversary("unsettleable", "operator", session_id)
    try:
        (claim_id,) = scene.until("it is claimed", lambda: scene.claims_of(PARTIES["operator"], start))
        scene.disturb(variant)
        (claim_id,) = scene.claims_of(PARTIES["operator"], start)
        scene.until("its leaf is shown", lambda: scene.price_of_answers(claim_id, HASHES))
        scene.settle(session_id)
        scene.world.pass_time(RULES.response_time + 1)
        assert adversary.report()["outcome"] == "survived"
    finally:
        adversary.stop()
    scene.free()
    paid = scene.price_of_answers(claim_id, HASHES)
    scene.assert_money(before, start, {"operator": paid, "watchtower": -paid})


@variants(Variant.REORGED)
def test_data_that_is_withheld_costs_the_bond(scene: Scene, variant: Variant) -> None:
    """INVARIANT I1: what nobody can execute is demanded on L1, also where all of it is true."""
    terms = scene.terms(DataMode.ON_DEMAND)
    session_id = scene.play(terms, while_pending=scene.archive_data)
    before, start = scene.snapshot()
    report = scene.adversary("withheld-data", "operator", session_id).report()
    # The node's claim has the same root.
    assert (report["outcome"], [report["claimId"]]) == ("posted", scene.claims_of(PARTIES["operator"], start))
    scene.disturb(variant)
    (claim_id,) = scene.claims_of(PARTIES["operator"], start)
    scene.let_a_deadline_pass(claim_id, DisputeKind.LEAF)
    scene.until("it is dead", lambda: scene.leaf_state(claim_id).killed)
    scene.settle(session_id)
    half = CLAIM_BOND // 2
    scene.assert_money(before, start, {"operator": -2 * half, "watchtower": half, "burnt": half})


@variants(Variant.PLAIN)
def test_a_forced_message_is_not_left_out(scene: Scene, variant: Variant) -> None:
    """INVARIANT I4: L1 doesn't settle a claim without a message that was due; the node's, which has it, settles."""
    session_id = scene.world.open_session(target=MOVES, terms=scene.terms(inclusion_delay=60))
    scene.move(session_id, MOVES - 1)
    due = scene.force(session_id)
    scene.end(session_id, MOVES - 1)
    scene.claim_on_l1(session_id)
    scene.world.pass_time(due - scene.world.now() + 1)
    before, start = scene.snapshot()
    adversary = scene.adversary("censorship", "operator", session_id)
    try:
        (claim_id,) = scene.until("it is claimed", lambda: scene.claims_of(PARTIES["operator"], start))
        scene.disturb(variant)
        (claim_id,) = scene.claims_of(PARTIES["operator"], start)
        scene.settle(session_id)
        scene.world.pass_time(WINDOW + 1)
        assert adversary.report()["outcome"] == "survived"
    finally:
        adversary.stop()
    assert not scene.leaf_state(claim_id).killed
    scene.free()
    scene.assert_money(before, start, {})


@variants(Variant.REORGED)
def test_who_claims_nothing_keeps_no_stakes(scene: Scene, variant: Variant) -> None:
    """INVARIANT I3: the session is aborted without the operator."""
    session_id = scene.world.open_session(target=3, terms=scene.terms())
    scene.move(session_id, 2)
    scene.anvil.mine(4)  # the opening isn't what is reorganised
    before, start = scene.snapshot()
    adversary = scene.adversary("no-claim", "operator", session_id)
    try:
        adversary.wait_for("waiting")
        scene.disturb(variant)
        scene.abort(scene.opening(session_id))
        assert adversary.report()["outcome"] == "aborted"
    finally:
        adversary.stop()
    scene.free()
    scene.assert_money(before, start, {})


@variants(Variant.KILLED)
def test_who_claims_too_late_settles_nothing(scene: Scene, variant: Variant) -> None:
    """INVARIANT I3: the operator's node is dead, and the stakes went back before; the claim's bond does, too."""
    started: list[Adversary] = []

    def node_dies(session_id: int) -> None:
        started.append(scene.adversary("late-claim", "stranger", session_id))
        started[0].wait_for("waiting", mining=False)
        openings.append(scene.opening(session_id))
        scene.kill_the_node()

    openings: list[SessionOpening] = []
    try:
        session_id = scene.play(scene.terms(), while_pending=node_dies)
        before, start = scene.snapshot()
        scene.abort(openings[0])
        (late,) = scene.until("it is claimed", lambda: scene.claims_of(PARTIES["stranger"], start))
        if variant is Variant.REORGED:
            scene.reorganise(1)
            (late,) = scene.claims_of(PARTIES["stranger"], start)
        scene.world.pass_time(WINDOW + 1)
        assert started[0].report()["outcome"] == "survived"
    finally:
        for adversary in started:
            adversary.stop()
        scene.node.stop()
        scene.node.start()
    assert not scene.leaf_state(late).killed
    # What the node had signed before it died would settle nothing either: it takes that back, and bets no bond on it.
    scene.until("the node takes its claim back", lambda: scene.receipts_of(PARTIES["node"], start))
    assert scene.claims_of(PARTIES["node"], start) == []
    assert scene.world.status(session_id) == ABORTED
    scene.free()
    scene.assert_money(before, start, {})


@variants(Variant.REORGED)
def test_a_griefer_pays_for_all_that_he_asks(scene: Scene, variant: Variant) -> None:
    """INVARIANT I2: every dispute that there is about an honest claim, all at once."""
    session_id = scene.play(scene.terms())
    before, start = scene.snapshot()
    griefer = scene.adversary("griefing", "griefer", session_id)
    try:
        claim_id = scene.claim_on_l1(session_id)
        griefer.wait_for("challenge disputed", times=MOVES + 1)  # all that there is to dispute
        scene.disturb(variant)
        assert griefer.report()["outcome"] == "survived"
    finally:
        griefer.stop()
    scene.world.pass_time(RULES.response_time + 1)
    scene.settle(session_id)
    paid, lost = scene.price_of_answers(claim_id, HASHES), 4 * BOND
    expected = {"griefer": -paid - lost, "node": paid + lost // 2, "burnt": lost // 2}
    scene.assert_money(before, start, expected)


def _challenge(scene: Scene, session_id: int) -> int:
    """The griefer challenges block 2 of the node's claim; returns the claim."""
    claim_id = scene.claim_on_l1(session_id)
    with Store(scene.node.database_url) as store:
        leaf = scene.until("the node knows the claim", lambda: scene.arena.leaf(store, claim_id))
    scene.arena.challenge(leaf, 2)
    return claim_id


@variants(Variant.PLAIN)
def test_who_sends_a_proof_before_its_maker_earns_nothing(scene: Scene, variant: Variant) -> None:
    """INVARIANT I8: a proof pays whom it names."""
    session_id = scene.play(scene.terms())
    before, start = scene.snapshot()
    thief = scene.adversary("front-running", "stranger", session_id)
    try:
        thief.wait_for("watching")
        scene.anvil.rpc("evm_setAutomine", False)
        scene.anvil.rpc("evm_setIntervalMining", 1)
        claim_id = _challenge(scene, session_id)
        (step,) = thief.report(mining=False)["steps"][1:]
        assert "sent first" in step
    finally:
        thief.stop()
        scene.anvil.rpc("evm_setIntervalMining", 0)
        scene.anvil.rpc("evm_setAutomine", True)
    scene.disturb(variant)
    scene.until("it is answered", lambda: scene.leaf_state(claim_id).open == 0)
    scene.settle(session_id)
    # After a reorganisation the copy comes before the proof was verified again.
    assert scene.receipts_of(PARTIES["stranger"], start) == (["0x0"] if variant is Variant.REORGED else ["0x1"])
    scene.assert_money(before, start, {"griefer": -BOND, "node": BOND // 2, "burnt": BOND // 2})


@variants(Variant.KILLED)
def test_a_proof_is_of_no_use_again(scene: Scene, variant: Variant) -> None:
    """INVARIANT I8: neither as it is, nor with another's name in it."""
    session_id = scene.play(scene.terms())
    before, start = scene.snapshot()
    thief = scene.adversary("proof-replay", "stranger", session_id)
    try:
        _challenge(scene, session_id)
        assert thief.report()["steps"] == ["watching", "refused as it is", "refused as one's own"]
        scene.disturb(variant)
    finally:
        thief.stop()
    scene.settle(session_id)
    assert scene.receipts_of(PARTIES["stranger"], start) == ["0x0", "0x0"]
    scene.assert_money(before, start, {"griefer": -BOND, "node": BOND // 2, "burnt": BOND // 2})


@pytest.mark.parametrize("name", ["reverting-game", "reentering-game", "gas-burning-game"])
@variants(Variant.PLAIN)
def test_a_game_that_misbehaves_harms_nobody_else(scene: Scene, variant: Variant, name: str) -> None:
    """INVARIANTS I3, I5: its session is settled, the others' too, and it can have its outcome when it wants it."""
    world = scene.world
    other = scene.play(scene.terms())
    before, start = scene.snapshot()
    report = scene.adversary(name, "stranger", other).report()
    session_id, game = report["sessionId"], bytes.fromhex(report["steps"][0][-40:])
    scene.anvil.mine()
    scene.move(session_id, MOVES)
    scene.claim_on_l1(session_id)
    scene.disturb(variant)
    scene.settle(other)
    world.pass_time(WINDOW + 1)
    scene.until("the session is settled", lambda: world.status(session_id) == 2)
    scene.free()
    taken = name == "reentering-game"
    assert world.view(game, "callbacks()", ["uint256"]) == (1 if taken else 0)
    assert world.view(game, "intrusions()", ["uint256"]) == 0
    assert world.view(world.zk_relayer, "callbackFailed(uint64)", ["bool"], session_id) is not taken
    scene.assert_money(before, start, {})
