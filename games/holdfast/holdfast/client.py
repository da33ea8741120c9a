"""A player's seat in a session: reads the match and acts through ordinary JSON-RPC."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from holdfast.abi import abi
from holdfast.state import Direction, MatchResult, MatchState, Rules, Tile, UnitKind

SESSION_CONTRACT: Final = "0x4578636c61766500000000000000000000000001"
SESSION_ENDED: Final = "0x" + keccak(text="SessionEnded(bytes)").hex()
GAME_SELECTOR: Final = keccak(text="game()")[:4]

ACTION_GAS: Final = 2_000_000
"""Gas limit of every action: more than the dearest needs, and little enough that many fit into one block."""

UNLIMITED_DELEGATION: Final = b"sy" + bytes(14) + b"unlimited".ljust(16, b"\0")

SYSTEMS: Final = {
    "move": "MoveSystem",
    "attack": "CombatSystem",
    "capture": "CaptureSystem",
    "build": "BuildSystem",
    "endTurn": "TurnSystem",
    "surrender": "TurnSystem",
    "conclude": "TurnSystem",
}


class HoldfastError(Exception):
    """Base of what the client raises."""


class SessionUnreachable(HoldfastError):
    """The session's URL doesn't answer, or not with JSON-RPC."""


class RpcRefused(HoldfastError):
    """The session answered with an error. `data` is the revert data of a call."""

    def __init__(self, code: int, message: str, data: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class ActionReverted(HoldfastError):
    """The rules forbade an action; the message says which rule."""


class NoMatch(HoldfastError):
    """The session has no World, or no match has started in it."""


@dataclass(frozen=True)
class Receipt:
    """What became of a transaction; gas in gas."""

    transaction_hash: str
    block_number: int
    gas_used: int
    succeeded: bool


class SessionRpc:
    """JSON-RPC of one session over HTTP. Close it, or use it as a context."""

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        self.url = url
        self._http = httpx.AsyncClient(timeout=timeout)
        self._ids = itertools.count(1)

    async def __aenter__(self) -> SessionRpc:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def request(self, method: str, *params: Any) -> Any:
        """The result of a method. Raises `SessionUnreachable`, `RpcRefused`."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        try:
            answer = (await self._http.post(self.url, json=body)).json()
        except (httpx.HTTPError, ValueError) as error:
            raise SessionUnreachable(f"no JSON-RPC at {self.url} ({type(error).__name__}: {error})") from error
        if "error" in answer:
            refusal = answer["error"]
            data = refusal.get("data")
            revert = bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b""
            raise RpcRefused(refusal.get("code", 0), refusal.get("message", "no message"), revert)
        return answer["result"]

    async def call(self, to: str, data: bytes, sender: str | None = None, block: str = "latest") -> bytes:
        """`eth_call`. Raises `RpcRefused` with the revert data, `SessionUnreachable`."""
        transaction = {"to": to, "data": "0x" + data.hex(), "gas": hex(30_000_000)}
        if sender is not None:
            transaction["from"] = sender
        return bytes.fromhex((await self.request("eth_call", transaction, block))[2:])

    async def number(self, method: str, *params: Any) -> int:
        """The result of a method that answers with a quantity."""
        return int(await self.request(method, *params), 16)

    async def result(self) -> MatchResult | None:
        """The session's result; None while it runs."""
        logs = await self.request(
            "eth_getLogs",
            {"address": SESSION_CONTRACT, "topics": [SESSION_ENDED], "fromBlock": "0x0", "toBlock": "latest"},
        )
        if not logs:
            return None
        data = bytes.fromhex(logs[0]["data"][2:])
        length = int.from_bytes(data[32:64], "big")
        return MatchResult.decode(data[64 : 64 + length])


class World:
    """The game's World in a session, as anybody sees it."""

    def __init__(self, rpc: SessionRpc, address: str, chain_id: int) -> None:
        self.rpc = rpc
        self.address = address
        self.chain_id = chain_id

    @classmethod
    async def find(cls, rpc: SessionRpc) -> World:
        """The World that the session contract is bound to. Raises `NoMatch`, `SessionUnreachable`, `RpcRefused`."""
        answer = await rpc.call(SESSION_CONTRACT, GAME_SELECTOR)
        if not any(answer):
            raise NoMatch(f"{rpc.url} has no game: is it a session of Holdfast?")
        return cls(rpc, to_checksum_address(answer[-20:]), await rpc.number("eth_chainId"))

    async def read(self, view: str) -> Any:
        """What a view of the World returns. Raises `NoMatch` before the match, `SessionUnreachable`, `RpcRefused`."""
        function = abi("IWorld")[view]
        try:
            return function.decode(await self.rpc.call(self.address, function.encode()))
        except RpcRefused as refused:
            if refused.data:
                raise NoMatch(abi("IWorld").explain(refused.data)) from refused
            raise

    async def state(self) -> MatchState:
        """Raises as `read`."""
        return MatchState.from_view(await self.read("viewMatch"))

    async def rules(self) -> Rules:
        """Raises as `read`."""
        rows, types = await self.read("viewTerrain"), await self.read("viewUnitTypes")
        return Rules.from_views(rows, types, (await self.state()).width)


class Seat:
    """A player who acts through a burner key.

    The player's own key signs once, to delegate to the burner. One seat sends one transaction at a time.
    """

    def __init__(self, world: World, player: LocalAccount, burner: LocalAccount) -> None:
        self.world = world
        self.player = player
        self._burner = burner
        self._nonces: dict[str, int] = {}

    async def delegate(self) -> Receipt:
        """Let the burner act for the player. Raises `ActionReverted`, `SessionUnreachable`, `RpcRefused`."""
        data = abi("IWorld")["registerDelegation"].encode(self._burner.address, UNLIMITED_DELEGATION, b"")
        return await self._send(self.player, data)

    async def act(self, action: str, *arguments: Any) -> Receipt:
        """Take one action by its name in the World. Raises `ActionReverted`, `SessionUnreachable`, `RpcRefused`."""
        data = self._call_from(action, arguments)
        return await self._send(self._burner, data)

    async def move(self, unit_id: int, path: Sequence[Direction]) -> Receipt:
        """Raises as `act`."""
        return await self.act("move", unit_id, [int(step) for step in path])

    async def attack(self, unit_id: int, tile: Tile) -> Receipt:
        """Raises as `act`."""
        return await self.act("attack", unit_id, *tile)

    async def capture(self, unit_id: int) -> Receipt:
        """Raises as `act`."""
        return await self.act("capture", unit_id)

    async def build(self, tile: Tile, kind: UnitKind) -> Receipt:
        """Raises as `act`."""
        return await self.act("build", *tile, int(kind))

    async def end_turn(self) -> Receipt:
        """Raises as `act`."""
        return await self.act("endTurn")

    async def batch(self, actions: Sequence[tuple[str, tuple[Any, ...]]]) -> Receipt:
        """Several actions in one transaction, all or none. Raises as `act`."""
        calls = [
            (self.player.address, system_id(SYSTEMS[name]), abi("IWorld")[name].encode(*arguments))
            for name, arguments in actions
        ]
        return await self._send(self._burner, abi("IWorld")["batchCallFrom"].encode(calls))

    def _call_from(self, action: str, arguments: Sequence[Any]) -> bytes:
        call = abi("IWorld")[action].encode(*arguments)
        return abi("IWorld")["callFrom"].encode(self.player.address, system_id(SYSTEMS[action]), call)

    async def _send(self, signer: LocalAccount, data: bytes) -> Receipt:
        rpc, address = self.world.rpc, signer.address
        if address not in self._nonces:
            self._nonces[address] = await rpc.number("eth_getTransactionCount", address, "pending")
        signed = signer.sign_transaction(
            {
                "type": 2,
                "chainId": self.world.chain_id,
                "nonce": self._nonces[address],
                "to": bytes.fromhex(self.world.address[2:]),
                "value": 0,
                "data": data,
                "gas": ACTION_GAS,
                "maxFeePerGas": 0,
                "maxPriorityFeePerGas": 0,
            }
        )
        # Whatever goes wrong, the session knows the nonce.
        nonce = self._nonces.pop(address)
        transaction_hash = await rpc.request("eth_sendRawTransaction", "0x" + signed.raw_transaction.hex())
        self._nonces[address] = nonce + 1
        answer = await rpc.request("eth_getTransactionReceipt", transaction_hash)
        if answer is None:
            raise SessionUnreachable(f"{rpc.url} acknowledged {transaction_hash} and doesn't know it")
        receipt = Receipt(
            transaction_hash, int(answer["blockNumber"], 16), int(answer["gasUsed"], 16), answer["status"] == "0x1"
        )
        if not receipt.succeeded:
            raise ActionReverted(await self._reason(address, data, receipt))
        return receipt

    async def _reason(self, sender: str, data: bytes, receipt: Receipt) -> str:
        """Why a transaction failed, by calling again on the state after its block."""
        try:
            await self.world.rpc.call(self.world.address, data, sender, hex(receipt.block_number))
        except RpcRefused as refused:
            return abi("IWorld").explain(refused.data) if refused.data else str(refused)
        return f"{receipt.transaction_hash} failed in its block, but would not now"


def system_id(name: str) -> bytes:
    """The MUD resource id of a system in the root namespace."""
    return b"sy" + bytes(14) + name.encode().ljust(16, b"\0")
