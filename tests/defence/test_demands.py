"""Demands of a griefer against a whole node's claims, on a real L1 with the real dispute contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, update
from support.anvil import account
from support.disputes import GRIEFER, Arena, TestProver
from support.running import SIGNER, RunningNode, running_node
from support.world import PLAYERS, call_data, raw_address, signed_call

from exclave.dispute.payloads import DisputeKind, DisputeStatus
from exclave.l1.intents import Intent, IntentState
from exclave.protocol import DataMode
from exclave.store import ClaimStatus, JobState, LeafEvent, LeafStanding, Store
from exclave.store.intents import intents

NODE = raw_address(account(SIGNER))


async def claimed_match(arena: Arena, node: RunningNode, moves: int = 2) -> tuple[int, int]:
    """A match that was played and claimed: session and claim."""
    session_id = arena.world.open_session(target=moves, terms=arena.terms())
    await node.opened(session_id)
    await node.play(session_id, moves)
    return session_id, await node.claimed(session_id)


async def test_each_kind_of_demand_is_answered_and_paid_for_and_the_leaf_settles(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept) as node:
        session_id, claim_id = await claimed_match(arena, node)
        store = node.node.store
        leaf = arena.leaf(store, claim_id)
        for kind, demand in (
            (DisputeKind.LEAF, lambda: arena.demand_leaf(leaf)),
            (DisputeKind.HASHES, lambda: arena.demand_hashes(leaf)),
            (DisputeKind.BLOCK, lambda: arena.demand_block(leaf, 2)),
        ):
            before = arena.deposit(NODE)
            demand()
            assert arena.leaf_state(leaf).held
            await node.until(f"{kind.name} is answered", lambda: arena.leaf_state(leaf).open == 0)
            number = 2 if kind is DisputeKind.BLOCK else 0
            assert arena.dispute(leaf, kind, number).status is DisputeStatus.CLOSED
            assert arena.deposit(NODE) > before
        # The griefer has less than he had bonded.
        assert 0 < arena.deposit(raw_address(account(GRIEFER))) < sum(map(arena.bond_of, list(DisputeKind)[:3]))
        await node.until("the node knows", lambda: not store.disputes.find(unanswered=True))
        assert {dispute.answerer for dispute in store.disputes.find(session_id=session_id)} == {NODE}
        claim = store.claims.get(claim_id)
        assert claim is not None and claim.status is ClaimStatus.HELD
        # The response time goes by, and then the leaf is free and settles.
        await node.settled(session_id)
        assert not arena.leaf_state(leaf).held
        assert arena.world.callbacks(session_id) == 1
        await node.bond_released(claim_id)
        sent = [record.key.split(":")[0] for record in store.intents.find() if "answer" in record.key]
        assert len(sent) == 3  # INVARIANT I7: one for each


async def test_a_leaf_in_dispute_does_not_keep_the_others_of_its_claim(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INVARIANT I5."""
    batches = {"batch_size": 2, "batch_delay": 3600}
    prover = TestProver()
    async with running_node(
        arena.world, tmp_path, monkeypatch, accept=arena.accept, coordinator=batches, prover=prover
    ) as node:
        sessions = [arena.world.open_session(target=1, terms=arena.terms()) for _ in range(2)]
        for session_id in sessions:
            await node.opened(session_id)
            await node.play(session_id, 1)
        claim_id = await node.claimed(sessions[0])
        leaf = arena.leaf(node.node.store, claim_id, 0)
        arena.challenge(leaf, 1)
        await node.until("the proof begins", lambda: prover.running)
        await node.settled(sessions[1])
        assert arena.world.status(sessions[0]) == 1 and arena.leaf_state(leaf).held
        prover.gate.set()
        await node.until("it is answered", lambda: not arena.leaf_state(leaf).held)
        await node.settled(sessions[0])
        assert [arena.world.callbacks(session_id) for session_id in sessions] == [1, 1]
        await node.bond_released(claim_id)


async def test_a_block_too_large_for_a_transaction_is_answered_by_a_proof(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a node may have made it that didn't keep blocks of disputable sessions small."""
    monkeypatch.setattr("exclave.node.sessions.block_bytes", lambda mode, **_: 700_000)
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=TestProver.ready()) as node:
        world = arena.world
        session_id = world.open_session(target=1, terms=arena.terms(DataMode.BLOB))
        await node.opened(session_id)
        await node.in_memory(session_id)
        move = call_data("increment(uint256)", 1) + bytes(130_500)
        chain_id = world.chain_id(session_id)
        raw = [signed_call(PLAYERS[0], chain_id, 0, world.template.game, move)]
        node.node.engine.submit(session_id, raw)
        claim_id = await node.claimed(session_id)
        leaf = arena.leaf(node.node.store, claim_id)
        large = [
            block.number
            for block in node.node.store.blocks.load(session_id)
            if len(leaf.answer_block(block.number)) > 131_072
        ]
        arena.demand_block(leaf, large[0])
        await node.until("it is answered", lambda: arena.leaf_state(leaf).open == 0)
        assert arena.verifications() == (1, 1)
        assert node.node.store.disputes.plans(claim_id, 0) == [(large[0] - 1, large[0])]
        await node.settled(session_id)


async def test_a_block_that_is_being_shown_is_not_proven_besides(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt that is on its way hasn't failed: a proof would be made, and verified, for nothing."""
    prover, anvil = TestProver.ready(), arena.world.anvil
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, prover=prover) as node:
        _, claim_id = await claimed_match(arena, node)
        store = node.node.store
        leaf = arena.leaf(store, claim_id)
        series = f"answer:{leaf.key}:block:2"

        def fail_once(tx: Connection) -> None:
            store.intents.insert(Intent(f"{series}:0", arena.game), 31337, NODE, connection=tx)
            tx.execute(update(intents).where(intents.c.key == f"{series}:0").values(state=IntentState.FAILED))

        store.run(fail_once)
        arena.demand_block(leaf, 2)
        anvil.rpc("evm_setAutomine", False)
        anvil.mine()

        def sent() -> bool:
            attempts = store.intents.series(series)
            return len(attempts) == 2 and attempts[1].state is IntentState.SENT

        await node.until("it is being shown", sent, mining=False)
        for _ in range(5):
            await node.node.defence.step()  # type: ignore[union-attr]
        anvil.rpc("evm_setAutomine", True)
        await node.until("it is answered", lambda: arena.leaf_state(leaf).open == 0)
        assert prover.requests == [] and arena.verifications() == (0, 0)


async def test_what_disputes_brought_is_withdrawn(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defence = {"withdraw_above_ether": "0.00001"}
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept, defence=defence) as node:
        _, claim_id = await claimed_match(arena, node)
        leaf = arena.leaf(node.node.store, claim_id)
        arena.demand_leaf(leaf)
        await node.until("it is answered", lambda: arena.leaf_state(leaf).open == 0)
        await node.until("it is withdrawn", lambda: arena.deposit(NODE) == 0)
        (record,) = [found for found in node.node.store.intents.find() if found.key.startswith("withdraw:")]
        assert record.key.endswith(":0")


async def test_a_claim_that_died_of_silence_is_made_anew_once(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that was down comes back: what it claimed is right, so that it claims it again."""
    world, accept = arena.world, arena.accept
    async with running_node(world, tmp_path, monkeypatch, accept=accept) as node:
        session_id, claim_id = await claimed_match(arena, node)
        leaf = arena.leaf(node.node.store, claim_id)
    arena.demand_leaf(leaf)
    world.pass_time(301)
    arena.resolve(leaf, DisputeKind.LEAF)
    assert arena.leaf_state(leaf).killed
    async with running_node(world, tmp_path, monkeypatch, accept=accept, prover=TestProver.ready()) as node:
        await node.until("it is claimed again", lambda: world.claims_on_l1() == claim_id + 1)
        second = await node.until(
            "the node knows",
            lambda: (
                node.node.store.claims.of_session(session_id)[-1].claim_id > claim_id
                and node.node.store.claims.of_session(session_id)[-1].claim_id
            ),
        )
        leaf = arena.leaf(node.node.store, second)
    arena.demand_leaf(leaf)
    world.pass_time(301)
    arena.resolve(leaf, DisputeKind.LEAF)
    async with running_node(world, tmp_path, monkeypatch, accept=accept, prover=TestProver.ready()) as node:
        # The next bond is for a person to risk.
        error = f"a dispute killed claim {second}"
        await node.until("it is killed", lambda: node.node.store.jobs.of_session(session_id)[0].error == error)
        health = await node.rpc("zkcop_health")
        assert [alert["kind"] for alert in health["alerts"]] == ["claim killed"] and health["status"] == "degraded"
        for _ in range(10):
            await node.node.defence.step()  # type: ignore[union-attr]
        assert world.claims_on_l1() == second
        assert node.node.store.jobs.retry(session_id) == 1
        await node.until("it is claimed again", lambda: world.claims_on_l1() == second + 1)
        await node.until("the node knows", lambda: len(node.node.store.claims.of_session(session_id)) == 3)
        await node.settled(session_id)


async def test_a_reorg_takes_a_dispute_and_its_answer_away(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(arena.world, tmp_path, monkeypatch, accept=arena.accept) as node:
        session_id, claim_id = await claimed_match(arena, node)
        store, world = node.node.store, arena.world
        leaf = arena.leaf(store, claim_id)
        world.anvil.mine(3)
        arena.demand_leaf(leaf)
        await node.until("it is answered", lambda: arena.leaf_state(leaf).open == 0)
        await node.until("the node knows", lambda: not store.disputes.find(unanswered=True))
        (dispute,) = store.disputes.find()
        world.anvil.reorg(world.anvil.block_number() - dispute.opened_block + 1)
        world.anvil.mine(2)

        def forgotten() -> bool:
            claim = store.claims.get(claim_id)
            return claim is not None and claim.status is ClaimStatus.POSTED and not store.disputes.find()

        await node.until("the node forgets it", forgotten)
        await node.settled(session_id)


async def test_a_reorg_brings_a_killed_leaf_back(arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world, accept = arena.world, arena.accept
    async with running_node(world, tmp_path, monkeypatch, accept=accept, defence={"enabled": False}) as node:
        session_id, claim_id = await claimed_match(arena, node)
        store = node.node.store
        leaf = arena.leaf(store, claim_id)
        arena.demand_leaf(leaf)
        world.pass_time(301)
        arena.resolve(leaf, DisputeKind.LEAF)
        killed_in = world.anvil.block_number()
        await node.until("it is killed", lambda: store.jobs.of_session(session_id)[0].state is JobState.FAILED)
        assert store.disputes.standing(claim_id)[0] == LeafStanding(False, True, LeafEvent.UNPROVEN)
        assert _status(store, claim_id) is ClaimStatus.DEAD
        world.anvil.reorg(world.anvil.block_number() - killed_in + 1)
        world.anvil.mine(2)
        await node.until("it is alive", lambda: store.jobs.of_session(session_id)[0].state is JobState.CLAIMED)
        assert store.disputes.standing(claim_id)[0] == LeafStanding(held=True)
        assert _status(store, claim_id) is ClaimStatus.HELD
        arena.resolve(leaf, DisputeKind.LEAF)
        await node.until("it is killed", lambda: store.jobs.of_session(session_id)[0].state is JobState.FAILED)


def _status(store: Store, claim_id: int) -> ClaimStatus | None:
    claim = store.claims.get(claim_id)
    return None if claim is None else claim.status


async def test_a_dead_claims_bond_is_not_asked_back(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its leaves were killed: `releaseBond` would give nothing, and cost its gas."""
    async with running_node(
        arena.world, tmp_path, monkeypatch, accept=arena.accept, defence={"enabled": False}
    ) as node:
        _, claim_id = await claimed_match(arena, node)
        store = node.node.store
        leaf = arena.leaf(store, claim_id)
        arena.demand_leaf(leaf)
        arena.world.pass_time(301)
        arena.resolve(leaf, DisputeKind.LEAF)
        await node.until("it is dead", lambda: _status(store, claim_id) is ClaimStatus.DEAD)
        arena.world.pass_time(61)
        # A later session's bond is asked back, so that the coordinator has looked at both.
        other, living = await claimed_match(arena, node)
        await node.settled(other)
        await node.bond_released(living)
        assert not [record for record in store.intents.find() if record.key.startswith(f"release:{claim_id}:")]


async def test_a_range_is_claimed_anew_after_its_checkpoint_was(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INVARIANT I2: L1 settles no range that was claimed before the claim that its checkpoint stands in."""
    world, accept, long = arena.world, arena.accept, {"batch_delay": 0, "checkpoint_blocks": 4}
    async with running_node(world, tmp_path, monkeypatch, accept=accept, coordinator=long) as node:
        session_id = world.open_session(target=8, terms=arena.terms())
        await node.opened(session_id)
        await node.play(session_id, 5)
        checkpoint = await node.claimed(session_id)
        await node.play(session_id, 3, first_nonce=5)
        await node.claimed_to_its_end(session_id)
        claims = world.claims_on_l1()
        leaf = arena.leaf(node.node.store, checkpoint)
    arena.demand_leaf(leaf)
    world.pass_time(301)
    arena.resolve(leaf, DisputeKind.LEAF)
    prover = TestProver.ready()
    async with running_node(world, tmp_path, monkeypatch, accept=accept, coordinator=long, prover=prover) as node:
        await node.until("both are claimed anew", lambda: world.claims_on_l1() == claims + 2)
        await node.settled(session_id)
        assert world.callbacks(session_id) == 1
        # The bond of the range's first claim comes back: nothing was wrong with it.
        for claim_id in range(checkpoint + 1, claims + 3):
            await node.bond_released(claim_id)


async def test_what_another_contract_says_of_a_claim_counts_for_nothing(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two accepted dispute contracts: each is heard about the claims whose terms name it."""
    other = Arena.create(arena.world)
    accept = {**arena.accept, "dispute_games": ["0x" + arena.game.hex(), "0x" + other.game.hex()]}
    accept["verifiers"] = [*arena.accept["verifiers"], *other.accept["verifiers"]]
    async with running_node(arena.world, tmp_path, monkeypatch, accept=accept) as node:
        claims = []
        for one in (arena, other):
            session_id = arena.world.open_session(target=1, terms=one.terms())
            await node.opened(session_id)
            await node.play(session_id, 1)
            claims.append(await node.claimed(session_id))
        leaf = other.leaf(node.node.store, claims[1])
        other.demand_leaf(leaf)
        await node.until("it is answered", lambda: other.leaf_state(leaf).open == 0)
        await node.until("the node knows", lambda: len(node.node.store.disputes.find()) == 1)
        assert [dispute.claim_id for dispute in node.node.store.disputes.find()] == [claims[1]]
