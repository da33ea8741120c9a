"""Signed transactions per second, from the first byte sent until all are in blocks.

The generator, the node and anvil share the machine, one of the two at a time. It is checked that every transaction is
in a block on both sides and that the accounts hold the same afterwards. Exclave's blocks are on disk, anvil's in
memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.client import batch_body, render, saturate
from benchmarks.peers import Chain, anvil_chain, balances, exclave, wait_for_nonces
from benchmarks.workloads import SENDERS, WORKLOADS, Workload, recipient

BATCH = 100
CONNECTIONS = 8
TRANSACTIONS = 5_000


def requests(chain: Chain, workload: Workload, count: int, batch: int, connections: int) -> list[list[bytes]]:
    """`count` transactions as rendered requests, a queue for each connection, which has senders of its own."""
    per_sender = count // len(SENDERS)
    queues = []
    for position in range(connections):
        senders = SENDERS[position::connections]
        raws = ["0x" + workload(s, chain.chain_id, n, chain.fee).hex() for n in range(per_sender) for s in senders]
        batches = [raws[start : start + batch] for start in range(0, len(raws), batch)]
        queues.append(
            [render(chain.url, batch_body("eth_sendRawTransaction", [[raw] for raw in part])) for part in batches]
        )
    return queues


async def measure(chains: Sequence[Chain], workload: Workload, each: int, batch: int, connections: int) -> float:
    """Transactions per second over all chains, `each` transactions on each."""
    rendered = [(chain, requests(chain, workload, each, batch, connections)) for chain in chains]
    expected = [each // len(SENDERS)] * len(SENDERS)
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for chain, queues in rendered:
            group.create_task(saturate(chain.url, queues))
    for chain in chains:
        await wait_for_nonces(chain, expected)
    return each * len(chains) / (time.perf_counter() - started)


def accounts() -> list[bytes]:
    """All that a workload touches."""
    recipients = {recipient(sender, nonce) for sender in SENDERS for nonce in range(64)}
    return sorted({sender.address for sender in SENDERS} | recipients)


def compare(sessions: int, each: int, connections: int) -> dict[str, dict[str, float]]:
    """Both sides on every workload, the same number of transactions in all."""
    figures = {}
    for name, workload in WORKLOADS.items():
        total = sessions * each
        with exclave() as node:
            chains = node.open(sessions)
            ours = asyncio.run(measure(chains, workload, each, BATCH, connections))
            held = asyncio.run(balances(chains[0], accounts()))
        with anvil_chain() as (chain, _):
            theirs = asyncio.run(measure([chain], workload, total, BATCH, CONNECTIONS))
            if sessions == 1 and asyncio.run(balances(chain, accounts())) != held:
                raise AssertionError(f"{name}: the two sides do not hold the same")
        figures[name] = {"exclave_tps": ours, "anvil_tps": theirs, "ratio": ours / theirs}
    return figures


def _figures(by_workload: dict[str, dict[str, float]], **more: Any) -> dict[str, Any]:
    worst = min(by_workload.values(), key=lambda figures: figures["ratio"])
    rounded = {name: {key: round(value, 2) for key, value in figures.items()} for name, figures in by_workload.items()}
    return {**{key: round(value, 2) for key, value in worst.items()}, "by_workload": rounded, "batch": BATCH, **more}


def one_session() -> dict[str, Any]:
    """One session against one anvil; the figures are those of the workload with the worst ratio."""
    return _figures(compare(1, TRANSACTIONS, CONNECTIONS), transactions=TRANSACTIONS)


def hundred_sessions() -> dict[str, Any]:
    """A hundred sessions against one anvil that takes as many transactions."""
    each = TRANSACTIONS // 100
    return _figures(compare(100, each, 1), transactions=TRANSACTIONS, sessions=100)
