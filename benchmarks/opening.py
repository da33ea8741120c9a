"""What a session costs to open and to keep: time from its event on L1 to its first block, and memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.peers import exclave

COUNT = 1_000


def resident_kilobytes(process: int) -> int:
    """Resident set of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError("no VmRSS")


def thousand_sessions() -> dict[str, Any]:
    """The events of all are on L1 before the clock starts: the node is stopped meanwhile."""
    with exclave() as node:
        node.open(1)
        assert node.node.terminate() == 0
        ids = [node.world.open_session(target=2**200, mine=0) for _ in range(COUNT)]
        node.world.anvil.mine(2)
        node.node.start()
        assert node.node.process is not None
        before = resident_kilobytes(node.node.process.pid)
        started = time.perf_counter()
        for session_id in ids:
            node.wait_until_served(session_id)
        wall = time.perf_counter() - started
        after = resident_kilobytes(node.node.process.pid)
    return {
        "count": COUNT,
        "ms_each": round(1000 * wall / COUNT, 2),
        "kb_each": round((after - before) / COUNT, 1),
        "seconds": round(wall, 2),
    }
