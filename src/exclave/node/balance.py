"""Watches what the signer has: an account that runs dry claims nothing, and nobody notices until a deadline passes."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import structlog

from exclave.l1.client import L1Client
from exclave.l1.errors import L1Error
from exclave.node.metrics import SIGNER_BALANCE

log = structlog.get_logger(__name__)

INTERVAL = 60.0
"""Seconds between looks."""


class BalanceWatch:
    """Looks at the signer's balance again and again. `threshold` and `low` in wei; `low` is None while all is well."""

    def __init__(self, l1: L1Client, signer: bytes, threshold: int) -> None:
        self._l1 = l1
        self._signer = signer
        self._threshold = threshold
        self.low: int | None = None

    async def run(self) -> None:
        """Look until cancelled. L1's outages are others' to report."""
        while True:
            try:
                await self.look()
            except L1Error as error:
                log.debug("the signer's balance isn't known now", reason=str(error))
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """One look. Raises `L1Error`."""
        balance = await self._l1.get_balance(self._signer)
        SIGNER_BALANCE.set(balance / 10**18)
        was_low, self.low = self.low is not None, balance if balance < self._threshold else None
        if self.low is not None and not was_low:
            log.warning("the signer's balance is low", signer="0x" + self._signer.hex(), reason=self.message())
        elif self.low is None and was_low:
            log.info("the signer's balance is enough again", signer="0x" + self._signer.hex())

    def message(self) -> str | None:
        """What a person should do; None while all is well."""
        if self.low is None:
            return None
        has, wanted = (Decimal(wei) / 10**18 for wei in (self.low, self._threshold))
        return f"0x{self._signer.hex()} has {has} ether, below {wanted} (fees.low_balance_ether): send it ether"
