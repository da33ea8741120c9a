"""Matches from opening to settlement through a whole node on a real L1."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update
from support.anvil import account
from support.databases import fresh_postgres_url
from support.running import SIGNER, RunningNode, running_node
from support.world import PLAYERS, World, call_data, raw_address, signed_call

from exclave.coordinator import batching, ranges
from exclave.l1.intents import Intent, IntentState
from exclave.protocol import DataMode, decode_batch_data
from exclave.store import JobState, Session, schema
from exclave.store.intents import intents


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
    dispute_game = b"\x55" * 20
    allowed = {"dispute_games": ["0x" + dispute_game.hex()]}
    async with running_node(world, tmp_path, monkeypatch, accept=allowed) as node:
        session_id = world.open_session(target=1, terms=world.terms(dispute_game=dispute_game))
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.claimed(session_id)
        await node.settled(session_id)


async def test_a_match_is_settled_on_postgresql(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres_directory: str
) -> None:
    """INVARIANT I6, I7: with restarts, and a reorg of the claim."""
    database = {"database_url": fresh_postgres_url(postgres_directory)}
    async with running_node(world, tmp_path, monkeypatch, node=database) as node:
        session_id = world.open_session(target=3)
        await node.opened(session_id)
        await node.play(session_id, 2)
    async with running_node(world, tmp_path, monkeypatch, node=database) as node:
        await node.play(session_id, 1, first_nonce=2)
        await node.claimed(session_id)
        claim = node.node.store.claims.of_session(session_id)[-1]
        world.anvil.reorg(world.anvil.block_number() - claim.l1_block_number + 1)
        await node.until("it is claimed again", lambda: world.claims_on_l1() == 1)
        claim_id = await node.claimed(session_id)
        summaries = await node.rpc("zkcop_listSessions", "open", None, "0x" + raw_address(PLAYERS[0]).hex())
        assert [summary["status"] for summary in summaries] == ["claimed"]
    async with running_node(world, tmp_path, monkeypatch, node=database) as node:
        await node.settled(session_id)
        await node.bond_released(claim_id)
    assert world.callbacks(session_id) == 1


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
        # It comes to its senses, and gets its outcomes.
        world.send(world.lobby, call_data("setRefusing(bool)", False))
        for session_id in sessions:
            await node.until("the outcome is delivered", lambda i=session_id: world.callbacks(i) == 1)

        def known() -> bool:
            found = [node.node.store.sessions.get(session_id) for session_id in sessions]
            return all(session is not None and session.callback_failed_block is None for session in found)

        await node.until("the node knows", known)
        assert [world.callbacks(session_id) for session_id in sessions] == [1, 1]


async def test_invariant_i5_a_session_that_l1_replaced_does_not_keep_the_others_of_its_claim(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, coordinator={"batch_size": 2, "batch_delay": 3600}) as node:
        replaced, other = sessions = [world.open_session(target=1) for _ in range(2)]
        for session_id in sessions:
            await node.opened(session_id)
            await node.play(session_id, 1)
        claim_id = await node.claimed(other)
        store = node.node.store
        session = store.sessions.get(replaced)
        assert session is not None and store.claims.leaves(claim_id)[0].session_id == replaced
        await asyncio.to_thread(node.node.host.drop_idle, 0, 0)

        def replace(tx: Connection) -> None:
            tx.execute(update(schema.sessions).where(schema.sessions.c.session_id == replaced).values(status="reorged"))
            another = dataclasses.replace(session, config_hash=bytes(32), terms=world.terms(claim_bond=7).encode())
            store.sessions.put(dataclasses.replace(another, seed=None, genesis_hash=None), connection=tx)

        store.run(replace)
        await node.settled(other)
        assert world.callbacks(other) == 1 and world.status(replaced) == 1
        await node.bond_released(claim_id)


async def test_invariant_i5_what_failed_at_once_is_settled_one_by_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, coordinator={"batch_size": 2, "batch_delay": 3600}) as node:
        sessions = [world.open_session(target=1) for _ in range(2)]
        for session_id in sessions:
            await node.opened(session_id)
            await node.play(session_id, 1)
        claim_id = await node.claimed(sessions[0])
        # As after a settleAll that failed.
        node.node.store.jobs.move(sessions[1], 0, [JobState.CLAIMED], JobState.CLAIMED, attempts=1)
        for session_id in sessions:
            await node.settled(session_id)
        transactions = await node.rpc("zkcop_getL1TransactionsByClaim", claim_id)
        assert [entry["key"].split(":")[-2] for entry in transactions[1:]] == ["0", "1"]


async def test_a_bond_is_asked_back_until_it_is_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)
        claim_id = await node.claimed(session_id)
        store = node.node.store
        claim = store.claims.get(claim_id)
        assert claim is not None
        key = f"release:{claim_id}:{claim.claimed_at}:0"
        intent = Intent(key=key, to=world.zk_relayer, data=b"")
        failed = {"state": IntentState.FAILED, "reason": "would revert"}

        def fail(tx: Connection) -> None:
            store.intents.insert(intent, 31337, node.node.manager.address, connection=tx)
            tx.execute(update(intents).where(intents.c.key == key).values(**failed))

        store.run(fail)
        await node.settled(session_id)
        await node.bond_released(claim_id)

        def known() -> bool:
            found = store.claims.get(claim_id)
            return found is not None and found.released_block is not None

        await node.until("the node knows", known)
        asked = [record.key for record in store.intents.series(f"release:{claim_id}:{claim.claimed_at}")]
        assert len(asked) == 2


async def test_what_failed_for_good_is_claimed_again_when_a_person_asks(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INVARIANT I7: under another key, for it is another effect."""
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)
        first = await node.claimed(session_id)
        store = node.node.store
        store.jobs.move(session_id, 0, [JobState.CLAIMED], JobState.FAILED, error="a dispute killed the claim")
        assert store.jobs.retry(session_id) == 1
        await node.until("it is claimed again", lambda: world.claims_on_l1() == first + 1)
        other = world.open_session(target=1)
        await node.opened(other)
        await node.play(other, 1)
        await node.claimed(other)  # the coordinator goes on
        await node.settled(session_id)
        assert world.callbacks(session_id) == 1


async def test_a_range_that_can_not_be_read_now_is_tried_again(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, calls = batching.build_range, 0

    def stumble(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("a stray error")
        return build(*arguments)

    monkeypatch.setattr(batching, "build_range", stumble)
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.claimed(session_id)
        assert calls > 1


async def test_data_that_compresses_well_is_cut_up_by_its_plain_size(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (ranges, batching):
        monkeypatch.setattr(module, "MAX_PLAIN_BYTES", 150_000)
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        for nonce in range(3):
            zeros = call_data("say(bytes)", bytes(60_000))
            raw = signed_call(PLAYERS[1], world.chain_id(session_id), nonce, world.template.game, zeros)
            await node.rpc("eth_sendRawTransaction", "0x" + raw.hex(), path=f"/session/{session_id}")
        await node.play(session_id, 1)
        claims = await node.claimed_to_its_end(session_id)
        assert len(claims) >= 2
        for claim in claims:
            data = (await node.rpc("zkcop_getClaimData", claim.claim_id))["data"]
            decode_batch_data(bytes.fromhex(data[2:]), 150_000)
        await node.settled(session_id)


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


async def test_invariant_i5_a_session_that_l1_has_decided_does_not_keep_the_others_from_their_claim(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = {"batch_size": 2, "batch_delay": 3600}
    async with running_node(world, tmp_path, monkeypatch, coordinator=coordinator, l1={"confirmations": 8}) as node:
        decided, other = sessions = [world.open_session(target=1) for _ in range(2)]
        for session_id in sessions:
            await node.opened(session_id)
        await node.play(decided, 1)
        session = node.node.store.sessions.get(decided)
        head = node.node.store.blocks.head(decided)
        assert session is not None and head is not None and head.result is not None
        world.settle_unanimously(session, head.result)
        # The Relayer, which waits for confirmations, doesn't know of it yet.
        await node.play(other, 1)
        world.pass_time(2)
        batch = (await node.until("the batch is there", node.node.store.batches.find, mining=False))[0]
        assert [leaf.session_id for leaf in node.node.store.batches.leaves(batch.batch_id)] == [other]
        found = node.node.store.sessions.get(decided)
        assert found is not None and found.status == "open"


async def signed_and_lost(node: RunningNode, kind: str) -> Session:
    """A session whose claim, or settlement, the node has signed and sent, and no L1 node has any more."""
    world = node.world
    world.pass_time(60)  # L1 isn't behind the session's blocks, without a further block
    session_id = world.open_session(target=1)
    await node.opened(session_id)
    if kind == "settle":
        await node.play(session_id, 1)
        await node.claimed(session_id)
    world.anvil.rpc("evm_setAutomine", False)
    if kind == "claim":
        await node.play(session_id, 1)
    else:
        world.pass_time(61)

    def sent() -> bool:
        found = node.node.store.intents.find([IntentState.SENT])
        pending = int(world.anvil.rpc("txpool_status")["pending"], 16)
        return bool(pending) and [record.key.split(":")[0] for record in found] == [kind]

    await node.until(f"the {kind} is on its way", sent, mining=False)
    session = node.node.store.sessions.get(session_id)
    assert session is not None
    return session


def is_aborted(node: RunningNode, session: Session) -> bool:
    found = node.node.store.sessions.get(session.session_id)
    return found is not None and found.status == "aborted"


def forget_the_pool(world: World) -> None:
    world.anvil.rpc("anvil_dropAllTransactions")
    world.anvil.rpc("evm_setAutomine", True)


@pytest.mark.parametrize("kind", ["claim", "settle"])
async def test_what_was_signed_for_a_session_that_was_aborted_meanwhile_is_taken_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A claim would lock a bond for nothing, a settlement would revert."""
    async with running_node(world, tmp_path, monkeypatch) as node:
        session = await signed_and_lost(node, kind)
    forget_the_pool(world)
    world.abort(session)
    claims = world.claims_on_l1()
    async with running_node(world, tmp_path, monkeypatch) as node:

        def final() -> bool:
            return not node.node.store.intents.open(31337, node.node.manager.address)

        await node.until("nothing is on its way", final)
        (record,) = [one for one in node.node.store.intents.find() if one.key.startswith(kind)]
        assert (record.state, record.reason) == (IntentState.ABANDONED, "not needed any more, and taken back")

        await node.until("the node knows", lambda: is_aborted(node, session))
        if kind == "settle":
            await node.bond_released(claims)
    assert world.claims_on_l1() == claims
    assert world.status(session.session_id) == 3


@pytest.mark.parametrize("kind", ["claim", "settle"])
async def test_what_was_taken_back_is_had_after_all_when_the_abort_is_reorganised_away(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """INVARIANTS I2, I7: nothing is lost by it, and nothing is claimed twice."""
    async with running_node(world, tmp_path, monkeypatch) as node:
        session = await signed_and_lost(node, kind)
    forget_the_pool(world)
    before = world.anvil.block_number()
    world.abort(session)
    async with running_node(world, tmp_path, monkeypatch) as node:
        store = node.node.store

        def known() -> bool:
            (record,) = [one for one in store.intents.find() if one.key.startswith(kind)]
            return is_aborted(node, session) and record.cancelling

        await node.until("the abort is known", known)
        world.anvil.reorg(world.anvil.block_number() - before)
        assert world.status(session.session_id) == 1
        await node.claimed(session.session_id)
        await node.settled(session.session_id)
        made = [record.key.split(":")[0] for record in store.intents.find([IntentState.CONFIRMED])]
        assert made.count("claim") == 1
    assert world.claims_on_l1() == 1
    assert world.callbacks(session.session_id) == 1


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
        claims = await node.claimed_to_its_end(session_id)
        await node.settled(session_id)
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
        assert len(await node.claimed_to_its_end(session_id)) >= 2
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
