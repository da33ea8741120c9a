"""How the workers of `exclave node --workers` are run: as processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from exclave.config import Config
from exclave.node.instance import InstanceLock
from exclave.node.worker import worker_directory

log = structlog.get_logger(__name__)

STOP_SECONDS = 60.0
"""How long a worker may take to stop before it is killed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker is no more.

    `code`: as of `subprocess`, negative when a signal ended it. `owner`: the name under which it held leases, None if
    it never had one or nobody knows.
    """

    code: int
    owner: str | None


class Launcher(Protocol):
    """Runs workers."""

    async def run(self, number: int) -> Ended:
        """Run a worker until it ends; when cancelled, stop it first."""
        ...


def worker_command(config_path: Path | None, number: int) -> list[str]:
    """The command of a worker that is started by this process and ends with it."""
    options = ["--config", str(config_path)] if config_path else []
    return [
        sys.executable,
        "-m",
        "exclave",
        "node",
        *options,
        "--worker",
        str(number),
        "--parent",
        str(os.getpid()),
    ]


async def run_process(command: Sequence[str], environment: Mapping[str, str], number: int) -> int:
    """The exit code of a worker's process. When cancelled it is told to stop, and killed when it doesn't."""
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment})
    try:
        return await process.wait()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            log.error("a worker didn't stop in time and is killed", worker=number)
            process.kill()
            await process.wait()
        raise


def last_owner(data_dir: Path, number: int) -> str | None:
    """Under which name a worker of this machine held its leases."""
    return InstanceLock(worker_directory(data_dir, number)).last_owner()


class LocalLauncher:
    """Processes of this machine that listen on one port."""

    def __init__(self, config: Config, config_path: Path | None, port: int) -> None:
        self._data_dir = config.node.data_dir
        self._config_path = config_path
        self._environment = {"EXCLAVE_NODE__PORT": str(port)}

    async def run(self, number: int) -> Ended:
        code = await run_process(worker_command(self._config_path, number), self._environment, number)
        return Ended(code, last_owner(self._data_dir, number))
