"""Fixtures of the watchtower's tests: an anvil, the contracts, a dispute contract with short windows."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.anvil import Anvil, account, run_anvil
from support.disputes import CHALLENGER, Court, Operator
from support.world import OPERATOR_KEY, GameTemplate, World, build_game_template

from exclave.challenger.run import ChallengeSettings, Running, running
from exclave.challenger.watch import ClaimReport, LeafReport
from exclave.l1.signers import LocalSigner
from exclave.protocol import address_of
from exclave.prover import Prover
from exclave.store import Session


@pytest.fixture(scope="session")
def template() -> GameTemplate:
    return build_game_template()


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with run_anvil("--slots-in-an-epoch", "1") as node:
        yield node


@pytest.fixture
def world(anvil: Anvil, template: GameTemplate) -> World:
    return World.create(anvil, template, address_of(OPERATOR_KEY))


@pytest.fixture
def court(world: World) -> Court:
    return Court.create(world)


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


@pytest.fixture
def watching(
    world: World, court: Court, tmp_path: Path
) -> Callable[..., contextlib.AbstractAsyncContextManager[Watch]]:
    """Starts a watchtower; `acts=False`: without a key. Starting it again goes on with the same database."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "counter.bin").write_bytes(world.template.data)

    @contextlib.asynccontextmanager
    async def start(
        *, acts: bool = True, prover: Prover | None = None, with_operator: bool = True, **changes: Any
    ) -> AsyncIterator[Watch]:
        settings = ChallengeSettings(
            l1_urls=(world.anvil.url,),
            l1_chain_id=31337,
            zk_relayer=world.zk_relayer,
            start_block=world.deployed_in,
            database_url=f"sqlite:///{tmp_path}/watch/challenger.db",
            data_dir=tmp_path / "watch",
            templates=(tmp_path / "templates",),
            dispute_games=(court.game,),
            confirmations=0,
            poll_interval=0.05,
            patience=0.0,
            data_retry=0.0,
        )
        signer = LocalSigner(bytes(account(CHALLENGER).key)) if acts else None
        async with running(dataclasses.replace(settings, **changes), signer, prover) as parts:
            if not with_operator:
                yield Watch(parts, world)
                return
            operator = Operator(world, parts.store)
            try:
                yield Watch(parts, world, operator)
            finally:
                operator.stop()

    return start
