"""Milliseconds from sending a transaction to its acknowledgement, which is a signed block on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from benchmarks.client import Request, Timings, at_rate, call_body
from benchmarks.peers import Chain, exclave, wait_for_nonces
from benchmarks.workloads import SENDERS, transfer

RATE = 500
SECONDS = 20
SESSIONS = 10
CONNECTIONS = 50


async def load(chains: Sequence[Chain], rate: int, seconds: int, connections: int, first: int = 0) -> Timings:
    """An open-loop load of single transfers over all chains, each connection with a sender of its own. `first`: the
    senders' next nonce.
    """
    each, by_chain = rate * seconds // connections, connections // len(chains)
    lines = []
    for chain in chains:
        for sender in SENDERS[:by_chain]:
            raws = ["0x" + transfer(sender, chain.chain_id, n, chain.fee).hex() for n in range(first, first + each)]
            lines.append((chain.url, [Request(call_body("eth_sendRawTransaction", raw)) for raw in raws]))
    timings = await at_rate(lines, rate)
    for chain in chains:
        await wait_for_nonces(chain, [first + each] * by_chain + [0] * (len(SENDERS) - by_chain))
    return timings


def at_500_a_second() -> dict[str, Any]:
    """An open-loop load, spread over ten sessions."""
    with exclave() as node:
        timings = asyncio.run(load(node.open(SESSIONS), RATE, SECONDS, CONNECTIONS))
    return {
        "rate_tps": RATE,
        "p50_ms": timings.milliseconds(0.5),
        "p99_ms": timings.milliseconds(0.99),
        "p999_ms": timings.milliseconds(0.999),
        "worst_ms": timings.milliseconds(1.0),
        "sessions": SESSIONS,
        "transactions": len(timings.latencies),
    }
