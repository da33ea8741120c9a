"""The store of intents, on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from l1.bench import Clock

from exclave.l1.intents import (
    Attempt,
    Intent,
    IntentConflict,
    IntentState,
    KeyInUse,
    KeyLeased,
    NonceConflict,
    Purpose,
    UnknownIntent,
)
from exclave.l1.transactions import Fees
from exclave.store import StateConflict, Store

CHAIN = 31337
SENDER = b"\x11" * 20


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    with Store(database_url, clock=clock) as opened:
        opened.migrate()
        yield opened


def attempt(nonce: int, mark: int = 1, purpose: Purpose = Purpose.EFFECT) -> Attempt:
    return Attempt(bytes([nonce, mark]) * 16, nonce, purpose, Fees(2**200, 7, 2**100), 21_000, b"raw%d" % mark, 1.5)


def test_an_intent_round_trips_with_all_that_it_has(store: Store) -> None:
    blobs = (b"\x01" * 131_072, b"\x02" * 131_072)
    intent = Intent("key", b"\x22" * 20, b"data", 2**255, blobs, 50_000, 99, "kind", False)
    record = store.intents.insert(intent, CHAIN, SENDER)
    assert (record.key, record.to, record.data, record.value) == ("key", b"\x22" * 20, b"data", 2**255)
    assert (record.gas_limit, record.not_after, record.kind, record.preflight) == (50_000, 99, "kind", False)
    assert (record.blob_count, store.intents.blobs("key")) == (2, blobs)
    assert (record.state, record.nonce, record.attempts) == (IntentState.QUEUED, None, ())
    assert store.intents.get("key") == record
    assert store.intents.get("other") is None
    creation = store.intents.insert(Intent("creation", None, b"code"), CHAIN, SENDER)
    assert creation.to is None


def test_a_key_is_one_effect(store: Store) -> None:
    first = store.intents.insert(Intent("key", SENDER, b"a"), CHAIN, SENDER)
    # Its gas limit and time are not its effect: those of the first hold.
    assert store.intents.insert(Intent("key", SENDER, b"a", gas_limit=30_000), CHAIN, SENDER) == first
    for other, chain, sender in (
        (Intent("key", SENDER, b"b"), CHAIN, SENDER),
        (Intent("key", SENDER, b"a", value=1), CHAIN, SENDER),
        (Intent("key", None, b"a"), CHAIN, SENDER),
        (Intent("key", SENDER, b"a", blobs=(b"x",)), CHAIN, SENDER),
        (Intent("key", SENDER, b"a"), 1, SENDER),
        (Intent("key", SENDER, b"a"), CHAIN, b"\x33" * 20),
    ):
        with pytest.raises(IntentConflict):
            store.intents.insert(other, chain, sender)


def test_an_intent_is_recorded_with_what_it_is_about_or_not_at_all(store: Store) -> None:
    with pytest.raises(RuntimeError, match="on purpose"), store.transaction() as connection:
        store.intents.insert(Intent("key", SENDER), CHAIN, SENDER, connection=connection)
        raise RuntimeError("on purpose")
    assert store.intents.get("key") is None


def test_invariant_i7_attempts_share_one_nonce(store: Store) -> None:
    lease = store.intents.acquire(CHAIN, SENDER, "me", 10)
    for key in ("one", "two"):
        store.intents.insert(Intent(key, SENDER, key.encode()), CHAIN, SENDER)
    record = store.intents.add_attempt(lease, "one", attempt(4), 100)
    assert (record.state, record.nonce, record.first_block) == (IntentState.SENT, 4, 100)
    record = store.intents.add_attempt(lease, "one", attempt(4, 2, Purpose.CANCEL), 105)
    assert record.attempts == (attempt(4), attempt(4, 2, Purpose.CANCEL))
    assert (record.first_block, record.cancelling) == (100, True)
    with pytest.raises(NonceConflict):
        store.intents.add_attempt(lease, "one", attempt(5), 105)
    with pytest.raises(NonceConflict):
        store.intents.add_attempt(lease, "two", attempt(4, 3), 105)
    with pytest.raises(UnknownIntent):
        store.intents.add_attempt(lease, "three", attempt(6), 105)
    assert store.intents.next_nonce(CHAIN, SENDER) == 5
    assert store.intents.next_nonce(1, SENDER) is None
    owner = store.intents.by_nonce(CHAIN, SENDER, 4)
    assert owner is not None
    assert owner.key == "one"
    assert store.intents.by_nonce(CHAIN, SENDER, 5) is None


def test_invariant_i7_a_nonce_is_released_only_for_anothers_transaction(store: Store) -> None:
    lease = store.intents.acquire(CHAIN, SENDER, "me", 10)
    store.intents.insert(Intent("key", SENDER), CHAIN, SENDER)
    store.intents.add_attempt(lease, "key", attempt(4), 100)
    with pytest.raises(NonceConflict):
        store.intents.release_nonce(lease, "key", 4, attempt(4).hash)
    with pytest.raises(NonceConflict):
        store.intents.release_nonce(lease, "key", 5, b"\x99" * 32)
    record = store.intents.release_nonce(lease, "key", 4, b"\x99" * 32)
    assert (record.state, record.nonce, record.first_block) == (IntentState.QUEUED, None, None)
    record = store.intents.add_attempt(lease, "key", attempt(5), 110)
    assert [item.nonce for item in record.attempts] == [4, 5]
    assert [item.nonce for item in record.current_attempts] == [5]


def test_gap_fillers_take_only_nonces_that_nobody_has(store: Store) -> None:
    lease = store.intents.acquire(CHAIN, SENDER, "me", 10)
    filler = store.intents.insert_gap_filler(lease, CHAIN, SENDER, attempt(4, 1, Purpose.CANCEL), 100)
    assert (filler.state, filler.nonce, filler.is_gap_filler) == (IntentState.SENT, 4, True)
    with pytest.raises(NonceConflict):
        store.intents.insert_gap_filler(lease, CHAIN, SENDER, attempt(4, 2, Purpose.CANCEL), 100)


def test_states_change_only_from_what_was_seen(store: Store) -> None:
    lease = store.intents.acquire(CHAIN, SENDER, "me", 10)
    store.intents.insert(Intent("key", SENDER), CHAIN, SENDER)
    moved = store.intents.move(lease, "key", [IntentState.QUEUED], IntentState.FAILED, reason="no", revert_data=b"\x01")
    assert (moved.state, moved.reason, moved.revert_data) == (IntentState.FAILED, "no", b"\x01")
    with pytest.raises(StateConflict):
        store.intents.move(lease, "key", [IntentState.QUEUED], IntentState.ABANDONED)
    with pytest.raises(UnknownIntent):
        store.intents.move(lease, "other", [IntentState.QUEUED], IntentState.ABANDONED)
    assert store.intents.open(CHAIN, SENDER) == []


def test_invariant_i7_a_lost_lease_writes_nothing(store: Store, clock: Clock) -> None:
    lease = store.intents.acquire(CHAIN, SENDER, "me", 10)
    store.intents.insert(Intent("key", SENDER), CHAIN, SENDER)
    with pytest.raises(KeyLeased) as held:
        store.intents.acquire(CHAIN, SENDER, "other", 10)
    assert 0 < held.value.expires_in <= 10
    clock.seconds += 11
    store.intents.acquire(CHAIN, SENDER, "other", 10)
    for write in (
        lambda: store.intents.add_attempt(lease, "key", attempt(1), 0),
        lambda: store.intents.move(lease, "key", [IntentState.QUEUED], IntentState.FAILED),
        lambda: store.intents.insert_gap_filler(lease, CHAIN, SENDER, attempt(1), 0),
        lambda: store.intents.release_nonce(lease, "key", 1, b""),
        lambda: store.intents.renew(lease, 10),
    ):
        with pytest.raises(KeyInUse):
            write()
    record = store.intents.get("key")
    assert record is not None
    assert (record.state, record.attempts) == (IntentState.QUEUED, ())


def test_lists_are_in_order(store: Store) -> None:
    lease = store.intents.acquire(CHAIN, SENDER, "me", 10)
    for i in range(5):
        store.intents.insert(Intent(f"key {i}", SENDER), CHAIN, SENDER)
    store.intents.insert(Intent("elsewhere", SENDER), 1, SENDER)
    store.intents.move(lease, "key 2", [IntentState.QUEUED], IntentState.CONFIRMED)
    assert [record.key for record in store.intents.open(CHAIN, SENDER)] == ["key 0", "key 1", "key 3", "key 4"]
    newest = store.intents.find(limit=2)
    assert [record.key for record in newest] == ["elsewhere", "key 4"]
    assert [r.key for r in store.intents.find(before=newest[-1].sequence, limit=2)] == ["key 3", "key 2"]
    assert [record.key for record in store.intents.find([IntentState.CONFIRMED])] == ["key 2"]
