"""Amounts as users give them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from exclave.cli.output import fail


def read_ether(text: str, *, zero: bool = False) -> int:
    """An amount of ether, in wei. Ends the program when `text` is none; nothing is one where `zero` says so."""
    try:
        wei = Decimal(text) * 10**18
    except InvalidOperation:
        wei = Decimal(-1)
    # A NaN has no order: whether it is one comes first.
    if not wei.is_finite() or wei < (0 if zero else 1) or wei != wei.to_integral_value() or wei >= 1 << 96:
        fail(f"{text} isn't an amount of ether")
    return int(wei)
