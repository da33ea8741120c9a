"""The prover's program under Python: what it keeps, adopts, refuses and leaves behind."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exclave.prover import (
    InvalidProof,
    LocalProver,
    Progress,
    Proof,
    ProofRequest,
    ProverFailed,
    ProverMissing,
    Stage,
)


def leave(directory: Path, request: ProofRequest, proof: Proof) -> None:
    """What the program leaves when the process that started it has died."""
    directory.mkdir(exist_ok=True)
    (directory / f"{request.key().hex()}.bin").write_bytes(proof.proof)


async def test_the_committed_proof_is_valid(tmp_path: Path, proof: Proof) -> None:
    await LocalProver(tmp_path).verify(proof)


@pytest.mark.parametrize("what", ["statement", "program", "recovery", "parts", "head", "byte"])
async def test_a_proof_of_anything_else_is_invalid(tmp_path: Path, proof: Proof, what: str) -> None:
    recovery = dataclasses.replace(proof.recoveries[0], signer=bytes(20))
    changed = {
        "statement": {"statement": dataclasses.replace(proof.statement, prover=b"\xbb" * 20)},
        "program": {"program_id": bytes(32)},
        "recovery": {"recoveries": (recovery,)},
        "parts": {"parts": (proof.parts[0] + 4, *proof.parts[1:])},
        "head": {"head": proof.head + 4},
        "byte": {"proof": proof.proof[:5000] + bytes([proof.proof[5000] ^ 1]) + proof.proof[5001:]},
    }[what]
    with pytest.raises(InvalidProof):
        await LocalProver(tmp_path).verify(dataclasses.replace(proof, **changed))  # type: ignore[arg-type]


async def test_what_a_dead_processs_prover_made_is_adopted_and_kept(
    tmp_path: Path, request_of_fixture: ProofRequest, proof: Proof
) -> None:
    leave(tmp_path, request_of_fixture, proof)
    prover = LocalProver(tmp_path)
    assert await prover.prove(request_of_fixture) == proof
    assert not (tmp_path / f"{request_of_fixture.key().hex()}.bin").exists()
    # It is kept: neither the program nor a slot is needed again.
    assert await LocalProver(tmp_path, program=Path("/nowhere")).prove(request_of_fixture) == proof


async def test_one_proof_is_made_for_many_who_ask(
    tmp_path: Path, request_of_fixture: ProofRequest, proof: Proof
) -> None:
    leave(tmp_path, request_of_fixture, proof)
    asked = [LocalProver(tmp_path).prove(request_of_fixture) for _ in range(4)]
    assert await asyncio.gather(*asked) == [proof] * 4


@pytest.mark.parametrize("content", [b"", b"damaged", None])
async def test_a_kept_proof_that_is_damaged_is_made_anew(
    tmp_path: Path, request_of_fixture: ProofRequest, proof: Proof, content: bytes | None
) -> None:
    """None: a proof of something else under this name."""
    other = dataclasses.replace(proof, statement=dataclasses.replace(proof.statement, to_number=7))
    kept = tmp_path / f"{request_of_fixture.key().hex()}.proof"
    kept.write_bytes(other.encode() if content is None else content)
    leave(tmp_path, request_of_fixture, proof)
    assert await LocalProver(tmp_path).prove(request_of_fixture) == proof


async def test_a_left_proof_of_another_block_is_not_adopted(
    tmp_path: Path, request_of_fixture: ProofRequest, proof: Proof
) -> None:
    other = dataclasses.replace(
        request_of_fixture, statement=dataclasses.replace(request_of_fixture.statement, to_number=7)
    )
    leave(tmp_path, other, proof)
    with pytest.raises(InvalidProof):
        await LocalProver(tmp_path).prove(other)


async def test_an_input_on_which_the_guest_fails_has_no_proof(tmp_path: Path, request_of_fixture: ProofRequest) -> None:
    with pytest.raises(ProverFailed, match="the program failed"):
        await LocalProver(tmp_path).prove(dataclasses.replace(request_of_fixture, input=b"\0" * 64))
    assert left(tmp_path) == ["slot-0.lock"]


async def test_cancelling_stops_the_program_and_frees_its_slot(
    tmp_path: Path, request_of_fixture: ProofRequest
) -> None:
    started = asyncio.Event()

    def progress(step: Progress) -> None:
        if step.stage is Stage.EXECUTING:
            started.set()

    making = asyncio.create_task(LocalProver(tmp_path).prove(request_of_fixture, progress))
    await started.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert not provers(tmp_path)
    assert left(tmp_path) == ["slot-0.lock"]


DYING = """
import asyncio, sys
from pathlib import Path
from benchmarks.guest_inputs import recorded
from exclave.prover import LocalProver

asyncio.run(LocalProver(Path(sys.argv[1])).prove(recorded("transfer"), lambda step: print(step.stage, flush=True)))
"""


async def test_the_prover_of_a_killed_process_keeps_its_slot_until_it_ends(
    tmp_path: Path, request_of_fixture: ProofRequest, proof: Proof
) -> None:
    """Else two would take the memory of one. What it makes is adopted (here it is put there for it)."""
    orphans = await asyncio.to_thread(orphaned_provers, tmp_path)
    steps: list[Stage] = []
    waiting = asyncio.create_task(
        LocalProver(tmp_path).prove(request_of_fixture, lambda step: steps.append(step.stage))
    )
    await asyncio.sleep(2)
    assert steps == [Stage.WAITING] and not waiting.done()
    leave(tmp_path, request_of_fixture, proof)
    for orphan in orphans:
        os.kill(orphan, signal.SIGKILL)
    assert await waiting == proof
    assert steps == [Stage.WAITING]


def test_a_missing_program_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXCLAVE_PROVER", str(tmp_path / "nothing"))
    with pytest.raises(ProverMissing, match="EXCLAVE_PROVER"):
        LocalProver(tmp_path)


def orphaned_provers(directory: Path) -> list[int]:
    """Those of a process that was killed as soon as it had started one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    dying = subprocess.Popen([sys.executable, "-c", DYING, str(directory)], stdout=subprocess.PIPE, env=environment)
    assert dying.stdout is not None
    while dying.stdout.readline().strip() != b"executing":
        pass
    deadline = time.monotonic() + 30
    while not (orphans := provers(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    dying.kill()
    dying.wait()
    assert orphans == provers(directory)
    return orphans


def left(directory: Path) -> list[str]:
    """Names of files."""
    return sorted(path.name for path in directory.iterdir())


def provers(directory: Path) -> list[int]:
    """Processes of the program that work in a directory."""
    found = subprocess.run(["pgrep", "-f", f"exclave-prover prove .*{directory}"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]
