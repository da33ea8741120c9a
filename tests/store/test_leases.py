from __future__ import annotations

import pytest
from sqlalchemy import event

from exclave.store import LeaseHeld, LeaseLost, Store


def test_a_second_owner_is_refused_until_the_lease_expires(store: Store, clock) -> None:
    first = store.leases.acquire("session:1", "a", 10)
    with pytest.raises(LeaseHeld) as refused:
        store.leases.acquire("session:1", "b", 10)
    assert refused.value.owner == "a"
    assert "held by a for another 10.0 s" in str(refused.value)

    clock.seconds += 9.9
    with pytest.raises(LeaseHeld):
        store.leases.acquire("session:1", "b", 10)
    clock.seconds += 0.2
    second = store.leases.acquire("session:1", "b", 10)
    assert second.token > first.token
    assert store.leases.holder("session:1") == second


def test_renewal_prolongs_and_fails_after_a_take_over(store: Store, clock) -> None:
    one = store.leases.acquire("session:1", "a", 10)
    two = store.leases.acquire("session:2", "a", 10)
    clock.seconds += 9
    one, two = store.leases.renew([one, two], 10)
    clock.seconds += 9
    with pytest.raises(LeaseHeld):
        store.leases.acquire("session:1", "b", 10)
    clock.seconds += 2
    store.leases.acquire("session:1", "b", 10)

    # Session 2 expired too, but nobody took it: it is prolonged although session 1 is lost.
    with pytest.raises(LeaseLost) as lost:
        store.leases.renew([one, two], 10)
    assert lost.value.resources == {"session:1"}
    with pytest.raises(LeaseHeld):
        store.leases.acquire("session:2", "b", 10)


def test_many_leases_are_renewed_in_few_statements(store: Store) -> None:
    held = [store.leases.acquire(f"session:{number}", "a", 10) for number in range(40)]
    again = store.leases.acquire("session:7", "a", 10)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    with store.transaction() as connection:
        event.listen(connection, "before_cursor_execute", note)
        with_others = [lease for lease in held if lease.resource != "session:7"] + [again]
        assert len(store.leases.renew(with_others, 60, connection=connection)) == 40
    assert len(statements) <= 3
    with pytest.raises(LeaseLost) as lost:
        store.leases.renew(held, 60)
    assert lost.value.resources == {"session:7"}


def test_a_released_lease_is_free_at_once_and_its_token_is_stale(store: Store) -> None:
    lease = store.leases.acquire("session:1", "a", 10)
    store.leases.release([lease])
    assert store.leases.holder("session:1") is None
    with store.transaction() as connection, pytest.raises(LeaseLost):
        store.leases.check(lease, connection=connection)
    assert store.leases.acquire("session:1", "b", 10).token > lease.token
    store.leases.release([lease])  # no longer ours: has no effect
    assert store.leases.holder("session:1") is not None


def test_an_owner_takes_its_own_lease_again_and_fences_its_earlier_self(store: Store) -> None:
    before = store.leases.acquire("signer:0x01", "a", 10)
    after = store.leases.acquire("signer:0x01", "a", 10)
    assert after.token > before.token
    with store.transaction() as connection:
        store.leases.check(after, connection=connection)
        with pytest.raises(LeaseLost):
            store.leases.check(before, connection=connection)


def test_tokens_grow_through_any_history(store: Store, clock) -> None:
    tokens = []
    for round_ in range(30):
        lease = store.leases.acquire("session:7", f"owner {round_ % 3}", 1)
        tokens.append(lease.token)
        if round_ % 2:
            store.leases.release([lease])
        else:
            clock.seconds += 1.001
    assert tokens == sorted(set(tokens))


def test_the_default_clock_is_the_databases_where_machines_share_it(database_url: str) -> None:
    with Store(database_url) as store:
        store.migrate()
        lease = store.leases.acquire("session:1", "a", 60)
        assert store.leases.holder("session:1") == lease
        with store.snapshot() as connection:
            assert abs(lease.expires_at_ms - 60_000 - store.now_ms(connection)) < 30_000


def test_many_are_taken_at_once_but_for_those_of_others(store: Store, clock) -> None:
    theirs = store.leases.acquire("session:2", "b", 10)
    mine = store.leases.acquire("session:3", "a", 10)
    taken, held = store.leases.acquire_many(["session:1", "session:2", "session:3"], "a", 60)
    assert {resource: error.owner for resource, error in held.items()} == {"session:2": "b"}
    assert set(taken) == {"session:1", "session:3"}
    assert (taken["session:1"].token, taken["session:3"].token) == (1, mine.token + 1)
    assert store.leases.holder("session:2") == theirs
    assert all(store.leases.holder(resource) == lease for resource, lease in taken.items())
    clock.seconds += 11
    assert store.leases.acquire_many(["session:2"], "a", 60)[0]["session:2"].token == theirs.token + 1
    names = [f"session:{index}" for index in range(10, 2_600)]
    assert set(store.leases.acquire_many(names, "a", 60)[0]) == set(names)
    assert store.leases.acquire_many([], "a", 60) == ({}, {})
