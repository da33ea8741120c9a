"""Has L1 verify proofs, by the EthTxManager: two transactions or more, each of which needs what the one before left.

Where a verification stands is read from L1 each time, so that a crash or a reorg repeats nothing.
"""

from __future__ import annotations

import asyncio

import structlog

from exclave.coordinator.attempts import Attempts
from exclave.l1.client import CallRequest, L1Client
from exclave.prover import Proof, ProofRefused, contract
from exclave.prover.onchain import find_proofs, left_state

log = structlog.get_logger(__name__)


class Verification:
    """Verifications by one sender."""

    def __init__(self, l1: L1Client, attempts: Attempts, sender: bytes) -> None:
        self._l1 = l1
        self._attempts = attempts
        self._sender = sender
        self._proofs: dict[bytes, bytes] = {}

    async def advance(self, zk_verifier: bytes, proof: Proof, deadline: int) -> bool:
        """Take a verification a step further; whether L1 has verified the proof. `deadline` in seconds since 1970.

        Raises `ProofRefused` if the verifier isn't one, or won't ever take the proof, and `L1Error`.
        """
        proofs = await self._verifier_of(zk_verifier)
        if await self._holds(proofs, contract.encode_is_verified(proof)):
            if not await self._holds(zk_verifier, contract.encode_verify(proof)):
                raise ProofRefused("the proof is valid, but not of this program and this statement")
            return True
        series = f"verify:{proofs.hex()}:{contract.head_hash(proof).hex()}"
        state = await left_state(self._l1, proofs, self._sender, proof)
        step = contract.next_step(proof, state)
        if await asyncio.to_thread(self._attempts.record_if_due, f"{series}:{step.name}", proofs, step.data, deadline):
            log.info("verification of a proof on L1", step=step.name, statement="0x" + proof.statement.hash().hex())
        return False

    async def _verifier_of(self, zk_verifier: bytes) -> bytes:
        if zk_verifier not in self._proofs:
            self._proofs[zk_verifier] = await find_proofs(self._l1, zk_verifier)
        return self._proofs[zk_verifier]

    async def _holds(self, to: bytes, data: bytes) -> bool:
        return await self._l1.call(CallRequest(to=to, data=data)) == contract.TRUE
