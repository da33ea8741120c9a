"""Disputes in tests: a real dispute contract, a verifier that accepts everything, and a prover to match.

A real proof takes minutes. The verifier here takes any proof whose head says what it is of, in two transactions as the
real one does; everything else is what users have.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from exclave.defence.leaf import DefendedLeaf, load_leaf
from exclave.dispute import accounts, payloads
from exclave.dispute.payloads import Dispute, DisputeKind, DisputeRules, LeafState
from exclave.protocol import DataMode, Terms
from exclave.prover import PROGRAM_ID, Progress, Proof, ProofRequest
from exclave.store import Store
from support.rpc import SOLC
from support.stand_in_prover import accepted_proof
from support.world import ADMIN, World

GRIEFER = 3
"""Index of the anvil account that opens disputes without reason."""

RULES = DisputeRules(
    gas_price=10**9,
    proving_cost=10**16,
    challenge_bond=5 * 10**16,
    operator_stake=10**17,
    burnt_share=2000,
    proof_window=600,
    answer_window=300,
    response_time=60,
    stake_delay=30 * 86400,
)
KEPT = RULES.challenge_bond * 8 // 10
"""Wei of a challenge's bond that a proof earns."""


@cache
def verifier_code() -> str:
    """Creation code of `accepting_verifier.sol`."""
    source = Path(__file__).with_name("accepting_verifier.sol")
    settings = {
        "optimizer": {"enabled": True},
        "outputSelection": {"*": {"AcceptingVerifier": ["evm.bytecode.object"]}},
    }
    request = {"language": "Solidity", "sources": {source.name: {"content": source.read_text()}}, "settings": settings}
    output = json.loads(
        subprocess.run(
            [SOLC, "--standard-json"], input=json.dumps(request), capture_output=True, text=True, check=True
        ).stdout
    )
    assert "contracts" in output, output.get("errors")
    return "0x" + str(output["contracts"][source.name]["AcceptingVerifier"]["evm"]["bytecode"]["object"])


@dataclass
class TestProver:
    """Makes proofs for the accepting verifier, once `gate` is open. `requests` are what was asked for."""

    __test__ = False

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[ProofRequest] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    @classmethod
    def ready(cls) -> TestProver:
        """One that needs no time."""
        prover = cls()
        prover.gate.set()
        return prover

    async def prove(self, request: ProofRequest, progress: Callable[[Progress], None] | None = None) -> Proof:
        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        return accepted_proof(request)

    async def verify(self, proof: Proof) -> None:
        return None


@dataclass
class Arena:
    """A world with a dispute contract and the accepting verifier."""

    world: World
    game: bytes
    verifier: bytes

    @classmethod
    def create(cls, world: World, rules: DisputeRules = RULES) -> Arena:
        verifier = world.anvil.deploy(verifier_code(), ADMIN)
        game = world.anvil.deploy("0x" + payloads.encode_dispute_game(world.zk_relayer, rules).hex(), ADMIN)
        return cls(world, bytes.fromhex(game[2:]), bytes.fromhex(verifier[2:]))

    def terms(self, data_mode: DataMode = DataMode.CALLDATA, **changes: Any) -> Terms:
        """Terms that name both."""
        values = {"dispute_game": self.game, "verifier": self.verifier, "program_id": PROGRAM_ID, **changes}
        return self.world.terms(data_mode, **values)

    @property
    def accept(self) -> dict[str, list[str]]:
        """What a node's configuration must accept."""
        return {
            "dispute_games": ["0x" + self.game.hex()],
            "verifiers": ["0x" + self.verifier.hex()],
            "programs": ["0x" + PROGRAM_ID.hex()],
        }

    # -- what an opponent does --------------------------------------------------------------------------------------

    def leaf(self, store: Store, claim_id: int, index: int = 0) -> DefendedLeaf:
        """A leaf of the node's claim, as anybody could make it of the claim's data."""
        return load_leaf(store, claim_id, index)

    def demand_leaf(self, leaf: DefendedLeaf) -> None:
        self._send(payloads.encode_demand_leaf(leaf.name), DisputeKind.LEAF)

    def demand_hashes(self, leaf: DefendedLeaf, position: int = 0) -> None:
        self._send(payloads.encode_demand_hashes(leaf.shown, position), DisputeKind.HASHES)

    def demand_block(self, leaf: DefendedLeaf, number: int) -> None:
        self._send(payloads.encode_demand_block(leaf.shown, number), DisputeKind.BLOCK)

    def challenge(self, leaf: DefendedLeaf, number: int) -> None:
        data = payloads.encode_challenge(leaf.shown, leaf.shown_hash(number - 1), leaf.shown_hash(number))
        self._send(data, DisputeKind.CHALLENGE)

    def resolve(self, leaf: DefendedLeaf, kind: DisputeKind, number: int = 0) -> None:
        self.world.send(self.game, payloads.encode_resolve(leaf.name, kind, number), GRIEFER)

    def _send(self, data: bytes, kind: DisputeKind) -> None:
        self.world.send(self.game, data, GRIEFER, self.bond_of(kind))

    # -- what L1 says -----------------------------------------------------------------------------------------------

    def bond_of(self, kind: DisputeKind) -> int:
        return int.from_bytes(self._view(payloads.encode_bond_of(kind)), "big")

    def leaf_state(self, leaf: DefendedLeaf) -> LeafState:
        return LeafState.decode(self._view(payloads.encode_leaf_state(leaf.claim.claim_id, leaf.index)))

    def dispute(self, leaf: DefendedLeaf, kind: DisputeKind, number: int = 0) -> Dispute:
        data = payloads.encode_dispute_of(leaf.claim.claim_id, leaf.index, kind, number)
        return Dispute.decode(self._view(data))

    def deposit(self, account: bytes) -> int:
        """Wei that an account can withdraw from the dispute contract."""
        return int.from_bytes(self._view(accounts.encode_bond_account(account))[:32], "big")

    def verifications(self) -> tuple[int, int]:
        """How many were begun, and resumed."""
        begun = self.world.view(self.verifier, "begun()", ["uint256"])
        return int(begun), int(self.world.view(self.verifier, "resumed()", ["uint256"]))

    def _view(self, data: bytes) -> bytes:
        call = {"to": "0x" + self.game.hex(), "data": "0x" + data.hex()}
        return bytes.fromhex(self.world.anvil.rpc("eth_call", call, "latest")[2:])
