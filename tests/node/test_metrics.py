"""What a node tells Prometheus."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.node_process import free_port
from support.running import running_node
from support.world import World


async def metrics(port: int) -> dict[str, float]:
    text = (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/metrics")).text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation and family.type != "unknown", family.name
        for sample in family.samples:
            found[sample.name] = sample.value
    return found


async def test_metrics_tell_what_was_done_and_what_waits(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    async with running_node(world, tmp_path, monkeypatch, node={"metrics_port": port}) as node:
        session_id = world.open_session(target=10)
        await node.opened(session_id)
        before = await metrics(port)
        await node.play(session_id, 3)
        found = await metrics(port)
        assert found["exclave_transactions_total"] == 4  # the session's first message too
        assert 1 <= found["exclave_commits_total"] <= 4 <= found["exclave_blocks_total"]
        assert found["exclave_commit_seconds_total"] > 0 and found["exclave_build_seconds_total"] > 0
        assert found["exclave_sessions_in_memory"] == 1
        for name in ("queued_transactions", "queued_bytes", "longest_queue", "waiting_sessions", "wakes"):
            assert found[f"exclave_{name}"] == 0
        # Counted for the process, in which other tests may have run.
        assert found["exclave_rpc_passed_on_total"] == before["exclave_rpc_passed_on_total"]
