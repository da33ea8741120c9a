"""What an adversary has done, for people while it goes on and for programs at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Report:
    """`answered`: the disputes of its own claim that it answered, by kind and number. `tell` shows each step."""

    fault: str
    tell: Callable[[str], None]
    session_id: int | None = None
    claim_id: int | None = None
    outcome: str = "done"
    answered: list[tuple[str, int]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """One more step."""
        self.steps.append(text)
        self.tell(text)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "fault": self.fault,
            "sessionId": self.session_id,
            "claimId": self.claim_id,
            "outcome": self.outcome,
            "answered": [list(item) for item in self.answered],
            "steps": self.steps,
        }
