"""How cost grows: with the sessions, the load, the size of the state, and a neighbour that takes what it can."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.client import Request, call_body, open_connection, saturate
from benchmarks.latency import CONNECTIONS, SESSIONS, load
from benchmarks.peers import Chain, exclave, wait_for_nonces
from benchmarks.reads import cpu_seconds
from benchmarks.throughput import measure
from benchmarks.workloads import SENDERS, endless_loop, token_among, token_transfer

SESSION_COUNTS = (1, 10, 100, 1_000)
TRANSACTIONS = 20_000
PLAYED = 5_000
"""Transactions in all where each session is played by one sender, one transaction at a time; 20 to each at least."""

RATES = (100, 250, 500, 1_000, 2_000)
SECONDS = 10

HOLDERS = (1_000, 10_000, 100_000, 900_000)
"""Storage slots of one contract; a template's file of 64 MiB has no more than the last."""

QUIET_RATE, QUIET_CONNECTIONS = 100, 10
LOUD_CONNECTIONS = 8


def by_sessions() -> dict[int, float]:
    """Transactions per second, ERC-20, over so many sessions: the same number under way, and so the fewer in a block
    the more sessions there are.
    """
    figures = {}
    for sessions in SESSION_COUNTS:
        with exclave() as node:
            chains = node.open(sessions)
            connections = max(1, 8 // sessions)
            count, seconds = asyncio.run(measure(chains, token_transfer, TRANSACTIONS // sessions, connections))
        figures[sessions] = round(count / seconds, 1)
    return figures


async def _play(chains: Sequence[Chain], each: int) -> None:
    """One sender in each session, one transaction after the other; returns when all are acknowledged."""
    sender = SENDERS[0]
    rendered = []
    for chain in chains:
        raws = [token_transfer(sender, chain.chain_id, nonce, chain.fee) for nonce in range(each)]
        rendered.append([Request(call_body("eth_sendRawTransaction", "0x" + raw.hex())) for raw in raws])
    async with asyncio.TaskGroup() as group:
        for chain, queue in zip(chains, rendered, strict=True):
            group.create_task(saturate(chain.url, [queue]))


def cost_by_sessions() -> dict[int, float]:
    """Microseconds of the node's CPU time per transaction, ERC-20, where every session is played alike: each
    transaction has a block of its own.
    """
    figures = {}
    for sessions in SESSION_COUNTS:
        each = max(20, PLAYED // sessions)
        with exclave() as node:
            assert node.node.process is not None
            process = node.node.process.pid
            chains = node.open(sessions)
            before = cpu_seconds(process)
            asyncio.run(_play(chains, each))
            taken = cpu_seconds(process) - before
            for chain in chains:
                asyncio.run(wait_for_nonces(chain, [each] + [0] * (len(SENDERS) - 1)))
        figures[sessions] = round(1e6 * taken / (each * sessions), 1)
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
    tps, cpu, slots = by_sessions(), cost_by_sessions(), by_state()
    return {
        "tps_by_sessions": tps,
        "flooded_by_sessions": round(tps[1] / tps[1_000], 2),
        "cpu_us_by_sessions": cpu,
        "played_by_sessions": round(cpu[1_000] / cpu[1], 2),
        "latency_by_load": by_load(),
        "tps_by_slots": slots,
        "by_slots": round(max(slots.values()) / min(slots.values()), 2),
        "noisy_neighbour": beside_noise(),
    }
