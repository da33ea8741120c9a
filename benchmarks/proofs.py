"""What it costs to prove recorded blocks of sessions (`benchmarks.guest_inputs`), and to have L1 verify the proofs.

The prover is run as `exclave prove` runs it, with nothing kept from earlier; the proof is then verified on an anvil
with the rules and caps of Osaka. It is left in `target/prover/benchmarks`.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from eth_account import Account

from benchmarks.guest_inputs import recorded
from exclave.demo.processes import anvil
from exclave.l1.client import L1Client
from exclave.l1.signers import LocalSigner
from exclave.l1.single import send
from exclave.l1.values import L1Receipt
from exclave.prover import LocalProver, Progress, Proof
from exclave.prover.local import find_program
from exclave.prover.onchain import deploy_verifier, verify_onchain

ROOT: Final = Path(__file__).parents[1]
KEPT: Final = ROOT / "target" / "prover" / "benchmarks"
L1_CHAIN_ID: Final = 31337
MUTATIONS: Final = 100_000


def proving(name: str) -> Callable[[], dict[str, Any]]:
    """The benchmark of a recorded block."""
    return lambda: asyncio.run(_prove(name))


def mutations() -> dict[str, Any]:
    """Changes of the committed proof that neither verifier may accept: the differential test, with more of them."""
    began = time.monotonic()
    command = ["cargo", "test", "--locked", "--release", "--manifest-path", "crates/prover/Cargo.toml"]
    command += ["--test", "verification", "--", "--nocapture", "differential"]
    count = os.environ.get("EXCLAVE_PROOF_MUTATIONS", str(MUTATIONS))
    environment = {
        **os.environ,
        "CARGO_TARGET_DIR": str(ROOT / "target" / "prover"),
        "RUSTFLAGS": "-C target-cpu=native",
        "EXCLAVE_PROOF_MUTATIONS": count,
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"tried"')))
    return {**found, "seconds": round(time.monotonic() - began)}


async def _prove(name: str) -> dict[str, Any]:
    request = recorded(name)
    seen = {"instructions": 0, "segments": 0}

    def progress(step: Progress) -> None:
        seen.update(instructions=step.instructions, segments=step.segments)

    with tempfile.TemporaryDirectory() as directory:
        before, began = _cpu_seconds(), time.monotonic()
        proof = await LocalProver(Path(directory)).prove(request, progress)
        wall, cpu = time.monotonic() - began, _cpu_seconds() - before
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.proof").write_bytes(proof.proof)
    receipts = await _verify(proof)
    return {
        **seen,
        "cpu_s": round(cpu, 1),
        "wall_s": round(wall, 1),
        "peak_gb": round(peak / 1e9, 2),
        "proof_bytes": len(proof.proof),
        "recoveries": len(proof.recoveries),
        "verify_txs": len(receipts),
        "verify_gas": sum(receipt.gas_used for receipt in receipts),
        "largest_tx_gas": max(receipt.gas_used for receipt in receipts),
        "bits": _proven_bits(),
    }


async def _verify(proof: Proof) -> list[L1Receipt]:
    signer = LocalSigner(bytes(Account.create().key))
    with tempfile.TemporaryDirectory() as directory:
        async with anvil(Path(directory)) as url, L1Client([url], L1_CHAIN_ID) as client:
            await client.request("anvil_setBalance", ["0x" + signer.address.hex(), hex(10**20)])

            async def transact(_: str, to: bytes | None, data: bytes) -> L1Receipt:
                return await send(client, signer, to, data)

            deployed = await deploy_verifier(transact)
            return await verify_onchain(client, transact, signer.address, deployed.zk_verifier, proof)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _proven_bits() -> float:
    """Of the weakest component of what L1 verifies, by the back end's calculator."""
    done = subprocess.run([find_program(), "security"], check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout)["total"])
