from __future__ import annotations

import dataclasses

import pytest
from support.chain import block, block_hash, session, word

from exclave.store import (
    FIRST_LOCAL_SESSION,
    RecordConflict,
    RecordNotFound,
    SessionStatus,
    Store,
    Template,
    session_resource,
)


def test_a_session_comes_back_as_it_was_put(store: Store) -> None:
    put = session(1, seed=None, genesis_hash=None)
    assert store.sessions.put(put)
    assert not store.sessions.put(put)
    assert store.sessions.get(1) == put
    assert store.sessions.get(2) is None


def test_an_id_has_one_configuration(store: Store) -> None:
    store.sessions.put(session(1))
    with pytest.raises(RecordConflict, match="another L1 chain"):
        store.sessions.put(session(1, config="b"))
    assert store.sessions.get(1) == session(1)


def test_sessions_are_found_by_status_in_pages(store: Store) -> None:
    for session_id in range(1, 8):
        store.sessions.put(session(session_id))
    store.sessions.set_outcome(3, SessionStatus.SETTLED, 20, b"result")
    store.sessions.set_outcome(5, SessionStatus.ABORTED, 21)
    assert [s.session_id for s in store.sessions.find(limit=3)] == [1, 2, 3]
    assert [s.session_id for s in store.sessions.find(after=3)] == [4, 5, 6, 7]
    assert [s.session_id for s in store.sessions.find([SessionStatus.OPEN])] == [1, 2, 4, 6, 7]
    settled = store.sessions.get(3)
    assert settled is not None
    assert (settled.status, settled.result, settled.settled_block) == (SessionStatus.SETTLED, b"result", 20)
    assert [s.session_id for s in store.sessions.find([SessionStatus.SETTLED, SessionStatus.ABORTED])] == [3, 5]


def test_why_sessions_are_not_served_is_asked_anew(store: Store) -> None:
    for session_id in range(1, 6):
        store.sessions.put(session(session_id, refusal="before" if session_id == 2 else None))
    store.sessions.set_outcome(5, SessionStatus.ABORTED, 20)
    changed = store.sessions.reassess(lambda found: "now" if found.session_id in (3, 5) else None, page=2)
    assert changed == 2
    assert [found.refusal for found in store.sessions.find()] == [None, None, "now", None, None]
    assert store.sessions.reassess(lambda found: found.refusal) == 0


def test_local_sessions_have_ids_of_their_own(store: Store) -> None:
    store.sessions.put(session(1))
    for expected in (FIRST_LOCAL_SESSION, FIRST_LOCAL_SESSION + 1):
        with store.transaction() as connection:
            session_id = store.sessions.next_local_id(connection=connection)
            assert session_id == expected
            local = session(session_id, status=SessionStatus.LOCAL, l1_block_hash=None, l1_transaction_hash=None)
            store.sessions.put(local, connection=connection)


def test_unknown_sessions_are_reported(store: Store) -> None:
    with pytest.raises(RecordNotFound):
        store.sessions.set_genesis(1, b"s" * 32, b"g" * 32)
    with pytest.raises(RecordNotFound):
        store.sessions.set_outcome(1, SessionStatus.ABORTED, 1)


def test_blocks_of_another_block_0_are_dropped(store: Store) -> None:
    store.sessions.put(session(1, seed=None, genesis_hash=None))
    assert store.sessions.set_genesis(1, word("seed"), block_hash(1, 0, "main")) == 0
    token = store.leases.acquire(session_resource(1), "a", 60).token
    store.blocks.write([block(1, 1), block(1, 2)], {1: token})
    assert store.sessions.set_genesis(1, word("seed"), block_hash(1, 0, "main")) == 0
    assert store.blocks.head(1).number == 2

    assert store.sessions.set_genesis(1, word("seed 2"), word("block 0 of seed 2")) == 2
    assert store.blocks.head(1) is None and list(store.blocks.load(1)) == []
    store.blocks.write([block(1, 1, fork="c", parent_hash=word("block 0 of seed 2"))], {1: token})


def test_templates_are_kept_by_id(store: Store) -> None:
    template = Template(word("id"), word("root"), word("data"), b"x" * 3_000_000)
    assert store.templates.put(template)
    assert not store.templates.put(dataclasses.replace(template, data=b"other"))
    assert store.templates.get(word("id")) == template
    assert store.templates.get(word("other")) is None
    assert store.templates.ids() == [word("id")]
