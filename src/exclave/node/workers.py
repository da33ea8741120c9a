"""`exclave node --workers N`: the process that keeps the workers running.

It runs no session itself. It holds their port, starts those again that die, and gives back at once what a dead one had,
so that the others take its sessions over without waiting for its leases.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path

import structlog

from exclave.config import Config
from exclave.node.instance import InstanceLock
from exclave.node.metrics import WORKER_RESTARTS, serve_metrics
from exclave.node.stopping import stop_signals
from exclave.node.supervisor import FIRST_PAUSE, HEALTHY_AFTER, LONGEST_PAUSE, FatalError
from exclave.node.worker import Worker
from exclave.store import Store, StoreError

log = structlog.get_logger(__name__)

STOP_SECONDS = 60.0
"""How long a worker may take to stop before it is killed."""


async def run_workers(config: Config, config_path: Path | None, count: int) -> int:
    """Run `count` workers until SIGINT or SIGTERM. Returns the exit code: 0 after a clean stop, 1 if they can't go on.

    What is wrong is logged with what to do about it.
    """
    try:
        with stop_signals() as stop:
            return await _Workers(config, config_path, count).run(stop)
    except (FatalError, StoreError, OSError) as error:
        log.error("the node can't start", reason=str(error))
        return 1
    finally:
        log.info("stopped")


class _Workers:
    def __init__(self, config: Config, config_path: Path | None, count: int) -> None:
        self._config = config
        self._config_path = config_path
        self._count = count
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
                keepers = [
                    asyncio.create_task(self._keep(Worker(number, os.getpid()), port)) for number in range(self._count)
                ]
                waiting = [asyncio.create_task(event.wait()) for event in (stop, self._failed)]
                await asyncio.wait([*waiting, *keepers], return_when=asyncio.FIRST_COMPLETED)
                log.info("stopping")
                for task in [*waiting, *keepers]:
                    task.cancel()
                results = await asyncio.gather(*keepers, return_exceptions=True)
            for error in results:
                if isinstance(error, Exception):
                    raise error
            return 1 if self._failed.is_set() else 0
        finally:
            stop_metrics()
            self._store.close()
            lock.release()

    async def _keep(self, worker: Worker, port: int) -> None:
        """Run a worker again and again until cancelled."""
        pause = FIRST_PAUSE
        has_served = False
        while True:
            started = time.monotonic()
            code = await self._run_once(worker, port)
            lasted = time.monotonic() - started
            has_served = await asyncio.to_thread(self._release, worker) or has_served
            if code == 1 and not has_served:
                # It has said what is wrong, and it will be wrong again.
                log.error("a worker can't go on", worker=worker.number)
                self._failed.set()
                return
            WORKER_RESTARTS.inc()
            if lasted >= HEALTHY_AFTER:
                pause = FIRST_PAUSE
            log.error("a worker ended, it is started again", worker=worker.number, code=code, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _run_once(self, worker: Worker, port: int) -> int:
        """The worker's exit code, negative when a signal ended it. Stopped when cancelled."""
        options = ["--config", str(self._config_path)] if self._config_path else []
        options += ["--worker", str(worker.number), "--parent", str(worker.parent)]
        environment = {**os.environ, "EXCLAVE_NODE__PORT": str(port)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "exclave", "node", *options, env=environment
        )
        try:
            return await process.wait()
        except asyncio.CancelledError:
            if process.returncode is None:
                process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                log.error("a worker didn't stop in time and is killed", worker=worker.number)
                process.kill()
                await process.wait()
            raise

    def _release(self, worker: Worker) -> bool:
        """The worker is dead, nothing of it can write any more: give back what it had. Whether it had served."""
        owner = InstanceLock(worker.directory(self._config)).last_owner()
        if owner is None:
            return False
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
