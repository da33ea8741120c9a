from __future__ import annotations

import pytest
from support.chain import session, word

from exclave.store import JobState, Leaf, NewBatch, RecordConflict, RecordNotFound, StateConflict, Store


def batch(key: str, *session_ids: int) -> NewBatch:
    leaves = [Leaf(i, session_id, b"leaf") for i, session_id in enumerate(session_ids)]
    return NewBatch(word("root", key), word("terms"), 0, b"data", key, leaves)


def test_a_job_moves_only_from_the_expected_state(store: Store) -> None:
    store.sessions.put(session(1))
    assert store.jobs.open(1)
    assert not store.jobs.open(1)
    store.jobs.move(1, 0, [JobState.OPEN], JobState.ENDED, last_number=7)
    with pytest.raises(StateConflict, match="session 1 from block 0 isn't open"):
        store.jobs.move(1, 0, [JobState.OPEN], JobState.ENDED, last_number=9)
    with pytest.raises(StateConflict):
        store.jobs.move(2, 0, [JobState.OPEN], JobState.ENDED)
    job = store.jobs.get(1)
    assert job is not None and (job.state, job.last_number) == (JobState.ENDED, 7)


def test_a_long_session_has_a_job_per_checkpoint(store: Store) -> None:
    store.sessions.put(session(1))
    store.jobs.open(1, 0)
    with store.transaction() as connection:
        store.jobs.move(1, 0, [JobState.OPEN], JobState.ENDED, last_number=99, connection=connection)
        store.jobs.open(1, 100, connection=connection)
    assert [(job.first_number, job.state) for job in store.jobs.of_session(1)] == [
        (0, JobState.ENDED),
        (100, JobState.OPEN),
    ]


def test_due_jobs_and_counts(store: Store) -> None:
    for session_id in (1, 2, 3):
        store.sessions.put(session(session_id))
        store.jobs.open(session_id)
    store.jobs.move(2, 0, [JobState.OPEN], JobState.ENDED, not_before=500, attempts=2, error="no gas")
    store.jobs.move(3, 0, [JobState.OPEN], JobState.ENDED)
    assert [job.session_id for job in store.jobs.due([JobState.ENDED], 499)] == [3]
    assert [job.session_id for job in store.jobs.due([JobState.ENDED, JobState.OPEN], 500)] == [1, 2, 3]
    assert store.jobs.counts()[JobState.ENDED] == 2
    assert store.jobs.counts()[JobState.SETTLED] == 0
    job = store.jobs.get(2)
    assert job is not None and (job.attempts, job.error) == (2, "no gas")


def test_failed_jobs_are_retried_when_a_person_asks(store: Store) -> None:
    store.sessions.put(session(1))
    for first in (0, 5):
        store.jobs.open(1, first)
        store.jobs.move(1, first, [JobState.OPEN], JobState.ENDED, last_number=first + 5)
    store.jobs.move(1, 5, [JobState.ENDED], JobState.FAILED, attempts=3, not_before=10**9, claim_id=7, error="killed")
    assert store.jobs.retry(1) == 1
    job = store.jobs.get(1, 5)
    assert job is not None
    assert (job.state, job.attempts, job.not_before, job.claim_id) == (JobState.ENDED, 0, 0, None)
    assert job.error == "killed"  # until it is claimed
    assert store.jobs.retry(1) == 0


def test_batches_of_one_root_are_counted(store: Store) -> None:
    store.sessions.put(session(1))
    root = word("root", "claim:1")
    assert store.batches.count_of_root(root) == 0
    store.batches.create(batch("claim:1", 1))
    assert store.batches.count_of_root(root) == 1


def test_a_batch_and_its_jobs_are_recorded_together(store: Store) -> None:
    for session_id in (1, 2):
        store.sessions.put(session(session_id))
        store.jobs.open(session_id)
    with store.transaction() as connection:
        batch_id = store.batches.create(batch("claim:1", 1, 2), connection=connection)
        for index, session_id in enumerate((1, 2)):
            store.jobs.move(
                session_id,
                0,
                [JobState.OPEN],
                JobState.BATCHED,
                batch_id=batch_id,
                leaf_index=index,
                claim_intent="claim:1",
                connection=connection,
            )
    stored = store.batches.get(batch_id)
    assert stored is not None
    assert (stored.claims_root, stored.data, stored.intent_key, stored.claim_id) == (
        word("root", "claim:1"),
        b"data",
        "claim:1",
        None,
    )
    assert [leaf.session_id for leaf in store.batches.leaves(batch_id)] == [1, 2]
    assert store.batches.by_root(word("root", "claim:1")) == stored
    assert store.batches.by_root(word("nothing")) is None
    assert store.batches.get(batch_id + 1) is None


def test_invariant_i7_a_batch_has_an_intent_of_its_own(store: Store) -> None:
    store.sessions.put(session(1))
    store.batches.create(batch("claim:1", 1))
    with pytest.raises(RecordConflict, match="claim:1"):
        store.batches.create(batch("claim:1", 1))
    assert len(store.batches.find()) == 1


def test_a_batch_finds_its_claim_and_loses_it_in_a_reorg(store: Store) -> None:
    store.sessions.put(session(1))
    first, second = (store.batches.create(batch(key, 1)) for key in ("a", "b"))
    store.batches.set_claim(first, 12)
    assert store.batches.get(first).claim_id == 12
    store.batches.set_claim(first, None)
    assert store.batches.get(first).claim_id is None
    with pytest.raises(RecordNotFound):
        store.batches.set_claim(99, 1)
    assert [b.batch_id for b in store.batches.find()] == [second, first]
    assert [b.batch_id for b in store.batches.find(before=second)] == [first]
