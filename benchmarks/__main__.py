"""`python -m benchmarks`: measures, prints a table, writes results."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import disputes, latency, match_gas, opening, proofs, reads, report, scaling, throughput

BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    "match_gas": match_gas.gas,
    "throughput_one_session": throughput.one_session,
    "throughput_100_sessions": throughput.hundred_sessions,
    "read_cpu": reads.cpu_per_read,
    "latency": latency.at_500_a_second,
    "open_sessions": opening.thousand_sessions,
    "known_sessions": opening.known_sessions,
    "scaling": scaling.scaling,
    "proof_transfer": proofs.proving("transfer"),
    "proof_erc20": proofs.proving("erc20"),
    "proof_light_action": proofs.proving("light_action"),
    "proof_heavy_action": proofs.proving("heavy_action"),
    "proof_block_20": proofs.proving("block_20"),
    "proof_mutations": proofs.mutations,
    "invariants": disputes.invariants,
    "verdict": disputes.verdict,
}


def show(figures: dict[str, Any], indent: str = "  ") -> None:
    """A table for people."""
    for key, value in figures.items():
        if isinstance(value, dict):
            print(f"{indent}{key:,}" if isinstance(key, int) else f"{indent}{key}")
            show(value, indent + "  ")
        else:
            print(f"{indent}{key:<24} {value:>14,}" if isinstance(value, int | float) else f"{indent}{key} {value}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default all: {', '.join(BENCHMARKS)}")
    parser.add_argument("--no-write", action="store_true", help="print only, write no result file")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))} (known: {', '.join(BENCHMARKS)})")
    # Collecting what one benchmark left takes a tenth of a second, and would be counted as the next one's latency.
    gc.disable()
    for name in arguments.names or BENCHMARKS:
        print(name, flush=True)
        described = report.machine()
        figures = BENCHMARKS[name]()
        show(figures)
        if not arguments.no_write:
            report.write(name, figures, described)
    return 0


if __name__ == "__main__":
    sys.exit(main())
