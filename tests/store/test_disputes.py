"""What L1 said of claims' leaves, and what a reorg leaves of it."""

from __future__ import annotations

import pytest

from exclave.store import Claim, Leaf, LeafEvent, LeafStanding, Store, StoredDispute

GRIEFER = b"g" * 20


def claim(claim_id: int, block: int = 5) -> Claim:
    return Claim(
        claim_id=claim_id,
        claimant=b"c" * 20,
        claims_root=bytes([claim_id]) * 32,
        terms_hash=b"t" * 32,
        count=2,
        header=b"header",
        bond=1,
        claimed_at=1,
        settleable_at=2,
        data_hash=None,
        blob_hashes=(),
        l1_block_number=block,
        l1_block_hash=b"b" * 32,
        l1_transaction_hash=b"x" * 32,
    )


def dispute(number: int, block: int, deadline: int = 100, index: int = 0) -> StoredDispute:
    return StoredDispute(1, index, 3, number, GRIEFER, 7, deadline, block, b"x" * 32)


@pytest.fixture
def claimed(store: Store) -> Store:
    """A claim with two leaves, of sessions 11 and 12."""
    store.claims.put(claim(1), [Leaf(0, 11, b"leaf"), Leaf(1, 12, b"leaf")])
    return store


def test_the_last_word_about_a_leaf_counts_and_a_reorg_takes_the_newest_away(claimed: Store) -> None:
    disputes = claimed.disputes
    words = [
        (LeafEvent.HELD, 10),
        (LeafEvent.RELEASED, 12),
        (LeafEvent.HELD, 14),
        (LeafEvent.KILLED, 16),
        (LeafEvent.UNPROVEN, 16),
    ]
    for position, (event, block) in enumerate(words):
        assert disputes.record(1, 0, event, block=block, log_index=position)
        assert not disputes.record(1, 0, event, block=block, log_index=position)  # read again
    assert disputes.standing(1) == {0: LeafStanding(False, True, LeafEvent.UNPROVEN)}
    assert disputes.held() == [] and disputes.deaths(11) == 1 and disputes.deaths(12) == 0
    assert claimed.following.rollback("relayer", 15).changed_leaves == [1]
    assert disputes.standing(1) == {0: LeafStanding(held=True)} and disputes.held() == [(1, 0)]
    assert disputes.rollback(13) == [1] and disputes.standing(1) == {0: LeafStanding()}
    assert disputes.rollback(9) == [1] and disputes.standing(1) == {}
    assert disputes.rollback(9) == []


def test_the_leaves_of_a_claim_whose_bond_is_back_are_not_looked_at(claimed: Store) -> None:
    claimed.disputes.record(1, 1, LeafEvent.HELD, block=10, log_index=0)
    assert claimed.disputes.held() == [(1, 1)]
    claimed.claims.set_released(1, 20)
    assert claimed.disputes.held() == []


def test_disputes_are_opened_and_closed_once_and_a_reorg_opens_them_again(claimed: Store) -> None:
    disputes = claimed.disputes
    largest = 2**64 - 1  # anything that somebody asks for
    for found in (dispute(4, 10, deadline=200), dispute(largest, 11, deadline=100), dispute(1, 12, index=1)):
        assert disputes.open(found) and not disputes.open(found)
    assert [found.number for found in disputes.find(unanswered=True)] == [1, largest, 4]
    assert [found.number for found in disputes.find(session_id=11)] == [largest, 4]
    answer = {"transaction": b"y" * 32, "answerer": b"n" * 20, "paid": 5}
    assert disputes.close(1, 0, 3, 4, block=13, **answer)  # type: ignore[arg-type]
    assert not disputes.close(1, 0, 3, 4, block=13, **answer)  # type: ignore[arg-type]
    assert not disputes.close(1, 0, 3, 99, block=13, **answer)  # type: ignore[arg-type]
    assert [found.number for found in disputes.find(unanswered=True)] == [1, largest]
    # The dead are past answering.
    disputes.record(1, 1, LeafEvent.KILLED, block=13, log_index=1)
    assert [found.number for found in disputes.find(unanswered=True)] == [largest]
    disputes.rollback(11)
    assert disputes.find(unanswered=True) == [dispute(largest, 11), dispute(4, 10, deadline=200)]


def test_plans_are_kept_while_their_claim_is(claimed: Store) -> None:
    assert claimed.disputes.plan(1, 0, 3, 7) and not claimed.disputes.plan(1, 0, 3, 7)
    assert claimed.disputes.plan(1, 0, 0, 1)
    assert claimed.disputes.plans(1, 0) == [(0, 1), (3, 7)]
    claimed.following.rollback("relayer", 5)
    assert claimed.disputes.plans(1, 0) == [(0, 1), (3, 7)]
    claimed.following.rollback("relayer", 4)
    assert claimed.disputes.plans(1, 0) == []
