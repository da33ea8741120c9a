"""The processes of the demo: anvil as L1, and a node as its users run it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import exclave

CHECKOUT = Path(exclave.__file__).resolve().parents[2]
ANVIL = CHECKOUT / "toolchain" / "bin" / "anvil"
START_SECONDS = 60.0
STOP_SECONDS = 20.0


class ProcessFailed(Exception):
    """A process didn't start or ended too early; the text has the end of its output."""


class Process:
    """A child process whose output goes to a file."""

    def __init__(self, name: str, log: Path, child: asyncio.subprocess.Process) -> None:
        self.name = name
        self.log = log
        self._child = child

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def check(self) -> None:
        """Raises `ProcessFailed` when it has ended."""
        if self._child.returncode is not None:
            raise ProcessFailed(f"{self.name} ended with exit code {self._child.returncode}:\n{self.tail()}")

    async def wait_for_line(self, pattern: str) -> str:
        """The first group of `pattern` in its output. Raises `ProcessFailed`."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while True:
                    if match := re.search(pattern, self.log.read_text(errors="replace")):
                        return match[1]
                    self.check()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise ProcessFailed(f"{self.name} didn't start in {START_SECONDS:.0f} s:\n{self.tail()}") from None

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when it takes too long."""
        if self._child.returncode is not None:
            return
        self._child.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._child.wait()
        except TimeoutError:
            self._child.kill()
            await self._child.wait()


@contextlib.asynccontextmanager
async def process(
    name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Start a process; it is stopped on leaving."""
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for the demo, which stops its children in order
        )
    running = Process(name, log, child)
    try:
        yield running
    finally:
        await running.stop()


@contextlib.asynccontextmanager
async def anvil(directory: Path) -> AsyncIterator[str]:
    """An L1 of Osaka rules with a block a second; yields its URL."""
    if not ANVIL.exists():
        raise ProcessFailed("anvil isn't installed: run scripts/demo in a checkout, it installs what is missing")
    command = [str(ANVIL), "--host", "127.0.0.1", "--port", "0", "--hardfork", "osaka", "--enable-tx-gas-limit"]
    command += ["--block-time", "1", "--slots-in-an-epoch", "1"]
    async with process("anvil", command, directory / "anvil.log") as running:
        yield "http://" + await running.wait_for_line(r"Listening on (127\.0\.0\.1:\d+)")


@contextlib.asynccontextmanager
async def node(config: Path, environment: Mapping[str, str], log: Path) -> AsyncIterator[Process]:
    """`exclave node` with a configuration file."""
    command = [sys.executable, "-c", "from exclave.cli import main; main()", "node", "--config", str(config)]
    async with process("the node", command, log, environment) as running:
        yield running


def interrupts() -> asyncio.Event:
    """Set when SIGINT or SIGTERM arrives."""
    event = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    return event
