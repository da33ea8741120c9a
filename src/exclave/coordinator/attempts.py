"""Calls of contracts that are made until they have had their effect."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from sqlalchemy import Connection

from exclave.l1.intents import OPEN_STATES, Intent, IntentState
from exclave.l1.transaction_manager import EthTxManager
from exclave.store import Store
from exclave.store.intents import IntentRepository


class Attempts:
    """Each attempt is an intent whose key is its series' name and a number. INVARIANT I7: the next is made only when
    the one before can't take effect any more.
    """

    def __init__(self, store: Store, manager: EthTxManager, pause: Callable[[int], int]) -> None:
        """`pause`: seconds before the next attempt after so many failed ones."""
        self._store = store
        self._intents = IntentRepository(store)
        self._manager = manager
        self._pause = pause
        self._looked_at: int | None = None

    def look(self) -> None:
        """L1 is looked at from now on, and what is seen decides. What became final since may not be in what is seen: no
        further attempt of its series is due before the next look.
        """
        self._looked_at = self._store.now()

    def may_try(self, series: str, tx: Connection, most: int | None = None) -> bool:
        """Whether the next attempt at a call is due: none is under way, and the last one failed long enough ago."""
        earlier = self._intents.series(series, connection=tx)
        if not earlier:
            return True
        last = earlier[-1]
        if last.state in OPEN_STATES or (most is not None and len(earlier) >= most):
            return False
        if self._looked_at is not None and last.updated_at >= self._looked_at:
            return False
        return self._store.now() >= last.updated_at + self._pause(len(earlier) - 1)

    def next_intent(
        self,
        series: str,
        to: bytes,
        data: bytes,
        tx: Connection,
        gas_limit: int | None = None,
        not_after: int | None = None,
    ) -> Intent:
        """A call under the next key of its series; under the last one while that may still take effect."""
        earlier = self._intents.series(series, connection=tx)
        key = f"{series}:{len(earlier)}"
        intent = Intent(key=key, to=to, data=data, gas_limit=gas_limit, not_after=not_after)
        if not earlier or earlier[-1].state not in OPEN_STATES or earlier[-1].sender != self._manager.address:
            return intent
        same = earlier[-1].effect_hash == intent.effect_hash()
        return dataclasses.replace(intent, key=earlier[-1].key) if same else intent

    def record(self, series: str, to: bytes, data: bytes) -> None:
        """The next attempt's intent. Raises `IntentRefused`."""

        def work(tx: Connection) -> None:
            self._manager.record(self.next_intent(series, to, data, tx), connection=tx)

        self._store.run(work)

    def record_if_due(self, series: str, to: bytes, data: bytes, not_after: int | None = None) -> bool:
        """The next attempt's intent, if an attempt is due; whether it was. Raises `IntentRefused`."""

        def work(tx: Connection) -> bool:
            if not self.may_try(series, tx):
                return False
            self._manager.record(self.next_intent(series, to, data, tx, not_after=not_after), connection=tx)
            return True

        return self._store.run(work)

    def is_due(self, series: str) -> bool:
        """Whether an attempt is due, for who has much to prepare for one."""
        return self._store.read(lambda tx: self.may_try(series, tx))

    def failures(self, series: str) -> int:
        """How many attempts had no effect, and won't have any."""
        without = (IntentState.FAILED, IntentState.ABANDONED)
        return sum(attempt.state in without for attempt in self._intents.series(series))
