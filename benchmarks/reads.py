"""CPU time that a node takes for a read request: eth_getBalance, eth_call, eth_getLogs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from benchmarks.client import Request, call_body, saturate
from benchmarks.peers import Chain, anvil_chain, exclave
from benchmarks.throughput import measure
from benchmarks.workloads import SENDERS, TOKEN, token_transfer
from exclave.protocol import keccak256

REQUESTS = 20_000
CONNECTIONS = 8
TRANSFERS = 2_000
"""Token transfers before, so that there are logs to find."""

LOGS_FOUND_IN = 20
"""Blocks an eth_getLogs asks for."""


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def calls(head: int) -> dict[str, list[Any]]:
    """Parameters by method."""
    owner = "0x" + SENDERS[0].address.hex()
    balance_of = "0x" + keccak256(b"balanceOf(address)")[:4].hex() + owner[2:].rjust(64, "0")
    token = "0x" + TOKEN.hex()
    topic = "0x" + keccak256(b"Transfer(address,address,uint256)").hex()
    return {
        "eth_getBalance": [owner, "latest"],
        "eth_call": [{"to": token, "data": balance_of}, "latest"],
        "eth_getLogs": [
            {
                "address": token,
                "topics": [topic, "0x" + owner[2:].rjust(64, "0")],
                "fromBlock": hex(max(0, head - LOGS_FOUND_IN)),
                "toBlock": hex(head),
            }
        ],
    }


def microseconds(chain: Chain, process: int, method: str, parameters: list[Any]) -> float:
    """CPU time per request."""
    request = Request(call_body(method, *parameters))
    queues = [[request] * (REQUESTS // CONNECTIONS) for _ in range(CONNECTIONS)]
    before = cpu_seconds(process)
    asyncio.run(saturate(chain.url, queues))
    return 1e6 * (cpu_seconds(process) - before) / REQUESTS


def cpu_per_read() -> dict[str, Any]:
    """The worst ratio of the three; anvil mines one transaction a block, so both have the same logs in the range."""

    def side(chain: Chain, process: int) -> dict[str, float]:
        # One by one, so that both sides have a block for each.
        asyncio.run(measure([chain], token_transfer, TRANSFERS, 1, batch=1))
        from benchmarks.peers import ask

        head = int(asyncio.run(ask(chain, "eth_blockNumber", [[]]))[0], 16)
        return {method: microseconds(chain, process, method, parameters) for method, parameters in calls(head).items()}

    with exclave() as node:
        assert node.node.process is not None
        ours = side(node.open(1)[0], node.node.process.pid)
    with anvil_chain() as (chain, anvil):
        theirs = side(chain, anvil.process.pid)
    by_method = {
        method: {
            "exclave_us": round(ours[method], 1),
            "anvil_us": round(theirs[method], 1),
            "ratio": round(ours[method] / theirs[method], 2),
        }
        for method in ours
    }
    worst = max(by_method.values(), key=lambda figures: figures["ratio"])
    return {**worst, "by_method": by_method, "requests": REQUESTS}
