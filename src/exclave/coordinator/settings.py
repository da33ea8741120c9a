"""What the coordinator is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CoordinatorSettings:
    """Times in seconds. `batch_delay`: how long an ended session waits for others to share its claim.

    `checkpoint_blocks`: claim a running session's blocks each time there are so many new ones; 0 only at its end.
    """

    zk_relayer: bytes
    l1_chain_id: int
    batch_size: int = 100
    batch_delay: float = 30.0
    checkpoint_blocks: int = 0
    poll_interval: float = 5.0
    retry_delay: float = 60.0
    longest_retry_delay: float = 3600.0

    def pause(self, attempts: int) -> int:
        """Seconds before the next attempt after so many failed ones."""
        return int(min(self.retry_delay * 2 ** min(attempts, 16), self.longest_retry_delay))
