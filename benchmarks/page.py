"""`python -m benchmarks.page`: docs/performance.md, made from the committed results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import RESULTS

PAGE = RESULTS.parents[1] / "docs" / "performance.md"

GOALS: Sequence[tuple[str, str, str, str]] = (
    ("throughput_one_session", "ratio", "signed transactions per second of one session, times anvil's", ">= 3"),
    ("throughput_100_sessions", "ratio", "the same over 100 sessions", ">= 5"),
    ("read_cpu", "ratio", "CPU time of a read, times anvil's (the worst of three methods)", "<= 1"),
    ("latency", "p50_ms", "ms from sending to the acknowledgement, median, at 500 transactions a second", "<= 2"),
    ("latency", "p99_ms", "the same, 99th percentile", "<= 10"),
    ("open_sessions", "ms_each", "ms to open each of 1,000 sessions", "<= 10"),
    ("open_sessions", "kb_each", "KB of memory of each", "<= 200"),
    ("known_sessions", "peak_growth_mb", "MB of memory for 10,000 sessions of which 1,000 stay in it", "<= 200"),
    ("scaling", "played_by_sessions", "cost of a transaction, 1,000 sessions over one, all played alike", "<= 1.5"),
    ("scaling", "flooded_by_sessions", "the same with as many under way in all: one session has full blocks", "<= 1.5"),
    ("scaling", "by_slots", "the same, 1 K to 900 K storage slots", "<= 1.5"),
    ("match_gas", "alone", "L1 gas of an undisputed match, alone", "<= 250000"),
    ("match_gas", "batched_100", "the same, in a batch of 100", "<= 60000"),
    ("kill9", "survived", "of 100 kills of the node, those after which nothing was lost or done twice", ">= 100"),
    ("kill9_workers", "survived", "the same of three workers on one database, the leading one among them", ">= 100"),
)
"""File, key, what it says, goal."""


def meets(value: float, goal: str) -> bool:
    """Whether a figure is as good as its goal."""
    relation, bound = goal.split()
    return value >= float(bound) if relation == ">=" else value <= float(bound)


def chart(title: str, x: str, y: str, points: Mapping[str, float]) -> str:
    """A line as a Mermaid chart, which code hosts draw."""
    labels = ", ".join(f'"{int(key):,}"' for key in points)
    values = ", ".join(f"{value:g}" for value in points.values())
    top = max(points.values()) * 1.1
    return (
        f'```mermaid\nxychart-beta\n  title "{title}"\n  x-axis "{x}" [{labels}]\n'
        f'  y-axis "{y}" 0 --> {top:.0f}\n  line [{values}]\n```\n'
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def render(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The page."""
    scaling = results["scaling"]
    goals = [
        (f"`{name}`", text, f"{results[name][key]:,}", goal, "yes" if meets(results[name][key], goal) else "**no**")
        for name, key, text, goal in GOALS
    ]
    compared = [
        (workload, f"{figures['exclave_tps']:,.0f}", f"{figures['anvil_tps']:,.0f}", f"{figures['ratio']:.1f}")
        for workload, figures in results["throughput_one_session"]["by_workload"].items()
    ]
    noise = scaling["noisy_neighbour"]
    load = scaling["latency_by_load"]
    machine = f"{scaling['cores']} cores of {scaling['processor']}, load generator included, {scaling['date'][:10]}"
    parts = [
        "# Performance\n\n"
        "Made by `python -m benchmarks.page` from [the committed results](../benchmarks/results);"
        " [benchmarks](../benchmarks/README.md) says how each is measured.\n"
        f"Machine: {machine}. Exclave's transactions are acknowledged when they are in a signed block on disk; anvil's"
        " are in memory.\n",
        "## Goals\n\n" + table(("Result", "Figure", "Measured", "Goal", "Met"), goals),
        "## Beside anvil, one session\n\nSigned transactions per second:\n\n"
        + table(("Workload", "Exclave", "anvil", "times"), compared),
        "## How cost grows\n\n"
        + chart("ERC-20 transfers over all sessions", "sessions", "per second", scaling["tps_by_sessions"])
        + "\nAs many are under way in all, so that one session has hundreds of them in a block and a thousand have a"
        " block for almost each. Where each session is played by one sender, one transaction (and block) at a time:\n\n"
        + chart("CPU time of a transaction", "sessions", "microseconds", scaling["cpu_us_by_sessions"])
        + "\n"
        + chart("ERC-20 transfers, one session", "storage slots of the token", "per second", scaling["tps_by_slots"])
        + "\n"
        + chart("Median latency", "offered transactions per second", "ms", {r: f["p50_ms"] for r, f in load.items()})
        + "\n"
        + chart("99th percentile", "offered transactions per second", "ms", {r: f["p99_ms"] for r, f in load.items()}),
        "## A noisy neighbour\n\n"
        f"While another session executes endless loops of 16.8 M gas each, a session's 99th percentile is"
        f" {noise['beside_p99_ms']} ms; alone it is {noise['alone_p99_ms']} ms ({noise['ratio']} times; goal 2).\n",
    ]
    return "\n".join(parts)


def load_results() -> dict[str, dict[str, Any]]:
    """All committed results by their names."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(Path(RESULTS).glob("*.json"))}


if __name__ == "__main__":
    PAGE.write_text(render(load_results()))
