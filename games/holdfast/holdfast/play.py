"""Bots play a whole match against each other over a session's JSON-RPC."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from holdfast.bots import Action, Attack, Bot, Build, Capture, Move
from holdfast.client import (
    ActionReverted,
    HoldfastError,
    NoMatch,
    Receipt,
    RpcRefused,
    Seat,
    SessionRpc,
    World,
)
from holdfast.state import MatchResult, MatchState, UnitKind

POLL_SECONDS: Final = 0.05
"""Between looks at a match in which one waits for others."""

START_SECONDS: Final = 60.0
"""How long to wait for the match to start."""


class NotAPlayer(HoldfastError):
    """An account has no seat in the match."""


@dataclass(frozen=True)
class Delegated:
    """A player's burner may act for it now."""

    player: str
    receipt: Receipt


@dataclass(frozen=True)
class Acted:
    """An action was taken; `what` is for people."""

    player: str
    turn: int
    action: str
    what: str
    receipt: Receipt


@dataclass(frozen=True)
class Refused:
    """The rules forbade an action: somebody was faster."""

    player: str
    turn: int
    action: str
    reason: str


@dataclass(frozen=True)
class TurnBegan:
    turn: int


@dataclass(frozen=True)
class MatchEnded:
    result: MatchResult


Event = Delegated | Acted | Refused | TurnBegan | MatchEnded


async def play_match(
    url: str, players: Sequence[LocalAccount], *, seed: int = 0, burners: Sequence[LocalAccount] | None = None
) -> AsyncIterator[Event]:
    """Play a session's match to its end with one bot per player, all at once; yields what happens.

    `players` are all the accounts of the match. Their burner keys follow from their own keys and the chain, unless
    `burners` are given.
    A match goes on where it stands, so that a player who comes back after a crash plays on.

    Raises:
        NotAPlayer: an account isn't in the match.
        NoMatch: the match didn't start within a minute.
        SessionUnreachable, RpcRefused: the session's node failed.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    async with SessionRpc(url) as rpc:
        world = await _started(rpc)
        burners = burners or [burner_of(player, world.chain_id) for player in players]
        referee = _Referee(events)

        async def play_all() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    for player, burner in zip(players, burners, strict=True):
                        group.create_task(_play(Seat(world, player, burner), seed, events, referee))
            finally:
                events.put_nowait(None)

        playing = asyncio.create_task(play_all())
        try:
            while (event := await events.get()) is not None:
                yield event
            try:
                await playing
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from failures
            result = await rpc.result()
            assert result is not None, "the match is finished, so the session has ended"
            yield MatchEnded(result)
        finally:
            playing.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await playing


def burner_of(player: LocalAccount, chain_id: int) -> LocalAccount:
    """A burner key for one player in one session."""
    account: LocalAccount = Account.from_key(keccak(bytes(player.key) + chain_id.to_bytes(32, "big") + b"burner"))
    return account


class _Referee:
    """Tells of each turn once."""

    def __init__(self, events: asyncio.Queue[Event | None]) -> None:
        self._events = events
        self._turn = 0

    def saw(self, state: MatchState) -> None:
        if state.turn > self._turn and not state.finished:
            self._turn = state.turn
            self._events.put_nowait(TurnBegan(state.turn))


async def _started(rpc: SessionRpc) -> World:
    """The World, once the match has started. Raises `NoMatch`."""
    until = asyncio.get_running_loop().time() + START_SECONDS
    while True:
        try:
            world = await World.find(rpc)
            await world.state()
            return world
        except NoMatch:
            if asyncio.get_running_loop().time() > until:
                raise
        await asyncio.sleep(POLL_SECONDS)


async def _play(seat: Seat, seed: int, events: asyncio.Queue[Event | None], referee: _Referee) -> None:
    account = seat.player.address
    state = await seat.world.state()
    me = state.player_of(account)
    if me is None:
        raise NotAPlayer(f"{account} is not in the match of session {state.session_id}")
    bot = Bot(me.number, await seat.world.rules(), random.Random(f"{seed}/{me.number}"))
    if not state.finished:
        with suppress(_Over):
            events.put_nowait(Delegated(account, await _unless_over(seat, seat.delegate())))
    while True:
        state = await seat.world.state()
        referee.saw(state)
        if state.finished:
            return
        me = state.players[bot.number - 1]
        try:
            if state.turn > state.turn_limit:
                await _report(seat, "conclude", state, events)
            elif me.exit or me.ready:
                await asyncio.sleep(POLL_SECONDS)
            else:
                await _take(seat, bot.next_action(state), state, events)
        except _Over:
            return


async def _take(seat: Seat, action: Action, state: MatchState, events: asyncio.Queue[Event | None]) -> None:
    units = {unit.unit_id: unit for unit in state.units}
    match action:
        case Move(unit_id, path):
            what = f"{units[unit_id].kind.name.lower()} moves {len(path)} tiles from {units[unit_id].tile}"
            await _report(seat, "move", state, events, unit_id, [int(step) for step in path], what=what)
        case Attack(unit_id, tile):
            what = f"{units[unit_id].kind.name.lower()} attacks {tile}"
            await _report(seat, "attack", state, events, unit_id, *tile, what=what)
        case Capture(unit_id):
            what = f"{units[unit_id].kind.name.lower()} storms {units[unit_id].tile}"
            await _report(seat, "capture", state, events, unit_id, what=what)
        case Build(tile, kind):
            what = f"{UnitKind(kind).name.lower()} raised at {tile}"
            await _report(seat, "build", state, events, *tile, int(kind), what=what)
        case _:
            await _report(seat, "endTurn", state, events, what="ends the turn")


async def _report(
    seat: Seat,
    action: str,
    state: MatchState,
    events: asyncio.Queue[Event | None],
    *arguments: object,
    what: str = "",
) -> None:
    account = seat.player.address
    try:
        receipt = await _unless_over(seat, seat.act(action, *arguments))
    except ActionReverted as reverted:
        events.put_nowait(Refused(account, state.turn, action, str(reverted)))
    else:
        events.put_nowait(Acted(account, state.turn, action, what or action, receipt))


class _Over(Exception):
    """The session ended while one acted."""


async def _unless_over(seat: Seat, sending: Awaitable[Receipt]) -> Receipt:
    """Raises `_Over` if the session refuses the transaction because the match is finished."""
    try:
        return await sending
    except RpcRefused:
        if (await seat.world.state()).finished:
            raise _Over from None
        raise
