"""The tests' smallest game, as the demo shows it: players count to a number in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from eth_abi.abi import encode
from eth_account.signers.local import LocalAccount
from support.world import build_game_template, call_data, raw_address, signed_call

from exclave import contracts
from exclave.demo.game import DemoL1, Match, Played
from exclave.protocol import Terms
from exclave.protocol.terms import TERMS_ABI

TARGET = 4


class CounterDemo:
    name = "Counter"
    players_per_match = 2

    def __init__(self) -> None:
        self._template = build_game_template()
        self._lobby = b""
        self._template_id = b""
        self._terms_hash = b""
        self._opening = asyncio.Lock()

    def template(self) -> bytes:
        return self._template.data

    async def deploy(self, l1: DemoL1, deployer: LocalAccount, template_id: bytes, terms: Terms) -> dict[str, bytes]:
        code = contracts.load("CounterLobby").bytecode + encode(["address"], ["0x" + l1.zk_relayer.hex()])
        receipt = await l1.send("deploy the lobby", deployer, None, code)
        assert receipt.contract_address is not None
        self._lobby, self._template_id, self._terms_hash = receipt.contract_address, template_id, terms.hash()
        data = call_data(f"registerTerms(bytes32,{TERMS_ABI})", template_id, terms.as_abi_tuple())
        await l1.send("register the terms", deployer, l1.zk_relayer, data)
        return {"CounterLobby": self._lobby}

    async def open_match(self, l1: DemoL1, number: int, players: Sequence[LocalAccount]) -> int:
        data = call_data(
            "open(bytes32,bytes32,address[],bytes,uint64)",
            self._template_id,
            self._terms_hash,
            [raw_address(player) for player in players],
            encode(["uint256"], [TARGET]),
            int(time.time()) + 3600,
        )
        async with self._opening:
            await l1.send("open a match", players[0], self._lobby, data)
            return int.from_bytes(await l1.call(l1.zk_relayer, call_data("lastSessionId()")), "big")

    async def play(self, url: str, chain_id: int, match: Match, report: Callable[[str], None]) -> Played:
        gas = 0
        async with httpx.AsyncClient() as client:

            async def request(method: str, *params: str) -> Any:
                body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                answer = (await client.post(url, json=body)).json()
                assert "result" in answer, answer
                return answer["result"]

            for move in range(TARGET):
                nonce, seat = divmod(move, len(match.players))
                data = call_data("increment(uint256)", 1)
                raw = signed_call(match.players[seat], chain_id, nonce, self._template.game, data)
                receipt = await request(
                    "eth_getTransactionReceipt", await request("eth_sendRawTransaction", "0x" + raw.hex())
                )
                gas += int(receipt["gasUsed"], 16)
                report(f"{move + 1} of {TARGET}")
        return Played(TARGET, gas)

    async def pay_out(self, l1: DemoL1, match: Match) -> str:
        result = await l1.call(self._lobby, call_data("resultOf(uint64)", match.session_id))
        return f"{len(result)} bytes of result on L1"


def demo_game() -> CounterDemo:
    return CounterDemo()
