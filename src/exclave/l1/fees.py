"""What to pay: EIP-1559 and EIP-4844 fees, first and when replacing a transaction. Without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from exclave.l1.client import FeeHistory
from exclave.l1.transactions import MAX_TRANSACTION_GAS, Fees

GWEI: Final = 10**9


@dataclass(frozen=True, slots=True)
class FeeSettings:
    """Bounds in wei a gas (blob fees: in wei a blob gas), factors in per mille."""

    min_priority_fee: int = GWEI // 100
    max_priority_fee: int = 20 * GWEI
    """For the first attempt; a replacement may exceed it, up to `max_fee_per_gas`."""
    max_fee_per_gas: int = 500 * GWEI
    max_fee_per_blob_gas: int = 1_000 * GWEI
    base_fee_headroom: int = 2000
    """The base fee grows by at most 12.5 % a block (EIP-1559): twofold lasts six full blocks."""
    replacement: int = 1125
    """geth, reth, nethermind, erigon and besu ask for 1100 of a replacement; 1125 satisfies stricter ones."""
    blob_replacement: int = 2000
    """geth's blob pool asks for twice of all three fees."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`affordable` is False when a cap keeps the transaction out of the next block."""

    fees: Fees
    affordable: bool


def suggest_fees(history: FeeHistory, settings: FeeSettings, *, blobs: bool) -> Suggestion:
    """Fees for a new transaction: the median of recent priority fees, and room for the base fee to grow."""
    rewards = sorted(history.rewards)
    tip = rewards[len(rewards) // 2] if rewards else 0
    tip = min(max(tip, settings.min_priority_fee), settings.max_priority_fee, settings.max_fee_per_gas)
    wanted = history.next_base_fee * settings.base_fee_headroom // 1000 + tip
    max_fee = min(wanted, settings.max_fee_per_gas)
    affordable = history.next_base_fee + settings.min_priority_fee <= max_fee
    blob_fee = 0
    if blobs:
        wanted_blob = max(1, history.next_blob_base_fee) * settings.base_fee_headroom // 1000
        blob_fee = min(wanted_blob, settings.max_fee_per_blob_gas)
        affordable = affordable and history.next_blob_base_fee <= blob_fee
    return Suggestion(Fees(max_fee, min(tip, max_fee), blob_fee), affordable)


def replacement_fees(old: Fees, suggested: Fees, settings: FeeSettings, *, blobs: bool) -> Fees | None:
    """Fees that every pool accepts in the place of `old`, at least `suggested`; None when the caps don't allow it."""
    factor = settings.blob_replacement if blobs else settings.replacement

    def raised(value: int, floor: int, cap: int) -> int | None:
        least = max(-(-value * factor // 1000), value + 1)
        return None if least > cap else min(max(least, floor), cap)

    max_fee = raised(old.max_fee_per_gas, suggested.max_fee_per_gas, settings.max_fee_per_gas)
    tip = raised(old.max_priority_fee_per_gas, suggested.max_priority_fee_per_gas, settings.max_fee_per_gas)
    if max_fee is None or tip is None:
        return None
    if not blobs:
        return Fees(max(max_fee, tip), tip)
    blob_fee = raised(old.max_fee_per_blob_gas, suggested.max_fee_per_blob_gas, settings.max_fee_per_blob_gas)
    return None if blob_fee is None else Fees(max(max_fee, tip), tip, blob_fee)


def gas_limit_for(estimate: int, margin: int) -> int:
    """The gas limit for an estimate with a margin in per mille (1200: a fifth more), within the cap of EIP-7825."""
    return min(estimate * margin // 1000, max(estimate, MAX_TRANSACTION_GAS))
