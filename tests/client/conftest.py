"""Fixtures of the players' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.anvil import Anvil, run_anvil
from support.world import OPERATOR_KEY, GameTemplate, World, build_game_template

from exclave.protocol import address_of


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
