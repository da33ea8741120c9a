"""What can go wrong with proofs."""

from __future__ import annotations


class ProverError(Exception):
    """The base of all errors of this package."""


class ProverMissing(ProverError):
    """The prover's program isn't there; the text says how to get it."""


class ProverFailed(ProverError):
    """The prover's program ended with an error; the text has what it said."""


class SessionUnprovable(ProverError):
    """There is nothing from which the blocks could be proven: the text says what is missing."""


class InvalidProof(ProverError):
    """The bytes aren't a proof, or it doesn't prove what it says."""


class ProofRefused(ProverError):
    """The contract on L1 doesn't accept the proof."""
