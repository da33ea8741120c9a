"""The verifier on L1: its deployment, and the transactions that verify a proof (docs/proof-verifier.md).

Payloads only; `exclave.prover.onchain` sends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exclave import contracts
from exclave.l1.payloads import encode_call, encode_creation
from exclave.l1.transactions import MAX_CALLDATA_BYTES
from exclave.protocol.fields import decode_abi, encode_abi, keccak256
from exclave.prover.errors import ProofRefused
from exclave.prover.proof import ROUNDS, Proof

EVALUATORS: Final = 15
"""Contracts with the generated constraints; a test compares with what is committed."""

_ROUND: Final = slice(64, 96)
"""Where a verification's state has the number of the next round of openings (`OpeningState.ROUND`)."""

INTERRUPTED: Final = keccak256(b"Interrupted(bytes32,address,bytes)")
VERIFIED: Final = keccak256(b"Verified(bytes32,address)")


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


@dataclass(frozen=True, slots=True)
class Step:
    """One of the transactions that verify a proof: what of it is verified, and the data for the ProofVerifier."""

    name: str
    data: bytes


def next_step(proof: Proof, state: bytes | None) -> Step:
    """The transaction that goes on where the sender's verification was left in `state`, from its event; None: that
    begins one. First everything but the openings, then so many rounds of openings as a transaction has room for:
    almost always all of them, whose 126 to 129 KB depend on where the queries fall.

    Raises `ProofRefused` if the state isn't of a verification, or a round is too large.
    """
    abi = contracts.load("ProofVerifier")
    if state is None:
        return Step("constraints", encode_call(abi, "begin", proof.proof[: proof.parts[0]], 0))
    first = int.from_bytes(state[_ROUND], "big")
    for end in range(ROUNDS, first, -1):
        part = proof.proof[proof.parts[first] : proof.parts[end]]
        data = encode_call(abi, "resume", state, part, end - first)
        if len(data) <= MAX_CALLDATA_BYTES:
            return Step(f"openings {first + 1} to {end}", data)
    raise ProofRefused(f"round {first + 1} of {ROUNDS} of the proof's openings fits into no transaction")


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
