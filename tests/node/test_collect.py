"""Which ranges become jobs, without an L1."""

from __future__ import annotations

from typing import Any

import pytest
from support.chain import block, session

from exclave.coordinator import collect
from exclave.protocol import DataMode, Terms
from exclave.store import JobState, Store, session_resource

TERMS = Terms(b"\x01" * 20, bytes(20), bytes(20), bytes(32), 5, 6, 7, 8, 9, DataMode.CALLDATA)


@pytest.fixture
def store(sqlite_url: str) -> Store:
    """Three ended sessions, of which the last isn't served."""
    store = Store(sqlite_url)
    store.migrate()
    for session_id, refusal in ((1, None), (2, None), (3, "its terms aren't accepted")):
        store.sessions.put(session(session_id, terms=TERMS.encode(), refusal=refusal))
        token = store.leases.acquire(session_resource(session_id), "a", 60).token
        store.blocks.write([block(session_id, 1, result=b"result")], {session_id: token})
    return store


def test_sessions_that_are_not_served_are_not_claimed(store: Store) -> None:
    assert collect.collect_ranges(store, 0) == 2
    assert [store.jobs.of_session(session_id) != [] for session_id in (1, 2, 3)] == [True, True, False]


def test_invariant_i5_a_session_that_can_not_be_cut_up_does_not_keep_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_range = collect.cut_range

    def stumble(store: Store, found: Any, *arguments: int) -> int:
        if found.session_id == 1:
            raise ValueError("a stray error")
        return cut_range(store, found, *arguments)

    monkeypatch.setattr(collect, "cut_range", stumble)
    assert collect.collect_ranges(store, 0) == 1
    job = store.jobs.get(2)
    assert job is not None and (job.state, job.last_number) == (JobState.ENDED, 1)
    monkeypatch.undo()
    assert collect.collect_ranges(store, 0) == 1
