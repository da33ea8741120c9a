"""Challenges of a griefer, answered by proofs.

The verifier accepts every proof (`support.disputes`), because a real one takes minutes; the dispute contract, the node
and the statements are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.anvil import account
from support.disputes import KEPT, Arena, TestProver
from support.running import SIGNER, running_node
from support.world import raw_address

from exclave.defence.plans import PlannedProof, plan_proofs, uncovered
from exclave.node.metrics import DISPUTES_MISSED
from exclave.prover import Progress, Proof, ProofRequest, ProverFailed

NODE = raw_address(account(SIGNER))


async def test_a_challenge_is_answered_by_a_proof_and_its_bond_pays(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prover = TestProver.ready()
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=prover) as node:
        session_id = arena.world.open_session(target=3, terms=arena.terms())
        await node.opened(session_id)
        await node.play(session_id, 3)
        claim_id = await node.claimed(session_id)
        leaf = arena.leaf(node.node.store, claim_id)
        arena.challenge(leaf, 2)
        await node.until("it is answered", lambda: arena.leaf_state(leaf).open == 0)
        assert arena.deposit(NODE) == KEPT
        # One block was proven, for this node (INVARIANT I8), once, and verified once (INVARIANT I7).
        (request,) = prover.requests
        assert request.statement.prover == NODE
        assert (request.statement.from_hash, request.statement.to_hash) == (leaf.hashes[1], leaf.hashes[2])
        assert arena.verifications() == (1, 1)
        # Nobody can act on a proof of a challenge: the leaf is free at once.
        assert not arena.leaf_state(leaf).held
        await node.settled(session_id)
        await node.bond_released(claim_id)


async def test_one_proof_answers_several_challenges(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prover = TestProver.ready()
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept) as node:
        session_id = arena.world.open_session(target=4, terms=arena.terms())
        await node.opened(session_id)
        await node.play(session_id, 4)
        claim_id = await node.claimed(session_id)
        leaf = arena.leaf(node.node.store, claim_id)
    for number in (1, 3, 4):
        arena.challenge(leaf, number)
    arena.world.anvil.mine(2)
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=prover) as node:
        await node.until("they are answered", lambda: arena.leaf_state(leaf).open == 0)
        assert len(prover.requests) == 1 and arena.verifications() == (1, 1)
        assert arena.leaf_state(leaf).proven_to == 4
        assert arena.deposit(NODE) == 3 * KEPT
        await node.settled(session_id)


async def test_challenges_that_come_one_by_one_do_not_waste_what_was_begun(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prover = TestProver()
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=prover) as node:
        session_id = arena.world.open_session(target=4, terms=arena.terms())
        await node.opened(session_id)
        await node.play(session_id, 4)
        claim_id = await node.claimed(session_id)
        leaf = arena.leaf(node.node.store, claim_id)
        arena.challenge(leaf, 2)
        await node.until("a proof begins", lambda: prover.running)
        arena.challenge(leaf, 4)
        await node.until("the node knows", lambda: len(node.node.store.disputes.plans(claim_id, 0)) == 2)
        prover.gate.set()
        await node.until("they are answered", lambda: arena.leaf_state(leaf).open == 0)
        assert [request.statement.to_number for request in prover.requests] == [2, 4]
        assert prover.most_running == 1


async def test_the_nearest_deadline_is_first(arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prover = TestProver()
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept) as node:
        claims = []
        for _ in range(2):
            session_id = arena.world.open_session(target=1, terms=arena.terms())
            await node.opened(session_id)
            await node.play(session_id, 1)
            claims.append(await node.claimed(session_id))
        leaves = [arena.leaf(node.node.store, claim_id) for claim_id in claims]
    arena.challenge(leaves[1], 1)
    arena.world.pass_time(20)
    arena.challenge(leaves[0], 1)
    arena.world.anvil.mine(2)
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=prover) as node:
        await node.until("both are known", lambda: len(node.node.store.disputes.find(unanswered=True)) == 2)
        await node.until("a proof begins", lambda: prover.running)
        assert prover.requests[0].statement.config_hash == leaves[1].content.config_hash
        prover.gate.set()
        await node.until("they are answered", lambda: all(arena.leaf_state(leaf).open == 0 for leaf in leaves))
        assert prover.most_running == 1 and len(prover.requests) == 2


class Stumbling(TestProver):
    """Fails at first."""

    async def prove(self, request: ProofRequest, progress: Callable[[Progress], None] | None = None) -> Proof:
        proof = await super().prove(request, progress)
        if len(self.requests) == 1:
            raise ProverFailed("memory ran out")
        return proof


async def test_a_proof_that_failed_is_tried_again(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prover = Stumbling.ready()
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=prover) as node:
        session_id = arena.world.open_session(target=1, terms=arena.terms())
        await node.opened(session_id)
        await node.play(session_id, 1)
        leaf = arena.leaf(node.node.store, await node.claimed(session_id))
        arena.challenge(leaf, 1)
        await node.until("it is answered", lambda: arena.leaf_state(leaf).open == 0)
        assert len(prover.requests) == 2


async def test_a_deadline_that_passes_is_counted_and_the_other_leaf_settles(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INVARIANT I5: without a proof one claim is lost, and no more."""
    prover = TestProver()
    missed = DISPUTES_MISSED._value.get()
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=prover) as node:
        session_id, other = [arena.world.open_session(target=1, terms=arena.terms()) for _ in range(2)]
        for session in (session_id, other):
            await node.opened(session)
            await node.play(session, 1)
        leaf = arena.leaf(node.node.store, await node.claimed(session_id))
        await node.claimed(other)
        arena.challenge(leaf, 1)
        await node.until("the proof begins", lambda: prover.running)
        arena.world.pass_time(601)
        await node.until("the deadline is missed", lambda: DISPUTES_MISSED._value.get() == missed + 1)
        await node.until("the proof is stopped", lambda: not prover.running)
        await node.settled(other)
        # INVARIANT I2: the griefer leaves it at that. What was claimed is right, and is claimed anew.
        await node.until("the node gives the claim up", lambda: arena.leaf_state(leaf).killed)
        await node.until("it is claimed again", lambda: len(node.node.store.claims.of_session(session_id)) == 2)
        await node.settled(session_id)


async def test_a_reorg_of_a_verification_is_made_good(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INVARIANT I7."""
    async with running_node(
        arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=TestProver.ready(), l1={"confirmations": 3}
    ) as node:
        world = arena.world
        session_id = world.open_session(target=1, terms=arena.terms())
        await node.opened(session_id)
        await node.play(session_id, 1)
        leaf = arena.leaf(node.node.store, await node.claimed(session_id))
        arena.challenge(leaf, 1)
        await node.until("it is verified", lambda: arena.verifications() == (1, 1))
        depth = world.anvil.block_number() - _dispute_block(arena, leaf.claim.claim_id)
        world.anvil.reorg(min(depth, 3))
        await node.until("it is answered", lambda: arena.leaf_state(leaf).open == 0)
        await asyncio.to_thread(world.anvil.mine, 5)
        assert arena.deposit(NODE) == KEPT
        await node.settled(session_id)


def _dispute_block(arena: Arena, claim_id: int) -> int:
    """The L1 block in which the newest dispute was opened."""
    wanted = {"address": "0x" + arena.game.hex(), "fromBlock": "0x0", "toBlock": "latest"}
    return max(int(entry["blockNumber"], 16) for entry in arena.world.anvil.rpc("eth_getLogs", wanted)[:1])


def test_plans() -> None:
    assert plan_proofs([5], 0, 0) == [PlannedProof(4, 5)]
    # Neighbours share a proof from the range's start where that is short, from where a proof leads to, else not.
    assert plan_proofs([2, 3, 9], 0, 0) == [PlannedProof(0, 9)]
    assert plan_proofs([102, 103], 100, 0) == [PlannedProof(100, 103)]
    assert plan_proofs([1002, 1003], 0, 1000) == [PlannedProof(1000, 1003)]
    assert plan_proofs([1002, 1003], 0, 0) == [PlannedProof(1001, 1002), PlannedProof(1002, 1003)]
    assert plan_proofs([7, 1002, 1003], 0, 1000) == [PlannedProof(6, 7), PlannedProof(1000, 1003)]
    assert plan_proofs([], 0, 0) == []


def test_what_a_proof_covers_is_what_the_contract_says() -> None:
    assert PlannedProof(0, 9).covers(9, 0, 0)
    assert PlannedProof(4, 9).covers(5, 0, 0) and not PlannedProof(4, 9).covers(6, 0, 0)
    assert PlannedProof(4, 9).covers(6, 0, 4) and not PlannedProof(4, 9).covers(10, 0, 4)
    assert not PlannedProof(4, 9).covers(6, 0, 9)
    assert uncovered([1, 5, 6], [PlannedProof(4, 9)], 0, 0) == [1, 6]
