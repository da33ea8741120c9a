"""One node per data directory, and the name under which it holds its leases.

The operating system's lock on a file goes when its process dies, however it dies. So a node that restarts after
`kill -9` may take over its own leases at once (they are in the name that the directory keeps), and a second node on the
same directory is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
from pathlib import Path

from exclave.node.supervisor import FatalError


class InstanceLock:
    """The exclusive use of a data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None
        self.owner = ""

    def acquire(self) -> str:
        """Lock the directory (created if needed) and return the owner's name.

        Raises `FatalError` if another node has it.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._directory / "node.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FatalError(f"the data directory {self._directory} can't be used: {error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise FatalError(
                f"another node (process {holder}) runs in {self._directory}: stop it, "
                "or give this one a data directory of its own"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor
        self.owner = self._name()
        return self.owner

    def release(self) -> None:
        """Let the next node in."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def last_owner(self) -> str | None:
        """Under which name the directory's last node on this machine held its leases; None if there was none."""
        with contextlib.suppress(FileNotFoundError):
            name = (self._directory / "node.id").read_text(encoding="ascii").strip()
            if name.startswith(self._prefix()):  # a directory that was copied to another machine is another owner
                return name
        return None

    @staticmethod
    def _prefix() -> str:
        return f"{socket.gethostname()}:"

    def _name(self) -> str:
        if (name := self.last_owner()) is not None:
            return name
        path = self._directory / "node.id"
        name = self._prefix() + secrets.token_hex(8)
        temporary = path.with_suffix(".new")
        temporary.write_text(name, encoding="ascii")
        os.replace(temporary, path)
        return name
