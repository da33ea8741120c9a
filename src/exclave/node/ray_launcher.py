"""Workers on a Ray cluster (`exclave[ray]`): the same processes, each started by an actor where Ray has room.

Every machine needs this version of Exclave, and the configuration and key files under the same paths: nothing secret
travels through Ray. The actors do nothing but start, watch and stop.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from exclave.config import Config
from exclave.node.launchers import STOP_SECONDS, Ended, last_owner, run_process, worker_command
from exclave.node.stopping import SIGNALS
from exclave.node.supervisor import FatalError

log = structlog.get_logger(__name__)

LOST = -9
"""The exit code of a worker whose machine, or whose actor, is gone."""


class WorkerActor:
    """What Ray runs: one worker's process, on the actor's machine."""

    def __init__(self, data_dir: str, config_path: str | None, port: int, number: int) -> None:
        self._data_dir = Path(data_dir)
        self._config_path = Path(config_path) if config_path else None
        self._port = port
        self._number = number
        self._running: asyncio.Task[int] | None = None

    async def run(self) -> tuple[int, str | None]:
        """Exit code and owner, see `Ended`."""
        ray = importlib.import_module("ray")
        environment = {
            "EXCLAVE_NODE__PORT": str(self._port),
            "EXCLAVE_NODE__PEER_HOST": str(ray.util.get_node_ip_address()),
        }
        command = worker_command(self._config_path, self._number)
        self._running = asyncio.create_task(run_process(command, environment, self._number))
        await asyncio.wait([self._running])
        code = 0 if self._running.cancelled() else self._running.result()
        return code, last_owner(self._data_dir, self._number)

    async def stop(self) -> None:
        """Stop the worker; returns when it has ended."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])


class RayLauncher:
    """Workers as actors."""

    def __init__(self, ray: Any, config: Config, config_path: Path | None, port: int) -> None:
        self._ray = ray
        path = str(config_path.resolve()) if config_path else None
        self._arguments = (str(config.node.data_dir), path, port)
        self._actor = ray.remote(num_cpus=1, scheduling_strategy="SPREAD", max_concurrency=2)(WorkerActor)

    async def run(self, number: int) -> Ended:
        actor = self._actor.remote(*self._arguments, number)
        try:
            code, owner = await actor.run.remote()
            return Ended(code, owner)
        except asyncio.CancelledError:
            try:
                async with asyncio.timeout(STOP_SECONDS + 5):
                    await actor.stop.remote()
            except (TimeoutError, self._ray.exceptions.RayError) as error:
                log.warning("a worker could not be stopped", worker=number, reason=str(error))
            raise
        except self._ray.exceptions.RayError as error:
            log.error("a worker's actor is gone", worker=number, reason=str(error).splitlines()[0])
            return Ended(LOST, None)
        finally:
            self._ray.kill(actor)


@asynccontextmanager
async def ray_launcher(config: Config, config_path: Path | None, port: int, address: str) -> AsyncIterator[RayLauncher]:
    """A launcher on the cluster at `address`; "local" starts one on this machine. Raises `FatalError`."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that a node runs
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise FatalError("--ray needs Ray: pip install 'exclave[ray]'") from error
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        await asyncio.to_thread(
            ray.init,
            address=None if address == "local" else address,
            include_dashboard=False if address == "local" else None,
            logging_level=logging.WARNING,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise FatalError(f"there is no Ray cluster at {address}: {error}") from error
    for number, handler in handlers.items():
        signal.signal(number, handler)  # Ray's own aborts the process three seconds after a SIGTERM
    try:
        if config.database_url.startswith("sqlite") and len(ray.nodes()) > 1:
            raise FatalError("the machines of a Ray cluster can't share a SQLite file: set node.database_url")
        yield RayLauncher(ray, config, config_path, port)
    finally:
        await asyncio.to_thread(ray.shutdown)
