"""Whole matches by bots over a session's JSON-RPC."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest
from holdfast.bots import Bot
from holdfast.client import ActionReverted, Seat, SessionRpc, World
from holdfast.play import Acted, Delegated, Event, MatchEnded, NotAPlayer, TurnBegan, burner_of, play_match
from holdfast.state import Direction, MatchResult
from support.holdfast import CROSSING, FORD, MatchHost, StartMatch, player_accounts

HEAVIEST, LIGHTEST = 600_000, 100_000
"""Gas of an action."""


async def play(host: MatchHost, seed: int = 1) -> list[Event]:
    return [event async for event in play_match(host.url, host.players, seed=seed)]


@pytest.mark.parametrize(("players", "level", "turns"), [(2, FORD, 12), (4, CROSSING, 10)])
async def test_bots_play_to_the_end(start_match: StartMatch, players: int, level: int, turns: int) -> None:
    host = start_match(players, level=level, turn_limit=turns)
    events = await play(host)

    ended = events[-1]
    assert isinstance(ended, MatchEnded)
    assert {account.lower() for account in ended.result.ranking} == {p.address.lower() for p in host.players}
    assert len(ended.result.scores) == players
    assert 1 < ended.result.turn <= turns + 1
    assert host.info.ended and host.info.result is not None
    assert MatchResult.decode(host.info.result) == ended.result

    began = [event.turn for event in events if isinstance(event, TurnBegan)]
    assert began == sorted(set(began))
    assert len([event for event in events if isinstance(event, Delegated)]) == players
    acted = {event.player for event in events if isinstance(event, Acted)}
    assert acted == {player.address for player in host.players}


async def test_actions_weigh_what_real_ones_do(start_match: StartMatch) -> None:
    host = start_match(4, level=CROSSING, turn_limit=14)
    gas: defaultdict[str, list[int]] = defaultdict(list)
    for event in await play(host):
        if isinstance(event, Acted):
            gas[event.action].append(event.receipt.gas_used)
    # Ending the match takes more than an action does.
    gas["endTurn"].remove(max(gas["endTurn"]))
    assert set(gas) >= {"move", "attack", "capture", "build", "endTurn"}
    for action, values in gas.items():
        assert min(values) >= LIGHTEST and max(values) <= HEAVIEST, (action, min(values), max(values))


async def test_a_match_of_four_can_be_won_by_elimination(start_match: StartMatch) -> None:
    """Bots finish each other off, given time: the match ends before its turn limit, or with somebody out."""
    host = start_match(4, level=CROSSING, turn_limit=60)
    await play(host)
    async with SessionRpc(host.url) as rpc:
        state = await (await World.find(rpc)).state()
    assert state.finished
    assert any(player.exit for player in state.players)


async def test_the_ended_match_can_still_be_read(start_match: StartMatch) -> None:
    host = start_match(2, turn_limit=2)
    first = await play(host)
    again = await play(host)
    assert again == [first[-1]]


async def test_a_match_goes_on_where_it_stands(start_match: StartMatch) -> None:
    host = start_match(2, turn_limit=4)
    seen = 0
    async for event in play_match(host.url, host.players):
        seen += isinstance(event, Acted)
        if seen == 5:
            break
    assert not host.info.ended
    events = await play(host)
    assert isinstance(events[-1], MatchEnded)


async def test_turns_pass_by_time(start_match: StartMatch) -> None:
    """One player stays away; the other plays the match to its end alone and wins it."""
    host = start_match(2, turn_seconds=1, turn_limit=3)
    events = [event async for event in play_match(host.url, host.players[:1])]
    ended = events[-1]
    assert isinstance(ended, MatchEnded)
    assert ended.result.ranking[0].lower() == host.players[0].address.lower()


async def test_strangers_are_told(start_match: StartMatch) -> None:
    host = start_match(2)
    stranger = player_accounts(3)[2]
    with pytest.raises(NotAPlayer):
        async for _ in play_match(host.url, [stranger]):
            pass


async def test_refusals_name_the_rule(start_match: StartMatch) -> None:
    host = start_match(2)
    async with SessionRpc(host.url) as rpc:
        world = await World.find(rpc)
        seat = Seat(world, host.players[0], burner_of(host.players[0], world.chain_id))
        with pytest.raises(ActionReverted, match="World_DelegationNotFound"):
            await seat.end_turn()
        await seat.delegate()
        with pytest.raises(ActionReverted, match="NotYourUnit"):
            await seat.move(99, [Direction.NORTH])
        state = await world.state()
        me = state.player_of(host.players[0].address)
        assert me is not None
        with pytest.raises(ActionReverted, match="EmptyPath"):
            await seat.move((me.number - 1) * 16 + 1, [])
        await seat.end_turn()
        with pytest.raises(ActionReverted, match="TurnEnded"):
            await seat.end_turn()


async def test_actions_batch(start_match: StartMatch) -> None:
    host = start_match(2)
    async with SessionRpc(host.url) as rpc:
        world = await World.find(rpc)
        seat = Seat(world, host.players[0], burner_of(host.players[0], world.chain_id))
        await seat.delegate()
        state = await world.state()
        me = state.player_of(host.players[0].address)
        assert me is not None
        unit_id = (me.number - 1) * 16 + 1
        await seat.batch([("move", (unit_id, [int(Direction.NORTH)])), ("endTurn", ())])
        state = await world.state()
        assert state.players[me.number - 1].ready
        assert next(unit for unit in state.units if unit.unit_id == unit_id).tile == (me.keep[0], me.keep[1] - 1)


async def test_bots_decide_the_same_for_the_same_seed(start_match: StartMatch) -> None:
    host = start_match(2)
    async with SessionRpc(host.url) as rpc:
        world = await World.find(rpc)
        state, rules = await world.state(), await world.rules()
    choices = [[Bot(1, rules, Random("seed")).next_action(state) for _ in range(3)] for _ in range(2)]
    assert choices[0] == choices[1]
