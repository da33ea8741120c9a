"""The demo's course."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from eth_account.signers.local import LocalAccount

from exclave.cli.template import describe_template
from exclave.config_reference import file_template
from exclave.demo.chain import DemoChain, SentTransaction, sent_transaction
from exclave.demo.game import DemoGame, GameFailed, Match, Played
from exclave.demo.processes import Process, anvil, node
from exclave.demo.proving import DemoProving, ProvenBlock
from exclave.l1.client import L1Client
from exclave.protocol import DataMode, Terms, address_bytes
from exclave.protocol.constants import ZERO_ADDRESS, ZERO_HASH
from exclave.prover import PROGRAM_ID, LocalProver, Progress
from exclave.rpc.client import RpcClient, RpcFailure
from exclave.store import Store

L1_CHAIN_ID = 31337
# Short enough to watch: a real game gives reviewers hours (docs/operating.md).
CHALLENGE_WINDOW = 10
BATCH_SECONDS = 20.0
PHASE_SECONDS = 120.0

CLAIM, SETTLEMENT = "node: claim", "node: settlement"
NODE_LABELS = {"claim": CLAIM, "settle": SETTLEMENT, "release": "node: bond back"}
"""By what the keys of the node's intents start with."""

T = TypeVar("T")


class DemoFailed(Exception):
    """Something that should have happened did not."""


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's wei before the first stake and after the last withdrawal; `fees` are what it paid to L1."""

    name: str
    before: int
    after: int
    fees: int

    @property
    def won(self) -> int:
        """Wei won in matches or, negative, lost."""
        return self.after - self.before + self.fees


@dataclass(frozen=True, slots=True)
class PlayedMatch:
    """A settled match; `session` is what `zkcop_getSession` answers."""

    match: Match
    played: Played
    session: dict[str, Any]
    outcome: str


@dataclass(frozen=True, slots=True)
class Network:
    """What a wallet needs to be connected."""

    name: str
    url: str
    chain_id: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the demo did, for the final tables. `node_deposit`: wei for bonds that the node has in ZkRelayer."""

    matches: list[PlayedMatch]
    transactions: list[SentTransaction]
    players: list[Balance]
    node: Balance
    node_deposit: int
    networks: list[Network]
    contracts: dict[str, bytes]
    proven: ProvenBlock | None

    @property
    def settling_gas(self) -> int:
        """L1 gas of claims and settlements."""
        return sum(sent.gas_used for sent in self.transactions if sent.label.startswith((CLAIM, SETTLEMENT)))


@dataclass
class Demo:
    """A running demo. `phase(text)` and `progress(match, text)` show what is happening; at the end everything runs on
    until `done(report)` returns. With `prove`, a block of the first match is proven and verified on L1, which takes
    minutes; `proving(step)` shows how that goes on.
    """

    game: DemoGame
    directory: Path
    matches: int
    phase: Callable[[str], None]
    progress: Callable[[int, str], None]
    done: Callable[[Report], Awaitable[None]]
    prove: bool
    proving: Callable[[Progress], None]

    async def run(self) -> None:
        """From an empty L1 to paid-out matches. Raises what fails; everything it started is stopped."""
        # First, as it may be missing.
        prover = LocalProver(self.directory / "proofs") if self.prove else None
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
            proving = None if prover is None else DemoProving(chain, deployer, prover, self.proving)
            verifier = ZERO_ADDRESS
            if proving is not None:
                self.phase("Deploying the verifier of proofs")
                verifier = await proving.deploy()
            terms = _terms(operator, verifier)
            contracts = await self.game.deploy(chain, deployer, template.template_id, terms)

            self.phase("Starting the node")
            config = write_configuration(self.directory, l1_url, chain, terms)
            with Store(database_url(self.directory)) as store:
                store.migrate()
                store.templates.put(template)
            keys = {"EXCLAVE_PRIVATE_KEY": signer.key.hex(), "EXCLAVE_OPERATOR_KEY": operator.key.hex()}
            running = await stack.enter_async_context(node(config, keys, self.directory / "node.log"))
            url = await running.wait_for_line(r'"rpc": ?"(http://[^"]+)"')
            course = Course(self.game, self.progress, chain, RpcClient(url), url, running)

            seats = self.game.players_per_match
            tables = [[await chain.new_account() for _ in range(seats)] for _ in range(self.matches)]
            people = [player for table in tables for player in table]
            before = await _balances(client, [*people, signer])

            self.phase(f"Opening {self.matches} matches of {self.game.name} on L1, in each {seats} players who stake")
            opened = []
            for number, players in enumerate(tables, 1):  # one by one, so that sessions have their order
                session_id = await self.game.open_match(chain, number, players)
                opened.append(Match(number, session_id, players))
                self.progress(number, f"session {session_id}; L1's next block gives its seed")

            self.phase("Playing them in parallel, each on a chain of its own")
            played = await _together(course.play_and_settle(match) for match in opened)

            self.phase("Settled on L1: the winners withdraw their prizes")
            outcomes = await _together(self.game.pay_out(chain, match) for match, _ in played)
            sessions = [await course.ask("zkcop_getSession", match.session_id) for match, _ in played]
            transactions = sorted(
                chain.sent + await course.node_transactions(opened), key=lambda sent: sent.block_number
            )
            after = await _balances(client, [*people, signer])
            proven = None
            if proving is not None:
                self.phase("Proving a block of match 1, as if it had been challenged")
                with Store(database_url(self.directory)) as store:
                    proven = await proving.prove(store, opened[0].session_id)

            def balance(name: str, account: LocalAccount) -> Balance:
                address = address_bytes(account.address)
                fees = sum(sent.fee for sent in transactions if sent.sender == address)
                return Balance(name, before[address], after[address], fees)

            report = Report(
                matches=[
                    PlayedMatch(match, what, session, outcome)
                    for (match, what), session, outcome in zip(played, sessions, outcomes, strict=True)
                ],
                transactions=transactions,
                players=[
                    balance(f"match {match.number}, player {seat}", player)
                    for match, _ in played
                    for seat, player in enumerate(match.players, 1)
                ],
                node=balance("the node's signer", signer),
                node_deposit=await chain.deposit_of(signer) + await chain.deposit_of(operator),
                networks=[
                    Network("L1", l1_url, L1_CHAIN_ID),
                    *(
                        Network(f"match {match.number}", f"{url}/session/{match.session_id}", chain_id_of(session))
                        for (match, _), session in zip(played, sessions, strict=True)
                    ),
                ],
                contracts={"ZkRelayer": chain.zk_relayer, **contracts},
                proven=proven,
            )
            await self.done(report)


def database_url(directory: Path) -> str:
    """Of the demo's node."""
    return f"sqlite:///{directory}/data/exclave.db"


def write_configuration(directory: Path, l1_url: str, chain: DemoChain, terms: Terms) -> Path:
    """The configuration file of the demo's node, which serves sessions with these terms."""
    path = directory / "exclave.toml"
    path.write_text(
        file_template(
            {
                "node.data_dir": str(directory / "data"),
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
                "accept.dispute_games": ["0x" + terms.dispute_game.hex()],
                "accept.verifiers": ["0x" + terms.verifier.hex()],
                "accept.programs": ["0x" + terms.program_id.hex()],
                # The demo itself proves what it shows.
                "defence.enabled": False,
                # Long enough for all matches, which end about together, to share a claim.
                "coordinator.batch_delay": BATCH_SECONDS,
                "coordinator.poll_interval": 0.5,
                "coordinator.retry_delay": 2.0,
                "logging.format": "json",
            }
        )
    )
    return path


@dataclass
class Course:
    """Matches on a running node. `progress(match, text)` shows what is happening."""

    game: DemoGame
    progress: Callable[[int, str], None]
    chain: DemoChain
    rpc: RpcClient
    url: str
    running: Process

    async def ask(self, method: str, *params: Any) -> Any:
        """What the node answers. Raises `ProcessFailed` if it has ended, `RpcFailure`."""
        self.running.check()
        return await asyncio.to_thread(self.rpc.call, method, *params)

    async def play_and_settle(self, match: Match) -> tuple[Match, Played]:
        """A match from its opening to its settlement."""
        played = await self.play(match)
        self.progress(match.number, "waiting to be claimed on L1 together with the others")
        await self.until(match, ("claimed", "settled"))
        self.progress(match.number, f"claimed: open to review for {CHALLENGE_WINDOW} s")
        await self.until(match, ("settled",))
        self.progress(match.number, "settled")
        return match, played

    async def play(self, match: Match) -> Played:
        """A match from its opening to its end."""

        def progress(text: str) -> None:
            self.progress(match.number, text)

        session = await self.until(match, ("running", "ended", "claimed", "settled"))
        chain_id = chain_id_of(session)
        url = f"{self.url}/session/{match.session_id}"
        progress(f"JSON-RPC at {url}, chain id {chain_id}")
        try:
            return await self.game.play(url, chain_id, match, progress)
        except GameFailed:
            self.running.check()  # that is why, if so
            raise

    async def until(self, match: Match, statuses: tuple[str, ...]) -> dict[str, Any]:
        """The session once it is in one of these statuses. Raises `DemoFailed`, `ProcessFailed`."""
        deadline = time.monotonic() + PHASE_SECONDS
        status = "unknown to the node"
        while time.monotonic() < deadline:
            with contextlib.suppress(RpcFailure):  # not seen on L1 yet
                session: dict[str, Any] = await self.ask("zkcop_getSession", match.session_id)
                status = session["status"]
                if status in statuses:
                    return session
                if status in ("aborted", "unsupported"):
                    break
            await asyncio.sleep(0.3)
        raise DemoFailed(f"session {match.session_id} is {status}, not {statuses[0]}:\n{self.running.tail()}")

    async def node_transactions(self, matches: Sequence[Match]) -> list[SentTransaction]:
        """What the node has sent to L1."""
        about: dict[str, list[str]] = {}
        for match in matches:
            for entry in await self.ask("zkcop_getL1TransactionsBySession", match.session_id):
                about.setdefault(entry["key"], []).append(str(match.number))
        sent = []
        for entry in await self.ask("zkcop_listL1Transactions"):
            if entry["blockNumber"] is None:
                continue
            receipt = await self.chain.client.get_receipt(bytes.fromhex(entry["txHash"][2:]))
            if receipt is not None:
                purpose = entry["key"].partition(":")[0]
                label = NODE_LABELS.get(purpose, f"node: {purpose}")
                if entry["key"] in about:
                    label += f" of {_matches(about[entry['key']])}"
                sent.append(sent_transaction(label, address_bytes(entry["sender"]), receipt))
        return sent


def _matches(numbers: list[str]) -> str:
    if len(numbers) == 1:
        return f"match {numbers[0]}"
    return f"matches {', '.join(numbers[:-1])} and {numbers[-1]}"


def chain_id_of(session: dict[str, Any]) -> int:
    """Of what `zkcop_getSession` answers."""
    return int(session["chainId"], 16)


async def _together(courses: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs all at once. The first to fail ends the others, and its own exception is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(course) for course in courses]
    except BaseExceptionGroup as failures:
        first: BaseException = failures
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return [task.result() for task in tasks]


async def _balances(client: L1Client, accounts: Iterable[LocalAccount]) -> dict[bytes, int]:
    addresses = [address_bytes(account.address) for account in accounts]
    return {address: await client.get_balance(address) for address in addresses}


def _terms(operator: LocalAccount, verifier: bytes) -> Terms:
    return Terms(
        operator=address_bytes(operator.address),
        dispute_game=ZERO_ADDRESS,
        verifier=verifier,
        program_id=PROGRAM_ID if any(verifier) else ZERO_HASH,
        claim_bond=10**16,
        challenge_window=CHALLENGE_WINDOW,
        inclusion_delay=600,
        abort_delay=2 * 3600,
        callback_gas=500_000,
        data_mode=DataMode.BLOB,
    )
