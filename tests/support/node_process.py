"""A node as its users run it: a process of its own with a configuration file, to be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from exclave.store import Store, Template
from support.anvil import account
from support.world import OPERATOR_KEY, World

SIGNER = 8
"""Index of the anvil account that pays for the node's L1 transactions."""


class RpcError(Exception):
    """The node answered with an error."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.code = int(error["code"])
        self.message = str(error["message"])
        super().__init__(f"{self.code}: {self.message}")


class Unreachable(Exception):
    """No answer: the node is down, or died while it worked on the request."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class NodeProcess:
    """`exclave node` in `directory`. The port stays the same over restarts, so that clients can go on.

    `overrides`: TOML values by `section.key`. `database_url`: by default a file in the directory. `workers`: with more
    than one, the process that is started here only keeps them; `ray`: on that cluster. `command`: what is run.
    """

    def __init__(
        self,
        world: World,
        directory: Path,
        overrides: Mapping[str, str] | None = None,
        database_url: str | None = None,
        workers: int = 1,
        operator_key: bytes = OPERATOR_KEY,
        ray: str | None = None,
        command: Sequence[str] = (sys.executable, "-m", "exclave"),
    ) -> None:
        self.ray = ray
        self._command = command
        self.workers = workers
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = database_url or f"sqlite:///{directory}/data/exclave.db"
        self.log_path = directory / "node.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._environment = {
            **os.environ,
            "EXCLAVE_PRIVATE_KEY": "0x" + bytes(account(SIGNER).key).hex(),
            "EXCLAVE_OPERATOR_KEY": "0x" + operator_key.hex(),
        }
        values = {
            "node.data_dir": json.dumps(str(directory / "data")),
            "node.port": str(self.port),
            "l1.rpc_urls": json.dumps([world.anvil.url]),
            "l1.chain_id": str(world.anvil.chain_id),
            "l1.zk_relayer": json.dumps("0x" + world.zk_relayer.hex()),
            "l1.start_block": str(world.deployed_in),
            "l1.confirmations": "1",
            "l1.poll_interval": "0.2",
            "signer.kind": '"environment"',
            "operator.kind": '"environment"',
            "coordinator.batch_delay": "1.0",
            "coordinator.poll_interval": "0.2",
            "coordinator.retry_delay": "1.0",
            "fees.bump_after": "6.0",
            "logging.level": '"info"',
            "logging.format": '"json"',
            **({"node.database_url": json.dumps(database_url)} if database_url else {}),
            **(overrides or {}),
        }
        self.config_path = directory / "exclave.toml"
        self.config_path.write_text(_toml(values))
        self._keep_template(world)

    def _keep_template(self, world: World) -> None:
        (self.directory / "data").mkdir(exist_ok=True)
        store = Store(self.database_url)
        store.migrate()
        template = world.template
        store.templates.put(Template(template.template_id, template.state_root, template.data_hash, template.data))
        store.close()

    def start(self, *, wait: bool = True) -> None:
        self.starts += 1
        with self.log_path.open("ab") as log:
            workers = ["--workers", str(self.workers)] if self.workers > 1 else []
            workers += ["--ray", self.ray] if self.ray else []
            self.process = subprocess.Popen(
                [*self._command, "node", "--config", str(self.config_path), *workers],
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self.directory,
            )
        if wait:
            self.wait_until_serving()

    def wait_until_serving(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            assert self.process is not None
            if (code := self.process.poll()) is not None:
                raise AssertionError(f"the node ended with {code}:\n{self.log_tail()}")
            with suppress(Unreachable):
                self.call("zkcop_health")
                return
            assert time.monotonic() < deadline, f"the node doesn't serve:\n{self.log_tail()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """`kill -9` of a process that runs."""
        assert self.process is not None
        code = self.process.poll()
        assert code is None, f"the node had ended by itself with {code}, there was nothing to kill:\n{self.log_tail()}"
        self.process.kill()
        assert self.process.wait(30) == -signal.SIGKILL

    def worker_processes(self) -> dict[int, int]:
        """The process ids of the workers that run now, by their number."""
        found = {}
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError, ValueError):
                arguments = command.read_bytes().decode().split("\0")
                if "--worker" in arguments and str(self.config_path) in arguments:
                    found[int(arguments[arguments.index("--worker") + 1])] = int(command.parent.name)
        return found

    def terminate(self, seconds: float = 30) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def stop(self) -> None:
        """However it is, it isn't running afterwards."""
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def log_tail(self, lines: int = 30) -> str:
        text = self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def call(self, method: str, *params: Any, session: int | None = None, timeout: float = 10) -> Any:
        """A JSON-RPC call. Raises `RpcError`, or `Unreachable` when the node is down."""
        path = "/" if session is None else f"/session/{session}"
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                answer = json.load(response)
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise Unreachable(str(error)) from error
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]


def _toml(values: Mapping[str, str]) -> str:
    sections: dict[str, list[str]] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"{name} = {value}")
    return "\n".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())
