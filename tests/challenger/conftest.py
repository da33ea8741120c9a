"""Fixtures of the watchtower's tests: an anvil, the contracts, a dispute contract with short windows."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.anvil import Anvil, account, run_anvil
from support.court import CHALLENGER, Court, Operator
from support.watchtower import Watch
from support.world import OPERATOR_KEY, GameTemplate, World, build_game_template

from exclave.challenger.run import ChallengeSettings, running
from exclave.l1.signers import LocalSigner
from exclave.protocol import address_of
from exclave.prover import Prover


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
