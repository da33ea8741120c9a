"""INVARIANT I7: killed, restarted, reorganised: nothing is lost and nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

from support.court import RULES, Court, data_of, forged_hashes, whole
from support.watchtower import (
    Claimant,
    Watching,
    WatchProcess,
    assert_paid,
    balance,
    demanded,
    events,
    eventually,
    killed,
    leaf_state,
    play,
)
from support.world import World

from exclave.protocol import keccak256


async def test_a_restart_at_every_step_does_nothing_twice(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        before = balance(court)
        forged, hashes = forged_hashes(chain, 2)
        posted = court.post([forged], data_of(chain))
        claimant = Claimant(court, posted, hashes)
        await demanded(watch, court, posted)
    async with watching() as watch:
        await watch.quiet()
        assert events(court, "DisputeOpened") == 1
        claimant.show_leaf()
        await demanded(watch, court, posted)
    async with watching() as watch:
        await watch.quiet()
        assert events(court, "DisputeOpened") == 2
        claimant.show_hashes()
        await demanded(watch, court, posted)
    court.world.pass_time(RULES.answer_window + 1)
    async with watching() as watch:
        await killed(watch, court, posted)
    async with watching() as watch:
        await watch.quiet()
        assert events(court, "DisputeOpened") == 3
        assert events(court, "LeafUnproven") == 1
        assert events(court, "BondReclaimed") == 1
        gas = 150_000 + (150_000 + len(hashes) * 1_500)
        await assert_paid(watch, court, before, paid=gas * RULES.gas_price)


async def test_a_reorg_that_drops_a_dispute_opens_it_again(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        posted = court.post([whole(chain)], data_of(chain), root=keccak256(b"garbage"))
        before = court.world.anvil.block_number()
        await demanded(watch, court, posted)
        await watch.quiet()
        court.world.anvil.reorg(court.world.anvil.block_number() - before)
        assert not leaf_state(court, posted).held
        await demanded(watch, court, posted)
        await watch.quiet()
        court.world.pass_time(RULES.answer_window + 1)
        await killed(watch, court, posted)
        assert events(court, "DisputeOpened") == 1


async def test_a_reorg_that_replaces_the_claim_is_followed(court: Court, watching: Watching) -> None:
    """The claim's number is then another claim's, an honest one: nothing is done about it."""
    async with watching() as watch:
        chain = await play(watch, court)
        before = court.world.anvil.block_number()
        lie = court.post([whole(chain)], data_of(chain), root=keccak256(b"garbage"))
        await demanded(watch, court, lie)
        await watch.quiet()
        court.world.anvil.reorg(court.world.anvil.block_number() - before)
        court.world.anvil.mine()
        honest = court.post([whole(chain)], data_of(chain))
        assert honest.claim_id == lie.claim_id
        await watch.until("it is reviewed", lambda: not watch.report(honest.claim_id).disagrees)
        await watch.quiet()
        assert not leaf_state(court, honest).held


async def test_an_outage_of_l1_is_waited_out(court: Court, watching: Watching) -> None:
    async with watching() as watch:
        chain = await play(watch, court)
        task = asyncio.create_task(watch.parts.watchtower.run())
        try:
            process = court.world.anvil.process
            os.kill(process.pid, signal.SIGSTOP)
            await asyncio.sleep(3)
            os.kill(process.pid, signal.SIGCONT)
            posted = court.post([whole(chain)], data_of(chain), root=keccak256(b"garbage"))
            await eventually(lambda: leaf_state(court, posted).open == 1)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_kill_9_at_any_moment_does_nothing_twice(
    court: Court, world: World, watching: Watching, tmp_path: Path
) -> None:
    async with watching(acts=False) as watch:
        chain = await play(watch, court)
        forged, hashes = forged_hashes(chain, 2)
    posted = court.post([forged], data_of(chain), court.terms(challenge_window=120))
    claimant = Claimant(court, posted, hashes)
    process = WatchProcess(court, tmp_path / "process", tmp_path / "templates")
    chance = random.Random(7)
    answers = [claimant.show_leaf, claimant.show_hashes, lambda: world.pass_time(RULES.answer_window + 1)]
    opened = 0
    life = 1.0
    for _ in range(60):
        if leaf_state(court, posted).killed:
            break
        process.start()
        # Longer each time, so that also a slow machine gets somewhere.
        await asyncio.sleep(life * (1 + chance.random()))
        life *= 1.15
        if leaf_state(court, posted).open == 1 and events(court, "DisputeOpened") > opened:
            opened = events(court, "DisputeOpened")
            answers[opened - 1]()
        await asyncio.sleep(chance.random())
        process.stop(signal.SIGKILL)
    assert leaf_state(court, posted).killed, process.log.read_text()
    known = process.log.read_text().count('"watching"')
    process.start()
    await eventually(lambda: process.log.read_text().count('"watching"') > known)
    await asyncio.sleep(2)  # some passes, in which it must do nothing
    process.end()
    assert events(court, "DisputeOpened") == 3
    assert events(court, "LeafUnproven") == 1
