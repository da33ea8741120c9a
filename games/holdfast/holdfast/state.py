"""The match as clients see it (the World's views), and the numbers of the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from eth_abi.abi import decode

MAX_UNITS: Final = 8
"""Units of a player."""

FULL_HEALTH: Final = 100
RESULT_TYPES: Final = ("address[]", "uint32[]", "uint32")

Tile = tuple[int, int]
"""x from the west, y from the north."""


class Terrain(IntEnum):
    GRASS = 0
    ROAD = 1
    FOREST = 2
    HILL = 3
    WATER = 4
    MOUNTAIN = 5


class StructureKind(IntEnum):
    NONE = 0
    KEEP = 1
    WORKSHOP = 2
    MINE = 3


class UnitKind(IntEnum):
    NONE = 0
    MILITIA = 1
    PIKEMAN = 2
    RIDER = 3
    ARCHER = 4
    TREBUCHET = 5


class Armour(IntEnum):
    FOOT = 0
    HORSE = 1
    MISSILE = 2
    ENGINE = 3


class Direction(IntEnum):
    NORTH = 0
    EAST = 1
    SOUTH = 2
    WEST = 3


STEPS: Final[dict[Direction, Tile]] = {
    Direction.NORTH: (0, -1),
    Direction.EAST: (1, 0),
    Direction.SOUTH: (0, 1),
    Direction.WEST: (-1, 0),
}
MOVEMENT_COST: Final = {Terrain.ROAD: 1, Terrain.GRASS: 2, Terrain.FOREST: 3, Terrain.HILL: 4}
"""Points to enter a tile; nobody enters the others."""

COVER: Final = {Terrain.FOREST: 25, Terrain.HILL: 40}
"""Per cent of the damage that the ground takes."""


@dataclass(frozen=True)
class UnitType:
    """What a kind of unit can do; `power` by armour, in hit points; cost in gold."""

    cost: int
    movement: int
    min_range: int
    max_range: int
    armour: Armour
    power: tuple[int, ...]
    siege: int
    captures: bool


@dataclass(frozen=True)
class Player:
    """`number` from 1; `exit` is 0 in the match, else the how-manieth to leave it; gold at the present turn."""

    number: int
    account: str
    gold: int
    score: int
    keep: Tile
    exit: int
    ready: bool


@dataclass(frozen=True)
class Structure:
    tile: Tile
    kind: StructureKind
    owner: int
    garrison: int


@dataclass(frozen=True)
class Unit:
    unit_id: int
    kind: UnitKind
    owner: int
    tile: Tile
    health: int
    moved: bool
    acted: bool


@dataclass(frozen=True)
class MatchState:
    """All that changes in a match. `turn_ends_at` in seconds since 1970."""

    session_id: int
    turn_ends_at: int
    turn_seconds: int
    turn_limit: int
    turn: int
    finished: bool
    width: int
    height: int
    players: tuple[Player, ...]
    units: tuple[Unit, ...]
    structures: tuple[Structure, ...]

    @classmethod
    def from_view(cls, view: Any) -> MatchState:
        """From what `viewMatch` returns."""
        session_id, turn_ends_at, turn_seconds, turn_limit, turn, finished, width, height = view[:8]
        players, units, structures = view[8:]
        return cls(
            session_id,
            turn_ends_at,
            turn_seconds,
            turn_limit,
            turn,
            finished,
            width,
            height,
            tuple(
                Player(number, account, gold, score, (x, y), exit_, ready)
                for number, (account, gold, score, x, y, exit_, ready) in enumerate(players, 1)
            ),
            tuple(
                Unit(unit_id, UnitKind(kind), owner, (x, y), health, moved, acted)
                for unit_id, kind, owner, x, y, health, moved, acted in units
            ),
            tuple(
                Structure((x, y), StructureKind(kind), owner, garrison) for x, y, kind, owner, garrison in structures
            ),
        )

    def player_of(self, account: str) -> Player | None:
        """The player of an account, or None."""
        return next((player for player in self.players if player.account.lower() == account.lower()), None)


@dataclass(frozen=True)
class Rules:
    """What doesn't change in a match: ground by `[y][x]`, and unit types by kind."""

    terrain: tuple[tuple[Terrain, ...], ...]
    unit_types: dict[UnitKind, UnitType]

    @classmethod
    def from_views(cls, rows: Sequence[int], types: Sequence[Any], width: int) -> Rules:
        """From what `viewTerrain` and `viewUnitTypes` return."""
        terrain = tuple(tuple(Terrain(row >> (8 * x) & 0xFF) for x in range(width)) for row in rows)
        unit_types = {}
        for kind, (cost, movement, min_range, max_range, armour, power, siege, captures) in enumerate(types):
            if cost:
                by_armour = tuple(power >> (8 * i) & 0xFF for i in range(len(Armour)))
                unit_types[UnitKind(kind)] = UnitType(
                    cost, movement, min_range, max_range, Armour(armour), by_armour, siege, captures
                )
        return cls(terrain, unit_types)

    def cost(self, tile: Tile) -> int | None:
        """Movement points to enter a tile of the board; None if nobody can."""
        return MOVEMENT_COST.get(self.terrain[tile[1]][tile[0]])

    def damage(self, attacker: Unit, target: Unit, health: int | None = None) -> int:
        """Hit points that `attacker` (with `health` if given) takes from `target` where this stands."""
        armour = self.unit_types[target.kind].armour
        power = self.unit_types[attacker.kind].power[armour]
        cover = COVER.get(self.terrain[target.tile[1]][target.tile[0]], 0)
        return max(1, power * (attacker.health if health is None else health) * (100 - cover) // (FULL_HEALTH * 100))


@dataclass(frozen=True)
class MatchResult:
    """A session's result: accounts with their scores, best first, and the turn at the end."""

    ranking: tuple[str, ...]
    scores: tuple[int, ...]
    turn: int

    @classmethod
    def decode(cls, result: bytes) -> MatchResult:
        """Raises `eth_abi.exceptions.DecodingError`."""
        ranking, scores, turn = decode(RESULT_TYPES, result)
        return cls(tuple(ranking), tuple(scores), turn)


def distance(a: Tile, b: Tile) -> int:
    """In tiles, along rows and columns."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1])
