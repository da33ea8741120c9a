"""Which proofs answer which challenges."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

BLOCKS_FOR_A_PROOF: Final = 8
"""So many more blocks in a proof are cheaper than a further proof: each costs minutes to combine, a small block seconds
(docs/proving-figures.md)."""


@dataclass(frozen=True, slots=True)
class PlannedProof:
    """A proof of a leaf's blocks after `start` up to `end`."""

    start: int
    end: int

    def covers(self, number: int, first: int, proven_to: int) -> bool:
        """Whether it answers a dispute about the transition to block `number`, as `DisputeGame.prove` sees it: the
        first of its blocks always, the others if it starts at the range's first block or where a proof leads to.
        """
        anchored = self.start == first or (proven_to != 0 and self.start == proven_to)
        return number == self.start + 1 or (anchored and self.start < number <= self.end)


def plan_proofs(numbers: Collection[int], first: int, proven_to: int) -> list[PlannedProof]:
    """Proofs that together answer disputes about the transitions to these blocks: one for all where that is cheaper,
    from where a proof leads to (the range's first block if none does), else one for each.
    """
    anchor = max(first, proven_to)
    beyond = sorted(number for number in set(numbers) if number > anchor)
    if len(beyond) > 1 and beyond[-1] - anchor <= BLOCKS_FOR_A_PROOF * len(beyond):
        singles = sorted(set(numbers) - set(beyond))
        return [*(PlannedProof(number - 1, number) for number in singles), PlannedProof(anchor, beyond[-1])]
    return [PlannedProof(number - 1, number) for number in sorted(set(numbers))]


def uncovered(numbers: Iterable[int], plans: Collection[PlannedProof], first: int, proven_to: int) -> list[int]:
    """Those that no plan answers."""
    return [number for number in numbers if not any(plan.covers(number, first, proven_to) for plan in plans)]
