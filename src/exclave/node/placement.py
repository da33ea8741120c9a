"""Which process of a deployment takes a session that nobody has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from exclave.store import Process


class Placement:
    """The processes that share the database, as they were last seen.

    A session that nobody holds goes to its home: by rendezvous hashing (Thaler and Ravishankar, 1998) all processes
    agree on it as soon as they know of each other, and when one comes or goes only its own sessions move. Leases decide
    in any case: who is wrong about a home is told by whoever has the session.
    """

    def __init__(self, owner: str) -> None:
        """`owner`: this process's name in leases."""
        self._owner = owner
        self._processes: dict[str, Process] = {}

    def learn(self, processes: Sequence[Process]) -> None:
        """What the store has now."""
        self._processes = {process.owner: process for process in processes}

    def url_of(self, owner: str) -> str | None:
        """Where a process is reached, or was while it lived; None if it has no peers."""
        process = self._processes.get(owner)
        return process.url if process else None

    def home(self, session_id: int) -> str | None:
        """The URL of the process that is to take the session; None: this one."""
        others = [process for process in self._processes.values() if process.alive and process.owner != self._owner]
        if not others:
            return None
        best = max((process.owner for process in others), key=lambda owner: _weight(owner, session_id))
        if _weight(self._owner, session_id) >= _weight(best, session_id):
            return None
        return self._processes[best].url


def _weight(owner: str, session_id: int) -> bytes:
    return hashlib.blake2b(f"{owner}/{session_id}".encode(), digest_size=8).digest()
