"""The verifier on L1: its deployment, and the transactions that verify a proof (docs/proof-verifier.md).

Payloads only; `exclave.prover.onchain` sends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exclave import contracts
from exclave.l1.payloads import encode_call, encode_creation
from exclave.protocol.fields import decode_abi, encode_abi, keccak256
from exclave.prover.proof import Proof

EVALUATORS: Final = 15
"""Contracts with the generated constraints; a test compares with what is committed."""

INTERRUPTED: Final = keccak256(b"Interrupted(bytes32,address,bytes)")


@dataclass(frozen=True, slots=True)
class Creation:
    """A contract to be created: its name, and the data of the transaction."""

    name: str
    data: bytes


def evaluator_creations() -> list[Creation]:
    """What is deployed first."""
    names = [f"ConstraintEvaluator{index}" for index in range(EVALUATORS)]
    return [Creation(name, encode_creation(contracts.load(name))) for name in names]


def constraint_verifier_creation(evaluators: Sequence[bytes]) -> Creation:
    """On top of all evaluators, in their order."""
    return Creation("ConstraintVerifier", encode_creation(contracts.load("ConstraintVerifier"), list(evaluators)))


def opening_verifier_creation() -> Creation:
    return Creation("OpeningVerifier", encode_creation(contracts.load("OpeningVerifier")))


def proof_verifier_creation(constraints: bytes, openings: bytes) -> Creation:
    return Creation("ProofVerifier", encode_creation(contracts.load("ProofVerifier"), constraints, openings))


def zk_verifier_creation(proofs: bytes) -> Creation:
    """The `IZkVerifier` that terms name."""
    return Creation("ZkVerifier", encode_creation(contracts.load("ZkVerifier"), proofs))


def encode_begin(proof: Proof) -> bytes:
    """`ProofVerifier.begin`: everything but the openings."""
    return encode_call(contracts.load("ProofVerifier"), "begin", proof.proof[: proof.parts[0]], 0)


def encode_resume(proof: Proof, state: bytes) -> bytes:
    """`ProofVerifier.resume`: all rounds of openings. `state` is what `begin` left, from its event."""
    rounds = len(proof.parts) - 1
    return encode_call(contracts.load("ProofVerifier"), "resume", state, proof.proof[proof.parts[0] :], rounds)


def read_interrupted(data: bytes) -> bytes:
    """The state in the data of an `Interrupted` event. Raises `DecodeError`."""
    (state,) = decode_abi(["bytes"], data)
    return bytes(state)


def head_of(proof: Proof) -> bytes:
    """What `IZkVerifier.verify` is given for a proof: the part that says what is proven."""
    return proof.proof[: proof.head]


def head_hash(proof: Proof) -> bytes:
    """By what `ProofVerifier` remembers that the proof was verified."""
    return keccak256(head_of(proof))


def encode_is_verified(proof: Proof) -> bytes:
    """`ProofVerifier.isVerified`."""
    return encode_call(contracts.load("ProofVerifier"), "isVerified", head_hash(proof))


def encode_interrupted(proof: Proof, sender: bytes) -> bytes:
    """`ProofVerifier.interrupted`: the hash of the state that a sender's verification was left in, or zero."""
    return encode_call(contracts.load("ProofVerifier"), "interrupted", sender, head_hash(proof))


def encode_verify(proof: Proof) -> bytes:
    """`IZkVerifier.verify`: whether the proof, verified before, is of this program and this statement."""
    return encode_call(contracts.load("ZkVerifier"), "verify", proof.program_id, proof.statement.hash(), head_of(proof))


def encode_proofs() -> bytes:
    """`ZkVerifier.proofs`: the address of its ProofVerifier."""
    return encode_call(contracts.load("ZkVerifier"), "proofs")


TRUE: Final = encode_abi(["bool"], [True])
"""What a call answers that holds."""
