"""What the watchtower does on L1: each step an intent of the EthTxManager, recorded before it is sent.

INVARIANT I7: a step's key names its effect, so that it is taken once, whatever dies or is started again in between.
What failed is tried anew under the key's next number, after a pause that grows.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import select

from exclave.challenger import metrics
from exclave.challenger.board import DisputeReader
from exclave.challenger.strategy import Step
from exclave.dispute.payloads import DisputeKind
from exclave.l1.intents import OPEN_STATES, Intent, IntentRecord, IntentState
from exclave.l1.transaction_manager import EthTxManager
from exclave.store import Store
from exclave.store.intents import intents

log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = 4
LONGEST_PAUSE: Final = 600
"""Seconds before what failed is tried again: from the first, doubling, to the longest."""


@dataclass(frozen=True, slots=True)
class LeafKey:
    """Names a leaf over reorgs of L1: `header` are the first bytes of the hash of its claim's header."""

    game: bytes
    header: bytes
    claim_id: int
    index: int

    def __str__(self) -> str:
        return f"dispute:{self.game.hex()}:{self.header.hex()}:{self.claim_id}:{self.index}"

    @classmethod
    def parse(cls, key: str) -> LeafKey:
        """From the key of an intent about a leaf."""
        _, game, header, claim_id, index, *_ = key.split(":")
        return cls(bytes.fromhex(game), bytes.fromhex(header), int(claim_id), int(index))


class Hand:
    """Takes steps. `max_bonds`: wei that may be locked at one time."""

    def __init__(self, store: Store, manager: EthTxManager, max_bonds: int) -> None:
        self._store = store
        self._manager = manager
        self._max_bonds = max_bonds
        self.waiting_for_budget = 0
        """Steps of this pass that the budget didn't allow."""

    @property
    def address(self) -> bytes:
        """Who acts."""
        return self._manager.address

    def begin_pass(self) -> None:
        """Count anew what waits."""
        self.waiting_for_budget = 0

    async def take(self, reader: DisputeReader, leaf: LeafKey, step: Step, now: int) -> IntentRecord | None:
        """Record a step about a leaf unless it is on its way, was taken, or failed a moment ago. None if it can't be
        taken now. `now` is L1's time. Raises `L1Error`.
        """
        series = f"{leaf}:{step.name}"
        earlier, key = await asyncio.to_thread(self._next, series)
        if key is None:
            return earlier
        if step.until is not None and now > step.until:
            return None
        value = 0
        if step.bond is not None:
            missing = await self._fund(reader, step.bond)
            if missing is None:
                self.waiting_for_budget += 1
                return None
            value = missing
        return await self._submit(Intent(key, reader.game, step.data, value, not_after=step.until), step.name)

    async def call(self, series: str, to: bytes, data: bytes) -> IntentRecord | None:
        """The same for a call without a bond that isn't about a leaf; `series` names its effect."""
        earlier, key = await asyncio.to_thread(self._next, series)
        if key is None:
            return earlier
        return await self._submit(Intent(key, to, data), series.split(":")[0])

    async def repeat(self, series: str, to: bytes, data: bytes) -> IntentRecord | None:
        """A call that is made again and again, but not while the one before is on its way."""
        settled = await asyncio.to_thread(self._last, series)
        number = 0
        if settled is not None:
            number, record = settled
            failed = record.state is not IntentState.CONFIRMED
            if record.state in OPEN_STATES or (failed and self._store.now() < record.updated_at + LONGEST_PAUSE):
                return None
            number += 1
        return await self._submit(Intent(f"{series}:{number}", to, data), series.split(":")[0])

    def leaves(self) -> list[LeafKey]:
        """The leaves about which a dispute was ever opened with this database."""
        query = select(intents.c.key).where(intents.c.key.like("dispute:%"), intents.c.sender == self.address)
        keys = self._store.read(lambda tx: list(tx.scalars(query)))
        return sorted({LeafKey.parse(key) for key in keys}, key=str)

    def open_keys(self) -> list[str]:
        """The intents that aren't final."""
        return [record.key for record in self._open()]

    async def at_risk(self, reader: DisputeReader) -> int:
        """Wei that are locked in the dispute contract, or will be. Raises `L1Error`."""
        account = await reader.account(self.address)
        return account.locked + await self._on_their_way(reader)

    async def _fund(self, reader: DisputeReader, kind: DisputeKind) -> int | None:
        """Wei to send along so that a bond can be locked; None if the budget doesn't allow it.

        What is on its way counts in full, though L1 may have locked it already: sending too much raises the deposit.
        """
        bond = await reader.bond_of(kind)
        account = await reader.account(self.address)
        coming = await self._on_their_way(reader)
        if account.locked + coming + bond > self._max_bonds:
            log.warning("the budget for bonds is used up", at_risk=account.locked + coming, needed=bond)
            return None
        return max(0, coming + bond - account.available)

    async def _on_their_way(self, reader: DisputeReader) -> int:
        total = 0
        for record in await asyncio.to_thread(self._open):
            if record.key.startswith(f"dispute:{reader.game.hex()}:") and record.state is not IntentState.MINED:
                _, _, demanded = record.key.partition(":demand:")
                if demanded:
                    total += await reader.bond_of(DisputeKind(int(demanded.split(":")[0])))
        return total

    def _open(self) -> list[IntentRecord]:
        return self._store.intents.open(self._manager.chain_id, self.address)

    def _next(self, series: str) -> tuple[IntentRecord | None, str | None]:
        """The key under which a series' effect is to be had now; None if it is on its way or was had (with its record),
        or failed a moment ago.
        """
        last = self._last(series)
        if last is None:
            return None, f"{series}:0"
        number, record = last
        if record.state in OPEN_STATES or record.state is IntentState.CONFIRMED:
            return record, None
        if self._store.now() < record.updated_at + min(FIRST_PAUSE << min(number, 16), LONGEST_PAUSE):
            return None, None
        log.warning("a step failed and is tried again", step=series, reason=record.reason)
        return record, f"{series}:{number + 1}"

    def _last(self, series: str) -> tuple[int, IntentRecord] | None:
        """The newest of the intents of a series, and its number."""
        found: tuple[int, IntentRecord] | None = None
        for number in itertools.count():
            record = self._store.intents.get(f"{series}:{number}")
            if record is None:
                return found
            found = number, record
        return found

    async def _submit(self, intent: Intent, name: str) -> IntentRecord:
        record = await self._manager.submit(intent)
        metrics.STEPS.labels(step=name.split(":")[0]).inc()
        log.info("step recorded", intent=intent.key, value=intent.value)
        return record
