"""Fault proofs: made beside the passes, verified on L1, and brought to the dispute contract in a later pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from exclave import _engine
from exclave.challenger.hand import Hand
from exclave.l1.client import L1Client
from exclave.l1.errors import L1Error
from exclave.l1.intents import IntentState
from exclave.l1.transaction_manager import EthTxManager
from exclave.l1.values import L1Receipt
from exclave.prover import Proof, ProofRefused, ProofRequest, Prover, ProverError
from exclave.prover.contract import head_hash
from exclave.prover.onchain import verify_onchain

log = structlog.get_logger(__name__)

RETRY_SECONDS = 60.0


class FaultProofs:
    """One task for each wrong leaf. A proof that was made is kept by the prover, so a restart makes none twice."""

    def __init__(self, prover: Prover, l1: L1Client, hand: Hand, manager: EthTxManager) -> None:
        self._prover = prover
        self._l1 = l1
        self._hand = hand
        self._manager = manager
        self._tasks: dict[str, asyncio.Task[Proof]] = {}
        self._paused: dict[str, float] = {}

    def verified(self, name: str, verifier: bytes, prepare: Callable[[], Awaitable[ProofRequest]]) -> Proof | None:
        """The proof of that name once `verifier` on L1 has accepted it; None while it is in the making."""
        task = self._tasks.get(name)
        now = asyncio.get_running_loop().time()
        if task is None:
            if now >= self._paused.get(name, 0.0):
                self._tasks[name] = asyncio.create_task(self._make(name, verifier, prepare), name=f"proof {name}")
            return None
        if not task.done():
            return None
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            return task.result()
        del self._tasks[name]
        self._paused[name] = now + RETRY_SECONDS
        if isinstance(error, L1Error | ProverError | ProofRefused | _engine.EngineError):
            log.warning("a fault proof isn't to be had now", leaf=name, reason=str(error))
        elif error is not None:
            log.error("a fault proof failed", leaf=name, exc_info=error)
        return None

    def forget(self, name: str) -> None:
        """The leaf is dead: stop what is made about it."""
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()

    async def stop(self) -> None:
        """Stop all that is made."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make(self, name: str, verifier: bytes, prepare: Callable[[], Awaitable[ProofRequest]]) -> Proof:
        request = await prepare()
        log.info("making a fault proof", leaf=name, verdict=request.statement.verdict.name)
        proof = await self._prover.prove(request)

        async def send(label: str, to: bytes | None, data: bytes) -> L1Receipt:
            assert to is not None, "verification creates nothing"
            return await self._send(f"verify:{head_hash(proof).hex()}:{label}", to, data)

        await verify_onchain(self._l1, send, self._hand.address, verifier, proof)
        return proof

    async def _send(self, series: str, to: bytes, data: bytes) -> L1Receipt:
        """INVARIANT I7: one intent for each part of a verification, whatever dies in between."""
        record = await self._hand.call(series, to, data)
        if record is None:
            raise ProofRefused("a part of the verification failed a moment ago")
        record = await self._manager.wait(record.key)
        receipt = await self._l1.get_receipt(record.transaction_hash) if record.transaction_hash else None
        if record.state is not IntentState.CONFIRMED or receipt is None:
            raise ProofRefused(f"a part of the verification has failed on L1: {record.reason}")
        return receipt
