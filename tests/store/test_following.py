from __future__ import annotations

import dataclasses

import pytest
from support.chain import block, session, word

from exclave.store import (
    Claim,
    ClaimStatus,
    InboxMessage,
    JobState,
    L1Block,
    Leaf,
    NewBatch,
    RecordConflict,
    SessionStatus,
    StateConflict,
    Store,
    session_resource,
)


def l1(number: int, fork: str = "a") -> L1Block:
    return L1Block(number, word("l1", number, fork))


def advance(store: Store, *numbers: int, keep: int = 1000) -> None:
    for number in numbers:
        with store.transaction() as connection:
            store.following.advance("relayer", l1(number), keep=keep, connection=connection)


def message(session_id: int, index: int, l1_block: int, fork: str = "a") -> InboxMessage:
    accumulator = word("inbox", session_id, index, fork)
    return InboxMessage(
        session_id, index, b"\x7e" + accumulator, accumulator, 1000, l1_block, word(l1_block), word("tx")
    )


def claim(claim_id: int, l1_block: int, **fields: object) -> Claim:
    values = dict(
        claim_id=claim_id,
        claimant=b"\x41" * 20,
        claims_root=word("root", claim_id),
        terms_hash=word("terms"),
        count=2,
        header=b"header",
        bond=2**96,
        claimed_at=2000,
        settleable_at=3000,
        data_hash=None,
        blob_hashes=(word("blob", 0), word("blob", 1)),
        l1_block_number=l1_block,
        l1_block_hash=word("l1", l1_block),
        l1_transaction_hash=word("tx", claim_id),
    )
    return Claim(**{**values, **fields})


def test_the_cursor_moves_forward_and_remembers_its_way(store: Store) -> None:
    assert store.following.cursor("relayer") is None
    advance(store, 5, 6, 9)
    assert store.following.cursor("relayer") == l1(9)
    assert store.following.history("relayer") == [l1(9), l1(6), l1(5)]
    assert store.following.history("relayer", limit=2) == [l1(9), l1(6)]
    assert store.following.cursor("challenger") is None
    for number in (9, 8):
        with pytest.raises(StateConflict, match="at L1 block 9 already"):
            advance(store, number)
    advance(store, *range(10, 20), keep=4)
    assert store.following.history("relayer") == [l1(19), l1(18), l1(17), l1(16)]


def test_the_cursor_moves_with_what_the_events_caused_or_not_at_all(store: Store) -> None:
    advance(store, 5)
    with pytest.raises(RuntimeError), store.transaction() as connection:
        store.sessions.put(session(1), connection=connection)
        store.following.advance("relayer", l1(6), connection=connection)
        raise RuntimeError("crash")
    assert store.following.cursor("relayer") == l1(5)
    assert store.sessions.get(1) is None


def test_inbox_messages_are_kept_in_order(store: Store) -> None:
    store.sessions.put(session(1))
    store.sessions.put(session(2))
    assert store.inbox.add([message(1, 0, 11), message(2, 0, 11), message(1, 1, 12)]) == 3
    assert store.inbox.add([message(1, 1, 12), message(1, 2, 13)]) == 1
    assert [m.message_index for m in store.inbox.load(1)] == [0, 1, 2]
    assert store.inbox.load(1, 2) == [message(1, 2, 13)]
    with pytest.raises(RecordConflict, match="another message at index 2"):
        store.inbox.add([message(1, 2, 14, fork="b")])
    assert store.inbox.load(1, 2) == [message(1, 2, 13)]


def test_a_rollback_undoes_what_the_dropped_blocks_caused(store: Store) -> None:
    for session_id, opened in ((1, 10), (2, 15), (3, 16), (4, 10)):
        store.sessions.put(session(session_id, opened_block=opened))
    advance(store, 10, 15, 16, 20)
    store.inbox.add([message(1, 0, 12), message(1, 1, 16), message(4, 0, 18)])
    for claim_id, at in ((1, 14), (2, 17)):
        store.claims.put(claim(claim_id, at), [Leaf(0, claim_id, b"leaf")])
    store.jobs.open(1)
    store.jobs.open(2)
    for session_id in (1, 2):
        store.jobs.move(session_id, 0, [JobState.OPEN], JobState.CLAIMED, claim_id=session_id)
    store.jobs.move(1, 0, [JobState.CLAIMED], JobState.SETTLED)
    store.sessions.set_outcome(1, SessionStatus.SETTLED, 18, b"result")
    store.sessions.set_callback_failed(1, 18)
    assert store.claims.set_released(1, 19)
    assert not store.claims.set_released(1, 19)

    undone = store.following.rollback("relayer", 15)

    assert undone.reorged_sessions == [3]
    assert undone.unseeded_sessions == [2]  # its seed is of block 16
    assert undone.reopened_sessions == [1]
    assert undone.shortened_inboxes == {1: 1, 4: 0}
    assert undone.removed_claims == [2]
    assert store.following.cursor("relayer") == l1(15)
    assert store.sessions.get(1) == session(1, opened_block=10)
    two, three = store.sessions.get(2), store.sessions.get(3)
    assert two is not None and (two.status, two.seed, two.genesis_hash) == (SessionStatus.OPEN, None, None)
    assert three is not None and three.status == SessionStatus.REORGED
    assert [m.message_index for m in store.inbox.load(1)] == [0]
    assert store.claims.get(2) is None and store.claims.leaves(2) == []
    assert store.claims.get(1) == claim(1, 14)
    job1, job2 = store.jobs.get(1), store.jobs.get(2)
    assert job1 is not None and job1.state == JobState.SETTLEABLE
    assert job2 is not None and (job2.state, job2.claim_id) == (JobState.BATCHED, None)
    # The same again changes nothing.
    again = store.following.rollback("relayer", 15)
    assert (again.reorged_sessions, again.reopened_sessions, again.removed_claims) == ([], [], [])


def test_a_claim_that_was_on_its_way_when_its_session_was_decided_is_so_again(store: Store) -> None:
    """INVARIANT I7: claimed anew only once its intent can't take effect any more."""
    for session_id in (1, 2):
        store.sessions.put(session(session_id))
        store.jobs.open(session_id)
    leaf = Leaf(0, 1, b"leaf")
    batch = store.batches.create(NewBatch(word("root"), word("terms"), 0, b"data", "claim:root:0", [leaf]))
    store.jobs.move(1, 0, [JobState.OPEN], JobState.BATCHED, batch_id=batch, leaf_index=0, claim_intent="claim:root:0")
    store.jobs.move(2, 0, [JobState.OPEN], JobState.ENDED)
    for session_id, before in ((1, JobState.BATCHED), (2, JobState.ENDED)):
        store.jobs.move(session_id, 0, [before], JobState.SETTLED, settle_transaction=word("abort"))
        store.sessions.set_outcome(session_id, SessionStatus.ABORTED, 18)

    assert store.following.rollback("relayer", 15).reopened_sessions == [1, 2]

    job1, job2 = store.jobs.get(1), store.jobs.get(2)
    assert job1 is not None and job2 is not None
    assert (job1.state, job1.claim_intent, job1.settle_transaction) == (JobState.BATCHED, "claim:root:0", None)
    assert job2.state == JobState.SETTLEABLE


def test_a_session_that_comes_back_after_a_reorg_keeps_its_blocks(store: Store) -> None:
    store.sessions.put(session(1))
    token = store.leases.acquire(session_resource(1), "a", 60).token
    store.blocks.write([block(1, 1), block(1, 2)], {1: token})
    store.following.rollback("relayer", 9)
    assert store.sessions.put(session(1, seed=None, genesis_hash=None, l1_block_hash=word("l1", 10, "b")))
    back = store.sessions.get(1)
    assert back is not None
    assert (back.status, back.l1_block_hash, back.seed) == (SessionStatus.OPEN, word("l1", 10, "b"), None)
    assert store.sessions.set_genesis(1, word("seed", 1), session(1).genesis_hash or b"") == 0
    assert len(list(store.blocks.load(1))) == 2


def test_another_session_that_gets_the_id_after_a_reorg_starts_anew(store: Store) -> None:
    store.sessions.put(session(1))
    token = store.leases.acquire(session_resource(1), "a", 60).token
    store.blocks.write([block(1, 1)], {1: token})
    store.inbox.add([message(1, 0, 9)])
    store.jobs.open(1)
    store.following.rollback("relayer", 9)
    assert store.sessions.put(session(1, config="b", seed=None, genesis_hash=None))
    assert store.sessions.get(1) == session(1, config="b", seed=None, genesis_hash=None)
    assert list(store.blocks.load(1)) == [] and store.inbox.load(1) == [] and store.jobs.get(1) is None


def test_claims_come_back_as_they_were_put(store: Store) -> None:
    leaves = [Leaf(0, 1, b"first"), Leaf(1, 2, b"second")]
    assert store.claims.put(claim(1, 14), leaves)
    assert not store.claims.put(claim(1, 14), leaves)
    with pytest.raises(RecordConflict, match="another root"):
        store.claims.put(dataclasses.replace(claim(1, 14), claims_root=word("other")))
    assert store.claims.get(1) == claim(1, 14)
    assert store.claims.leaves(1) == leaves
    store.claims.put(claim(2, 15), leaves[:1])
    assert [c.claim_id for c in store.claims.of_session(1)] == [1, 2]
    assert [c.claim_id for c in store.claims.find()] == [2, 1]
    assert [c.claim_id for c in store.claims.find(before=2)] == [1]

    store.claims.set_status(1, [ClaimStatus.POSTED], ClaimStatus.HELD)
    with pytest.raises(StateConflict, match="isn't posted"):
        store.claims.set_status(1, [ClaimStatus.POSTED], ClaimStatus.SETTLED)
    assert [c.claim_id for c in store.claims.find([ClaimStatus.HELD])] == [1]
