"""What a session costs to open and to keep: time from its event on L1 to its first block, and memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from support.anvil import account
from support.world import ADMIN, PLAYERS, World

from benchmarks.peers import exclave

COUNT = 1_000
OPEN_GAS = 400_000


def resident_kilobytes(process: int) -> int:
    """Resident set of a process."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError("no VmRSS")


def fill_pool(world: World, count: int) -> None:
    """Openings in L1's pool, not mined."""
    world.anvil.rpc("evm_setAutomine", False)
    data = world.opening(2**200, world.terms(), world.template.template_id, PLAYERS[:2])
    call = {"from": account(ADMIN).address, "to": "0x" + world.lobby.hex(), "data": "0x" + data.hex()}
    for _ in range(count):
        world.anvil.rpc("eth_sendTransaction", {**call, "gas": hex(OPEN_GAS)})


def thousand_sessions() -> dict[str, Any]:
    """From the moment when the first is on L1 until each has its first block, with the state that the game's `init`
    makes. The node looks at L1 every two seconds, as it does by default.
    """
    with exclave() as node:
        assert node.node.process is not None
        process = node.node.process.pid
        node.open(1)
        fill_pool(node.world, COUNT)
        before = resident_kilobytes(process)
        started = time.perf_counter()
        while int(node.world.anvil.rpc("txpool_status")["pending"], 16):
            node.world.anvil.mine()
        node.world.anvil.mine(2)
        for session_id in range(2, COUNT + 2):
            node.wait_until_served(session_id)
        wall = time.perf_counter() - started
        after = resident_kilobytes(process)
    return {
        "count": COUNT,
        "ms_each": round(1000 * wall / COUNT, 2),
        "kb_each": round((after - before) / COUNT, 1),
        "seconds": round(wall, 2),
    }
