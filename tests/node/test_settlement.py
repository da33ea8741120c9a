"""Matches from opening to settlement through a whole node on a real L1."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from support.anvil import account
from support.running import SIGNER, running_node
from support.world import PLAYERS, World, call_data, signed_call

from exclave.protocol import DataMode, decode_batch_data


@pytest.mark.parametrize("mode", list(DataMode))
async def test_a_match_is_settled_in_each_data_mode(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: DataMode
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=3, terms=world.terms(mode))
        await node.opened(session_id)
        await node.play(session_id, 2)
        await node.play(session_id, 1, player=1)
        claim_id = await node.claimed(session_id)
        assert world.status(session_id) == 1  # the window is open
        await node.settled(session_id)
        assert world.callbacks(session_id) == 1
        assert world.result_on_l1(session_id)[:32] == (3).to_bytes(32, "big")
        assert world.claims_on_l1() == 1
        await node.bond_released(claim_id)


async def test_a_claim_that_can_be_disputed_needs_no_signature_of_the_operator(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1, terms=world.terms(dispute_game=world.lobby))
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.claimed(session_id)
        await node.settled(session_id)


async def test_three_sessions_share_one_claim_and_one_settlement(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = {"batch_size": 3, "batch_delay": 3600}
    async with running_node(world, tmp_path, monkeypatch, coordinator=coordinator) as node:
        sessions = [world.open_session(target=1) for _ in range(3)]
        for session_id in sessions:
            await node.opened(session_id)
            await node.play(session_id, 1)
        claim_id = await node.claimed(sessions[0])
        proofs = [await node.rpc("zkcop_getClaimProof", session_id) for session_id in sessions]
        assert {proof["claimId"] for proof in proofs} == {hex(claim_id)}
        for session_id in sessions:
            await node.settled(session_id)
        assert world.claims_on_l1() == 1
        transactions = await node.rpc("zkcop_getL1TransactionsByClaim", claim_id)
        assert [entry["key"].split(":")[0] for entry in transactions] == ["claim", "settle"]
        assert transactions[1]["key"].split(":")[-2] == "all"
        assert [world.callbacks(session_id) for session_id in sessions] == [1, 1, 1]


async def test_sessions_of_other_terms_are_claimed_apart(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, coordinator={"batch_delay": 1}) as node:
        first = world.open_session(target=1)
        second = world.open_session(target=1, terms=world.terms(callback_gas=300_000))
        for session_id in (first, second):
            await node.opened(session_id)
            await node.play(session_id, 1)
        assert await node.claimed(first) != await node.claimed(second)


async def test_a_game_that_refuses_its_callback_does_not_stop_the_others(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, coordinator={"batch_size": 2, "batch_delay": 3600}) as node:
        sessions = [world.open_session(target=1) for _ in range(2)]
        for session_id in sessions:
            await node.opened(session_id)
            await node.play(session_id, 1)
        await node.claimed(sessions[0])
        world.send(world.lobby, call_data("setRefusing(bool)", True))
        for session_id in sessions:
            await node.settled(session_id)
            assert world.callbacks(session_id) == 0
            assert world.view(world.zk_relayer, "callbackFailed(uint64)", ["bool"], session_id)


async def test_a_session_that_players_settle_themselves_is_not_claimed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, coordinator={"batch_delay": 3600}) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)
        session = node.node.store.sessions.get(session_id)
        head = node.node.store.blocks.head(session_id)
        assert session is not None and head is not None and head.result is not None
        world.settle_unanimously(session, head.result)

        def known() -> bool:
            found = node.node.store.sessions.get(session_id)
            return found is not None and found.status == "settled"

        await node.until("the node knows", known)
        assert all(job.state == "settled" for job in node.node.store.jobs.of_session(session_id))
        assert world.claims_on_l1() == 0
        assert (await node.rpc("zkcop_isBlockConsolidated", session_id, head.number)) is True


async def test_long_sessions_are_claimed_in_checkpoints(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, coordinator={"checkpoint_blocks": 4}) as node:
        session_id = world.open_session(target=8)
        await node.opened(session_id)
        await node.play(session_id, 5)
        checkpoint = await node.claimed(session_id)
        leaf = (await node.rpc("zkcop_getClaimProof", session_id, checkpoint))["session"]
        assert leaf["firstNumber"] == "0x0" and int(leaf["resultHash"], 16) == 0
        await node.play(session_id, 3, first_nonce=5)
        await node.until("the rest is claimed", lambda: len(node.node.store.claims.of_session(session_id)) >= 2)
        await node.settled(session_id)
        claims = node.node.store.claims.of_session(session_id)
        last = (await node.rpc("zkcop_getClaimProof", session_id, claims[-1].claim_id))["session"]
        assert int(last["firstNumber"], 16) > 0 and int(last["resultHash"], 16) != 0
        for claim in claims:
            await node.bond_released(claim.claim_id)
        data = decode_batch_data(bytes.fromhex((await node.rpc("zkcop_getClaimData", checkpoint))["data"][2:]))
        assert data[0].session_id == session_id and data[0].first_number == 0


async def test_a_session_too_large_for_one_claim_is_cut_up(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        for nonce in range(3):
            noise = random.Random(nonce).randbytes(60_000)
            raw = signed_call(
                PLAYERS[1], world.chain_id(session_id), nonce, world.template.game, call_data("say(bytes)", noise)
            )
            await node.rpc("eth_sendRawTransaction", "0x" + raw.hex(), path=f"/session/{session_id}")
        await node.play(session_id, 1)
        await node.until("all is claimed", lambda: len(node.node.store.claims.of_session(session_id)) >= 2)
        await node.settled(session_id)
        assert world.callbacks(session_id) == 1


async def test_a_stalled_match_is_stopped_after_its_deadline(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=10, duration=8)
        await node.opened(session_id)
        await node.play(session_id, 2)
        claim_id = await node.claimed(session_id)
        await node.settled(session_id)
        result = world.result_on_l1(session_id)
        assert result[:32] == (2).to_bytes(32, "big") and result[32:] == bytes(32)  # nobody won
        await node.bond_released(claim_id)


async def test_the_deposit_is_reused_and_topped_up(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INVARIANT I3."""
    async with running_node(world, tmp_path, monkeypatch) as node:
        for _ in range(2):
            session_id = world.open_session(target=1)
            await node.opened(session_id)
            await node.play(session_id, 1)
            claim_id = await node.claimed(session_id)
            await node.settled(session_id)
            await node.bond_released(claim_id)
        bond = world.terms().claim_bond
        available = world.view(
            world.zk_relayer, "bondAccount(address)", ["uint256", "uint256"], account(SIGNER).address
        )
        assert available == bond
        assert world.anvil.balance("0x" + world.zk_relayer.hex()) == bond


async def test_a_leaf_is_not_claimed_before_l1_reached_its_time(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, l1={"confirmations": 0}) as node:
        session_id = world.open_session(target=1)
        await node.until("it opens", lambda: node.node.store.blocks.head(session_id), mining=False)
        await asyncio.sleep(1.2)  # no L1 block meanwhile: the session's last block is later than L1's newest
        await node.play(session_id, 1)
        for _ in range(10):
            await asyncio.sleep(0.1)
            assert not node.node.store.batches.find()
        await node.claimed(session_id)
        await node.settled(session_id)
