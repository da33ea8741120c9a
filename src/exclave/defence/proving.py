"""Makes the proofs that disputes need, the most urgent first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from exclave.defence.settings import DefenceSettings
from exclave.node.metrics import PROOFS_FAILED, PROOFS_RUNNING
from exclave.prover import Progress, Proof, Prover, ProverError
from exclave.prover.replay import prepare
from exclave.store import Store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WantedProof:
    """A proof of a session's blocks after `start` up to `end`. `deadline` in seconds since 1970, `value` in wei."""

    session_id: int
    start: int
    end: int
    deadline: int
    value: int

    @property
    def key(self) -> tuple[int, int, int]:
        """What is proven, whatever it is for."""
        return self.session_id, self.start, self.end


class ProofDesk:
    """Has a prover make what is wanted, so many at a time. What it has made is kept while it is wanted; the prover
    keeps it for longer, so that after a crash nothing is proven twice.
    """

    def __init__(
        self,
        store: Store,
        prover: Prover,
        settings: DefenceSettings,
        recipient: bytes,
        changed: Callable[[], None],
    ) -> None:
        """`recipient`: whom the proofs name; `changed` is called when one is done."""
        self._store = store
        self._prover = prover
        self._settings = settings
        self._recipient = recipient
        self._changed = changed
        self._running: dict[tuple[int, int, int], asyncio.Task[None]] = {}
        self._done: dict[tuple[int, int, int], Proof] = {}
        self._failures: dict[tuple[int, int, int], tuple[int, int]] = {}

    def finished(self, session_id: int, start: int, end: int) -> Proof | None:
        """A proof that is done."""
        return self._done.get((session_id, start, end))

    def schedule(self, wanted: Sequence[WantedProof]) -> None:
        """Begin what is most urgent of what is wanted (by deadline, then by value), and stop what isn't any more."""
        keys = {proof.key for proof in wanted}
        for key in [key for key in self._running if key not in keys]:
            log.info("a proof isn't wanted any more", session=key[0], after=key[1], last=key[2])
            self._running.pop(key).cancel()
        self._done = {key: proof for key, proof in self._done.items() if key in keys}
        self._failures = {key: failures for key, failures in self._failures.items() if key in keys}
        now = self._store.now()
        for proof in sorted(wanted, key=lambda proof: (proof.deadline, -proof.value)):
            if len(self._running) >= self._settings.parallel_proofs:
                break
            _, not_before = self._failures.get(proof.key, (0, 0))
            if proof.key not in self._running and proof.key not in self._done and now >= not_before:
                log.info("a proof begins", session=proof.session_id, after=proof.start, last=proof.end)
                self._running[proof.key] = asyncio.create_task(self._make(proof))
        PROOFS_RUNNING.set(len(self._running))

    async def stop(self) -> None:
        """Stop all work."""
        tasks, self._running = list(self._running.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        PROOFS_RUNNING.set(0)

    async def _make(self, proof: WantedProof) -> None:
        settings = self._settings
        task = asyncio.current_task()

        def tell(progress: Progress) -> None:
            log.debug("proof", session=proof.session_id, last=proof.end, stage=progress.stage.value, done=progress.done)

        try:
            request = await asyncio.to_thread(
                prepare,
                self._store,
                proof.session_id,
                proof.start + 1,
                proof.end,
                l1_chain_id=settings.l1_chain_id,
                zk_relayer=settings.zk_relayer,
                prover=self._recipient,
            )
            made = await self._prover.prove(request, tell)
            if self._running.get(proof.key) is task:
                self._done[proof.key] = made
                self._failures.pop(proof.key, None)
                log.info("a proof is done", session=proof.session_id, after=proof.start, last=proof.end)
        except Exception as error:
            PROOFS_FAILED.inc()
            attempts, _ = self._failures.get(proof.key, (0, 0))
            pause = settings.pause(attempts)
            self._failures[proof.key] = (attempts + 1, self._store.now() + pause)
            if isinstance(error, ProverError):
                log.error("a proof can't be made", session=proof.session_id, reason=str(error), retry_in=pause)
            else:
                log.exception("a proof can't be made", session=proof.session_id, retry_in=pause)
        finally:
            if self._running.get(proof.key) is task:
                del self._running[proof.key]
                self._changed()
