"""The Relayer against a real L1, real contracts, the real engine and store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs
from support.anvil import account, run_anvil
from support.engine import wait_until
from support.running import SIGNER
from support.world import OPERATOR_KEY, PLAYERS, World, call_data

from exclave import _engine
from exclave.config import AcceptConfig
from exclave.l1.client import ClientSettings, L1Client
from exclave.l1.errors import L1Error
from exclave.l1.intents import Intent
from exclave.node.acceptance import AcceptancePolicy
from exclave.node.sessions import SessionHost, SessionNotServed
from exclave.node.supervisor import FatalError
from exclave.node.sync import SessionSync
from exclave.node.templates import import_template
from exclave.protocol import (
    ClaimHeader,
    SessionConfig,
    Terms,
    address_of,
    keccak256,
    players_hash,
)
from exclave.relayer.events import InconsistentEvent
from exclave.relayer.relayer import FOLLOWER, L1Changed, Relayer, RelayerSettings
from exclave.store import JobState, Leaf, LeaseHeld, NewBatch, Session, SessionStatus, Store


@dataclass
class Parts:
    """A node's parts up to the Relayer."""

    store: Store
    host: SessionHost
    engine: _engine.Engine
    l1: L1Client
    relayer: Relayer
    sync: SessionSync

    async def step(self) -> bool:
        """A step, of which the sessions in memory hear."""
        more = await self.relayer.step()
        await asyncio.to_thread(self.sync.look)
        return more

    async def follow(self) -> None:
        """Steps until there is nothing left to catch up with."""
        while await self.step():
            pass

    async def follow_unheard(self) -> None:
        """The same, of which the sessions in memory don't hear."""
        while await self.relayer.step():
            pass

    def stop(self) -> None:
        self.engine.shutdown()
        self.host.release_all()
        self.store.close()


def make_parts(
    world: World,
    directory: Path,
    *,
    confirmations: int = 0,
    with_template: bool = True,
    start_block: int | None = None,
    owner: str = "test",
    **accept: object,
) -> Parts:
    store = Store(f"sqlite:///{directory}/exclave.db")
    store.migrate()
    host = SessionHost(store, owner, 60, AcceptancePolicy.of(AcceptConfig(**accept), address_of(OPERATOR_KEY)))  # type: ignore[arg-type]
    engine = _engine.Engine(
        persist=host.persist,
        wake=host.wake,
        call=lambda method, params: "null",
        preconfirmation_key=OPERATOR_KEY,
        l1_chain_id=31337,
        zk_relayer=world.zk_relayer,
    )
    host.attach(engine)
    if with_template:
        import_template(store, engine, world.template.data)
    l1 = L1Client([world.anvil.url], 31337, ClientSettings(rounds=2, backoff=0.05, timeout=5))
    settings = RelayerSettings(
        zk_relayer=world.zk_relayer,
        l1_chain_id=31337,
        start_block=world.deployed_in if start_block is None else start_block,
        confirmations=confirmations,
        log_range=5,
        poll_interval=0.05,
    )
    relayer = Relayer(l1, store, host, settings, directory / "archive")
    sync = SessionSync(store, host)
    sync.begin()
    return Parts(store, host, engine, l1, relayer, sync)


@pytest.fixture
async def parts(world: World, tmp_path: Path) -> AsyncIterator[Parts]:
    made = make_parts(world, tmp_path)
    yield made
    made.stop()
    await made.l1.close()


def config_of(session: Session) -> SessionConfig:
    return SessionConfig(
        session.session_id,
        session.opened_at,
        session.opened_block,
        session.deadline,
        session.game,
        session.template_id,
        players_hash(session.players),
        keccak256(session.init_data),
        Terms.decode(session.terms).hash(),
    )


def drop_opening(parts: Parts, world: World, session_id: int) -> None:
    """Reorganise L1 so that the opening and all after it are gone."""
    session = parts.store.sessions.get(session_id)
    assert session is not None
    world.anvil.reorg(world.anvil.block_number() - session.opened_block + 1)


async def play(parts: Parts, world: World, session_id: int, nonce: int, by: int = 1, player: int = 0) -> None:
    move = world.increment(session_id, PLAYERS[player], nonce, by)
    await asyncio.to_thread(parts.engine.submit, session_id, [move])


async def test_a_session_opens_and_is_played_to_its_end(world: World, parts: Parts) -> None:
    session_id = world.open_session(target=2)
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None and session.genesis_hash is not None
    assert session.config_hash == bytes(
        world.view(
            world.zk_relayer,
            "configHash((uint64,uint64,uint64,uint64,address,bytes32,bytes32,bytes32,bytes32))",
            ["bytes32"],
            config_of(session).as_abi_tuple(),
        )
    )
    await play(parts, world, session_id, 0)
    await play(parts, world, session_id, 0, player=1)
    head = parts.store.blocks.head(session_id)
    assert head is not None and head.result is not None
    assert head.result[:32] == (2).to_bytes(32, "big")
    with pytest.raises(_engine.SubmitError) as refused:
        await play(parts, world, session_id, 1)
    assert refused.value.kind == "SessionEnded"


async def test_the_seed_waits_for_its_block_and_confirmations(world: World, tmp_path: Path) -> None:
    parts = make_parts(world, tmp_path, confirmations=2)
    session_id = world.open_session(mine=0)
    await parts.follow()
    assert parts.store.sessions.get(session_id) is None
    world.anvil.mine(2)
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None and session.seed is None
    with pytest.raises(SessionNotServed, match="L1 block"):
        parts.host.wake(session_id)
    world.anvil.mine()
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None and session.seed is not None
    parts.stop()
    await parts.l1.close()


async def test_restart_goes_on_from_the_cursor(world: World, parts: Parts, tmp_path: Path) -> None:
    first = world.open_session()
    await parts.follow()
    await play(parts, world, first, 0)
    parts.stop()
    second = world.open_session()
    again = make_parts(world, tmp_path)
    await again.follow()
    # Not in memory, rebuilt on the first touch.
    assert again.host.in_memory == [second]
    await play(again, world, first, 1)
    await play(again, world, second, 0)
    await play(again, world, first, 2)
    head = again.store.blocks.head(first)
    assert head is not None and head.result is not None and head.result[:32] == (3).to_bytes(32, "big")
    again.stop()
    await again.l1.close()


async def test_a_session_is_not_taken_without_the_registration_of_its_terms(world: World, tmp_path: Path) -> None:
    """Its event has their hash only: who starts to read after their registration is told so, and records nothing."""
    terms = world.terms(callback_gas=123_456)
    world.register_terms(terms, world.template.template_id)
    late = make_parts(world, tmp_path, start_block=world.anvil.block_number() + 1)
    session_id = world.open_session(terms=terms)
    with pytest.raises(InconsistentEvent, match=r"l1\.start_block"):
        await late.follow()
    assert late.store.sessions.get(session_id) is None
    late.stop()
    await late.l1.close()
    (tmp_path / "complete").mkdir()
    complete = make_parts(world, tmp_path / "complete")
    await complete.follow()
    session = complete.store.sessions.get(session_id)
    assert session is not None and session.terms == terms.encode()
    complete.stop()
    await complete.l1.close()


async def test_unknown_template_is_retried_when_added(world: World, tmp_path: Path) -> None:
    parts = make_parts(world, tmp_path, with_template=False)
    session_id = world.open_session()
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None and session.genesis_hash is None
    assert "template" in (parts.host.unsupported_reason(session) or "")
    import_template(parts.store, parts.engine, world.template.data)
    await parts.follow()
    await play(parts, world, session_id, 0)
    parts.stop()
    await parts.l1.close()


async def test_sessions_of_another_operator_are_not_served(world: World, parts: Parts) -> None:
    session_id = world.open_session(terms=world.terms(operator=b"\x77" * 20))
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None and session.genesis_hash is None
    with pytest.raises(SessionNotServed, match="operator"):
        parts.host.wake(session_id)


async def test_forced_transactions_reach_the_session_in_order(world: World, parts: Parts) -> None:
    """INVARIANT I4."""
    session_id = world.open_session(target=100)
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None
    for by in (3, 5):
        world.force(config_of(session), world.template.game, call_data("increment(uint256)", by), PLAYERS[0])
    await parts.follow()
    await play(parts, world, session_id, 0)  # after the messages, or with them
    head = parts.store.blocks.head(session_id)
    assert head is not None and head.inbox_count == 2
    last = list(parts.store.blocks.load(session_id))[-1]
    assert last.inbox_hash == bytes(
        world.view(world.zk_relayer, "inboxHash(uint64,uint64)", ["bytes32"], session_id, 2)
    )


async def test_forced_transactions_wake_a_cold_session_at_the_start(world: World, parts: Parts, tmp_path: Path) -> None:
    """INVARIANT I4."""
    session_id = world.open_session(target=100)
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None
    await play(parts, world, session_id, 0)
    # The node dies between recording the message and telling the engine.
    world.force(config_of(session), world.template.game, call_data("increment(uint256)", 3), PLAYERS[0])
    await parts.follow_unheard()
    parts.stop()
    again = make_parts(world, tmp_path)
    running = asyncio.create_task(again.sync.run())
    for _ in range(200):
        head = again.store.blocks.head(session_id)
        if head is not None and head.inbox_count == 1:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the forced transaction never got into the session")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    again.stop()
    await again.l1.close()


async def test_reorg_that_keeps_the_opening_keeps_the_session(world: World, parts: Parts) -> None:
    session_id = world.open_session(target=10)
    world.anvil.mine(3)
    await parts.follow()
    await play(parts, world, session_id, 0)
    before = parts.store.blocks.head(session_id)
    world.anvil.reorg(2)
    await parts.follow()
    assert parts.store.blocks.head(session_id) == before
    await play(parts, world, session_id, 1)


async def test_reorg_that_drops_the_opening_retires_the_session(world: World, parts: Parts) -> None:
    session_id = world.open_session(target=10)
    await parts.follow()
    await play(parts, world, session_id, 0)
    drop_opening(parts, world, session_id)
    assert world.view(world.zk_relayer, "lastSessionId()", ["uint64"]) == 0
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None and session.status is SessionStatus.REORGED
    assert parts.host.wake(session_id) is False
    assert session_id not in parts.engine.session_ids()


async def test_reorg_that_replaces_a_played_session_archives_it(world: World, parts: Parts, tmp_path: Path) -> None:
    session_id = world.open_session(target=10)
    await parts.follow()
    await play(parts, world, session_id, 0)
    first = parts.store.sessions.get(session_id)
    drop_opening(parts, world, session_id)
    assert world.open_session(target=20) == session_id
    await parts.follow()
    second = parts.store.sessions.get(session_id)
    assert first is not None and second is not None
    assert second.status is SessionStatus.OPEN
    assert second.config_hash != first.config_hash and second.genesis_hash != first.genesis_hash
    assert len(list((tmp_path / "archive").glob(f"session-{session_id}-*.jsonl.gz"))) == 1
    await play(parts, world, session_id, 0)  # a new chain, from its first nonce


async def test_reorg_of_the_seeds_block_alone_begins_the_session_anew(
    world: World, parts: Parts, tmp_path: Path
) -> None:
    session_id = world.open_session(target=10, mine=1)
    await parts.follow()
    await play(parts, world, session_id, 0)
    first = parts.store.sessions.get(session_id)
    world.anvil.reorg(1)
    await parts.follow()
    second = parts.store.sessions.get(session_id)
    assert first is not None and second is not None and second.config_hash == first.config_hash
    if second.seed != first.seed:
        assert second.genesis_hash != first.genesis_hash
        assert len(list((tmp_path / "archive").glob("*"))) == 1
        await play(parts, world, session_id, 0)
    else:
        await play(parts, world, session_id, 1)


async def test_reorged_message_that_was_not_consumed_is_forgotten(world: World, parts: Parts) -> None:
    session_id = world.open_session(target=100)
    world.anvil.mine(3)
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None
    world.force(config_of(session), world.template.game, call_data("increment(uint256)", 3), PLAYERS[0])
    await parts.follow_unheard()
    assert len(parts.store.inbox.load(session_id)) == 1
    world.anvil.reorg(1)
    world.anvil.mine(2)
    await parts.follow()
    assert parts.store.inbox.load(session_id) == []


async def test_reorged_message_that_was_consumed_freezes_the_session(world: World, parts: Parts) -> None:
    session_id = world.open_session(target=100)
    world.anvil.mine(3)
    await parts.follow()
    session = parts.store.sessions.get(session_id)
    assert session is not None
    message = call_data("increment(uint256)", 3)
    before = world.anvil.rpc("evm_snapshot")
    due = world.now() + 10  # a message has the time of its L1 block: only then it is the same one
    world.anvil.rpc("evm_setNextBlockTimestamp", due)
    world.force(config_of(session), world.template.game, message, PLAYERS[0])
    await parts.follow()
    await play(parts, world, session_id, 0)
    head = parts.store.blocks.head(session_id)
    assert head is not None and head.inbox_count == 1
    assert world.anvil.rpc("evm_revert", before)
    for timestamp in (due - 2, due - 1):
        world.anvil.rpc("evm_setNextBlockTimestamp", timestamp)
        world.anvil.mine()
    await parts.follow()
    with pytest.raises(SessionNotServed, match="forced transactions that L1"):
        parts.host.wake(session_id)
    # The same message again: the session goes on.
    world.anvil.rpc("evm_setNextBlockTimestamp", due)
    world.force(config_of(session), world.template.game, message, PLAYERS[0])
    await parts.follow()
    await play(parts, world, session_id, 1)


@pytest.mark.parametrize("mined", [2, 12], ids=["near", "far"])
async def test_a_reorg_while_l1_is_read_leaves_nothing_of_the_other_branch(
    world: World, parts: Parts, monkeypatch: pytest.MonkeyPatch, mined: int
) -> None:
    """Between the look for a reorg and the logs. The branch that is read first has a session, the other one hasn't."""
    session_id = world.open_session(target=10)
    await parts.follow()
    opened = parts.store.sessions.get(session_id)
    assert opened is not None
    depth = world.anvil.block_number() - opened.opened_block + 1
    world.anvil.mine(mined)
    get_logs = parts.l1.get_logs
    reorganised = False

    async def late(*arguments: object) -> object:
        nonlocal reorganised
        if not reorganised:
            reorganised = True
            world.anvil.reorg(depth + mined)
            world.anvil.mine(1)
        return await get_logs(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(parts.l1, "get_logs", late)
    with pytest.raises(L1Changed):
        await parts.relayer.step()
    found = parts.store.sessions.get(session_id)
    assert found is not None and found.status is SessionStatus.OPEN
    await parts.follow()
    found = parts.store.sessions.get(session_id)
    assert found is not None and found.status is SessionStatus.REORGED


def _batch(parts: Parts, world: World, session_id: int) -> bytes:
    """A batch of one made-up leaf, whose claim `SIGNER` is about to send; returns its root."""
    root, terms = keccak256(b"root"), world.terms()
    leaf = Leaf(0, session_id, b"leaf")
    batch = NewBatch(root, terms.hash(), int(terms.data_mode), b"data", "claim:0", [leaf])

    def work(tx: Connection) -> None:
        batch_id = parts.store.batches.create(batch, connection=tx)
        parts.store.jobs.open(session_id, connection=tx)
        fields = {"batch_id": batch_id, "leaf_index": 0, "claim_intent": "claim:0"}
        parts.store.jobs.move(session_id, 0, [JobState.OPEN], JobState.BATCHED, connection=tx, **fields)
        intent = Intent(key="claim:0", to=world.zk_relayer, data=b"claim")
        parts.store.intents.insert(intent, 31337, bytes.fromhex(account(SIGNER).address[2:]), connection=tx)

    parts.store.run(work)
    return root


async def test_invariant_i5_a_claim_of_the_same_root_by_somebody_else_is_not_ours(world: World, parts: Parts) -> None:
    session_id = world.open_session(target=10)
    await parts.follow()
    root = _batch(parts, world, session_id)
    world.claim(root, 6)
    world.claim(root, 6, terms=world.terms(challenge_window=3600))
    world.claim(root, SIGNER, terms=world.terms(challenge_window=3600))
    world.claim(root, SIGNER, count=2)
    with capture_logs() as logs:
        await parts.follow()
        world.anvil.mine()  # the blocks before are read again
        await parts.follow()
    told = [one["claim"] for one in logs if one["event"] == "somebody else claims what this node claims"]
    assert told == [1, 2, 3, 4]  # once each
    job = parts.store.jobs.get(session_id)
    assert job is not None and (job.state, job.claim_id) == (JobState.BATCHED, None)
    assert parts.store.claims.of_session(session_id) == []
    world.claim(root, SIGNER)
    await parts.follow()
    job = parts.store.jobs.get(session_id)
    assert job is not None and (job.state, job.claim_id) == (JobState.CLAIMED, 5)
    claim = parts.store.claims.get(5)
    assert claim is not None and claim.header is not None
    assert ClaimHeader.decode(claim.header).root == root


async def test_sessions_that_are_not_served_are_not_looked_at_again(world: World, parts: Parts) -> None:
    served = world.open_session()
    world.open_session(terms=world.terms(operator=b"\x77" * 20))
    world.open_session(terms=world.terms(dispute_game=b"\x66" * 20))
    world.anvil.mine(15)  # more than is read again at each step
    await parts.follow()
    world.open_session(mine=0)
    await parts.follow()
    assert parts.host.in_memory == [served]
    assert [found.refusal is None for found in parts.store.sessions.find()] == [True, False, False, True]
    looked_at: list[int] = []
    get = parts.store.sessions.get
    parts.store.sessions.get = lambda session_id, **rest: looked_at.append(session_id) or get(session_id, **rest)  # type: ignore[method-assign,func-returns-value]
    await parts.relayer.step()
    assert looked_at == []
    world.anvil.mine(1)
    await parts.follow()
    assert set(looked_at) == {4}


async def test_a_changed_policy_serves_other_sessions(world: World, parts: Parts, tmp_path: Path) -> None:
    session_id = world.open_session(terms=world.terms(callback_gas=600_000))
    await parts.follow()
    assert parts.host.in_memory == []
    parts.stop()
    again = make_parts(world, tmp_path, max_callback_gas=600_000)
    await again.relayer.catch_up()
    await asyncio.to_thread(again.sync.look)
    assert again.host.in_memory == [session_id]
    again.stop()
    await again.l1.close()


async def test_l1_outage_is_a_typed_error_and_play_goes_on(world: World, parts: Parts) -> None:
    session_id = world.open_session(target=10)
    await parts.follow()
    world.anvil.stop()
    with pytest.raises(L1Error):
        await parts.relayer.step()
    await play(parts, world, session_id, 0)
    head = parts.store.blocks.head(session_id)
    assert head is not None and head.number == 2


async def test_another_l1_is_refused(world: World, parts: Parts) -> None:
    world.open_session()
    await parts.follow()
    with run_anvil("--timestamp", "1700000000") as other:
        other.mine(30)
        parts.relayer._l1 = L1Client([other.url], 31337)
        with pytest.raises(FatalError, match="another chain"):
            await parts.follow()
        await parts.relayer._l1.close()


async def test_catching_up_is_bounded_per_step(world: World, parts: Parts) -> None:
    world.anvil.mine(23)
    steps = 0
    while await parts.relayer.step():
        steps += 1
    assert steps >= 4  # ranges of five blocks
    cursor = parts.store.following.cursor(FOLLOWER)
    assert cursor is not None and cursor.number == world.anvil.block_number()


@pytest.fixture
async def other(world: World, parts: Parts, tmp_path: Path) -> AsyncIterator[Parts]:
    """Another process on the same database, which follows no L1."""
    made = make_parts(world, tmp_path, owner="other")
    yield made
    made.stop()
    await made.l1.close()


async def open_in(other: Parts, world: World, parts: Parts, target: int = 10) -> int:
    """A new session that the other process has."""
    session_id = world.open_session(target=target)
    await parts.follow()
    await asyncio.to_thread(parts.host.drop_idle, 0, 0)
    await asyncio.to_thread(other.sync.look)
    assert await asyncio.to_thread(other.host.wake, session_id) is True
    return session_id


async def test_invariant_i4_another_process_hears_of_messages_before_the_time_they_are_due(
    world: World, parts: Parts, other: Parts
) -> None:
    session_id = await open_in(other, world, parts, target=100)
    await play(other, world, session_id, 0)
    session = parts.store.sessions.get(session_id)
    assert session is not None
    told: list[object] = []
    touch, followed_until = other.host.touch, other.host.followed_until
    other.host.touch = lambda ids: told.append(list(ids)) or touch(ids)  # type: ignore[method-assign,func-returns-value]
    other.host.followed_until = lambda until: told.append(until) or followed_until(until)  # type: ignore[method-assign,func-returns-value]
    world.force(config_of(session), world.template.game, call_data("increment(uint256)", 3), PLAYERS[0])
    await parts.follow()
    assert session_id not in parts.host.in_memory
    await asyncio.to_thread(other.sync.look)
    cursor = parts.store.following.cursor(FOLLOWER)
    assert cursor is not None and told == [[session_id], cursor.timestamp]
    await asyncio.to_thread(wait_until, lambda: other.engine.session_info(session_id).inbox_count == 1)  # type: ignore[union-attr]


async def test_a_session_that_l1_replaced_is_lost_to_the_process_that_has_it(
    world: World, parts: Parts, other: Parts
) -> None:
    session_id = await open_in(other, world, parts)
    await play(other, world, session_id, 0)
    drop_opening(parts, world, session_id)
    await parts.follow_unheard()
    # It hasn't heard of it, and acknowledges nothing more all the same.
    with pytest.raises(_engine.SubmitError) as refused:
        await play(other, world, session_id, 1)
    assert refused.value.kind == "SessionDropped"
    await asyncio.to_thread(other.sync.look)
    assert other.host.in_memory == []
    assert await asyncio.to_thread(other.host.wake, session_id) is False


async def test_what_was_revoked_before_a_session_came_into_memory_does_not_take_it_away(
    world: World, parts: Parts, other: Parts
) -> None:
    session_id = world.open_session(target=10)
    await parts.follow()
    with parts.store.transaction() as tx:
        parts.store.changes.revoke([session_id], connection=tx)
    assert await asyncio.to_thread(other.host.wake, session_id) is True
    await asyncio.to_thread(parts.sync.look)
    await asyncio.to_thread(other.sync.look)
    assert (parts.host.in_memory, other.host.in_memory) == ([], [session_id])
    await play(other, world, session_id, 0)


async def test_a_process_that_missed_too_much_reads_its_sessions_anew(
    world: World, parts: Parts, other: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exclave.store.changes.KEPT", 1)
    session_id = await open_in(other, world, parts)
    for _ in range(3):
        with parts.store.transaction() as tx:
            parts.store.changes.touch([session_id], connection=tx)
    await asyncio.to_thread(other.sync.look)
    assert other.host.in_memory == []
    await play(other, world, session_id, 0)
    with parts.store.transaction() as tx:
        parts.store.changes.touch([session_id], connection=tx)
    await asyncio.to_thread(other.sync.look)
    assert other.host.in_memory == [session_id]


async def test_a_process_that_does_not_lead_any_more_records_nothing(
    world: World, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.open_session(target=10)
    await parts.follow()
    before = parts.store.following.cursor(FOLLOWER)

    def fence(tx: Connection) -> None:
        raise FatalError("another one leads")

    monkeypatch.setattr(parts.relayer, "_fence", fence)
    world.open_session(target=10)
    with pytest.raises(FatalError):
        await parts.follow()
    assert parts.store.following.cursor(FOLLOWER) == before
    assert len(parts.store.sessions.find()) == 1


async def test_invariant_i4_messages_reach_a_session_whose_process_died(
    world: World, parts: Parts, other: Parts
) -> None:
    session_id = await open_in(other, world, parts, target=100)
    session = parts.store.sessions.get(session_id)
    assert session is not None
    world.force(config_of(session), world.template.game, call_data("increment(uint256)", 3), PLAYERS[0])
    await parts.follow()
    other.engine.shutdown()  # before it hears of the message; its lease lives on
    await asyncio.to_thread(parts.sync.wake_due)
    assert parts.host.in_memory == []
    parts.store.leases.release_owner("other")
    await asyncio.to_thread(parts.sync.wake_due)
    assert parts.host.in_memory == [session_id]
    await asyncio.to_thread(wait_until, lambda: parts.engine.session_info(session_id).inbox_count == 1)  # type: ignore[union-attr]


async def test_a_session_of_a_process_that_has_just_come_is_found(world: World, parts: Parts, other: Parts) -> None:
    session_id = await open_in(other, world, parts)
    with pytest.raises(LeaseHeld):
        await asyncio.to_thread(parts.host.wake, session_id)
    # Nobody looked since.
    parts.store.processes.announce("other", "http://other", 60)
    assert await asyncio.to_thread(parts.host.wake, session_id) == "http://other"
