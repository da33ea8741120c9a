"""Background tasks: a failed one is logged and restarted, a fatal failure stops the node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from exclave.node.metrics import TASK_RESTARTS

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0
"""Seconds: pauses double from the first to the longest, and start anew after a run of this length."""


class FatalError(Exception):
    """The node can't go on; the text says what to do."""


class Supervisor:
    """Runs named tasks until one fails for good or `stop` is called."""

    def __init__(self, fatal: tuple[type[BaseException], ...] = (FatalError,)) -> None:
        self._fatal = fatal
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run `run()` again and again until it returns; it must be safe to start anew after a failure at any point."""
        self._tasks[name] = asyncio.create_task(self._supervise(name, run), name=name)

    async def failure(self) -> BaseException:
        """Waits for the first fatal failure."""
        return await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """Cancel all tasks and wait for them, the last started first."""
        while self._tasks:  # a task may start others until it is cancelled itself
            name, task = self._tasks.popitem()
            task.cancel()
            # Code that loses a cancellation, as asyncio.wait_for of Python 3.11 does, must not keep the node from
            # stopping.
            while not (await asyncio.wait([task], timeout=1.0))[0]:
                task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
            except Exception:
                log.exception("task failed while it was stopped", task=name)

    async def _supervise(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            try:
                await run()
                return
            except asyncio.CancelledError:
                raise
            except self._fatal as error:
                log.error("task failed for good", task=name, error=str(error))
                if not self._failure.done():
                    self._failure.set_result(error)
                return
            except Exception:
                if time.monotonic() - started >= HEALTHY_AFTER:
                    pause = FIRST_PAUSE
                log.exception("task failed, it is started again", task=name, seconds=pause)
                TASK_RESTARTS.labels(task=name).inc()
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
