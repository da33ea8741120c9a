"""Proofs of sessions' blocks: what is asked for, how it is proven, kept, and verified on L1."""

from __future__ import annotations

from exclave.prover.errors import (
    InvalidProof,
    ProofRefused,
    ProverError,
    ProverFailed,
    ProverMissing,
    SessionUnprovable,
)
from exclave.prover.local import LocalProver
from exclave.prover.program import PROGRAM_ID
from exclave.prover.proof import Proof, ProofRequest
from exclave.prover.prover import Progress, Prover, Stage
from exclave.prover.statement import Recovery, Statement, Verdict

__all__ = [
    "PROGRAM_ID",
    "InvalidProof",
    "LocalProver",
    "Progress",
    "Proof",
    "ProofRefused",
    "ProofRequest",
    "Prover",
    "ProverError",
    "ProverFailed",
    "ProverMissing",
    "Recovery",
    "SessionUnprovable",
    "Stage",
    "Statement",
    "Verdict",
]
