"""Statements, and the file of a proof: what was written is read, and nothing else."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from exclave.protocol.errors import DecodeError
from exclave.protocol.fields import keccak256
from exclave.prover import PROGRAM_ID, InvalidProof, Proof, ProofRequest, Statement, Verdict
from exclave.prover.contract import EVALUATORS
from exclave.prover.statement import decode_recoveries, encode_recoveries

CONTRACTS = Path(__file__).parents[2] / "contracts"


def test_a_statement_is_eleven_words_of_which_the_proof_shows_the_hash(request_of_fixture: ProofRequest) -> None:
    statement = request_of_fixture.statement
    assert len(statement.encode()) == 11 * 32
    assert Statement.decode(statement.encode()) == statement
    assert statement.verdict is Verdict.VALID
    # What the contract's tests have from the prover.
    committed = re.search(r"STATEMENT = 0x([0-9a-f]{64})", (CONTRACTS / "test" / "ZkVerifier.t.sol").read_text())
    assert committed is not None and bytes.fromhex(committed[1]) == statement.hash()


def test_another_domain_or_verdict_is_no_statement(request_of_fixture: ProofRequest) -> None:
    encoded = request_of_fixture.statement.encode()
    for place, value in ((0, b"\1"), (4 * 32 + 31, b"\0"), (4 * 32 + 31, b"\3"), (10 * 32, b"\1")):
        with pytest.raises(DecodeError):
            Statement.decode(encoded[:place] + value + encoded[place + 1 :])
    with pytest.raises(DecodeError):
        Statement.decode(encoded + bytes(32))


def test_recoveries_are_five_words_each(request_of_fixture: ProofRequest) -> None:
    encoded = encode_recoveries(request_of_fixture.recoveries)
    assert len(request_of_fixture.recoveries) == 1 and len(encoded) == 5 * 32
    assert tuple(decode_recoveries(encoded)) == request_of_fixture.recoveries
    assert keccak256(encoded) == request_of_fixture.statement.recoveries_hash
    for damaged in (encoded[:-1], encoded[:63] + b"\x1d" + encoded[64:], encoded[:128] + b"\1" + encoded[129:]):
        with pytest.raises(DecodeError):
            decode_recoveries(damaged)


def test_a_proof_comes_out_of_its_file_as_it_went_in(proof: Proof) -> None:
    assert Proof.decode(proof.encode()) == proof


def test_a_damaged_file_is_no_proof(proof: Proof) -> None:
    encoded = proof.encode()
    for place in (*range(0, 700), *range(700, len(encoded), 997)):
        with pytest.raises(InvalidProof):
            Proof.decode(encoded[:place] + bytes([encoded[place] ^ 1]) + encoded[place + 1 :])
    for length in (0, 1, 100, len(encoded) - 1):
        with pytest.raises(InvalidProof):
            Proof.decode(encoded[:length])
    with pytest.raises(InvalidProof):
        Proof.decode(encoded + b"\0")


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": (1, 2, 3)},
        {"parts": (500, 400, 600, 700, 800)},
        {"head": 0},
        {"head": 1 << 20},
        {"proof": b"\0" * 8},
        {"recoveries": ()},
    ],
)
def test_a_file_whose_members_contradict_each_other_is_no_proof(proof: Proof, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidProof):
        Proof.decode(dataclasses.replace(proof, **changes).encode())  # type: ignore[arg-type]


def test_a_request_is_named_by_program_and_input(request_of_fixture: ProofRequest) -> None:
    other = dataclasses.replace(request_of_fixture, input=request_of_fixture.input + b"\0")
    assert request_of_fixture.key() != other.key()


def test_the_contracts_are_those_that_python_deploys() -> None:
    generated = CONTRACTS / "src" / "verifier" / "generated"
    assert len(list(generated.glob("ConstraintEvaluator[0-9]*.sol"))) == EVALUATORS
    program = re.search(r"PROGRAM = 0x([0-9a-f]{64})", (CONTRACTS / "test" / "ZkVerifier.t.sol").read_text())
    assert program is not None and bytes.fromhex(program[1]) == PROGRAM_ID
