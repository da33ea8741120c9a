"""Signed transactions per second, from the first byte sent until all are in blocks.

The generator, the node and anvil share the machine, one of the two at a time. A connection sends its next transactions
when its last ones are in a block. How many are under way is for each side where it is fastest: anvil slows down, and at
last stops, when its pool holds thousands; and it gets fewer in all, because it slows down with every block that it
keeps. It is checked that every transaction is in a block on both sides and that the accounts hold the same afterwards.
Exclave's blocks are on disk, anvil's in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.client import Request, batch_body, call_body, saturate
from benchmarks.peers import Chain, anvil_chain, exclave, holdings, wait_for_nonces
from benchmarks.workloads import SENDERS, WORKLOADS, Sender, Workload, delegation_of, recipient
from exclave.protocol import keccak256

IN_FLIGHT = {"exclave": 3_200, "anvil": 800}
TRANSACTIONS = {"exclave": 20_000, "anvil": 5_000}
CONNECTIONS = 8
WEBSOCKET = "transfer_websocket"
"""The transfers once more, over WebSockets."""


def _request(chain: Chain, raws: Sequence[bytes]) -> Request:
    body = batch_body("eth_sendRawTransaction", [["0x" + raw.hex()] for raw in raws])
    last = "0x" + keccak256(raws[-1]).hex()
    return Request(body, None if chain.software == "exclave" else call_body("eth_getTransactionReceipt", last))


def _queue(chain: Chain, workload: Workload, senders: Sequence[Sender], nonces: range, batch: int) -> list[Request]:
    """Transactions of every sender, in batches."""
    raws = [workload(sender, chain.chain_id, nonce, chain.fee) for nonce in nonces for sender in senders]
    return [_request(chain, raws[start : start + batch]) for start in range(0, len(raws), batch)]


async def measure(
    chains: Sequence[Chain],
    workload: Workload,
    each: int,
    connections: int,
    *,
    done: int = 0,
    batch: int = 0,
    socket: bool = False,
) -> tuple[int, float]:
    """Send about `each` transactions to each chain over `connections` to each, after `done` others; returns how many it
    were in all, and seconds.
    """
    batch = batch or max(1, IN_FLIGHT[chains[0].software] // (len(chains) * connections))
    senders = min(len(SENDERS), batch * connections)
    nonces = range(done // senders, (done + each) // senders)
    lines = [SENDERS[:senders][position::connections] for position in range(connections)]
    rendered = [(chain, [_queue(chain, workload, own, nonces, batch) for own in lines]) for chain in chains]
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for chain, queues in rendered:
            group.create_task(saturate(chain.url, queues, socket=socket))
    acknowledged = time.perf_counter()
    expected = [nonces.stop] * senders + [0] * (len(SENDERS) - senders)
    for chain in chains:
        await wait_for_nonces(chain, expected)
    # Asking a hundred sessions takes as long as some thousands of transactions, which were in blocks before.
    ended = acknowledged if chains[0].software == "exclave" else time.perf_counter()
    return len(nonces) * senders * len(chains), ended - started


def accounts() -> list[bytes]:
    """All that a workload touches."""
    recipients = {recipient(sender, nonce) for sender in SENDERS for nonce in range(64)}
    return sorted({sender.address for sender in SENDERS} | recipients)


def compare(sessions: int) -> dict[str, dict[str, float]]:
    """Transactions per second of both sides on every workload."""
    figures = {}
    workloads = {**WORKLOADS, **({WEBSOCKET: WORKLOADS["transfer"]} if sessions == 1 else {})}
    each, connections = TRANSACTIONS["exclave"] // sessions, CONNECTIONS if sessions == 1 else 1
    for name, workload in workloads.items():
        socket = name == WEBSOCKET
        # anvil has the World only where it is played in.
        reads = [delegation_of(sender, 0) for sender in SENDERS] if name == "mud" else []
        with anvil_chain(game=name == "mud") as (chain, _):
            count, seconds = asyncio.run(measure([chain], workload, TRANSACTIONS["anvil"], CONNECTIONS, socket=socket))
            theirs = count / seconds
            held = asyncio.run(holdings(chain, accounts(), reads))
        with exclave() as node:
            chains = node.open(sessions)
            # One session first has the same transactions as anvil, to be compared.
            done = TRANSACTIONS["anvil"] if sessions == 1 else 0
            count, seconds = asyncio.run(measure(chains, workload, done, connections, socket=socket))
            if done and asyncio.run(holdings(chains[0], accounts(), reads)) != held:
                raise AssertionError(f"{name}: the two sides do not hold the same")
            more = asyncio.run(measure(chains, workload, each - done, connections, done=done, socket=socket))
            ours = (count + more[0]) / (seconds + more[1])
        figures[name] = {"exclave_tps": ours, "anvil_tps": theirs, "ratio": ours / theirs}
    return figures


def _figures(by_workload: dict[str, dict[str, float]], **more: Any) -> dict[str, Any]:
    worst = min(by_workload.values(), key=lambda figures: figures["ratio"])
    rounded = {name: {key: round(value, 2) for key, value in figures.items()} for name, figures in by_workload.items()}
    return {
        **{key: round(value, 2) for key, value in worst.items()},
        "by_workload": rounded,
        "in_flight": IN_FLIGHT,
        "transactions": TRANSACTIONS,
        **more,
    }


def one_session() -> dict[str, Any]:
    """One session against one anvil; the figures are those of the workload with the worst ratio."""
    return _figures(compare(1))


def hundred_sessions() -> dict[str, Any]:
    """A hundred sessions against one anvil."""
    return _figures(compare(100), sessions=100)
