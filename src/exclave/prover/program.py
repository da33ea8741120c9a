"""The program whose executions are proven."""

from __future__ import annotations

from typing import Final

PROGRAM_ID: Final = bytes.fromhex("6635dabbe5870e3d385f0b00bf620647b33b9b9f2afcce30552cf19acb3e5dbc")
"""What the terms of sessions name as `programId`: the committed guest (`crates/guest/elf`) on the prover's machine.

`exclave-prover identity` computes it; tests compare.
"""
