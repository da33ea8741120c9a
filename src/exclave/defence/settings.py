"""What the defence is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DefenceSettings:
    """Times in seconds, amounts in wei. `dispute_games`: those whose deposits are watched. `withdraw_above`: what is
    won is withdrawn once it is so much; 0 never. `claims_anew`: how often a session is claimed again after its claim
    died of silence.
    """

    zk_relayer: bytes
    l1_chain_id: int
    dispute_games: tuple[bytes, ...] = ()
    parallel_proofs: int = 1
    poll_interval: float = 5.0
    retry_delay: float = 30.0
    longest_retry_delay: float = 600.0
    withdraw_above: int = 0
    claims_anew: int = 1

    def pause(self, attempts: int) -> int:
        """Seconds before the next attempt after so many failed ones."""
        return int(min(self.retry_delay * 2 ** min(attempts, 16), self.longest_retry_delay))
