"""The faults that can be committed: what each does, and who should lose what by it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Whose part the adversary plays."""

    LIAR = "liar"
    """claims a session, wrongly"""
    OPERATOR = "operator"
    """has the key that the session's terms name"""
    CHALLENGER = "challenger"
    """opposes claims, or lives off others who do"""
    GAME = "game"
    """deploys a game contract on L1"""


@dataclass(frozen=True, slots=True)
class Fault:
    """`loses` says who should lose what; docs/disputes.md has the rules."""

    name: str
    role: Role
    does: str
    loses: str


_LIE: Final = "the claimant the bond; where a proof shows the lie, an operator the stake too"

FAULTS: Final = {
    fault.name: fault
    for fault in (
        Fault("forged-state", Role.LIAR, "claims a block whose state root isn't what its transactions give", _LIE),
        Fault("forged-result", Role.LIAR, "claims true blocks and another result than theirs", _LIE),
        Fault("wrong-init", Role.LIAR, "claims blocks in which the adversary was a player from the start", _LIE),
        Fault("wrong-sender", Role.LIAR, "claims a player's transaction that somebody else signed", _LIE),
        Fault("wrong-timestamp", Role.LIAR, "claims a block that is older than the one before", _LIE),
        Fault("wrong-inbox", Role.LIAR, "claims a block that consumed a message L1 never had", _LIE),
        Fault("continued-after-end", Role.LIAR, "claims a block after the session's end", _LIE),
        Fault("unsettleable", Role.LIAR, "claims a last block from before the session", "nobody: L1 never settles it"),
        Fault("garbage-root", Role.LIAR, "claims a root of nothing, with the true data", "the claimant the bond"),
        Fault(
            "withheld-data", Role.LIAR, "claims truly, and shows no data: not even on demand", "the claimant the bond"
        ),
        Fault(
            "garbage-blob", Role.LIAR, "claims truly, with blobs of noise, and answers nothing", "the claimant the bond"
        ),
        Fault("late-claim", Role.LIAR, "claims truly, when the session can be aborted", "nobody: stakes go back"),
        Fault("no-claim", Role.LIAR, "waits, and claims nothing", "nobody: stakes go back"),
        Fault(
            "censorship",
            Role.LIAR,
            "claims the session without its forced messages",
            "nobody: L1 never settles it",
        ),
        Fault("equivocation", Role.OPERATOR, "signs a second block of one height", "the operator the stake"),
        Fault(
            "self-challenge", Role.LIAR, "claims a forged result and challenges it first", "burnt: its own bond's share"
        ),
        Fault("griefing", Role.CHALLENGER, "demands and challenges all of an honest claim", "the griefer the bonds"),
        Fault("front-running", Role.CHALLENGER, "sends others' proofs before they do", "the thief its gas"),
        Fault("proof-replay", Role.CHALLENGER, "sends others' proofs again", "the thief its gas"),
        Fault("reverting-game", Role.GAME, "refuses the outcome", "nobody: the outcome can be given again"),
        Fault(
            "reentering-game", Role.GAME, "calls ZkRelayer from its callback", "nobody: the outcome can be given again"
        ),
        Fault("gas-burning-game", Role.GAME, "burns the callback's gas", "the settler that gas"),
    )
}
"""By name."""
