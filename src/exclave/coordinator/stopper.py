"""Stops sessions whose deadline has passed, so that they end by their game's own rule and can be claimed."""

from __future__ import annotations

import structlog
from sqlalchemy import select

from exclave import _engine
from exclave.coordinator.settings import CoordinatorSettings
from exclave.l1.transactions import Fees, Transaction
from exclave.node.metrics import SESSIONS_STOPPED
from exclave.node.sessions import LeaseHeld, SessionHost, SessionNotServed
from exclave.protocol import address_of, keccak256, sign_digest
from exclave.protocol.constants import PREDEPLOY
from exclave.rpc.client import RpcClient, RpcFailure
from exclave.store import Session, SessionStatus, Store, schema

log = structlog.get_logger(__name__)

STOP_SELECTOR = keccak256(b"stop()")[:4]
STOP_GAS = 16_000_000
"""Gas of the `stop()` transaction: all that a transaction may have but for a margin (EIP-7825), as it costs nothing."""


class Stopper:
    """Sends `stop()` of the session predeploy as an ordinary transaction.

    Anybody may call it, for nothing, and each session gets it from an account of its own, which follows from the
    operator's key: a template can't know that account, and so neither have used its nonces nor given it code.
    """

    def __init__(self, store: Store, host: SessionHost, operator_key: bytes, settings: CoordinatorSettings) -> None:
        self._store = store
        self._host = host
        self._secret = keccak256(b"exclave stop" + operator_key)
        self._settings = settings
        self._attempts: dict[int, tuple[int, int]] = {}

    def stop_expired(self) -> int:
        """Stop every session that is due; returns how many ended. A session that doesn't end is tried again later."""
        now = self._store.now()
        stopped = 0
        for session_id in self._expired(now):
            attempts, not_before = self._attempts.get(session_id, (0, 0))
            if now < not_before:
                continue
            session = self._store.sessions.get(session_id)
            if session is None or self._host.unsupported_reason(session) is not None:
                continue
            if self._stop(session):
                stopped += 1
                self._attempts.pop(session_id, None)
            else:
                self._attempts[session_id] = (attempts + 1, now + self._settings.pause(attempts))
        return stopped

    def _expired(self, now: int) -> list[int]:
        sessions, heads = schema.sessions, schema.heads
        query = (
            select(sessions.c.session_id)
            .select_from(sessions.outerjoin(heads, heads.c.session_id == sessions.c.session_id))
            .where(
                sessions.c.status == SessionStatus.OPEN,
                sessions.c.deadline <= now,
                sessions.c.genesis_hash.is_not(None),
                sessions.c.refusal.is_(None),
                heads.c.result.is_(None),
            )
            .order_by(sessions.c.session_id)
        )
        return self._store.read(lambda tx: list(tx.scalars(query)))

    def _stop(self, session: Session) -> bool:
        session_id = session.session_id
        try:
            place = self._host.wake(session_id)
            if not place:
                return False
            key = self._key(session.chain_id)
            transaction = Transaction(
                chain_id=session.chain_id,
                nonce=self._nonce(place, session_id, address_of(key)),
                fees=Fees(0, 0),
                gas_limit=STOP_GAS,
                to=PREDEPLOY,
                value=0,
                data=STOP_SELECTOR,
            )
            raw = transaction.with_signature(sign_digest(transaction.signing_hash(), key))
            self._submit(place, session_id, raw)
        except (SessionNotServed, LeaseHeld, _engine.EngineError, RpcFailure) as error:
            log.warning("session can't be stopped now", session=session_id, reason=str(error))
            return False
        except Exception:
            # INVARIANT I5: one session that can't be stopped doesn't keep the others from it.
            log.exception("session can't be stopped", session=session_id)
            return False
        head = self._store.blocks.head(session_id)
        ended = head is not None and head.result is not None
        if ended:
            SESSIONS_STOPPED.inc()
            log.info("session stopped after its deadline", session=session_id)
        else:
            log.warning("stop() failed in the session: its game gives no outcome", session=session_id)
        return ended

    def _nonce(self, place: bool | str, session_id: int, account: bytes) -> int:
        if isinstance(place, str):
            client = RpcClient(f"{place}/session/{session_id}")
            return int(client.call("eth_getTransactionCount", "0x" + account.hex(), "latest"), 16)
        return self._host.engine.transaction_count(session_id, account)

    def _submit(self, place: bool | str, session_id: int, raw: bytes) -> None:
        if isinstance(place, str):
            RpcClient(f"{place}/session/{session_id}").call("eth_sendRawTransaction", "0x" + raw.hex())
        else:
            self._host.engine.submit(session_id, [raw])

    def _key(self, chain_id: int) -> bytes:
        return keccak256(self._secret + chain_id.to_bytes(8, "big"))
