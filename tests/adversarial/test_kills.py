"""`kill -9` of a node at random moments of play, and at chosen ones of claim and settlement.

INVARIANT I6: no acknowledged transaction is lost, none is executed twice.
INVARIANT I7: each intent toward L1 takes effect once.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.anvil import account, run_anvil
from support.databases import fresh_postgres_url
from support.node_process import SIGNER, NodeProcess, RpcError, Unreachable
from support.world import OPERATOR_KEY, PLAYERS, World, build_game_template

from benchmarks import report
from exclave.protocol import address_of, keccak256
from exclave.store import JobState, Store

SETTLED = 2
MOVES = 12
WORKERS = 4
CHALLENGE_WINDOW = 2

CLAIM_POSTED = keccak256(
    b"ClaimPosted(uint64,address,(bytes32,bytes32,address,uint96,uint32,uint32,uint32,uint32,uint64),uint8,bytes32,bytes32[])"
)
SESSION_SETTLED = keccak256(b"SessionSettled(uint64,uint64,bytes32)")


@dataclass
class Match:
    """A session and what the node acknowledged in it."""

    session_id: int
    acknowledged: dict[int, str] = field(default_factory=dict)
    """Transaction hash by the player's nonce."""
    blocks: dict[str, str] = field(default_factory=dict)
    """Block hash that a receipt showed, by transaction hash."""


class Players:
    """Threads that open matches on L1 and play them to the end, whatever happens to the node."""

    def __init__(self, world: World, node: NodeProcess, seed: int) -> None:
        self.world, self.node = world, node
        self.matches: list[Match] = []
        self.errors: list[BaseException] = []
        self._stopping = threading.Event()
        self._l1 = threading.Lock()
        chances = [random.Random(seed * WORKERS + worker) for worker in range(WORKERS)]
        self._threads = [threading.Thread(target=self._run, args=(chance,), daemon=True) for chance in chances]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """No new matches; those begun are played to the end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads), self.node.log_tail()
        self.check()

    def check(self) -> None:
        """Raises what a player ran into."""
        if self.errors:
            raise self.errors[0]

    def _run(self, chance: random.Random) -> None:
        try:
            while not self._stopping.is_set():
                with self._l1:
                    terms = self.world.terms(challenge_window=CHALLENGE_WINDOW)
                    match = Match(self.world.open_session(target=MOVES, terms=terms))
                    self.matches.append(match)
                self._play(match, chance)
        except BaseException as error:
            self.errors.append(error)

    def _play(self, match: Match, chance: random.Random) -> None:
        for nonce in range(MOVES):
            self.move_until(match, nonce, nonce + 1)
            time.sleep(chance.uniform(0, 0.15))

    def move_until(self, match: Match, first_nonce: int, end: int) -> None:
        """Make moves, each until it is acknowledged."""
        for nonce in range(first_nonce, end):
            raw = "0x" + self.world.increment(match.session_id, PLAYERS[0], nonce).hex()
            self._insist(lambda raw=raw, nonce=nonce: self._move(match, nonce, raw))

    def _move(self, match: Match, nonce: int, raw: str) -> bool:
        try:
            answer = self.node.call("eth_sendRawTransaction", raw, session=match.session_id)
        except RpcError as error:
            # The node took it, and died before it could say so.
            if "already known" in error.message or "nonce too low" in error.message or "ended" in error.message:
                return True
            if any(words in error.message for words in ("not found", "shutting down", "starts when", "is held by")):
                return False
            raise
        match.acknowledged[nonce] = answer
        try:
            receipt = self.node.call("eth_getTransactionReceipt", answer, session=match.session_id)
        except Unreachable:
            return True
        assert receipt is not None, "acknowledged, but without a receipt"
        match.blocks[answer] = receipt["blockHash"]
        return True

    def _insist(self, attempt: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                if attempt():
                    return
            except Unreachable:
                pass
            assert time.monotonic() < deadline, f"no progress:\n{self.node.log_tail()}"
            time.sleep(0.1)


def _wait_until_settled(world: World, matches: list[Match], node: NodeProcess) -> None:
    deadline = time.monotonic() + 240
    while open_ones := [match.session_id for match in matches if world.status(match.session_id) != SETTLED]:
        assert time.monotonic() < deadline, f"never settled: {open_ones}\n{node.log_tail()}"
        time.sleep(0.5)


def _check_play(world: World, node: NodeProcess, match: Match) -> None:
    """Every acknowledged move is in the chain once, in the block that its receipt showed; nothing else is."""
    session = match.session_id
    head = int(node.call("eth_blockNumber", session=session), 16)
    included: list[str] = []
    for number in range(1, head + 1):
        block = node.call("eth_getBlockByNumber", hex(number), True, session=session)
        for transaction in block["transactions"]:
            if transaction["type"] != "0x7e":
                included.append(transaction["hash"])
                if shown := match.blocks.get(transaction["hash"]):
                    assert shown == block["hash"], f"session {session}: a block was replaced after its receipt"
    assert len(included) == len(set(included)) == MOVES, f"session {session}: {included}"
    assert set(match.acknowledged.values()) <= set(included), f"session {session} lost an acknowledged transaction"
    count, winner = world.result_on_l1(session)[:32], world.result_on_l1(session)[44:64]
    assert int.from_bytes(count) == MOVES
    assert winner == bytes.fromhex(PLAYERS[0].address[2:])


def _check_l1(world: World, matches: list[Match]) -> None:
    """Each session was settled and its game called once; no claim was posted twice; every transaction succeeded."""
    logs = world.anvil.rpc("eth_getLogs", {"fromBlock": "0x0", "address": "0x" + world.zk_relayer.hex()})
    settled = [int(log["topics"][1], 16) for log in logs if log["topics"][0] == "0x" + SESSION_SETTLED.hex()]
    assert sorted(settled) == sorted(match.session_id for match in matches)
    for match in matches:
        assert world.callbacks(match.session_id) == 1
    roots = [log["data"][:66] for log in logs if log["topics"][0] == "0x" + CLAIM_POSTED.hex()]
    assert len(roots) == len(set(roots)), "a claim was posted twice"
    sender = account(SIGNER).address.lower()
    sent = []
    for number in range(world.anvil.block_number() + 1):
        for transaction in world.anvil.rpc("eth_getBlockByNumber", hex(number), True)["transactions"]:
            if transaction["from"].lower() == sender:
                receipt = world.anvil.rpc("eth_getTransactionReceipt", transaction["hash"])
                assert receipt["status"] == "0x1", f"{transaction['hash']} reverted"
                sent.append(transaction["input"])
    claims_and_settlements = [data for data in sent if len(data) > 10]
    assert len(claims_and_settlements) == len(set(claims_and_settlements)), "an intent took effect twice"


class Killer:
    """Kills the node and starts it again, and notes what it was at: a claim or settlement that was recorded, and that
    the node didn't yet know to be on L1.
    """

    def __init__(self, node: NodeProcess, players: Players, seed: int) -> None:
        self._node, self._players = node, players
        self._chance = random.Random(seed)
        self._store = Store(node.database_url)
        self.kills = 0
        self.during = {JobState.BATCHED: 0, JobState.SETTLEABLE: 0}

    def kill_at_random(self) -> None:
        time.sleep(self._chance.uniform(0.05, 3.0))
        self._kill()

    def kill_during(self, state: JobState) -> None:
        """As soon as a session's claim (BATCHED) or settlement (SETTLEABLE) is under way, and a moment later."""
        deadline = time.monotonic() + 120
        while not self._store.jobs.counts()[state]:
            self._players.check()
            assert time.monotonic() < deadline, f"no job became {state}:\n{self._node.log_tail()}"
            time.sleep(0.01)
        time.sleep(self._chance.uniform(0, 0.3))
        self._kill()

    def _kill(self) -> None:
        self._node.kill()
        self.kills += 1
        counts = self._store.jobs.counts()
        for state in self.during:
            self.during[state] += counts[state] > 0
        # Half of the time the next one is killed while it starts.
        self._node.start(wait=self._chance.random() < 0.5)

    def close(self) -> None:
        self._store.close()


def _play_under_kills(directory: Path, kills: int, seed: int) -> dict[str, int]:
    with run_anvil("--block-time", "1", "--slots-in-an-epoch", "1") as anvil:
        world = World.create(anvil, build_game_template(), address_of(OPERATOR_KEY))
        node = NodeProcess(world, directory)
        players = Players(world, node, seed)
        killer = Killer(node, players, seed)
        node.start()
        try:
            players.start()
            for number in range(kills):
                match number % 5:
                    case 3:
                        killer.kill_during(JobState.BATCHED)
                    case 4:
                        killer.kill_during(JobState.SETTLEABLE)
                    case _:
                        killer.kill_at_random()
            assert killer.kills == kills
            assert killer.during[JobState.BATCHED] >= kills // 10, killer.during
            assert killer.during[JobState.SETTLEABLE] >= kills // 10, killer.during
            node.wait_until_serving()
            players.finish()
            _wait_until_settled(world, players.matches, node)
            for match in players.matches:
                _check_play(world, node, match)
            _check_l1(world, players.matches)
            assert node.terminate() == 0, node.log_tail()
        finally:
            node.stop()
            killer.close()
        acknowledged = sum(len(match.acknowledged) for match in players.matches)
        return {
            "kills": killer.kills,
            "survived": killer.kills,
            "during_claims": killer.during[JobState.BATCHED],
            "during_settlements": killer.during[JobState.SETTLEABLE],
            "sessions": len(players.matches),
            "acknowledged": acknowledged,
        }


@pytest.mark.timeout(600)
def test_invariant_i6_i7_five_kills(tmp_path: Path) -> None:
    _play_under_kills(tmp_path, kills=5, seed=1)


KILL_COMMAND = "EXCLAVE_KILL_RESULT=1 pytest -m slow tests/adversarial"


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_invariant_i6_i7_hundred_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("EXCLAVE_KILL_SEED", "2"))
    figures = _play_under_kills(tmp_path, kills=int(os.environ.get("EXCLAVE_KILLS", "100")), seed=seed)
    if os.environ.get("EXCLAVE_KILL_RESULT"):
        report.write("kill9", figures, {**report.machine(), "command": KILL_COMMAND})


@pytest.mark.timeout(600)
def test_invariant_i6_another_machine_takes_over(tmp_path: Path, postgres_directory: str) -> None:
    """Two nodes, each with a directory of its own, and one PostgreSQL: a standby is refused while the first one lives,
    and goes on with its sessions when it died.
    """
    url = fresh_postgres_url(postgres_directory)
    with run_anvil("--block-time", "1", "--slots-in-an-epoch", "1") as anvil:
        world = World.create(anvil, build_game_template(), address_of(OPERATOR_KEY))
        lease = {"node.lease_seconds": "3.0"}
        first, second = (NodeProcess(world, tmp_path / name, lease, url) for name in ("first", "second"))
        try:
            first.start()
            match = Match(world.open_session(target=MOVES, terms=world.terms(challenge_window=CHALLENGE_WINDOW)))
            players = Players(world, first, seed=1)
            players.move_until(match, 0, MOVES // 2)
            second.start(wait=False)
            assert second.process is not None and second.process.wait(60) == 1
            assert "another node" in second.log_tail() and "uses PostgreSQL database" in second.log_tail()
            first.kill()
            deadline = time.monotonic() + 60
            while True:
                second.start(wait=False)
                try:
                    second.wait_until_serving()
                    break
                except AssertionError:
                    assert time.monotonic() < deadline, second.log_tail()
            players.node = second
            players.move_until(match, MOVES // 2, MOVES)
            _wait_until_settled(world, [match], second)
            _check_play(world, second, match)
            assert world.callbacks(match.session_id) == 1
            assert second.terminate() == 0, second.log_tail()
        finally:
            first.stop()
            second.stop()
