"""What a game provides to be shown by the demo.

The game's directory holds `demo_game.py`, whose `demo_game()` returns a `DemoGame`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from eth_account.signers.local import LocalAccount

from exclave.l1.values import L1Receipt
from exclave.protocol import Terms

FILE = "demo_game.py"


class GameUnavailable(Exception):
    """The directory holds no game that the demo can show."""


class GameFailed(Exception):
    """A match couldn't be opened, played or paid out; the text says why."""


class DemoL1(Protocol):
    """The L1 of the demo, as a game sees it."""

    zk_relayer: bytes

    async def send(self, label: str, sender: LocalAccount, to: bytes | None, data: bytes, value: int = 0) -> L1Receipt:
        """Send a transaction and wait for its receipt; `label` names it in the final table, `value` is in wei."""
        ...

    async def call(self, to: bytes, data: bytes) -> bytes:
        """The result of a view call."""
        ...


@dataclass(frozen=True, slots=True)
class Match:
    """A match on L1: its number in the demo (from 1), its session, and who plays."""

    number: int
    session_id: int
    players: Sequence[LocalAccount]


@dataclass(frozen=True, slots=True)
class Played:
    """What a match took in its session."""

    transactions: int
    gas: int


class DemoGame(Protocol):
    """A game with bots. Its methods raise `GameFailed` when it can't go on."""

    name: str
    players_per_match: int

    def template(self) -> bytes:
        """The file of the game's template."""
        ...

    async def deploy(self, l1: DemoL1, deployer: LocalAccount, template_id: bytes, terms: Terms) -> dict[str, bytes]:
        """Put the game's L1 contracts (lobby, stakes) on L1; returns their addresses by name."""
        ...

    async def open_match(self, l1: DemoL1, number: int, players: Sequence[LocalAccount]) -> int:
        """All players stake; returns the id of the session that the last stake opened."""
        ...

    async def play(self, url: str, chain_id: int, match: Match, report: Callable[[str], None]) -> Played:
        """Play the match to its end over the session's JSON-RPC; `report` shows what is happening, in a few words."""
        ...

    async def pay_out(self, l1: DemoL1, match: Match) -> str:
        """The match is settled: who has something to withdraw does; returns the outcome on L1 in a few words."""
        ...


def load_game(directory: Path) -> DemoGame:
    """The game in `directory`. Raises `GameUnavailable`."""
    path = directory / FILE
    if not path.exists():
        raise GameUnavailable(
            f"there is no {path}: run the demo from a checkout, or name a game's directory with --game"
        )
    specification = importlib.util.spec_from_file_location("exclave_demo_game", path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    sys.path.insert(0, str(directory))
    try:
        specification.loader.exec_module(module)
        game: DemoGame = module.demo_game()
    finally:
        sys.path.remove(str(directory))
    return game
