"""Addresses as users give them."""

from __future__ import annotations

from exclave.cli.output import fail


def read_address(text: str) -> bytes:
    """An address in hex. Ends the program when `text` is none."""
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != 20:
        fail(f"{text} isn't an address")
    return value
