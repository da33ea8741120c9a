"""`exclave node --workers N`: the process that keeps the workers running.

It runs no session itself. It holds their port, starts those again that die, and gives back at once what a dead one had,
so that the others take its sessions over without waiting for its leases.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from exclave.config import Config
from exclave.node.instance import InstanceLock
from exclave.node.launchers import Ended, Launcher, LocalLauncher
from exclave.node.metrics import WORKER_RESTARTS, serve_metrics
from exclave.node.stopping import stop_signals
from exclave.node.supervisor import FIRST_PAUSE, HEALTHY_AFTER, LONGEST_PAUSE, FatalError
from exclave.store import Store, StoreError

log = structlog.get_logger(__name__)


async def run_workers(config: Config, config_path: Path | None, count: int, ray: str | None = None) -> int:
    """Run `count` workers until SIGINT or SIGTERM. Returns the exit code: 0 after a clean stop, 1 if they can't go on.

    What is wrong is logged with what to do about it. `ray`: the address of the cluster that they run on; None: this
    machine.
    """
    try:
        with stop_signals() as stop:
            return await _Workers(config, config_path, count, ray).run(stop)
    except (FatalError, StoreError, OSError) as error:
        log.error("the node can't start", reason=str(error))
        return 1
    finally:
        log.info("stopped")


class _Workers:
    def __init__(self, config: Config, config_path: Path | None, count: int, ray: str | None) -> None:
        self._config = config
        self._config_path = config_path
        self._count = count
        self._ray = ray
        self._store = Store(config.database_url)
        self._failed: asyncio.Event = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> int:
        lock = InstanceLock(self._config.node.data_dir)
        lock.acquire()
        metrics = self._config.node.metrics_port
        stop_metrics = serve_metrics(self._config.node.metrics_host, metrics) if metrics else lambda: None
        try:
            await asyncio.to_thread(self._store.migrate)
            with _reserve(self._config.node.host, self._config.node.port) as held:
                port = int(held.getsockname()[1])
                log.info("starting workers", workers=self._count, rpc=f"http://{self._config.node.host}:{port}")
                async with self._launcher(port) as launcher:
                    results = await self._keep_all(launcher, stop)
            for error in results:
                if isinstance(error, Exception):
                    raise error
            return 1 if self._failed.is_set() else 0
        finally:
            stop_metrics()
            self._store.close()
            lock.release()

    @asynccontextmanager
    async def _launcher(self, port: int) -> AsyncIterator[Launcher]:
        if self._ray is None:
            yield LocalLauncher(self._config, self._config_path, port)
            return
        from exclave.node.ray_launcher import ray_launcher  # the extra is loaded only when it is needed

        async with ray_launcher(self._config, self._config_path, port, self._ray) as launcher:
            yield launcher

    async def _keep_all(self, launcher: Launcher, stop: asyncio.Event) -> list[BaseException | None]:
        """Until it is time to stop, or one can't go on; what each ended with."""
        keepers = [asyncio.create_task(self._keep(number, launcher)) for number in range(self._count)]
        waiting = [asyncio.create_task(event.wait()) for event in (stop, self._failed)]
        await asyncio.wait([*waiting, *keepers], return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        for task in [*waiting, *keepers]:
            task.cancel()
        return await asyncio.gather(*keepers, return_exceptions=True)

    async def _keep(self, number: int, launcher: Launcher) -> None:
        """Run a worker again and again until cancelled."""
        pause = FIRST_PAUSE
        has_served = False
        while True:
            started = time.monotonic()
            ended = await launcher.run(number)
            lasted = time.monotonic() - started
            has_served = await asyncio.to_thread(self._release, ended) or has_served
            if ended.code == 1 and not has_served:
                # It has said what is wrong, and it will be wrong again.
                log.error("a worker can't go on", worker=number)
                self._failed.set()
                return
            WORKER_RESTARTS.inc()
            if lasted >= HEALTHY_AFTER:
                pause = FIRST_PAUSE
            log.error("a worker ended, it is started again", worker=number, code=ended.code, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _release(self, ended: Ended) -> bool:
        """The worker is dead, nothing of it can write any more: give back what it had. Whether it had served."""
        owner = ended.owner
        if owner is None:
            return ended.code < 0
        try:
            has_served = any(process.owner == owner for process in self._store.processes.all())
            self._store.leases.release_owner(owner)
            self._store.processes.withdraw(owner)
        except StoreError as error:
            log.warning("what the worker had is free when its leases are over", reason=str(error))
            return True
        return has_served


def _reserve(host: str, port: int) -> socket.socket:
    """Hold a port for the workers, which listen there (SO_REUSEPORT); this socket doesn't. Raises `OSError`."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    held = socket.socket(family, kind, protocol)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except BaseException:
        held.close()
        raise
    return held
