"""Building templates in sessions of this node alone."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from exclave import _engine, contracts
from exclave.node.sessions import SessionHost
from exclave.protocol import (
    DataMode,
    Terms,
    base_template,
    decode_template,
    genesis_header,
    keccak256,
    session_chain_id,
)
from exclave.protocol.constants import PREDEPLOY, ZERO_ADDRESS, ZERO_HASH
from exclave.rpc.errors import InvalidParams, ResourceNotFound
from exclave.store import Session, SessionStatus, Store, Template

NO_TERMS = Terms(ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS, ZERO_HASH, 0, 0, 0, 0, 0, DataMode.ON_DEMAND)
"""Local sessions are never claimed."""


def build_base_template() -> bytes:
    """The file of the template that every game's template starts from: session predeploy and CREATE2 deployer."""
    return base_template(contracts.load("ExclaveSession").deployed_bytecode)


def import_template(store: Store, engine: _engine.Engine, data: bytes) -> Template:
    """Check a template's file, compute its state root, and keep it.

    Raises `ProtocolError` or `exclave._engine.TemplateError` when it isn't one.
    """
    decode_template(data)
    added = engine.add_template(data)
    template = Template(added.template_id, added.state_root, added.data_hash, data)
    store.templates.put(template)
    return template


class Workshop:
    """Opens local sessions and exports their state."""

    def __init__(self, store: Store, host: SessionHost, l1_chain_id: int, zk_relayer: bytes) -> None:
        self._store = store
        self._host = host
        self._l1_chain_id = l1_chain_id
        self._zk_relayer = zk_relayer

    def base_template_id(self) -> bytes:
        """The id of the base template, which is in the store afterwards."""
        return import_template(self._store, self._host.engine, build_base_template()).template_id

    def open_local_session(self, template_id: bytes) -> Session:
        """A new session from a template of the store, in memory and ready. Raises `ResourceNotFound`."""
        template = self._store.templates.get(template_id)
        if template is None:
            raise ResourceNotFound(f"no template 0x{template_id.hex()}")
        opened_at = int(time.time())

        def work(tx: Connection) -> Session:
            session_id = self._store.sessions.next_local_id(connection=tx)
            session = Session(
                session_id=session_id,
                chain_id=session_chain_id(self._l1_chain_id, self._zk_relayer, session_id),
                config_hash=ZERO_HASH,
                template_id=template_id,
                game=ZERO_ADDRESS,
                opened_at=opened_at,
                opened_block=0,
                deadline=0,
                players=(),
                init_data=b"",
                terms=NO_TERMS.encode(),
                status=SessionStatus.LOCAL,
                seed=ZERO_HASH,
                genesis_hash=genesis_header(template.state_root, ZERO_HASH, ZERO_HASH, opened_at).hash(),
            )
            self._store.sessions.put(session, connection=tx)
            return session

        session = self._store.run(work)
        self._host.wake(session.session_id, here=True)
        return session

    def export(self, session_id: int) -> Template:
        """A template of a local session's state, kept in the store. Raises `InvalidParams` if it can't be one."""
        if isinstance(place := self._host.wake(session_id, here=True), str):
            raise InvalidParams(f"session {session_id} runs in another process: ask that one, at {place}")
        try:
            data = self._host.engine.export_template(session_id)
        except _engine.EngineError as error:
            raise InvalidParams(f"session {session_id} can't be a template: {error}") from error
        if not _has_bound_game(data):
            raise InvalidParams(
                f"no game is bound in session {session_id}, so no match could start from its state: call "
                f"bindGame(address) of the session contract 0x{PREDEPLOY.hex()} first"
            )
        return import_template(self._store, self._host.engine, data)


def _has_bound_game(data: bytes) -> bool:
    """Whether the session predeploy knows its game: the low 20 bytes of its slot 1."""
    predeploy, slot = keccak256(PREDEPLOY), keccak256((1).to_bytes(32, "big"))
    return any(
        account.address_hash == predeploy and dict(account.storage).get(slot, 0) % 2**160
        for account in decode_template(data)
    )
