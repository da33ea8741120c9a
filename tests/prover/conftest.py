from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.guest_inputs import recorded
from exclave.prover import PROGRAM_ID, Proof, ProofRequest

FIXTURE = Path(__file__).parents[2] / "contracts" / "test" / "fixtures" / "proof"


@pytest.fixture(scope="session")
def request_of_fixture() -> ProofRequest:
    """A block with a transfer, whose proof is committed."""
    return recorded("transfer")


@pytest.fixture(scope="session")
def proof(request_of_fixture: ProofRequest) -> Proof:
    """The committed proof, which the prover made."""
    trace = json.loads((FIXTURE / "trace.json").read_text())
    return Proof(
        PROGRAM_ID,
        request_of_fixture.statement,
        request_of_fixture.recoveries,
        (FIXTURE / "proof.bin").read_bytes(),
        trace["head"],
        tuple(trace["parts"]),
    )
