"""Result files, one a benchmark, and what they all say of the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What a figure depends on besides the code."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    )
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        for line in cpu_info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def write(name: str, figures: dict[str, Any], described: dict[str, Any]) -> None:
    """Write `results/NAME.json`: the figures first, then what explains them."""
    RESULTS.mkdir(exist_ok=True)
    content = {**figures, "command": f"python -m benchmarks {name}", **described}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
