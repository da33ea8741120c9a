from __future__ import annotations

import pytest
from sqlalchemy import func, select
from support.chain import block, session, word

from exclave._engine import split_rlp_strings
from exclave.store import Refusal, SessionsRefused, Store, session_resource
from exclave.store.schema import blocks, heads


def own(store: Store, *session_ids: int, owner: str = "a") -> dict[int, int]:
    """Sessions in the store, and the tokens of their leases."""
    for session_id in session_ids:
        store.sessions.put(session(session_id))
    return {i: store.leases.acquire(session_resource(i), owner, 60).token for i in session_ids}


def count(store: Store, session_id: int) -> int:
    with store.snapshot() as connection:
        query = select(func.count()).select_from(blocks).where(blocks.c.session_id == session_id)
        return connection.scalar(query) or 0


def test_blocks_of_many_sessions_are_written_and_loaded_in_order(store: Store) -> None:
    tokens = own(store, 1, 2, 3)
    store.blocks.write([block(1, 1), block(2, 1), block(1, 2), block(3, 1, size=0)], tokens)
    store.blocks.write([block(1, 3, result=b"won")], tokens)

    loaded = list(store.blocks.load(1, page=2))
    assert [b.number for b in loaded] == [1, 2, 3]
    for stored in loaded:
        expected = block(1, stored.number)
        assert stored.hash == expected.hash and stored.header == expected.header
        assert stored.transactions == expected.raw
        assert stored.senders == [expected.sender] * 2
        assert stored.preconfirmation == expected.preconfirmation
    assert [b.number for b in store.blocks.load(1, 2, 2)] == [2]
    assert next(store.blocks.load(3)).transactions == []
    assert list(store.blocks.load(4)) == []
    assert store.blocks.hashes(1, 1, 2) == [block(1, 1).hash, block(1, 2).hash]
    assert store.blocks.preconfirmation(1, 2) == b"\x02" * 65
    assert store.blocks.preconfirmation(1, 9) is None

    head = store.blocks.head(1)
    assert head is not None and (head.number, head.hash, head.result) == (3, block(1, 3).hash, b"won")
    assert store.blocks.head(4) is None
    assert count(store, 1) == 3


def test_invariant_i6_a_stale_token_writes_nothing_and_the_other_sessions_do(store: Store, clock) -> None:
    tokens = own(store, 1, 2)
    store.blocks.write([block(1, 1), block(2, 1)], tokens)
    clock.seconds += 61
    new = store.leases.acquire(session_resource(1), "b", 60)

    with pytest.raises(SessionsRefused) as refused:
        store.blocks.write([block(1, 2), block(2, 2)], tokens)
    assert refused.value.refusals == {1: Refusal.LEASE_LOST}
    assert refused.value.session_ids == [1]
    assert count(store, 1) == 1
    assert store.blocks.head(2).number == 2

    store.blocks.write([block(1, 2, fork="b", parent_hash=block(1, 1).hash)], {1: new.token})
    assert store.blocks.head(1).hash == block(1, 2, fork="b").hash


@pytest.mark.parametrize("tokens", [{}, {1: 99}])
def test_invariant_i6_without_the_lease_nothing_is_written(store: Store, tokens: dict[int, int]) -> None:
    own(store, 1)
    with pytest.raises(SessionsRefused) as refused:
        store.blocks.write([block(1, 1)], tokens)
    assert refused.value.refusals == {1: Refusal.LEASE_LOST}
    assert count(store, 1) == 0


def test_a_released_lease_writes_nothing(store: Store) -> None:
    store.sessions.put(session(1))
    lease = store.leases.acquire(session_resource(1), "a", 60)
    store.leases.release([lease])
    with pytest.raises(SessionsRefused):
        store.blocks.write([block(1, 1)], {1: lease.token})


def test_a_block_that_is_stored_already_is_accepted_again(store: Store) -> None:
    tokens = own(store, 1)
    store.blocks.write([block(1, 1), block(1, 2)], tokens)
    store.blocks.write([block(1, 1), block(1, 2)], tokens)
    store.blocks.write([block(1, 2), block(1, 3)], tokens)
    assert count(store, 1) == 3


def test_another_block_at_a_stored_height_is_refused(store: Store) -> None:
    tokens = own(store, 1, 2)
    store.blocks.write([block(1, 1), block(1, 2)], tokens)
    for conflicting in ([block(1, 2, fork="x")], [block(1, 1), block(1, 2, fork="x"), block(1, 3, fork="x")]):
        with pytest.raises(SessionsRefused) as refused:
            store.blocks.write([*conflicting, block(2, 1)], tokens)
        assert refused.value.refusals == {1: Refusal.CONFLICT}
    assert store.blocks.head(1).hash == block(1, 2).hash
    assert store.blocks.head(2).number == 1
    assert count(store, 1) == 2


def test_a_block_must_continue_the_stored_chain(store: Store) -> None:
    tokens = own(store, 1)
    with pytest.raises(SessionsRefused) as gap:
        store.blocks.write([block(1, 2)], tokens)
    assert gap.value.refusals == {1: Refusal.GAP}
    with pytest.raises(SessionsRefused) as other_genesis:
        store.blocks.write([block(1, 1, parent_hash=word("another block 0"))], tokens)
    assert other_genesis.value.refusals == {1: Refusal.CONFLICT}
    store.blocks.write([block(1, 1)], tokens)
    with pytest.raises(SessionsRefused) as other_parent:
        store.blocks.write([block(1, 2, parent_hash=word("another block 1"))], tokens)
    assert other_parent.value.refusals == {1: Refusal.CONFLICT}
    with pytest.raises(SessionsRefused) as gap_inside:
        store.blocks.write([block(1, 2), block(1, 4)], tokens)
    assert gap_inside.value.refusals == {1: Refusal.GAP}
    assert count(store, 1) == 1


def test_invariant_i5_a_block_that_the_database_refuses_harms_no_other_session(store: Store) -> None:
    tokens = own(store, 1, 2, 3)
    incomplete = block(1, 1, header=None)
    too_large = block(2, 1, timestamp=1 << 64)
    with pytest.raises(SessionsRefused) as refused:
        store.blocks.write([incomplete, too_large, block(3, 1)], tokens)
    assert refused.value.refusals == {1: Refusal.INVALID, 2: Refusal.INVALID}
    assert count(store, 1) == count(store, 2) == 0
    assert store.blocks.head(1) is None
    assert store.blocks.head(3).number == 1


def test_blocks_of_an_unknown_session_are_refused(store: Store) -> None:
    token = store.leases.acquire(session_resource(9), "a", 60).token
    with pytest.raises(SessionsRefused) as refused:
        store.blocks.write([block(9, 1)], {9: token})
    assert refused.value.refusals == {9: Refusal.INVALID}


def test_receipts_are_kept_as_they_were_encoded(store: Store) -> None:
    tokens = own(store, 1)
    store.blocks.write([block(1, 1)], tokens)
    with store.snapshot() as connection:
        kept = connection.scalar(select(blocks.c.receipts))
    assert split_rlp_strings(kept) == [b"receipt" + word(1, 1, i) for i in range(2)]


def test_more_sessions_than_one_statement_names(store: Store) -> None:
    ids = range(1, 1203)
    with store.transaction() as connection:
        for session_id in ids:
            store.sessions.put(session(session_id), connection=connection)
        tokens = {i: store.leases.acquire(session_resource(i), "a", 60, connection=connection).token for i in ids}
    store.blocks.write([block(i, 1) for i in ids], tokens)
    with store.snapshot() as connection:
        assert connection.scalar(select(func.count()).select_from(heads)) == len(ids)
    store.blocks.write([], tokens)
