"""The store when processes die or stall at any moment."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select
from support.chain import block, session

from exclave.store import LeaseHeld, Store, session_resource
from exclave.store.schema import blocks, heads

WRITER = Path(__file__).with_name("writer.py")
SESSIONS = (1, 2, 3)


def start_writer(
    url: str, owner: str, fork: str, *, seconds: float = 60, stall_after: int = 0
) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), url, owner, str(seconds), fork, str(stall_after), *map(str, SESSIONS)]
    environment = {**os.environ, "PYTHONPATH": str(WRITER.parent.parent)}
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def acknowledged(lines: list[str]) -> dict[int, int]:
    """The last acknowledged block of each session. A line that was cut off by the kill acknowledges nothing."""
    last: dict[int, int] = {}
    for line in lines:
        if line.startswith("ack ") and line.endswith("\n"):
            _, session_id, number = line.split()
            last[int(session_id)] = int(number)
    return last


def check_whole(store: Store) -> None:
    """Every stored block is complete: its chain, its transactions, its head."""
    for session_id in SESSIONS:
        chain = list(store.blocks.load(session_id))
        assert [b.number for b in chain] == list(range(1, len(chain) + 1))
        for parent, child in itertools.pairwise(chain):
            assert child.parent_hash == parent.hash
        assert all(len(b.transactions) == 2 for b in chain)
        with store.snapshot() as connection:
            query = select(func.count()).select_from(blocks).where(blocks.c.session_id == session_id)
            assert connection.scalar(query) == len(chain)
            if chain:
                head = connection.execute(select(heads).where(heads.c.session_id == session_id)).one()
                assert (head.number, head.hash) == (chain[-1].number, chain[-1].hash)


def kill_and_reopen(url: str, kills: int) -> None:
    chance = random.Random(1)
    with Store(url) as store:
        store.migrate()
        for session_id in SESSIONS:
            store.sessions.put(session(session_id))
    last = dict.fromkeys(SESSIONS, 0)
    for round_ in range(kills):
        # The same owner name: the next process takes its leases over without waiting.
        writer = start_writer(url, "node", f"fork {round_}")
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(chance.randrange(1, 40))]
        time.sleep(chance.random() * 0.02)
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        last.update(acknowledged(lines))
        with Store(url) as store:
            check_whole(store)
            assert store.verify() == []
            for session_id in SESSIONS:
                head = store.blocks.head(session_id)
                assert (head.number if head else 0) >= last[session_id]
    assert min(last.values()) > 0


def test_invariant_i6_acknowledged_blocks_survive_kill_9(database_url: str) -> None:
    kill_and_reopen(database_url, 5)


@pytest.mark.slow
def test_invariant_i6_acknowledged_blocks_survive_a_hundred_kills(database_url: str) -> None:
    kill_and_reopen(database_url, 100)


def test_invariant_i6_a_stalled_process_writes_nothing_after_its_lease_was_taken(database_url: str) -> None:
    with Store(database_url) as store:
        store.migrate()
        for session_id in SESSIONS:
            store.sessions.put(session(session_id))
        stalled = start_writer(database_url, "a", "a", seconds=0.5, stall_after=4)
        os.waitpid(stalled.pid, os.WUNTRACED)
        try:
            successors = {}
            while len(successors) < len(SESSIONS):
                for session_id in SESSIONS:
                    with contextlib.suppress(LeaseHeld):
                        lease = store.leases.acquire(session_resource(session_id), "b", 60)
                        successors[session_id] = lease.token
                time.sleep(0.05)
            for session_id, token in successors.items():
                head = store.blocks.head(session_id)
                assert head is not None and head.number == 8
                mine = block(session_id, 9, fork="b", parent_hash=head.hash)
                store.blocks.write([mine], {session_id: token})
        finally:
            stalled.send_signal(signal.SIGCONT)
        lines, _ = stalled.communicate(timeout=60)
        assert [line for line in lines.splitlines() if line.startswith("refused")] == [f"refused {i}" for i in SESSIONS]
        check_whole(store)
        for session_id in SESSIONS:
            assert store.blocks.head(session_id).hash == block(session_id, 9, fork="b").hash
