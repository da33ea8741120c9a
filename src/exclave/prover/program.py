"""The program whose executions are proven."""

from __future__ import annotations

from typing import Final

PROGRAM_ID: Final = bytes.fromhex("07c4d02f2e5dcbf2283d7d2da890b63ad94e815c76d7690e2f59846b7f0ef6a0")
"""What the terms of sessions name as `programId`: the committed guest (`crates/guest/elf`) on the prover's machine.

`exclave-prover identity` computes it; tests compare.
"""
