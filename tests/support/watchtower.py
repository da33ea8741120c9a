"""A watchtower under test, driven pass by pass, and claimants who answer it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import select

from exclave.challenger.execution import Chain
from exclave.challenger.run import Running
from exclave.challenger.watch import ClaimReport, LeafReport
from exclave.dispute.payloads import SIGNATURES as DISPUTE_SIGNATURES
from exclave.dispute.payloads import (
    LeafState,
    ShownHash,
    ShownLeaf,
    encode_answer_block,
    encode_answer_hashes,
    encode_answer_leaf,
    encode_leaf_state,
)
from exclave.protocol import keccak256
from exclave.store import Session
from exclave.store.intents import intents
from support.anvil import account
from support.court import CHALLENGER, CLAIM_BOND, CLAIMANT, Court, Operator, Posted
from support.world import World, raw_address


@dataclass
class Watch:
    """A running watchtower, driven pass by pass."""

    parts: Running
    world: World
    _operator: Operator | None = None

    @property
    def operator(self) -> Operator:
        """Who plays. His database is the watchtower's, for the templates and the seeds."""
        assert self._operator is not None
        return self._operator

    async def step(self) -> None:
        await self.parts.watchtower.step()

    async def until(self, what: str, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Passes until the condition holds."""
        async with asyncio.timeout(seconds):
            while True:
                await self.step()
                if condition():
                    return
                await asyncio.sleep(0.05)
        raise AssertionError(what)

    async def quiet(self, passes: int = 3) -> None:
        """Passes until nothing is on its way to L1, and some more."""
        left = passes
        async with asyncio.timeout(30):
            while left:
                await self.step()
                await asyncio.sleep(0.05)
                assert self.parts.manager is not None
                busy = self.parts.store.intents.open(31337, self.parts.manager.address)
                left = passes if busy else left - 1

    async def session(self, session_id: int) -> Session:
        """The session as the watchtower has it, once its seed is known."""
        found: list[Session] = []

        def known() -> bool:
            session = self.parts.store.sessions.get(session_id)
            if session is not None and session.seed is not None:
                found.append(session)
            return bool(found)

        await self.until("the session is known", known)
        return found[0]

    def report(self, claim_id: int) -> ClaimReport:
        return self.parts.watchtower.reports[claim_id]

    def leaf(self, claim_id: int, index: int = 0) -> LeafReport:
        return next(leaf for leaf in self.report(claim_id).leaves if leaf.index == index)


Watching = Callable[..., AbstractAsyncContextManager[Watch]]
"""Starts a watchtower (the fixture `watching`)."""

KEPT = CLAIM_BOND // 2
"""What the challenger gets of the claim's bond: the rest is burnt."""

ME = raw_address(account(CHALLENGER))


def leaf_state(court: Court, posted: Posted, index: int = 0) -> LeafState:
    data = "0x" + encode_leaf_state(posted.claim_id, index).hex()
    answer = court.world.anvil.rpc("eth_call", {"to": "0x" + court.game.hex(), "data": data}, "latest")
    return LeafState.decode(bytes.fromhex(answer[2:]))


def spent_on_gas(watch: Watch) -> int:
    """Wei that the watchtower's transactions have cost."""
    query = select(intents.c.gas_used, intents.c.effective_gas_price).where(intents.c.gas_used.is_not(None))
    return sum(gas * price for gas, price in watch.parts.store.read(lambda tx: list(tx.execute(query))))


async def assert_paid(watch: Watch, court: Court, before: int, won: int = KEPT, paid: int = 0) -> None:
    """The challenger has all again, and what he has won, less what answers were paid. Nothing is locked."""
    await watch.quiet()
    await watch.parts.watchtower.collect()
    await watch.quiet()
    for contract in (court.game, court.world.zk_relayer, court.stakes()):
        assert court.deposit(contract, ME) == (0, 0)
    after = court.world.anvil.balance(account(CHALLENGER).address)
    assert after == before - spent_on_gas(watch) + won - paid


def balance(court: Court) -> int:
    return court.world.anvil.balance(account(CHALLENGER).address)


async def killed(watch: Watch, court: Court, posted: Posted, index: int = 0) -> None:
    await watch.until("the leaf is dead", lambda: leaf_state(court, posted, index).killed)


async def demanded(watch: Watch, court: Court, posted: Posted, open_: int = 1) -> None:
    await watch.until("a dispute is open", lambda: leaf_state(court, posted).open == open_)


class Claimant:
    """Answers what is asked about his claim, as far as he can."""

    def __init__(self, court: Court, posted: Posted, hashes: Sequence[bytes], index: int = 0) -> None:
        self.court = court
        self.leaf = ShownLeaf.of(posted.name(index), posted.leaves)
        self.hashes = hashes

    def send(self, data: bytes) -> None:
        self.court.world.send(self.court.game, data, CLAIMANT)

    def show_leaf(self) -> None:
        self.send(encode_answer_leaf(self.leaf))

    def show_hashes(self, position: int = 0) -> None:
        self.send(encode_answer_hashes(self.leaf, position, self.hashes))

    def show_block(self, number: int, header: bytes, transactions: Sequence[bytes]) -> None:
        parent, target = (ShownHash.of(self.hashes, 0, one) for one in (number - 1, number))
        self.send(encode_answer_block(self.leaf, parent, target, header, transactions))


async def show_leaf_and_hashes(watch: Watch, court: Court, posted: Posted, claimant: Claimant) -> None:
    """One after the other, as they are demanded."""
    await demanded(watch, court, posted)
    claimant.show_leaf()
    await demanded(watch, court, posted)
    claimant.show_hashes()


async def play(watch: Watch, court: Court, **changes: object) -> Chain:
    return watch.operator.play(await watch.session(court.open(**changes)), [1, 2])  # type: ignore[arg-type]


SIGNATURES = {**DISPUTE_SIGNATURES, "BondReclaimed": "BondReclaimed(uint64,uint32,uint8,uint64,address)"}


def events(court: Court, name: str) -> int:
    """How often the dispute contract emitted an event."""
    topic = "0x" + keccak256(SIGNATURES[name].encode()).hex()
    wanted = {"address": "0x" + court.game.hex(), "topics": [topic], "fromBlock": "0x0", "toBlock": "latest"}
    return len(court.world.anvil.rpc("eth_getLogs", wanted))


async def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for what another task or process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.1)


class Disputed(Protocol):
    """A world with a dispute contract."""

    world: World
    game: bytes


class WatchProcess:
    """`exclave challenge` as its users run it, to be killed and started again. `command`: what is run."""

    def __init__(
        self,
        court: Disputed,
        directory: Path,
        templates: Path,
        command: Sequence[str] = (sys.executable, "-c", "from exclave.cli import main; main()"),
    ) -> None:
        self._command = command
        self.directory = directory
        self.log = directory / "log"
        directory.mkdir(exist_ok=True)
        self._environment = {**os.environ, "WATCH_KEY": account(CHALLENGER).key.to_0x_hex()}
        world = court.world
        self._arguments = [
            *("--l1", world.anvil.url, "--zk-relayer", "0x" + world.zk_relayer.hex()),
            *("--dispute-game", "0x" + court.game.hex(), "--template", str(templates)),
            *("--start-block", str(world.deployed_in), "--confirmations", "0", "--poll-interval", "0.1"),
            *("--data-dir", str(directory / "data"), "--key-variable", "WATCH_KEY", "--log-format", "json"),
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        command = [*self._command, "challenge", *self._arguments, *more]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)

    def stop(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def end(self) -> None:
        """Stop it as a person does."""
        assert self.stop(signal.SIGTERM) == 0, self.log.read_text()
