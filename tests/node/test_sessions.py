"""Sessions coming into memory and leaving it, and how lists of them are read."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update
from support.chain import session as make_session
from support.running import running_node
from support.world import OPERATOR_KEY, PLAYERS, World, build_game_template, raw_address

from exclave import _engine
from exclave.node.sessions import SessionHost, SessionNotServed
from exclave.protocol import address_of
from exclave.rpc.sessions import SessionMethods
from exclave.store import LeaseHeld, Session, SessionStatus, Store, schema
from exclave.store.leases import Leases, session_resource
from exclave.store.store import READERS


async def test_a_decided_session_leaves_memory_and_can_still_be_read(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=1)
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.claimed(session_id)
        assert session_id in node.node.host.in_memory
        await node.settled(session_id)
        await node.until("it leaves memory", lambda: session_id not in node.node.host.in_memory)
        assert node.node.store.leases.holder(f"session:{session_id}") is None
        assert await node.rpc("eth_blockNumber", path=f"/session/{session_id}") == "0x2"


async def test_a_session_that_l1_decided_before_its_end_takes_no_more_transactions(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=10)
        await node.opened(session_id)
        await node.play(session_id, 1)
        session = node.node.store.sessions.get(session_id)
        assert session is not None
        world.settle_unanimously(session, b"a draw")

        def known() -> bool:
            found = node.node.store.sessions.get(session_id)
            return found is not None and found.status is SessionStatus.SETTLED

        await node.until("the node knows", known)
        await node.until("it leaves memory", lambda: session_id not in node.node.host.in_memory)
        raw = "0x" + world.increment(session_id, PLAYERS[0], 1).hex()
        refused = await node.raw_rpc("eth_sendRawTransaction", raw, path=f"/session/{session_id}")
        assert "L1 has settled session" in refused["error"]["message"]
        head = node.node.store.blocks.head(session_id)
        assert head is not None and head.number == 2


async def test_idle_sessions_leave_memory_and_come_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, node={"idle_seconds": 0.5}) as node:
        session_id = world.open_session(target=10)
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.until("it leaves memory", lambda: not node.node.host.in_memory, mining=False)
        await node.play(session_id, 1, first_nonce=1)
        assert node.node.host.in_memory == [session_id]
        head = node.node.store.blocks.head(session_id)
        assert head is not None and head.number >= 2


async def test_when_there_are_too_many_the_least_used_leave_memory_and_come_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exclave.node.node.MEMORY_INTERVAL", 0.1)
    async with running_node(world, tmp_path, monkeypatch, node={"max_sessions": 2}) as node:
        host = node.node.host
        ids = [world.open_session(target=10) for _ in range(4)]
        for session_id in ids:
            await node.opened(session_id)
            await node.until("it has begun", partial(node.node.store.blocks.head, session_id))
        for session_id in (ids[3], ids[0], ids[1]):
            await node.play(session_id, 1)
        await node.until("the least used are gone", lambda: host.in_memory == ids[:2], mining=False)
        await node.play(ids[2], 1)
        await node.until("the next one is gone", lambda: host.in_memory == ids[1:3], mining=False)
        for session_id in ids:
            assert await node.rpc("eth_blockNumber", path=f"/session/{session_id}") == "0x2"


async def test_when_they_take_too_much_memory_the_least_used_leave_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        host = node.node.host
        ids = [world.open_session(target=10) for _ in range(3)]
        for session_id in ids:
            await node.opened(session_id)
            await node.in_memory(session_id)
        for session_id in (ids[1], ids[2], ids[0]):
            await node.play(session_id, 1)
        memory = node.node.engine.session_memory()
        for most_bytes, dropped in ((sum(memory.values()), 0), (sum(memory.values()) - 1, 1), (memory[ids[0]], 1)):
            assert await asyncio.to_thread(host.drop_idle, 0, 10, most_bytes) == dropped
        assert host.in_memory == [ids[0]]


async def test_a_session_that_is_used_while_idle_ones_are_dropped_stays(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch, node={"idle_seconds": 0}) as node:
        sessions = [world.open_session(target=10) for _ in range(2)]
        for session_id in sessions:
            await node.opened(session_id)
            await node.play(session_id, 1)
        host, loop = node.node.host, asyncio.get_running_loop()
        take_out = host._take_out

        def move_meanwhile(session_id: int) -> None:
            take_out(session_id)
            asyncio.run_coroutine_threadsafe(node.play(sessions[1], 1, first_nonce=1), loop).result(30)

        monkeypatch.setattr(host, "_take_out", move_meanwhile)
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(host.drop_idle, 0.5, 100) == 1
        assert host.in_memory == [sessions[1]]


async def test_the_row_is_read_again_under_the_lease(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=10)
        await node.opened(session_id)
        store, host = node.node.store, node.node.host
        await node.in_memory(session_id)
        await asyncio.to_thread(host.drop_idle, 0, 0)
        acquire = Leases.acquire

        def late(self: Leases, resource: str, *arguments: object, **options: object) -> object:
            if resource == f"session:{session_id}":
                store.sessions.set_outcome(session_id, SessionStatus.ABORTED, 10**6)
            return acquire(self, resource, *arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(Leases, "acquire", late)
        with pytest.raises(SessionNotServed, match="L1 has aborted"):
            await asyncio.to_thread(host.wake, session_id)
        assert store.leases.holder(f"session:{session_id}") is None


def test_a_session_is_woken_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch, store_: Store) -> None:
    host = SessionHost(store_, "test", 60, None)  # type: ignore[arg-type]
    running, most, lock = 0, 0, threading.Lock()

    def slow(session_id: int, here: bool) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(host, "_wake", slow)
    with ThreadPoolExecutor(12) as pool:

        def touch(index: int) -> bool:
            time.sleep(index * 0.007)
            return host.wake(1) is True

        assert all(pool.map(touch, range(12)))
    assert most == 1
    assert not host._turns


async def test_invariant_i5_sessions_that_cannot_be_woken_keep_no_others(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_node(world, tmp_path, monkeypatch) as node:
        ids = [world.open_session(target=3) for _ in range(4)]
        for session_id in ids:
            await node.opened(session_id)
            await node.in_memory(session_id)
        host, store = node.node.host, node.node.store
        while host.in_memory:  # one that makes its first block just now isn't idle
            await asyncio.to_thread(host.drop_idle, 0, 0)
        store.leases.acquire(session_resource(ids[1]), "another machine", 60)
        with store.transaction() as tx:
            broken = schema.blocks.c.session_id == ids[2]
            tx.execute(update(schema.blocks).where(broken).values(header=b"not a header"))
        failures = await asyncio.to_thread(host.wake_all, [*ids, 10**6])
        assert {session_id: type(error) for session_id, error in failures.items()} == {
            ids[1]: LeaseHeld,
            ids[2]: _engine.RestoreError,
        }
        assert host.in_memory == [ids[0], ids[3]]
        assert store.leases.holder(session_resource(ids[2])) is None
        assert store.leases.holder(session_resource(10**6)) is None
        assert await asyncio.to_thread(host.wake_all, ids[:1]) == {}


async def test_a_template_that_used_the_operators_account_does_not_keep_a_match_from_its_end(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.template = build_game_template(deployer_key=OPERATOR_KEY)
    world.register_template()
    async with running_node(world, tmp_path, monkeypatch) as node:
        session_id = world.open_session(target=10, duration=8)
        await node.opened(session_id)
        await node.play(session_id, 1)
        await node.claimed(session_id)
        head = node.node.store.blocks.head(session_id)
        assert head is not None and head.result is not None
        assert address_of(OPERATOR_KEY) == world.operator


@pytest.fixture
def store_(sqlite_url: str) -> Store:
    store = Store(sqlite_url)
    store.migrate()
    return store


class Support:
    """Reads the store, as the session host does, when all readers of the pool are asking at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.all_here = threading.Barrier(READERS, timeout=20)

    def unsupported_reason(self, session: Session) -> str | None:
        self.all_here.wait()
        return None if self.store.templates.get(session.template_id) else "no template"


def test_many_lists_at_once_do_not_wait_for_each_other(store_: Store) -> None:
    store_.sessions.put(make_session(1, terms=b""))
    methods = SessionMethods(store_, Support(store_), lambda: "http://node")
    with ThreadPoolExecutor(READERS) as pool:
        answers = [pool.submit(methods.list_sessions) for _ in range(READERS)]
        assert [answer.result(30)[0].status for answer in answers] == ["unsupported"] * READERS


class Supported:
    def unsupported_reason(self, session: Session) -> str | None:
        return None


def test_sessions_are_listed_by_player(database_url: str) -> None:
    with Store(database_url) as store:
        store.migrate()
        first, second, third = (raw_address(player) for player in PLAYERS[:3])
        # An address that lies across the border of two others is not a player.
        across = first[10:] + second[:10]
        for session_id, players in ((1, (first, second)), (2, (second, third)), (3, (third,)), (4, (third, first))):
            store.sessions.put(make_session(session_id, players=players))
        methods = SessionMethods(store, Supported(), lambda: "http://node/")

        def ids(player: bytes, **options: int) -> list[int]:
            return [found.session_id for found in methods.list_sessions(player=player, **options)]

        assert ids(first) == [1, 4]
        assert ids(third, limit=2) == [2, 3]
        assert ids(third, after=3) == [4]
        assert ids(across) == []
        assert methods.list_sessions(limit=1)[0].url == "http://node/session/1"
