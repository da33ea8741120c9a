from __future__ import annotations

import pytest
from support.chain import block, session

from exclave.store import Refusal, SessionChange, SessionsRefused, Store
from exclave.store import changes as changes_module


def changes(store: Store, since: int = 0) -> list[SessionChange] | None:
    return store.read(lambda tx: store.changes.since(since, connection=tx))


def test_changes_are_read_in_order_from_where_one_was(store: Store) -> None:
    assert store.changes.last() == 0 and changes(store) == []
    with store.transaction() as tx:
        store.changes.touch([3, 1], connection=tx)
    with store.transaction() as tx:
        store.changes.touch([], connection=tx)
        store.changes.touch([2], connection=tx)
    assert changes(store) == [SessionChange(1, 3, None), SessionChange(2, 1, None), SessionChange(3, 2, None)]
    assert changes(store, 2) == [SessionChange(3, 2, None)]
    assert changes(store, store.changes.last()) == []


def test_invariant_i4_a_revoked_session_is_not_written_any_more(store: Store) -> None:
    for session_id in (1, 2, 3):
        store.sessions.put(session(session_id))
    held = {session_id: store.leases.acquire(f"session:{session_id}", "a", 60) for session_id in (1, 2)}
    tokens = {session_id: lease.token for session_id, lease in held.items()}
    with store.transaction() as tx:
        store.changes.revoke([1, 3], connection=tx)
    assert changes(store) == [SessionChange(1, 1, tokens[1] + 1)]
    with pytest.raises(SessionsRefused) as refused:
        store.blocks.write([block(1, 1), block(2, 1)], tokens)
    assert refused.value.refusals == {1: Refusal.LEASE_LOST}
    assert store.leases.holder("session:1") is None
    # Whoever takes it now has a token that the revocation doesn't mean.
    again = store.leases.acquire("session:1", "a", 60)
    assert again.token > tokens[1] + 1
    store.blocks.write([block(1, 1)], {1: again.token})


def test_a_revocation_that_is_undone_takes_nothing_away(store: Store) -> None:
    store.sessions.put(session(1))
    lease = store.leases.acquire("session:1", "a", 60)
    with pytest.raises(RuntimeError), store.transaction() as tx:
        store.changes.revoke([1], connection=tx)
        raise RuntimeError
    assert changes(store) == []
    store.blocks.write([block(1, 1)], {1: lease.token})


def test_who_missed_too_much_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes_module, "KEPT", 3)
    for session_id in range(1, 7):
        with store.transaction() as tx:
            store.changes.touch([session_id], connection=tx)
    assert changes(store, 2) is None
    kept = changes(store, 3)
    assert kept is not None and [change.session_id for change in kept] == [4, 5, 6]


def test_all_that_a_dead_process_had_is_given_back(store: Store) -> None:
    store.leases.acquire("session:1", "dead", 60)
    store.leases.acquire("node", "dead", 60)
    kept = store.leases.acquire("session:2", "alive", 60)
    store.leases.release_owner("dead")
    assert store.leases.holder("session:1") is None and store.leases.holder("node") is None
    assert store.leases.holder("session:2") == kept
