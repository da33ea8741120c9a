"""Players who open matches on L1 and play them to the end whatever happens to the node, and what must be true then."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from exclave.protocol import keccak256
from support.anvil import account
from support.node_process import SIGNER, NodeProcess, RpcError, Unreachable
from support.world import PLAYERS, World

SETTLED = 2
MOVES = 12
WORKERS = 4
CHALLENGE_WINDOW = 2

CLAIM_POSTED = keccak256(
    b"ClaimPosted(uint64,address,(bytes32,bytes32,address,uint96,uint32,uint32,uint32,uint32,uint64),uint8,bytes32,bytes32[])"
)
SESSION_SETTLED = keccak256(b"SessionSettled(uint64,uint64,bytes32)")
NOT_NOW = ("not found", "shutting down", "starts when", "is held by", "no longer served here", "in another process")
"""What a node says while it starts or stops, and while a session changes hands: the move is to be made again."""


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
            if any(words in error.message for words in NOT_NOW):
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


def wait_until_settled(world: World, matches: list[Match], node: NodeProcess) -> None:
    deadline = time.monotonic() + 240
    while open_ones := [match.session_id for match in matches if world.status(match.session_id) != SETTLED]:
        assert time.monotonic() < deadline, f"never settled: {open_ones}\n{node.log_tail()}"
        time.sleep(0.5)


def check_play(world: World, node: NodeProcess, match: Match) -> None:
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


def check_l1(world: World, matches: list[Match]) -> None:
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
