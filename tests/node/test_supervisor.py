"""The supervisor stops what it started, whatever its tasks do."""

from __future__ import annotations

import asyncio

import pytest

from exclave.node.supervisor import FatalError, Supervisor


async def test_a_lost_cancellation_does_not_keep_the_node_from_stopping() -> None:
    """asyncio.wait_for of Python 3.11 loses a cancellation that comes in the moment of its result."""
    supervisor = Supervisor()
    lost = asyncio.Event()

    async def loses_one() -> None:
        while True:
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                if lost.is_set():
                    raise
                lost.set()

    supervisor.start("loses one", loses_one)
    await asyncio.sleep(0.05)
    async with asyncio.timeout(10):
        await supervisor.stop()
    assert lost.is_set()


async def test_a_failed_task_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exclave.node.supervisor.FIRST_PAUSE", 0.01)
    supervisor = Supervisor()
    runs = 0
    done = asyncio.Event()

    async def fails_twice() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise RuntimeError("once more")
        done.set()

    supervisor.start("fails twice", fails_twice)
    async with asyncio.timeout(10):
        await done.wait()
        await supervisor.stop()
    assert runs == 3


async def test_a_fatal_failure_is_told() -> None:
    supervisor = Supervisor()

    async def fails() -> None:
        raise FatalError("the disk is full")

    supervisor.start("fails", fails)
    async with asyncio.timeout(10):
        assert str(await supervisor.failure()) == "the disk is full"
        await supervisor.stop()
