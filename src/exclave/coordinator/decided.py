"""Which intents of the coordinator L1 has made pointless: those about sessions that were decided otherwise."""

from __future__ import annotations

import asyncio

from sqlalchemy import or_, select

from exclave.coordinator.calls import L1SessionStatus, ZkRelayerReader
from exclave.l1.intents import IntentRecord
from exclave.store import Store, schema

_DECIDED = (L1SessionStatus.SETTLED, L1SessionStatus.ABORTED)


class DecidedSessions:
    """Says of a claim or a settlement why it isn't needed any more (`NeedCheck` of EthTxManager).

    It goes by L1's newest state: a node that was down may have signed a claim of a session that was aborted meanwhile.
    If the abort is reorganised away, nothing is lost: what was dropped is ABANDONED, and the coordinator takes its jobs
    up again.
    """

    def __init__(self, store: Store, reader: ZkRelayerReader) -> None:
        self._store = store
        self._reader = reader

    async def __call__(self, record: IntentRecord) -> str | None:
        """Which sessions L1 has decided, if those are all that the intent is about; None for what is about others, or
        about none. Raises `L1Error`.
        """
        found: list[str] = []
        for session_id in await asyncio.to_thread(self._sessions, record.key):
            status = await self._reader.session_status(session_id)
            if status not in _DECIDED:
                return None
            found.append(f"session {session_id} was {status.name.lower()}")
        return ", ".join(found) or None

    def _sessions(self, key: str) -> list[int]:
        jobs = schema.jobs.c
        query = (
            select(jobs.session_id)
            .where(or_(jobs.claim_intent == key, jobs.settle_intent == key))
            .distinct()
            .order_by(jobs.session_id)
        )
        return self._store.read(lambda tx: list(tx.scalars(query)))
