"""An L1 with honest parties that are processes, and adversaries that are `exclave fault`; and who has what on it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from exclave import contracts
from exclave.challenger.archive import Archive
from exclave.client import SessionClient, SessionOpening
from exclave.client.payloads import encode_abort, encode_force
from exclave.dispute.payloads import SIGNATURES as DISPUTE_SIGNATURES
from exclave.dispute.payloads import (
    DisputeAnswered,
    DisputeKind,
    DisputeOpened,
    DisputeRules,
    LeafState,
    encode_leaf_state,
    read_answered_block,
    read_event,
)
from exclave.l1.client import L1Client
from exclave.l1.payloads import selector_of
from exclave.l1.signers import LocalSigner
from exclave.l1.single import send
from exclave.l1.values import L1Receipt, read_log
from exclave.protocol import (
    BlockData,
    DataMode,
    Header,
    SessionData,
    Terms,
    address_of,
    encode_batch_data,
    keccak256,
)
from exclave.protocol.constants import ZERO_ADDRESS
from exclave.prover.onchain import deploy_verifier
from exclave.relayer.events import SIGNATURES as EVENT_SIGNATURES
from support import stand_in_prover
from support.anvil import ETHER, Anvil, account
from support.court import CHALLENGER, CLAIMANT
from support.disputes import GRIEFER, Arena
from support.node_process import SIGNER, NodeProcess
from support.watchtower import WatchProcess
from support.world import ADMIN, OPERATOR_KEY, PLAYERS, GameTemplate, World, call_data

RULES = DisputeRules(
    gas_price=10**9,
    proving_cost=10**15,
    challenge_bond=5 * 10**16,
    operator_stake=10**17,
    burnt_share=5000,
    proof_window=600,
    answer_window=300,
    response_time=300,
    stake_delay=8 * 86400,
)
REAL_RULES = replace(RULES, proof_window=7200)
"""For real proofs, which take minutes."""

CLAIM_BOND = 10**16
MOVES = 3
HASHES = MOVES + 2
"""Of a session so played: block 0, one with the init message, and one for each move."""

WINDOW = 300
ABORT_DELAY = 4 * 3600


class Variant(Enum):
    """What happens in the middle of a row."""

    PLAIN = "plain"
    """nothing"""
    KILLED = "killed"
    """the honest processes are killed (`kill -9`) and started again"""
    REORGED = "reorged"
    """L1 is reorganised"""


def variants(first: Variant) -> pytest.MarkDecorator:
    """A row is run in this variant; in the others in the slow tier."""
    others = [pytest.param(variant, marks=pytest.mark.slow) for variant in Variant if variant is not first]
    return pytest.mark.parametrize("variant", [first, *others], ids=lambda variant: variant.value)


OPERATOR = address_of(OPERATOR_KEY)
KEYS = {
    "node": bytes(account(SIGNER).key),
    "watchtower": bytes(account(CHALLENGER).key),
    "operator": OPERATOR_KEY,
    "stranger": bytes(account(CLAIMANT).key),
    "griefer": bytes(account(GRIEFER).key),
}
PARTIES = {name: address_of(key) for name, key in KEYS.items()}
"""Whoever has money at stake. The honest operator pays as `node` and signs as `operator`; so does a lying one."""


@dataclass
class Scene:
    """All that runs. Rows come one after the other, each with a session of its own."""

    anvil: Anvil
    arena: Arena
    node: NodeProcess
    watchtower: WatchProcess
    directory: Path
    command: Sequence[str]
    pause: float

    @classmethod
    def create(cls, anvil: Anvil, template: GameTemplate, directory: Path, *, real: bool = False) -> Scene:
        """The contracts, and both honest processes, which aren't started. `real`: proofs are."""
        world = World.create(anvil, template, OPERATOR)
        arena = Arena.create(world, REAL_RULES if real else RULES)
        if real:
            arena = replace(arena, verifier=asyncio.run(_deploy_verifier(anvil)))
        command = (sys.executable, "-m", "exclave") if real else stand_in_prover.COMMAND
        anvil.set_balance("0x" + OPERATOR.hex(), 100 * ETHER)
        (directory / "templates").mkdir()
        (directory / "templates" / "counter.bin").write_bytes(template.data)
        lists = {f"accept.{key}": f'["{value[0]}"]' for key, value in arena.accept.items()}
        times = {"l1.poll_interval": "0.1", "defence.poll_interval": "0.1", "defence.retry_delay": "0.5"}
        delays = {"coordinator.batch_delay": "0", "coordinator.poll_interval": "0.1", "coordinator.retry_delay": "0.2"}
        overrides = {**lists, **times, **delays}
        node = NodeProcess(world, directory / "node", overrides, command=command)
        watchtower = WatchProcess(arena, directory / "watch", directory / "templates", command)
        (directory / "signed").mkdir()
        (directory / "archive").mkdir()
        return cls(anvil, arena, node, watchtower, directory, command, 1.0 if real else 0.1)

    @property
    def world(self) -> World:
        return self.arena.world

    def start(self) -> None:
        """The honest processes."""
        self.node.start(wait=False)
        self.start_watchtower()
        self.node.wait_until_serving()

    def start_watchtower(self) -> None:
        self.watchtower.start(
            *("--prove", "--patience", "0", "--preconfirmations", str(self.directory / "signed")),
            *("--archive", str(self.directory / "archive")),
        )

    def stop(self) -> None:
        """However they are, they aren't running afterwards."""
        self.node.stop()
        if self.watchtower.process is not None and self.watchtower.process.poll() is None:
            self.watchtower.process.kill()
            self.watchtower.process.wait(30)

    def disturb(self, variant: Variant) -> None:
        """The middle of a row."""
        if variant is Variant.KILLED:
            self.kill_the_honest()
        elif variant is Variant.REORGED:
            self.reorganise()

    def kill_the_honest(self) -> None:
        """`kill -9` of both, and they are started again."""
        self.stop()
        self.start()

    def top_up_stake(self) -> None:
        """The operator has again what a proven lie costs."""
        missing = RULES.operator_stake - self.stake(OPERATOR)
        if missing > 0:
            self.anvil.rpc("anvil_impersonateAccount", "0x" + OPERATOR.hex())
            call = {
                "from": "0x" + OPERATOR.hex(),
                "to": "0x" + self.purses[2].hex(),
                "data": "0x" + call_data("depositStake()").hex(),
                "value": hex(missing),
            }
            self.anvil.rpc("eth_sendTransaction", call)
            self.anvil.mine()
            assert self.stake(OPERATOR) == RULES.operator_stake

    def reorganise(self, depth: int = 3) -> None:
        """L1's last blocks are replaced by others: what was in them comes later, all in one, but for the honest
        parties' transactions, which are dropped.
        """
        honest = {"0x" + PARTIES[name].hex() for name in ("node", "watchtower")}
        kept = []
        head = self.anvil.block_number()
        for number in range(head - depth + 1, head + 1):
            for transaction in self.anvil.rpc("eth_getBlockByNumber", hex(number), True)["transactions"]:
                if transaction["from"] not in honest:
                    kept.append((self.anvil.rpc("eth_getRawTransactionByHash", transaction["hash"]), depth - 1))
        self.anvil.reorg(depth, kept)

    def let_a_deadline_pass(self, claim_id: int, kind: DisputeKind) -> None:
        """A demand of this kind is made of the claim, and isn't answered."""

        def opened() -> bool:
            entries = self._logs(self.arena.game, DISPUTE_SIGNATURES["DisputeOpened"])
            events = [read_event(read_log(entry)) for entry in entries]
            return any(isinstance(e, DisputeOpened) and (e.claim_id, e.kind) == (claim_id, kind) for e in events)

        self.until(f"a dispute of kind {kind.name} is opened", opened)
        self.world.pass_time(RULES.answer_window + 1)

    def terms(self, mode: DataMode = DataMode.CALLDATA, **changes: Any) -> Terms:
        values: dict[str, Any] = {
            "claim_bond": CLAIM_BOND,
            "challenge_window": WINDOW,
            "abort_delay": ABORT_DELAY,
            **changes,
        }
        return self.arena.terms(mode, **values)

    # -- what happens -----------------------------------------------------------------------------------------------

    def until(self, what: str, condition: Callable[[], Any], seconds: float = 60, *, mining: bool = True) -> Any:
        """Wait until `condition()` is true while L1 goes on, unless told otherwise; returns its value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            if mining:
                self.anvil.mine()
            time.sleep(self.pause)
        raise AssertionError(
            f"never happened: {what}\n{self.node.log_tail()}\n{self.watchtower.log.read_text()[-3000:]}"
        )

    def play(self, terms: Terms, *, while_pending: Callable[[int], None] | None = None) -> int:
        """A session opened on L1, and played to its end at the node, which claims it. `while_pending` is called with
        its number while that claim waits for a block of L1.
        """
        session_id = self.world.open_session(target=MOVES, terms=terms)
        self.move(session_id, MOVES - 1)
        self.end(session_id, MOVES - 1, while_pending)
        return session_id

    def end(self, session_id: int, nonce: int, while_pending: Callable[[int], None] | None = None) -> None:
        """The last move."""
        if while_pending is None:
            self._send_move(session_id, nonce)
            return
        self.anvil.mine(2)  # so that the opening is confirmed: nothing else comes until the claim is sent
        self.anvil.rpc("evm_setAutomine", False)
        try:
            self._send_move(session_id, nonce)
            self.until("the node sends its claim", self._pool, mining=False)
            while_pending(session_id)
        finally:
            self.anvil.rpc("evm_setAutomine", True)
        self.anvil.mine()

    def kill_the_node(self) -> None:
        """And what it has sent is lost on its way to L1."""
        self.node.kill()
        self.anvil.rpc("anvil_dropAllTransactions")

    def archive_data(self, session_id: int) -> None:
        """The watchtower is given the data of a session's honest claim, which L1 has only the hash of."""
        blocks = SessionClient.connect(self.node.url, session_id).blocks()
        described = tuple(BlockData(Header.decode(block.header).timestamp, block.transactions) for block in blocks)
        data = encode_batch_data([SessionData(session_id, 0, described)])
        Archive(self.directory / "archive").put(keccak256(data), data)

    def _pool(self) -> int:
        return int(self.anvil.rpc("txpool_status")["pending"], 16)

    def force(self, session_id: int) -> int:
        """A player sends a message through L1; returns by when the session must have it. The node takes it."""
        opening = self.opening(session_id)
        player = "0x" + opening.players[0].hex()
        data = encode_force(opening, self.world.template.game, 300_000, call_data("say(bytes)", b"hear me"))
        before = int(self.node.call("zkcop_getSession", session_id)["blockNumber"], 16)
        self.anvil.set_balance(player, ETHER)
        self.anvil.rpc("anvil_impersonateAccount", player)
        to = "0x" + opening.zk_relayer.hex()
        self.anvil.rpc("eth_sendTransaction", {"from": player, "to": to, "data": "0x" + data.hex()})
        self.anvil.mine()
        due = self.world.now() + opening.terms.inclusion_delay

        def taken() -> bool:
            return int(self.node.call("zkcop_getSession", session_id)["blockNumber"], 16) > before

        self.until("the node takes the message", taken)
        return due

    def opening(self, session_id: int) -> SessionOpening:
        """How a session was opened, as the node says."""
        return SessionClient.connect(self.node.url, session_id).opening

    def abort(self, opening: SessionOpening) -> None:
        """Somebody gives the session up as soon as L1 lets him; the game gives its stakes back."""
        session_id = opening.session_id
        due = opening.config.deadline + opening.terms.abort_delay
        self.world.pass_time(max(due - self.world.now(), 0) + 1)
        self.world.send(self.world.zk_relayer, encode_abort(opening))
        assert self.world.status(session_id) == 3
        assert self.world.callbacks(session_id) == 1

    def move(self, session_id: int, moves: int) -> None:
        """So many moves of the first player, at the node, once it runs the session. Each is in a block of its own, and
        the init message, too: a move that comes before its block would be in the same.
        """

        def begun() -> bool:
            return any(
                int(found["sessionId"], 16) == session_id and found["status"] == "running"
                for found in self.node.call("zkcop_listSessions")
            ) and bool(int(self.node.call("zkcop_getSession", session_id)["blockNumber"], 16))

        self.until("the session has begun", begun)
        for nonce in range(moves):
            self._send_move(session_id, nonce)

    def _send_move(self, session_id: int, nonce: int) -> None:
        raw = self.world.increment(session_id, PLAYERS[0], nonce)
        self.node.call("eth_sendRawTransactionSync", "0x" + raw.hex(), session=session_id)

    def claim_on_l1(self, session_id: int) -> int:
        """The node's claim of a session."""
        claims = self.until("the node has claimed", lambda: self.node.call("zkcop_getClaimsBySession", session_id))
        return int(claims[0]["claimId"], 16)

    def adversary(self, name: str, who: str, session_id: int, *more: str) -> Adversary:
        """Start `exclave fault run`."""
        return Adversary(self, name, who, session_id, more)

    def leaf_state(self, claim_id: int) -> LeafState:
        """Of a claim's only leaf."""
        call = {"to": "0x" + self.arena.game.hex(), "data": "0x" + encode_leaf_state(claim_id, 0).hex()}
        return LeafState.decode(bytes.fromhex(self.anvil.rpc("eth_call", call, "latest")[2:]))

    def claims_of(self, who: bytes, since: int) -> list[int]:
        """The claims that somebody has posted since a block."""
        entries = self._logs(self.world.zk_relayer, EVENT_SIGNATURES["ClaimPosted"], since)
        return [int(entry["topics"][1], 16) for entry in entries if entry["topics"][2].endswith(who.hex())]

    # -- money ------------------------------------------------------------------------------------------------------

    @property
    def purses(self) -> tuple[bytes, bytes, bytes]:
        """The contracts that keep deposits."""
        game = self.arena.game
        stakes = bytes.fromhex(self.world.view(game, "stakes()", ["address"])[2:])
        return self.world.zk_relayer, game, stakes

    def deposit(self, contract: bytes, who: bytes, block: str = "latest") -> tuple[int, int]:
        """What somebody can withdraw from a contract, and what is locked, in wei."""
        data = "0x" + call_data("bondAccount(address)", who).hex()
        answer = self.anvil.rpc("eth_call", {"to": "0x" + contract.hex(), "data": data}, block)
        return int(answer[2:66], 16), int(answer[66:130], 16)

    def stake(self, who: bytes, block: str = "latest") -> int:
        """An operator's stake in wei, what is leaving included."""
        data = "0x" + call_data("stakeOf(address)", who).hex()
        answer = self.anvil.rpc("eth_call", {"to": "0x" + self.purses[2].hex(), "data": data}, block)
        return int(answer[2:66], 16) + int(answer[66:130], 16)

    def locked(self, who: bytes) -> int:
        """Wei that somebody's claims and disputes have locked."""
        return sum(self.deposit(contract, who)[1] for contract in self.purses)

    def snapshot(self, depth: int = 3) -> tuple[dict[str, int], int]:
        """What everybody has after L1's newest block, and that block. No reorganisation of this depth reaches it later:
        what it dropped would be paid for in another block.
        """
        start = self.anvil.block_number()
        before = self.wealth(start)
        self.anvil.mine(depth)
        return before, start

    def wealth(self, number: int) -> dict[str, int]:
        """What everybody has after a block of L1: ether, deposits and stakes, in wei; and what is burnt. The honest go
        on meanwhile.
        """
        block = hex(number)
        found = {}
        for name, who in {**PARTIES, "burnt": ZERO_ADDRESS}.items():
            deposits = sum(sum(self.deposit(contract, who, block)) for contract in self.purses)
            balance = int(self.anvil.rpc("eth_getBalance", "0x" + who.hex(), block), 16) if name != "burnt" else 0
            found[name] = balance + deposits + self.stake(who, block)
        return found

    def fees(self, since: int, last: int) -> dict[str, int]:
        """What everybody has paid to L1 in the blocks after `since` up to `last`, from the receipts, in wei."""
        paid = dict.fromkeys(PARTIES, 0)
        names = {"0x" + who.hex(): name for name, who in PARTIES.items()}
        for number in range(since + 1, last + 1):
            for receipt in self.anvil.rpc("eth_getBlockReceipts", hex(number)):
                if (name := names.get(receipt["from"])) is not None:
                    paid[name] += int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
                    blob_gas, blob_price = receipt.get("blobGasUsed"), receipt.get("blobGasPrice")
                    paid[name] += int(blob_gas or "0x0", 16) * int(blob_price or "0x0", 16)
        return paid

    def settle(self, session_id: int) -> None:
        """The node's claim passes its window, the game on L1 has the right result, once, and nothing of the honest is
        locked any more.
        """
        world = self.world
        self.claim_on_l1(session_id)
        world.pass_time(WINDOW + 1)
        self.until("the session is settled", lambda: world.status(session_id) == 2)
        assert world.result_on_l1(session_id) == encode(["uint256", "address"], [3, PLAYERS[0].address])
        assert world.callbacks(session_id) == 1
        self.free()

    def free(self) -> None:
        """Wait until nothing of the honest is locked."""
        honest = (PARTIES["node"], PARTIES["watchtower"])
        self.until("nothing of the honest is locked", lambda: not any(map(self.locked, honest)))

    def assert_money(self, before: dict[str, int], start: int, expected: dict[str, int]) -> None:
        """INVARIANT I3: what everybody has won or lost since block `start`, to the wei, besides the fees of L1. Who
        isn't in `expected` has what he had.
        """
        end = self.anvil.block_number()
        after, fees = self.wealth(end), self.fees(start, end)
        changes = {name: after[name] - before[name] + fees.get(name, 0) for name in before}
        assert changes == {**dict.fromkeys(before, 0), **expected}, f"{changes}"
        self.assert_conserved()

    def receipts_of(self, who: bytes, since: int) -> list[str]:
        """The statuses of somebody's transactions in the blocks after `since`."""
        numbers = range(since + 1, self.anvil.block_number() + 1)
        receipts = [r for number in numbers for r in self.anvil.rpc("eth_getBlockReceipts", hex(number))]
        return [receipt["status"] for receipt in receipts if receipt["from"] == "0x" + who.hex()]

    def assert_conserved(self) -> None:
        """INVARIANT I3: what a contract has is what it owes, and what is burnt, to the wei."""
        everybody = [*PARTIES.values(), ZERO_ADDRESS]
        for contract in self.purses:
            owed = sum(sum(self.deposit(contract, who)) for who in everybody)
            if contract == self.purses[2]:
                owed += sum(self.stake(who) for who in everybody)
            assert self.anvil.balance("0x" + contract.hex()) == owed

    def price_of_answers(self, claim_id: int, hashes: int) -> int:
        """Wei that the answers about a claim of so many hashes have earned, by docs/disputes.md."""
        gas = 0
        for entry in self._logs(self.arena.game, DISPUTE_SIGNATURES["DisputeAnswered"]):
            event = read_event(read_log(entry))
            assert isinstance(event, DisputeAnswered)
            data = bytes.fromhex(self.anvil.rpc("eth_getTransactionByHash", entry["transactionHash"])["input"][2:])
            proven = data[:4] == selector_of(contracts.load("DisputeGame"), "prove")
            if event.claim_id != claim_id or proven:
                continue
            match event.kind:
                case DisputeKind.LEAF:
                    gas += 150_000
                case DisputeKind.HASHES:
                    gas += 150_000 + 1_500 * hashes
                case DisputeKind.BLOCK:
                    _, _, _, header, transactions = read_answered_block(data)
                    size = len(header) + sum(len(raw) for raw in transactions)
                    gas += 250_000 + 50 * size + 10_000 * len(transactions)
        return gas * RULES.gas_price

    def _logs(self, contract: bytes, signature: str, since: int = 0) -> list[Any]:
        topic = "0x" + keccak256(signature.encode()).hex()
        wanted = {"address": "0x" + contract.hex(), "topics": [topic], "fromBlock": hex(since), "toBlock": "latest"}
        found: list[Any] = self.anvil.rpc("eth_getLogs", wanted)
        return found


async def _deploy_verifier(anvil: Anvil) -> bytes:
    signer = LocalSigner(bytes(account(ADMIN).key))
    async with L1Client([anvil.url], anvil.chain_id) as l1:

        async def transact(_: str, to: bytes | None, data: bytes) -> L1Receipt:
            return await send(l1, signer, to, data)

        return (await deploy_verifier(transact)).zk_verifier


class Adversary:
    """`exclave fault run NAME`, a process."""

    def __init__(self, scene: Scene, name: str, who: str, session_id: int, more: tuple[str, ...]) -> None:
        self._scene = scene
        self._errors = scene.directory / f"fault-{name}-{session_id}.log"
        world = scene.world
        command = [
            *(*scene.command, "fault", "run", name, "--l1", world.anvil.url, "--json"),
            *("--zk-relayer", "0x" + world.zk_relayer.hex(), "--rpc", scene.node.url, "--session", str(session_id)),
            *more,
        ]
        environment = {**os.environ, "EXCLAVE_FAULT_KEY": "0x" + KEYS[who].hex()}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors)

    def wait_for(self, text: str, *, times: int = 1, mining: bool = True) -> None:
        """Until it has said that so many times, which it does before it ends."""

        def said() -> bool:
            running = self.process.poll() is None
            heard = self._errors.read_text()
            assert heard.count(text) >= times or running, heard
            return heard.count(text) >= times

        self._scene.until(f"it says {text}", said, mining=mining)

    def report(self, *, mining: bool = True, seconds: float = 60) -> Mapping[str, Any]:
        """What it says once it has ended, which it does by itself. `mining`: let L1 go on meanwhile."""
        if mining:
            self._scene.until("the adversary has ended", lambda: self.process.poll() is not None, seconds)
        self.process.wait(60)
        assert self.process.stdout is not None
        said = self.process.stdout.read()
        assert self.process.returncode == 0, self._errors.read_text()
        found: Mapping[str, Any] = json.loads(said)
        return found

    def stop(self) -> None:
        """However it is, it isn't running afterwards."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()
