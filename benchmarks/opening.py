"""What a session costs to open and to keep: time from its event on L1 to its first block, and memory."""

from __future__ import annotations

import random
import time
import urllib.request
from pathlib import Path
from typing import Any

from support.anvil import account
from support.node_process import free_port
from support.world import ADMIN, PLAYERS, World

from benchmarks.peers import WAIT, exclave

COUNT = 1_000
OPEN_GAS = 400_000

KNOWN = 10_000
LIVE = 1_000
TOUCHED = 500


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


def in_memory(metrics_port: int) -> int:
    """Sessions that the node holds, as its metrics say."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    (line,) = (line for line in lines if line.startswith("exclave_sessions_in_memory "))
    return int(float(line.split()[1]))


def known_sessions() -> dict[str, Any]:
    """Ten thousand sessions of which a thousand may stay in memory: what the node takes, and how long a session that
    was put aside takes to answer.
    """
    chance, port = random.Random(1), free_port()
    with exclave(settings={"node.max_sessions": str(LIVE), "node.metrics_port": str(port)}) as node:
        assert node.node.process is not None
        process = node.node.process.pid
        node.open(1)
        before = peak = resident_kilobytes(process)
        most = 0
        for first in range(2, KNOWN + 1, COUNT):
            last = min(first + COUNT - 1, KNOWN)
            fill_pool(node.world, last - first + 1)
            while int(node.world.anvil.rpc("txpool_status")["pending"], 16):
                node.world.anvil.mine()
            node.world.anvil.mine(2)
            for session_id in range(first, last + 1):
                node.wait_until_served(session_id)
            peak, most = max(peak, resident_kilobytes(process)), max(most, in_memory(port))
        deadline = time.monotonic() + WAIT
        while (live := in_memory(port)) > LIVE:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{live} sessions stay in memory")
            time.sleep(0.5)
        wakes = []
        for session_id in chance.sample(range(1, KNOWN - 2 * LIVE), TOUCHED):
            started = time.perf_counter()
            assert int(node.node.call("eth_blockNumber", session=session_id), 16) >= 1
            wakes.append(1000 * (time.perf_counter() - started))
            peak = max(peak, resident_kilobytes(process))
        after = resident_kilobytes(process)
    wakes.sort()
    return {
        "known": KNOWN,
        "live": live,
        "live_at_most": most,
        "growth_mb": round((after - before) / 1024, 1),
        "peak_growth_mb": round((peak - before) / 1024, 1),
        "wake_p50_ms": round(wakes[len(wakes) // 2], 2),
        "wake_p99_ms": round(wakes[len(wakes) * 99 // 100], 2),
    }
