"""Which sessions this node serves and claims.

Whoever opens a session chooses its terms. A node that served any terms that name its operator could be robbed: with a
dispute contract of the opener's own and a large bond, its claims would be killed and their bonds paid to the opener.
"""

from __future__ import annotations

from dataclasses import dataclass

from exclave.config import AcceptConfig
from exclave.protocol import DataMode, Terms, address_bytes
from exclave.store import Session, SessionStatus

RECOMMENDED_CLAIM_BOND = 5 * 10**16
RECOMMENDED_CHALLENGE_WINDOW = 24 * 3600
RECOMMENDED_INCLUSION_DELAY = 3600
RECOMMENDED_ABORT_SLACK = 6 * 3600
RECOMMENDED_CALLBACK_GAS = 500_000
"""Wei, seconds, gas. L1 demands an hour between the window and the abort at least; more is for late claims."""


@dataclass(frozen=True, slots=True)
class AcceptancePolicy:
    """What a session's terms may be. Amounts in wei, times in seconds; empty `games` and `templates` allow all."""

    operator: bytes
    max_claim_bond: int
    max_callback_gas: int
    max_challenge_window: int
    min_inclusion_delay: int
    data_modes: tuple[DataMode, ...]
    dispute_games: tuple[bytes, ...]
    verifiers: tuple[bytes, ...]
    programs: tuple[bytes, ...]
    games: tuple[bytes, ...] = ()
    templates: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, config: AcceptConfig, operator: bytes) -> AcceptancePolicy:
        """The policy of the configuration's table `[accept]`."""
        return cls(
            operator=operator,
            max_claim_bond=int(config.max_claim_bond_ether * 10**18),
            max_callback_gas=config.max_callback_gas,
            max_challenge_window=config.max_challenge_window,
            min_inclusion_delay=config.min_inclusion_delay,
            data_modes=tuple(DataMode[name.upper().replace("-", "_")] for name in config.data_modes),
            dispute_games=tuple(address_bytes(value) for value in config.dispute_games),
            verifiers=tuple(address_bytes(value) for value in config.verifiers),
            programs=tuple(bytes.fromhex(value[2:]) for value in config.programs),
            games=tuple(address_bytes(value) for value in config.games),
            templates=tuple(bytes.fromhex(value[2:]) for value in config.templates),
        )

    def refusal(self, session: Session) -> str | None:
        """Why a session of L1 is neither served nor claimed; None when it is. A text for its players."""
        if session.status is SessionStatus.LOCAL:
            return None
        terms = Terms.decode(session.terms)
        if terms.operator != self.operator:
            return f"its operator is {_hex(terms.operator)}, this node signs as {_hex(self.operator)}"
        if terms.claim_bond > self.max_claim_bond:
            return (
                f"its claim bond is {terms.claim_bond} wei, this node locks at most {self.max_claim_bond} for a session"
            )
        if terms.callback_gas > self.max_callback_gas:
            return f"its callback gas is {terms.callback_gas}, this node pays for at most {self.max_callback_gas}"
        if terms.challenge_window > self.max_challenge_window:
            return (
                f"its challenge window is {terms.challenge_window} s, "
                f"this node locks bonds for at most {self.max_challenge_window} s"
            )
        if terms.inclusion_delay < self.min_inclusion_delay:
            return (
                f"its inclusion delay is {terms.inclusion_delay} s, "
                f"this node needs at least {self.min_inclusion_delay} s for a forced transaction"
            )
        if terms.data_mode not in self.data_modes:
            return f"its data mode is {data_mode_name(terms.data_mode)}, which this node doesn't publish in"
        for what, value, accepted in (
            ("dispute contract", terms.dispute_game, self.dispute_games),
            ("verifier", terms.verifier, self.verifiers),
            ("program", terms.program_id, self.programs),
            ("game", session.game, self.games or (session.game,)),
            ("template", session.template_id, self.templates or (session.template_id,)),
        ):
            if value not in accepted:
                return f"its {what} {_hex(value)} isn't among those that this node accepts"
        return None

    def default_terms(self) -> Terms:
        """Terms to start from that this node accepts: what is recommended, as far as the policy allows it."""
        window = min(RECOMMENDED_CHALLENGE_WINDOW, self.max_challenge_window)
        return Terms(
            operator=self.operator,
            dispute_game=self.dispute_games[0],
            verifier=self.verifiers[0],
            program_id=self.programs[0],
            claim_bond=min(RECOMMENDED_CLAIM_BOND, self.max_claim_bond),
            challenge_window=window,
            inclusion_delay=max(RECOMMENDED_INCLUSION_DELAY, self.min_inclusion_delay),
            abort_delay=window + RECOMMENDED_ABORT_SLACK,
            callback_gas=min(RECOMMENDED_CALLBACK_GAS, self.max_callback_gas),
            data_mode=self.data_modes[0],
        )


def data_mode_name(mode: DataMode) -> str:
    """As the configuration and JSON-RPC have it."""
    return mode.name.lower().replace("_", "-")


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
