"""Holdfast for `exclave demo`: bots in matches of four, staked and paid in the lobby."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from holdfast.abi import abi, artifact
from holdfast.client import HoldfastError, SessionRpc, World
from holdfast.paths import TEMPLATE
from holdfast.play import Acted, Delegated, MatchEnded, TurnBegan, play_match
from holdfast.state import MatchState

from exclave.demo.game import DemoL1, GameFailed, Match, Played
from exclave.protocol import Terms, address_bytes
from exclave.protocol.terms import TERMS_ABI

STAKE: Final = 10**18
LEVEL: Final = 3  # crossing, the map with four keeps
TURN_SECONDS: Final = 60
TURN_LIMIT: Final = 12
DURATION: Final = TURN_SECONDS * TURN_LIMIT + 900
PAID: Final = 3  # MatchStatus


class HoldfastDemo:
    name = "Holdfast"
    players_per_match = 4

    def __init__(self) -> None:
        self._lobby = b""

    def template(self) -> bytes:
        return TEMPLATE.read_bytes()

    async def deploy(self, l1: DemoL1, deployer: LocalAccount, template_id: bytes, terms: Terms) -> dict[str, bytes]:
        code = bytes.fromhex(artifact("HoldfastLobby")["bytecode"].removeprefix("0x"))
        arguments = encode(["address", "bytes32", TERMS_ABI], [l1.zk_relayer, template_id, terms.as_abi_tuple()])
        receipt = await l1.send("deploy HoldfastLobby", deployer, None, code + arguments)
        assert receipt.contract_address is not None
        self._lobby = receipt.contract_address
        return {"HoldfastLobby": self._lobby}

    async def open_match(self, l1: DemoL1, number: int, players: Sequence[LocalAccount]) -> int:
        settings = (STAKE, len(players), LEVEL, TURN_SECONDS, TURN_LIMIT, DURATION)

        async def join(seat: int) -> None:
            data = abi("HoldfastLobby")["joinMatch"].encode(match_id, settings)
            await l1.send(f"match {number}: player {seat} joins for 1 ETH", players[seat - 1], self._lobby, data, STAKE)

        data = abi("HoldfastLobby")["createMatch"].encode(settings)
        created = await l1.send(f"match {number}: player 1 makes it for 1 ETH", players[0], self._lobby, data, STAKE)
        # MatchCreated is the first log, and the match its first topic.
        match_id = int.from_bytes(created.logs[0].topics[1], "big")
        # The last one opens the session: what that takes can be estimated only when the others have joined.
        await asyncio.gather(*(join(seat) for seat in range(2, len(players))))
        await join(len(players))
        _, session_id, *_ = await self._read(l1, "matchOf", match_id)
        return int(session_id)

    async def play(self, url: str, chain_id: int, match: Match, report: Callable[[str], None]) -> Played:
        transactions = gas = 0
        world: World | None = None
        try:
            async with SessionRpc(url) as rpc:
                async for event in play_match(url, match.players, seed=match.session_id):
                    match event:
                        case TurnBegan():
                            world = world or await World.find(rpc)
                            report(_describe(await world.state(), match))
                        case Delegated(receipt=receipt) | Acted(receipt=receipt):
                            transactions += 1
                            gas += receipt.gas_used
                        case MatchEnded(result):
                            winner = _seat_of(result.ranking[0], match)
                            report(f"over after {transactions} transactions, player {winner} has won")
        except HoldfastError as error:
            raise GameFailed(f"match {match.number} stopped: {error}") from error
        return Played(transactions, gas)

    async def pay_out(self, l1: DemoL1, match: Match) -> str:
        match_id = await self._read(l1, "matchOfSession", match.session_id)
        status, *_ = await self._read(l1, "matchOf", match_id)
        if status != PAID:
            raise GameFailed(f"the lobby didn't pay match {match.number}: its status is {status}")
        prizes = {
            seat: await self._read(l1, "balanceOf", player.address) for seat, player in enumerate(match.players, 1)
        }

        async def withdraw(seat: int) -> None:
            player = match.players[seat - 1]
            data = abi("HoldfastLobby")["withdraw"].encode(player.address)
            await l1.send(f"match {match.number}: player {seat} withdraws", player, self._lobby, data)

        paid = sorted((seat for seat, prize in prizes.items() if prize), key=lambda seat: -prizes[seat])
        await asyncio.gather(*(withdraw(seat) for seat in paid))
        return ", ".join(f"player {seat}: {prizes[seat] / 10**18:g} ETH" for seat in paid)

    async def _read(self, l1: DemoL1, view: str, *arguments: Any) -> Any:
        function = abi("HoldfastLobby")[view]
        return function.decode(await l1.call(self._lobby, function.encode(*arguments)))


def _describe(state: MatchState, match: Match) -> str:
    """Such as "turn  7 of 12: units 5, 3, out, 6; player 4 leads with 860 points"."""
    seats = {player.number: _seat_of(player.account, match) for player in state.players}
    armies = dict.fromkeys(range(1, len(match.players) + 1), 0)
    for unit in state.units:
        armies[seats[unit.owner]] += 1
    scores = {seats[player.number]: player.score for player in state.players if not player.exit}
    best = max(scores.values())
    leaders = sorted(seat for seat, score in scores.items() if score == best)
    if len(leaders) == 1:
        leads = f"player {leaders[0]} leads with"
    elif len(leaders) == len(scores):
        leads = "all have"
    else:
        leads = f"players {', '.join(map(str, leaders[:-1]))} and {leaders[-1]} lead with"
    units = ", ".join(str(count) if seat in scores else "out" for seat, count in armies.items())
    return f"turn {state.turn:>2} of {state.turn_limit}: units {units}; {leads} {best} points"


def _seat_of(account: str, match: Match) -> int:
    """The number of a player in the demo, from 1; in the match itself the seed gives out others."""
    return 1 + [address_bytes(player.address) for player in match.players].index(address_bytes(account))


def demo_game() -> HoldfastDemo:
    return HoldfastDemo()
