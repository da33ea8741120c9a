"""Disputes: invariants under random actors, and the time and gas from a lie to its verdict, with real proofs."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

from exclave.demo.dispute import DisputeDemo, DisputeReport
from exclave.demo.game import load_game
from exclave.prover import Progress

ROOT: Final = Path(__file__).parents[1]
GAME: Final = ROOT / "tests" / "cli" / "counter"


def invariants() -> dict[str, Any]:
    """forge's stateful invariants in their slow profile: calls of actors over all contracts, and what was violated."""
    done = subprocess.run(
        [ROOT / "toolchain/bin/forge", "test", "--match-contract", "Invariants", "--match-test", "invariant"],
        cwd=ROOT / "contracts",
        env={**os.environ, "FOUNDRY_PROFILE": "slow", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    calls: dict[str, int] = {}
    violated: set[str] = set()
    suite = ""
    for line in done.stdout.splitlines():
        if found := re.match(r"Ran \d+ tests? for .*:(\w+)", line):
            suite = found[1]
        elif found := re.match(r"\[(PASS|FAIL).*?(invariant\w+)\(\) \(runs: \d+, calls: (\d+)", line):
            name = f"{suite}.{found[2]}"
            calls[name] = int(found[3])
            if found[1] == "FAIL":
                violated.add(name)
    if not calls or (done.returncode != 0) != bool(violated):
        raise RuntimeError(f"forge has not run the invariants:\n{done.stdout[-2000:]}")
    return {"calls": sum(calls.values()), "violations": len(violated), "by_invariant": calls}


def verdict() -> dict[str, Any]:
    """`exclave demo --dispute` with a small game: a lie that a fault proof kills, a griefer whom a proof answers."""
    reports: list[DisputeReport] = []

    async def done(report: DisputeReport) -> None:
        reports.append(report)

    def quiet(_: str | Progress) -> None:
        pass

    with tempfile.TemporaryDirectory() as directory:
        demo = DisputeDemo(load_game(GAME), Path(directory), quiet, quiet, quiet, done)
        asyncio.run(demo.run())
    (report,) = reports
    won = {standing.who: standing.after - standing.before + standing.fees for standing in report.standings}
    gas: dict[str, int] = {}
    for step in report.steps:
        gas[step.who] = gas.get(step.who, 0) + step.gas
    return {
        "lie_to_verdict_s": round(report.lie_to_verdict, 1),
        "fault_proof_s": round(report.fault_seconds, 1),
        "validity_proof_s": round(report.validity_seconds, 1),
        "l1_gas": sum(gas.values()),
        "l1_gas_by": gas,
        "won_wei": won,
        "burnt_wei": report.burnt,
        "steps": {f"{number:02}: {step.who}: {step.what}": step.gas for number, step in enumerate(report.steps, 1)},
    }
