"""How cost grows: with the sessions, the load, the size of the state, and a neighbour that takes what it can."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.client import Request, call_body, open_connection
from benchmarks.latency import CONNECTIONS, SESSIONS, load
from benchmarks.peers import Chain, exclave
from benchmarks.throughput import measure
from benchmarks.workloads import SENDERS, endless_loop, token_among, token_transfer

TRANSACTIONS = 20_000
RATES = (100, 250, 500, 1_000, 2_000)
SECONDS = 10

HOLDERS = (1_000, 10_000, 100_000, 900_000)
"""Storage slots of one contract; a template's file of 64 MiB has no more than the last."""

QUIET_RATE, QUIET_CONNECTIONS = 100, 10
LOUD_CONNECTIONS = 8


def by_sessions() -> dict[int, float]:
    """Transactions per second, ERC-20, over so many sessions."""
    figures = {}
    for sessions in (1, 10, 100, 1_000):
        with exclave() as node:
            chains = node.open(sessions)
            connections = max(1, 8 // sessions)
            count, seconds = asyncio.run(measure(chains, token_transfer, TRANSACTIONS // sessions, connections))
        figures[sessions] = round(count / seconds, 1)
    return figures


def by_load() -> dict[int, dict[str, float]]:
    """Milliseconds to the acknowledgement at so many transactions per second, over ten sessions."""
    figures = {}
    with exclave() as node:
        chains = node.open(SESSIONS)
        first = 0
        for rate in RATES:
            timings = asyncio.run(load(chains, rate, SECONDS, CONNECTIONS, first))
            first += rate * SECONDS // CONNECTIONS
            figures[rate] = {"p50_ms": timings.milliseconds(0.5), "p99_ms": timings.milliseconds(0.99)}
    return figures


def by_state() -> dict[int, float]:
    """Transactions per second of one session whose token has so many holders, to holders chosen at random."""
    figures = {}
    for holders in HOLDERS:
        with exclave(holders=holders) as node:
            chains = node.open(1)
            count, seconds = asyncio.run(measure(chains, token_among(holders), TRANSACTIONS, 8))
        figures[holders] = round(count / seconds, 1)
    return figures


async def _shout(chain: Chain, until: float, position: int) -> int:
    """Endless loops, one after the other, from one sender; returns how many."""
    connection = await open_connection(chain.url)
    sender, nonce = SENDERS[position], 0
    try:
        while time.monotonic() < until:
            raw = endless_loop(sender, chain.chain_id, nonce, chain.fee)
            answer = await connection.send(Request(call_body("eth_sendRawTransaction", "0x" + raw.hex())).body)
            assert b'"result"' in answer, answer
            nonce += 1
    finally:
        await connection.close()
    return nonce


def beside_noise() -> dict[str, float]:
    """Milliseconds of a session's transactions, alone and while another one executes endless loops of 16.8 M gas."""

    async def together(quiet: Chain, loud: Chain, first: int) -> tuple[float, int]:
        async with asyncio.TaskGroup() as group:
            until = time.monotonic() + SECONDS
            shouting = [group.create_task(_shout(loud, until, position)) for position in range(LOUD_CONNECTIONS)]
            listening = group.create_task(load([quiet], QUIET_RATE, SECONDS, QUIET_CONNECTIONS, first))
        return listening.result().milliseconds(0.99), sum(task.result() for task in shouting)

    with exclave() as node:
        quiet, loud = node.open(2)
        alone = asyncio.run(load([quiet], QUIET_RATE, SECONDS, QUIET_CONNECTIONS)).milliseconds(0.99)
        first = QUIET_RATE * SECONDS // QUIET_CONNECTIONS
        beside, loops = asyncio.run(together(quiet, loud, first))
    return {"alone_p99_ms": alone, "beside_p99_ms": beside, "ratio": round(beside / alone, 2), "loops": loops}


def scaling() -> dict[str, Any]:
    """All of them; keys of inner tables are sessions, transactions per second offered, and slots."""
    return {
        "tps_by_sessions": by_sessions(),
        "latency_by_load": by_load(),
        "tps_by_slots": by_state(),
        "noisy_neighbour": beside_noise(),
    }
