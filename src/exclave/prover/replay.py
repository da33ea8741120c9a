"""Blocks of a session from a database, executed again to say what a proof of them starts from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from exclave import _engine
from exclave.protocol import Terms, init_message
from exclave.prover.errors import SessionUnprovable
from exclave.prover.proof import ProofRequest
from exclave.store import Session, SessionStatus, Store

PUBLIC_RECOVERIES: Final = 256
"""Signatures that are left to L1, the most that a proof may leave: each costs the proof eleven million instructions or
L1 about 6,000 gas."""


def prepare(
    store: Store,
    session_id: int,
    first: int,
    last: int,
    *,
    l1_chain_id: int,
    zk_relayer: bytes,
    prover: bytes,
) -> ProofRequest:
    """What proves blocks `first` to `last` of a session; `prover` is who gets what the proof earns.

    Raises `SessionUnprovable`.
    """
    session = store.sessions.get(session_id)
    if session is None or session.status in (SessionStatus.LOCAL, SessionStatus.REORGED):
        raise SessionUnprovable(f"there is no session {session_id} of L1 in this database")
    head = store.blocks.head(session_id)
    if head is None:
        raise SessionUnprovable(f"session {session_id} has no block but its first")
    if not 1 <= first <= last <= head.number:
        raise SessionUnprovable(
            f"session {session_id} has blocks 1 to {head.number}; blocks {first} to {last} can't be proven"
        )
    configuration = session.configuration().preimage(l1_chain_id, zk_relayer)
    with restored(store, session, last, l1_chain_id, zk_relayer) as engine:
        run = engine.guest_run(
            session_id,
            first - 1,
            last,
            configuration=configuration,
            prover=prover,
            public_recoveries=PUBLIC_RECOVERIES,
        )
    return ProofRequest.from_run(run)


@contextmanager
def restored(
    store: Store, session: Session, last: int, l1_chain_id: int, zk_relayer: bytes
) -> Iterator[_engine.Engine]:
    """An engine with the session as it was after block `last`, in which nothing happens."""
    session_id = session.session_id
    template = store.templates.get(session.template_id)
    if template is None:
        raise SessionUnprovable(f"the template 0x{session.template_id.hex()} isn't in this database")
    if session.seed is None:
        raise SessionUnprovable(f"session {session_id} hasn't started")
    engine = silent_engine(l1_chain_id, zk_relayer)
    try:
        engine.add_template(template.data)
        open_session(engine, session, session.seed, template.state_root)
        for block in store.blocks.load(session_id, 1, last):
            engine.restore_block(session_id, block.header, block.transactions, block.senders)
        yield engine
    except _engine.EngineError as error:
        raise SessionUnprovable(f"session {session_id} can't be executed again: {error}") from error
    finally:
        engine.shutdown()


def silent_engine(l1_chain_id: int, zk_relayer: bytes) -> _engine.Engine:
    """An engine in which sessions are executed and never played: it keeps nothing and signs nothing."""
    return _engine.Engine(
        persist=_unused,
        wake=_unused,
        call=_unused,
        preconfirmation_key=None,
        l1_chain_id=l1_chain_id,
        zk_relayer=zk_relayer,
    )


def open_session(engine: _engine.Engine, session: Session, seed: bytes, state_root: bytes) -> None:
    """Block 0 of a session of L1, on a template that the engine has. Raises `exclave._engine.EngineError`."""
    init = init_message(
        session.chain_id,
        session.config_hash,
        session.session_id,
        session.deadline,
        seed,
        session.players,
        session.init_data,
    ).encode_transaction()
    engine.open_session(
        session.session_id,
        session.chain_id,
        state_root,
        session.config_hash,
        seed,
        session.opened_at,
        init,
        inclusion_delay=Terms.decode(session.terms).inclusion_delay,
    )


def _unused(*_: object) -> NoReturn:
    raise AssertionError("an engine whose sessions aren't active calls nothing")
