"""Milliseconds from sending a transaction to its acknowledgement, which is a signed block on disk."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.client import Request, at_rate, call_body
from benchmarks.peers import exclave, wait_for_nonces
from benchmarks.workloads import SENDERS, transfer

RATE = 500
SECONDS = 20
CONNECTIONS = 50


def at_500_a_second() -> dict[str, Any]:
    """An open-loop load of single requests, spread over ten sessions."""
    sessions = 10
    with exclave() as node:
        chains = node.open(sessions)
        per_connection = RATE * SECONDS // CONNECTIONS
        by_chain = CONNECTIONS // sessions
        lines = []
        for chain in chains:
            for sender in SENDERS[:by_chain]:
                raws = ["0x" + transfer(sender, chain.chain_id, n, chain.fee).hex() for n in range(per_connection)]
                lines.append((chain.url, [Request(call_body("eth_sendRawTransaction", raw)) for raw in raws]))

        async def run() -> list[float]:
            timings = await at_rate(lines, RATE)
            sent = [per_connection] * by_chain + [0] * (len(SENDERS) - by_chain)
            for chain in chains:
                await wait_for_nonces(chain, sent)
            return sorted(timings.latencies)

        latencies = asyncio.run(run())

    def milliseconds(share: float) -> float:
        return round(1000 * latencies[int(len(latencies) * share)], 2)

    return {
        "rate_tps": RATE,
        "p50_ms": milliseconds(0.5),
        "p99_ms": milliseconds(0.99),
        "p999_ms": milliseconds(0.999),
        "worst_ms": round(1000 * latencies[-1], 2),
        "sessions": sessions,
        "transactions": len(latencies),
    }
