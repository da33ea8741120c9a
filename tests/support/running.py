"""A whole node in the test's own process, and what a test asks of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from exclave.config import Config
from exclave.node.node import Node
from exclave.node.templates import import_template
from exclave.protocol import SessionClaim
from exclave.protocol.constants import ZERO_HASH
from exclave.prover import Prover
from exclave.store import Claim
from support.anvil import account
from support.world import OPERATOR_KEY, PLAYERS, World

SIGNER = 5
"""Index of the anvil account that sends the node's L1 transactions."""

VARIABLES = {
    "EXCLAVE_OPERATOR_KEY": "0x" + OPERATOR_KEY.hex(),
    "EXCLAVE_PRIVATE_KEY": account(SIGNER).key.to_0x_hex(),
}


def make_config(world: World, directory: Path, **changes: Any) -> Config:
    """A node's configuration; `changes` by section, such as `coordinator={"batch_delay": 5}`."""
    values: dict[str, dict[str, Any]] = {
        "node": {"data_dir": str(directory / "node"), "port": 0, "local_sessions": True, "lease_seconds": 5},
        "l1": {
            "rpc_urls": [world.anvil.url],
            "chain_id": 31337,
            "zk_relayer": "0x" + world.zk_relayer.hex(),
            "start_block": world.deployed_in,
            "confirmations": 1,
            "poll_interval": 0.05,
            "request_timeout": 2,
        },
        "signer": {"kind": "environment"},
        "operator": {"kind": "environment"},
        "accept": {},
        "coordinator": {"batch_delay": 0, "poll_interval": 0.1, "retry_delay": 0.1},
        "defence": {"poll_interval": 0.1, "retry_delay": 0.1, "withdraw_above_ether": 0},
        "fees": {"bump_after": 5},
    }
    for section, keys in changes.items():
        values[section] = {**values[section], **keys}
    return Config.model_validate(values, context={"base": directory})


@contextlib.asynccontextmanager
async def running_node(
    world: World,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    prover: Prover | None = None,
    **changes: Any,
) -> AsyncIterator[RunningNode]:
    """A started node with the world's template. `prover`: what makes its proofs."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    async with Node(make_config(world, directory, **changes), prover=prover).running() as node:
        import_template(node.store, node.engine, world.template.data)
        async with httpx.AsyncClient(timeout=30) as client:
            yield RunningNode(world, node, client)


class RunningNode:
    """A node under test."""

    def __init__(self, world: World, node: Node, client: httpx.AsyncClient) -> None:
        self.world = world
        self.node = node
        self._client = client

    async def rpc(self, method: str, *params: Any, path: str = "/") -> Any:
        """A JSON-RPC result; raises `AssertionError` with the error's JSON."""
        answer = await self.raw_rpc(method, *params, path=path)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    async def raw_rpc(self, method: str, *params: Any, path: str = "/") -> Any:
        """A JSON-RPC answer."""
        response = await self._client.post(
            f"http://127.0.0.1:{self.node.port}{path}",
            json={"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)},
        )
        return json.loads(response.content)

    async def until(self, what: str, condition: Callable[[], Any], *, mining: bool = True) -> Any:
        """Wait until `condition()` is true, mining L1 blocks meanwhile; returns its value."""
        for _ in range(600):
            found = await asyncio.to_thread(condition)
            if found:
                return found
            if mining:
                await asyncio.to_thread(self.world.anvil.mine)
            await asyncio.sleep(0.05)
        raise AssertionError(f"never happened: {what}")

    async def opened(self, session_id: int) -> None:
        """Wait until the node has started a session."""

        def started() -> bool:
            session = self.node.store.sessions.get(session_id)
            return session is not None and session.genesis_hash is not None

        await self.until(f"session {session_id} opens", started)

    async def in_memory(self, session_id: int) -> None:
        """Wait until the node has brought a session into memory."""
        await self.until(f"session {session_id} is in memory", lambda: session_id in self.node.host.in_memory)

    async def play(self, session_id: int, moves: int, *, player: int = 0, first_nonce: int = 0) -> None:
        """Ordinary transactions over JSON-RPC."""
        for nonce in range(first_nonce, first_nonce + moves):
            raw = self.world.increment(session_id, PLAYERS[player], nonce)
            await self.rpc("eth_sendRawTransaction", "0x" + raw.hex(), path=f"/session/{session_id}")

    async def claimed(self, session_id: int) -> int:
        """Wait until a claim of the session is on L1 and known; returns its id."""

        def found() -> int:
            claims = self.node.store.claims.of_session(session_id)
            return claims[-1].claim_id if claims else 0

        return int(await self.until(f"session {session_id} is claimed", found))

    async def claimed_to_its_end(self, session_id: int) -> list[Claim]:
        """Wait until the range with the session's result is claimed; returns the claims of all its ranges.

        Before that no time should pass: the last claim's window would still be open when the others' are over.
        """

        def found() -> list[Claim]:
            claims = self.node.store.claims.of_session(session_id)
            leaves = [leaf for claim in claims for leaf in self.node.store.claims.leaves(claim.claim_id)]
            ends = any(
                leaf.session_id == session_id and SessionClaim.decode(leaf.claim).result_hash != ZERO_HASH
                for leaf in leaves
            )
            return claims if ends else []

        claims: list[Claim] = await self.until(f"session {session_id} is claimed to its end", found)
        return claims

    async def settled(self, session_id: int) -> None:
        """Let the challenge window pass and wait until L1 and the node have the session settled."""
        self.world.pass_time(61)
        await self.until(f"session {session_id} is settled on L1", lambda: self.world.status(session_id) == 2)

        def known() -> bool:
            session = self.node.store.sessions.get(session_id)
            return session is not None and session.status == "settled"

        await self.until(f"the node knows that session {session_id} is settled", known)

    async def bond_released(self, claim_id: int) -> None:
        """Wait until the claim's bond is back."""

        def released() -> bool:
            data = "0x" + _claim_record(claim_id).hex()
            answer = self.world.anvil.rpc(
                "eth_call", {"to": "0x" + self.world.zk_relayer.hex(), "data": data}, "latest"
            )
            return int(answer[2 + 64 * 3 : 2 + 64 * 4], 16) == 1

        await self.until(f"the bond of claim {claim_id} is released", released)


def _claim_record(claim_id: int) -> bytes:
    from support.world import call_data

    return call_data("claimRecord(uint64)", claim_id)
