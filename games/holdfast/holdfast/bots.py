"""A bot: takes what is near, builds against what it sees, and marches on keeps.

Its decisions follow from the state and from the random generator that it is given.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from holdfast.state import (
    FULL_HEALTH,
    MAX_UNITS,
    STEPS,
    Armour,
    Direction,
    MatchState,
    Rules,
    Structure,
    StructureKind,
    Tile,
    Unit,
    UnitKind,
    distance,
)

PRIZES: Final = {StructureKind.KEEP: 1500, StructureKind.WORKSHOP: 220, StructureKind.MINE: 260}
"""What holding a structure is worth, in gold."""

STARTING_PLAN: Final = (UnitKind.MILITIA, UnitKind.MILITIA, UnitKind.PIKEMAN, UnitKind.ARCHER)


@dataclass(frozen=True)
class Move:
    unit_id: int
    path: tuple[Direction, ...]


@dataclass(frozen=True)
class Attack:
    unit_id: int
    tile: Tile


@dataclass(frozen=True)
class Capture:
    unit_id: int


@dataclass(frozen=True)
class Build:
    tile: Tile
    kind: UnitKind


@dataclass(frozen=True)
class EndTurn:
    pass


Action = Move | Attack | Capture | Build | EndTurn


@dataclass
class Bot:
    """Plays the player `number`. `next_action` is asked again and again, with the state after the action before.

    Each unit moves and acts at most once a turn, and what the rules refused isn't tried again in that turn: every turn
    ends.
    """

    number: int
    rules: Rules
    chance: random.Random
    _turn: int = 0
    _tried: set[Action] = field(default_factory=set)
    _built: int = 0
    _ways: dict[Tile, dict[Tile, int]] = field(default_factory=dict)

    def next_action(self, state: MatchState) -> Action:
        """What to do now."""
        if state.turn != self._turn:
            self._turn = state.turn
            self._tried = set()
        for action in self._candidates(state):
            if action not in self._tried:
                self._tried.add(action)
                self._built += isinstance(action, Build)
                return action
        return EndTurn()

    def _candidates(self, state: MatchState) -> Iterable[Action]:
        """Sensible actions, the most urgent first."""
        mine = [unit for unit in state.units if unit.owner == self.number]
        busy = {action.unit_id for action in self._tried if isinstance(action, Move)}
        for unit in mine:
            if unit.acted:
                continue
            action = self._for_unit(state, unit, may_move=not unit.moved and unit.unit_id not in busy)
            if action is not None:
                yield action
        yield from self._builds(state, len(mine))

    # -- units

    def _for_unit(self, state: MatchState, unit: Unit, *, may_move: bool) -> Action | None:
        paths = self._paths(state, unit) if may_move else {unit.tile: ()}
        best: tuple[float, Tile, Action] | None = None
        for tile, path in sorted(paths.items()):
            for worth, act in self._deeds(state, unit, tile, moved=unit.moved or bool(path)):
                worth -= len(path) * 0.5
                if best is None or worth > best[0]:
                    best = (worth, tile, act)
        if best is not None and best[0] > 0:
            _, tile, act = best
            return Move(unit.unit_id, paths[tile]) if tile != unit.tile else act
        return self._march(state, unit, paths) if may_move else None

    def _deeds(self, state: MatchState, unit: Unit, tile: Tile, *, moved: bool) -> Iterable[tuple[float, Action]]:
        """What the unit could do on `tile`, with its worth in gold."""
        kind = self.rules.unit_types[unit.kind]
        here = _structure_at(state, tile)
        if kind.captures and here is not None and self._is_prey(here):
            strength = kind.siege * unit.health // FULL_HEALTH
            yield PRIZES[here.kind] * min(1.0, strength / here.garrison), Capture(unit.unit_id)
        if kind.armour is Armour.ENGINE and moved:
            return
        occupied = {other.tile for other in state.units}
        for target in state.units:
            if target.owner == self.number or not kind.min_range <= distance(tile, target.tile) <= kind.max_range:
                continue
            yield self._fight(state, unit, target, tile), Attack(unit.unit_id, target.tile)
        if kind.armour is Armour.ENGINE:
            for structure in state.structures:
                reachable = kind.min_range <= distance(tile, structure.tile) <= kind.max_range
                if (
                    reachable
                    and structure.tile not in occupied
                    and structure.garrison > 1
                    and self._is_enemys(structure)
                ):
                    yield PRIZES[structure.kind] / 8, Attack(unit.unit_id, structure.tile)

    def _fight(self, state: MatchState, unit: Unit, target: Unit, tile: Tile) -> float:
        rules = self.rules
        mine, its = rules.unit_types[unit.kind], rules.unit_types[target.kind]
        damage = min(target.health, rules.damage(unit, target))
        gain = its.cost * damage / FULL_HEALTH
        left = target.health - damage
        if left == 0:
            gain += its.cost * 0.5
        elif its.min_range <= distance(tile, target.tile) <= its.max_range:
            moved = Unit(unit.unit_id, unit.kind, unit.owner, tile, unit.health, True, False)
            gain -= 0.7 * mine.cost * min(unit.health, rules.damage(target, moved, left)) / FULL_HEALTH
        home = state.players[self.number - 1].keep
        if target.tile == home:
            gain += PRIZES[StructureKind.KEEP]
        elif distance(target.tile, home) <= 3:
            gain += 60
        return gain

    def _march(self, state: MatchState, unit: Unit, paths: Mapping[Tile, tuple[Direction, ...]]) -> Action | None:
        """A step towards the goal that is worth the way."""
        kind = self.rules.unit_types[unit.kind]
        goals: list[tuple[Tile, float]] = []
        for structure in state.structures:
            if not self._is_prey(structure):
                continue
            if kind.captures or structure.owner:
                goals.append((structure.tile, PRIZES[structure.kind]))
        goals += [
            (enemy.tile, 0.6 * self.rules.unit_types[enemy.kind].cost)
            for enemy in state.units
            if enemy.owner != self.number
        ]
        if not goals:
            return None
        friends = [other for other in state.units if other.owner == self.number and other.unit_id != unit.unit_id]
        best: tuple[float, Tile] | None = None
        for goal, prize in sorted(goals):
            # Others of one's own that are nearer will see to it.
            crowd = sum(distance(friend.tile, goal) < distance(unit.tile, goal) for friend in friends)
            ways = self._distances(goal)
            for tile in sorted(paths):
                if tile not in ways:
                    continue
                worth = prize / (1 + 0.25 * crowd) - 12 * ways[tile] + self.chance.random()
                if self._blocks_factory(state, tile):
                    worth -= 40
                if best is None or worth > best[0]:
                    best = (worth, tile)
        if best is None or best[1] == unit.tile:
            return None
        return Move(unit.unit_id, paths[best[1]])

    def _is_enemys(self, structure: Structure) -> bool:
        return structure.owner not in (0, self.number)

    def _is_prey(self, structure: Structure) -> bool:
        """Whether it is worth taking."""
        return structure.owner != self.number

    def _blocks_factory(self, state: MatchState, tile: Tile) -> bool:
        here = _structure_at(state, tile)
        return here is not None and here.owner == self.number and here.kind is not StructureKind.MINE

    # -- building

    def _builds(self, state: MatchState, army: int) -> Iterable[Action]:
        if army >= MAX_UNITS:
            return
        gold = state.players[self.number - 1].gold
        taken = {unit.tile for unit in state.units}
        sites = [
            structure.tile
            for structure in state.structures
            if structure.owner == self.number
            and structure.kind in (StructureKind.KEEP, StructureKind.WORKSHOP)
            and structure.tile not in taken
        ]
        if not sites:
            return
        kind = self._wanted(state)
        if gold < self.rules.unit_types[kind].cost:
            return
        enemies = [player.keep for player in state.players if player.number != self.number and not player.exit]
        yield Build(
            min(sites, key=lambda site: (min((distance(site, keep) for keep in enemies), default=0), site)), kind
        )

    def _wanted(self, state: MatchState) -> UnitKind:
        """First an army that expands, then what hurts the enemies most for its price."""
        if self._built < len(STARTING_PLAN):
            return STARTING_PLAN[self._built]
        types = self.rules.unit_types
        weights = {}
        seen = [types[unit.kind].armour for unit in state.units if unit.owner != self.number] or [Armour.FOOT]
        for kind, unit_type in types.items():
            power = sum(unit_type.power[armour] for armour in seen) / len(seen)
            weights[kind] = (power + (25 if unit_type.captures else 0)) ** 2 / unit_type.cost
        kinds = sorted(weights)
        return self.chance.choices(kinds, [weights[kind] for kind in kinds])[0]

    # -- ways

    def _paths(self, state: MatchState, unit: Unit) -> dict[Tile, tuple[Direction, ...]]:
        """All tiles that the unit can reach in this turn, its own included, with a cheapest path."""
        movement = self.rules.unit_types[unit.kind].movement
        occupied = {other.tile for other in state.units}
        found: dict[Tile, tuple[Direction, ...]] = {}
        queue: list[tuple[int, tuple[Direction, ...], Tile]] = [(0, (), unit.tile)]
        while queue:
            spent, path, tile = heapq.heappop(queue)
            if tile in found:
                continue
            found[tile] = path
            for direction, neighbour in self._neighbours(tile):
                cost = self.rules.cost(neighbour)
                if cost is not None and spent + cost <= movement and neighbour not in occupied:
                    heapq.heappush(queue, (spent + cost, (*path, direction), neighbour))
        return found

    def _distances(self, goal: Tile) -> dict[Tile, int]:
        """Movement points to `goal` from everywhere, units aside; found once, since the ground stays."""
        if goal in self._ways:
            return self._ways[goal]
        found = self._ways[goal] = {}
        queue = [(0, goal)]
        while queue:
            spent, tile = heapq.heappop(queue)
            if tile in found:
                continue
            found[tile] = spent
            step = self.rules.cost(tile)
            if step is None:
                continue
            for _, neighbour in self._neighbours(tile):
                if self.rules.cost(neighbour) is not None:
                    heapq.heappush(queue, (spent + step, neighbour))
        return found

    def _neighbours(self, tile: Tile) -> Iterable[tuple[Direction, Tile]]:
        height, width = len(self.rules.terrain), len(self.rules.terrain[0])
        for direction, (dx, dy) in STEPS.items():
            x, y = tile[0] + dx, tile[1] + dy
            if 0 <= x < width and 0 <= y < height:
                yield direction, (x, y)


def _structure_at(state: MatchState, tile: Tile) -> Structure | None:
    return next((structure for structure in state.structures if structure.tile == tile), None)
