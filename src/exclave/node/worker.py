"""One of the processes of `exclave node --workers`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Worker:
    """`number` counts from 0; `parent` is the process id of the one that starts it again when it dies."""

    number: int
    parent: int


def worker_directory(data_dir: Path, number: int) -> Path:
    """What is a worker's own: its lock, and the name under which it holds leases."""
    return data_dir / f"worker-{number}"
