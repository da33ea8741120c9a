from __future__ import annotations

from exclave.store import Process, Store
from exclave.store.processes import REMEMBERED


def test_a_process_lives_while_it_says_so(store: Store, clock) -> None:
    store.processes.announce("a", "http://a", 10)
    store.processes.announce("b", "http://b", 10)
    clock.seconds += 6
    store.processes.announce("a", "http://a:2", 10)
    clock.seconds += 6
    # Where a dead one was is still known: it may only be slow, and its sessions are its own until its leases are over.
    assert store.processes.all() == [Process("a", "http://a:2", True), Process("b", "http://b", False)]
    store.processes.withdraw("a")
    assert store.processes.all() == [Process("b", "http://b", False)]


def test_dead_processes_are_forgotten_in_the_end(store: Store, clock) -> None:
    store.processes.announce("a", "http://a", 10)
    clock.seconds += REMEMBERED + 11
    store.processes.announce("b", "http://b", 10)
    assert [process.owner for process in store.processes.all()] == ["b"]
