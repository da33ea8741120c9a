"""The demo's course."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from eth_account.signers.local import LocalAccount

from exclave.cli.rpc import RpcClient, RpcFailure, number
from exclave.cli.template import describe_template
from exclave.config_reference import file_template
from exclave.demo.chain import DemoChain, SentTransaction
from exclave.demo.game import DemoGame, Match
from exclave.demo.processes import Process, anvil, node
from exclave.l1.client import L1Client
from exclave.protocol import DataMode, Terms, address_bytes
from exclave.protocol.constants import ZERO_ADDRESS, ZERO_HASH
from exclave.store import Store

L1_CHAIN_ID = 31337
# Short enough to watch: a real game gives reviewers hours (docs/operating.md).
CHALLENGE_WINDOW = 10
PHASE_SECONDS = 300.0

T = TypeVar("T")


class DemoFailed(Exception):
    """Something that should have happened did not."""


@dataclass
class Report:
    """What the demo did, for the final tables. Balances in wei by account name: before, after."""

    matches: list[dict[str, Any]] = field(default_factory=list)
    transactions: list[SentTransaction] = field(default_factory=list)
    node_transactions: list[dict[str, Any]] = field(default_factory=list)
    balances: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Demo:
    """A running demo. `phase(text)` and `progress(match, text)` show what is happening."""

    game: DemoGame
    directory: Path
    matches: int
    phase: Callable[[str], None]
    progress: Callable[[int, str], None]
    stay: Callable[[str, str, list[str]], Awaitable[None]] | None = None

    async def run(self) -> Report:
        """From an empty L1 to paid-out matches. Raises what fails; everything it started is stopped."""
        async with contextlib.AsyncExitStack() as stack:
            self.phase("Starting L1 (anvil)")
            l1_url = await stack.enter_async_context(anvil(self.directory))
            client = await stack.enter_async_context(L1Client([l1_url], L1_CHAIN_ID))
            chain = DemoChain(client)
            deployer, signer, operator = [await chain.new_account() for _ in range(3)]

            self.phase("Deploying ZkRelayer and the game's lobby, registering the template")
            await chain.deploy_zk_relayer(deployer)
            template = describe_template(self.game.template())
            await chain.register_template(deployer, template.state_root, template.data_hash)
            terms = _terms(operator)
            await chain.register_terms(deployer, template.template_id, terms)
            await self.game.deploy(chain, deployer)

            self.phase("Starting the node")
            config = self._configure(l1_url, chain)
            with Store(f"sqlite:///{self.directory}/data/exclave.db") as store:
                store.migrate()
                store.templates.put(template)
            keys = {"EXCLAVE_PRIVATE_KEY": signer.key.hex(), "EXCLAVE_OPERATOR_KEY": operator.key.hex()}
            running = await stack.enter_async_context(node(config, keys, self.directory / "node.log"))
            url = await running.wait_for_line(r'"rpc": ?"(http://[^"]+)"')
            rpc = RpcClient(url)

            self.phase(f"Playing {self.matches} matches of {self.game.name} in parallel")
            tables = [
                [await chain.new_account() for _ in range(self.game.players_per_match)] for _ in range(self.matches)
            ]
            people = {"signer (node)": signer}
            for index, players in enumerate(tables):
                people |= {f"match {index + 1}, player {seat + 1}": player for seat, player in enumerate(players)}
            before = await _balances(client, people)
            async with asyncio.TaskGroup() as group:
                playing = [
                    group.create_task(
                        self._match(index, chain, rpc, url, running, template.template_id, terms, players)
                    )
                    for index, players in enumerate(tables)
                ]
            played = [task.result() for task in playing]

            self.phase("Settled: both results are on L1, stakes are paid out")
            report = Report(transactions=chain.sent)
            for match in played:
                session = await asyncio.to_thread(rpc.call, "zkcop_getSession", match.session_id)
                report.matches.append({**session, "outcome": await self.game.outcome(chain, match)})
            report.node_transactions = await asyncio.to_thread(rpc.call, "zkcop_listL1Transactions")
            after = await _balances(client, people)
            report.balances = {name: (before[name], after[name]) for name in people}
            if self.stay is not None:
                await self.stay(l1_url, url, [f"{url}/session/{match.session_id}" for match in played])
            return report

    async def _match(
        self,
        index: int,
        chain: DemoChain,
        rpc: RpcClient,
        url: str,
        running: Process,
        template_id: bytes,
        terms: Terms,
        players: list[LocalAccount],
    ) -> Match:
        self.progress(index, "staking on L1")
        match = Match(await self.game.open_match(chain, template_id, terms, players), players)
        self.progress(index, f"session {match.session_id}: waiting for L1's seed")
        session = await self._until(rpc, running, match, ("running", "ended", "claimed", "settled"))
        chain_id = number(session["chainId"])
        assert chain_id is not None
        await self.game.play(
            f"{url}/session/{match.session_id}", chain_id, match, lambda text: self.progress(index, text)
        )
        self.progress(index, "ended: waiting for the claim on L1")
        await self._until(rpc, running, match, ("claimed", "settled"))
        self.progress(index, f"claimed: open to review for {CHALLENGE_WINDOW} s")
        await self._until(rpc, running, match, ("settled",))
        self.progress(index, "settled")
        return match

    async def _until(self, rpc: RpcClient, running: Process, match: Match, statuses: tuple[str, ...]) -> dict[str, Any]:
        """The session once it is in one of these statuses."""
        deadline = time.monotonic() + PHASE_SECONDS
        status = "unknown to the node"
        while time.monotonic() < deadline:
            running.check()
            with contextlib.suppress(RpcFailure):  # not seen on L1 yet
                session: dict[str, Any] = await asyncio.to_thread(rpc.call, "zkcop_getSession", match.session_id)
                status = session["status"]
                if status in statuses:
                    return session
                if status in ("aborted", "unsupported"):
                    break
            await asyncio.sleep(0.3)
        raise DemoFailed(f"session {match.session_id} is {status}, not {statuses[0]}:\n{running.tail()}")

    def _configure(self, l1_url: str, chain: DemoChain) -> Path:
        path = self.directory / "exclave.toml"
        path.write_text(
            file_template(
                {
                    "node.data_dir": str(self.directory / "data"),
                    "node.port": 0,
                    "node.local_sessions": True,
                    "l1.rpc_urls": [l1_url],
                    "l1.chain_id": L1_CHAIN_ID,
                    "l1.zk_relayer": "0x" + chain.zk_relayer.hex(),
                    "l1.start_block": chain.deployed_in,
                    "l1.confirmations": 1,
                    "l1.poll_interval": 0.5,
                    "signer.kind": "environment",
                    "operator.kind": "environment",
                    # Long enough that matches that end about together share a claim.
                    "coordinator.batch_delay": 5.0,
                    "coordinator.poll_interval": 0.5,
                    "coordinator.retry_delay": 2.0,
                    "logging.format": "json",
                }
            )
        )
        return path


async def _balances(client: L1Client, people: dict[str, LocalAccount]) -> dict[str, int]:
    return {name: await client.get_balance(address_bytes(account.address)) for name, account in people.items()}


def _terms(operator: LocalAccount) -> Terms:
    return Terms(
        operator=address_bytes(operator.address),
        dispute_game=ZERO_ADDRESS,
        verifier=ZERO_ADDRESS,
        program_id=ZERO_HASH,
        claim_bond=10**16,
        challenge_window=CHALLENGE_WINDOW,
        inclusion_delay=600,
        abort_delay=2 * 3600,
        callback_gas=500_000,
        data_mode=DataMode.BLOB,
    )
