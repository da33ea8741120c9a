"""What makes proofs, as the rest of the package sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from exclave.prover.proof import Proof, ProofRequest


class Stage(StrEnum):
    """Where the making of a proof is."""

    WAITING = "waiting"  # for another proof to be done: they take turns
    EXECUTING = "executing"
    SEGMENTS = "segments"  # of the execution, each proven by itself
    COMBINING = "combining"  # the segments' proofs into one


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` steps of a stage (total 0: unknown). `instructions` and `segments` once they are known."""

    stage: Stage
    done: int = 0
    total: int = 0
    instructions: int = 0
    segments: int = 0


class Prover(Protocol):
    """Makes proofs. The same proof isn't made twice, whatever happens to the process."""

    async def prove(self, request: ProofRequest, progress: Callable[[Progress], None] | None = None) -> Proof:
        """The proof of a request. Cancelling the call stops the work.

        Raises `ProverError`.
        """
        ...

    async def verify(self, proof: Proof) -> None:
        """Checks a proof as the contract does, the recoveries too. Raises `InvalidProof`, or another `ProverError`."""
        ...
