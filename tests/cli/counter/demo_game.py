"""The tests' smallest game, as the demo shows it: players count to a number in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import httpx
from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from support.world import build_game_template, call_data, raw_address, signed_call

from exclave import contracts
from exclave.demo.game import DemoL1, Match
from exclave.protocol import Terms
from exclave.protocol.terms import TERMS_ABI

TARGET = 4


class CounterDemo:
    name = "Counter"
    players_per_match = 2

    def __init__(self) -> None:
        self._template = build_game_template()
        self._lobby = b""
        self._opening = asyncio.Lock()

    def template(self) -> bytes:
        return self._template.data

    async def deploy(self, l1: DemoL1, deployer: LocalAccount) -> None:
        code = contracts.load("CounterLobby").bytecode + encode(["address"], ["0x" + l1.zk_relayer.hex()])
        receipt = await l1.send("deploy the lobby", deployer, None, code)
        assert receipt.contract_address is not None
        self._lobby = receipt.contract_address

    async def open_match(self, l1: DemoL1, template_id: bytes, terms: Terms, players: Sequence[LocalAccount]) -> int:
        data = call_data(
            f"open(bytes32,address[],bytes,uint64,{TERMS_ABI})",
            template_id,
            [raw_address(player) for player in players],
            encode(["uint256"], [TARGET]),
            int(time.time()) + 3600,
            terms.as_abi_tuple(),
        )
        async with self._opening:
            await l1.send("open a match", players[0], self._lobby, data)
            return int.from_bytes(await l1.call(l1.zk_relayer, call_data("lastSessionId()")), "big")

    async def play(self, url: str, chain_id: int, match: Match, report: Callable[[str], None]) -> None:
        async with httpx.AsyncClient() as client:
            for move in range(TARGET):
                nonce, seat = divmod(move, len(match.players))
                data = call_data("increment(uint256)", 1)
                raw = signed_call(match.players[seat], chain_id, nonce, self._template.game, data)
                body = {"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": ["0x" + raw.hex()]}
                answer = (await client.post(url, json=body)).json()
                assert "result" in answer, answer
                report(f"{move + 1} of {TARGET}")

    async def outcome(self, l1: DemoL1, match: Match) -> str:
        result = await l1.call(self._lobby, call_data("resultOf(uint64)", match.session_id))
        return f"{len(result)} bytes of result on L1"


def demo_game() -> CounterDemo:
    return CounterDemo()
