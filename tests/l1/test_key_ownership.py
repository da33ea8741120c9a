"""One owner of a key's nonces: leases between processes that share a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from l1.bench import Bench

from exclave.l1.intents import KeyInUse, KeyLeased

MakeBench = Callable[..., Bench]


async def test_a_second_manager_on_the_same_store_is_refused(bench: MakeBench) -> None:
    b = bench()
    first = await b.manager()
    second = await b.manager(start=False)

    async def sleep_while_the_first_lives(seconds: float) -> None:
        b.clock.seconds += seconds
        await first.renew()

    second._sleep = sleep_while_the_first_lives
    with pytest.raises(KeyInUse, match="stop that process"):
        await second.start()
    await first.submit(b.intent())
    await b.settle(first)
    await first.stop()
    await second.start()
    await second.stop()


async def test_the_lease_of_a_dead_process_is_waited_for(bench: MakeBench) -> None:
    b = bench()
    await b.manager(owner="killed")
    successor = await b.manager(owner="successor")  # its sleeping makes the time pass
    await successor.submit(b.intent())
    await b.settle(successor)
    assert b.counter.value() == 1


async def test_a_paused_process_that_lost_its_lease_writes_nothing(bench: MakeBench) -> None:
    b = bench()
    paused = await b.manager(owner="paused")
    await paused.submit(b.intent())
    successor = await b.manager(owner="successor")
    with pytest.raises(KeyInUse, match="took over"):
        await paused.step()
    assert (await paused.status("count")).attempts == ()
    with pytest.raises(KeyInUse):
        await paused.renew()
    await b.settle(successor)
    assert b.counter.value() == 1


async def test_other_keys_and_chains_have_leases_of_their_own(bench: MakeBench) -> None:
    b = bench()
    await b.manager()
    lease = b.store.intents.acquire(1, bytes(20), "other", 10)
    with pytest.raises(KeyLeased) as held:
        b.store.intents.acquire(1, bytes(20), "another", 10)
    assert held.value.expires_in == 10
    b.store.intents.release(lease)
    b.store.intents.acquire(1, bytes(20), "another", 10)


async def test_a_stopped_manager_does_nothing(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.stop()
    with pytest.raises(KeyInUse):
        await manager.step()


async def test_run_ends_when_the_lease_is_lost(bench: MakeBench) -> None:
    b = bench(settings={"lease_seconds": 0.2})
    manager = await b.manager(owner="first")
    running = asyncio.create_task(manager.run())
    await asyncio.sleep(0)
    b.clock.seconds += 1
    b.store.intents.acquire(b.node.chain_id, manager.address, "second", 100)
    with pytest.raises(KeyInUse):
        async with asyncio.timeout(30):
            await running
