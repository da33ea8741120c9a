"""What is compared: an Exclave node as its users run it, and anvil as developers run it."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.deploy import DEPLOYER_KEY, mud_deploy
from support.anvil import Anvil, run_anvil
from support.node_process import NodeProcess
from support.world import OPERATOR_KEY, GameTemplate, World, build_game_template

from benchmarks.client import batch_body, open_connection
from benchmarks.workloads import (
    FUNDS,
    SENDERS,
    TOKEN,
    TOKENS,
    WORLD,
    balance_slot,
    token_code,
    with_benchmark_accounts,
)
from exclave import _engine
from exclave.contracts import load
from exclave.protocol import address_of
from exclave.protocol.constants import PREDEPLOY

WAIT = 120.0


@dataclass(frozen=True)
class Chain:
    """An Ethereum chain that takes transactions: an anvil, or a session.

    `fee` is in wei per gas; `software` is "exclave", where what is answered to is in a block on disk, or "anvil".
    """

    url: str
    chain_id: int
    fee: int
    software: str


async def ask(chain: Chain, method: str, each: list[list[object]]) -> list[Any]:
    """Answers to one method for many parameters, in their order."""
    connection = await open_connection(chain.url)
    try:
        answers = json.loads(await connection.send(batch_body(method, each)))
    finally:
        await connection.close()
    return [answer["result"] for answer in sorted(answers, key=lambda answer: answer["id"])]


async def nonces(chain: Chain) -> list[int]:
    """Next nonce of every sender in the latest block."""
    answers = await ask(
        chain, "eth_getTransactionCount", [["0x" + sender.address.hex(), "latest"] for sender in SENDERS]
    )
    return [int(answer, 16) for answer in answers]


async def wait_for_nonces(chain: Chain, expected: list[int]) -> None:
    """Wait until all sent transactions are in blocks."""
    deadline = time.monotonic() + WAIT
    while await nonces(chain) != expected:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{chain.url} has not included everything")
        await asyncio.sleep(0.01)


async def holdings(chain: Chain, accounts: list[bytes], delegations: list[bytes]) -> list[Any]:
    """Wei of each account, the root of the token's storage, and what calls of the World for delegations give.

    Not the root of the World's storage: it has times of its deployment.
    """
    wei = await ask(chain, "eth_getBalance", [["0x" + account.hex(), "latest"] for account in accounts])
    (token,) = await ask(chain, "eth_getProof", [["0x" + TOKEN.hex(), [], "latest"]])
    reads: list[list[object]] = [
        [{"to": "0x" + WORLD.hex(), "data": "0x" + data.hex()}, "latest"] for data in delegations
    ]
    return [wei, token["storageHash"], await ask(chain, "eth_call", reads) if reads else []]


@contextmanager
def anvil_chain(*, game: bool = False) -> Iterator[tuple[Chain, Anvil]]:
    """Anvil with the benchmark's accounts, mining every transaction at once as it does by default.

    `game`: with Holdfast's World, deployed as in its template.
    """
    with run_anvil("--base-fee", "0") as anvil:
        anvil.rpc("anvil_setCode", "0x" + TOKEN.hex(), "0x" + token_code().hex())
        for sender in SENDERS:
            anvil.set_balance("0x" + sender.address.hex(), FUNDS)
            slot = f"0x{balance_slot(sender.address):064x}"
            anvil.rpc("anvil_setStorageAt", "0x" + TOKEN.hex(), slot, f"0x{TOKENS:064x}")
        if game:
            anvil.rpc("anvil_setCode", "0x" + PREDEPLOY.hex(), "0x" + load("ExclaveSession").deployed_bytecode.hex())
            anvil.set_balance("0x" + address_of(DEPLOYER_KEY).hex(), FUNDS)  # estimates are bounded by funds
            assert bytes.fromhex(mud_deploy(anvil.url)[2:]) == WORLD, "the World is elsewhere than in the template"
        yield Chain(anvil.url, anvil.chain_id, 0, software="anvil"), anvil


def benchmark_template(holders: int = 0) -> GameTemplate:
    """CounterGame with the benchmark's accounts, and so many holders of the token more."""
    game = build_game_template()
    data = with_benchmark_accounts(game.data, holders)
    engine = _engine.Engine(
        persist=lambda blocks: None,
        wake=lambda session_id: False,
        call=lambda method, params: "null",
        preconfirmation_key=OPERATOR_KEY,
        l1_chain_id=31337,
        zk_relayer=bytes(20),
    )
    try:
        added = engine.add_template(data)
    finally:
        engine.shutdown()
    return replace(
        game, data=data, template_id=added.template_id, state_root=added.state_root, data_hash=added.data_hash
    )


@dataclass
class Exclave:
    """A running node with sessions that were opened on an L1 of its own."""

    world: World
    node: NodeProcess

    def open(self, count: int) -> list[Chain]:
        """Open sessions on L1 and wait until the node serves them all."""
        first = self.world.open_session(target=2**200, mine=0)
        ids = [first, *(self.world.open_session(target=2**200, mine=0) for _ in range(count - 1))]
        self.world.anvil.mine(2)
        for session_id in ids:
            self.wait_until_served(session_id)
        return [
            Chain(f"{self.node.url}/session/{session_id}", self.world.chain_id(session_id), 0, software="exclave")
            for session_id in ids
        ]

    def wait_until_served(self, session_id: int) -> None:
        """Until block 1, with the message from L1, is there."""
        from support.node_process import RpcError

        deadline = time.monotonic() + WAIT
        while True:
            try:
                if int(self.node.call("eth_blockNumber", session=session_id), 16) >= 1:
                    return
            except RpcError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"session {session_id} is not served:\n{self.node.log_tail()}")
            time.sleep(0.01)


@contextmanager
def exclave(*, holders: int = 0, settings: Mapping[str, str] | None = None) -> Iterator[Exclave]:
    """`exclave node` with its defaults (SQLite, every block on disk before it is acknowledged) on an anvil as L1.

    `settings` are TOML values by their names in the configuration.
    """
    defaults = {"l1.poll_interval": "2.0", "coordinator.poll_interval": "5.0", "logging.level": '"warning"'}
    defaults |= settings or {}
    with run_anvil() as anvil, tempfile.TemporaryDirectory() as directory:
        world = World.create(anvil, benchmark_template(holders), address_of(OPERATOR_KEY))
        node = NodeProcess(world, Path(directory), defaults)
        try:
            node.start()
            yield Exclave(world, node)
        finally:
            node.stop()
