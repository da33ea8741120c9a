"""How a session was opened: what its configHash commits to, and how L1 confirms it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exclave.client.errors import WrongSession
from exclave.l1.client import L1Client
from exclave.protocol import (
    DataMode,
    Message,
    ProtocolError,
    SessionConfig,
    Terms,
    init_message,
    keccak256,
    players_hash,
    session_chain_id,
    session_seed,
)
from exclave.relayer.events import EventReader, SessionOpened


@dataclass(frozen=True, slots=True)
class SessionOpening:
    """A session as L1 opened it. Raises `WrongSession` when its parts contradict each other."""

    l1_chain_id: int
    zk_relayer: bytes
    config: SessionConfig
    terms: Terms
    players: tuple[bytes, ...]
    init_data: bytes
    seed: bytes

    def __post_init__(self) -> None:
        for what, given, committed in (
            ("players", players_hash(self.players), self.config.players_hash),
            ("init data", keccak256(self.init_data), self.config.init_data_hash),
            ("terms", self.terms.hash(), self.config.terms_hash),
        ):
            if given != committed:
                raise WrongSession(f"session {self.session_id}: its {what} aren't those of its configuration")

    @property
    def session_id(self) -> int:
        return self.config.session_id

    @property
    def chain_id(self) -> int:
        """The EIP-155 chain id of the session."""
        return session_chain_id(self.l1_chain_id, self.zk_relayer, self.session_id)

    def config_hash(self) -> bytes:
        """What everything in the session commits to."""
        return self.config.hash(self.l1_chain_id, self.zk_relayer)

    def init_message(self) -> Message:
        """The first message of block 1."""
        return init_message(
            self.chain_id,
            self.config_hash(),
            self.session_id,
            self.config.deadline,
            self.seed,
            self.players,
            self.init_data,
        )

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any], l1_chain_id: int, zk_relayer: bytes) -> SessionOpening:
        """From what `zkcop_getSession` answers, or a log's first line has. Raises `WrongSession`."""
        try:
            terms = _terms(answer["terms"])
            players = tuple(_bytes(player) for player in answer["players"])
            init_data = _bytes(answer["initData"])
            if answer["seed"] is None:
                raise WrongSession("the session hasn't started: its seed isn't known yet")
            config = SessionConfig(
                session_id=_number(answer["sessionId"]),
                opened_at=_number(answer["openedAt"]),
                opened_block=_number(answer["openedBlock"]),
                deadline=_number(answer["deadline"]),
                game=_bytes(answer["game"]),
                template_id=_bytes(answer["templateId"]),
                players_hash=players_hash(players),
                init_data_hash=keccak256(init_data),
                terms_hash=terms.hash(),
            )
            opening = cls(l1_chain_id, zk_relayer, config, terms, players, init_data, _bytes(answer["seed"]))
            if _bytes(answer["configHash"]) != opening.config_hash():
                raise WrongSession(f"session {config.session_id}: its configHash isn't that of its configuration")
            return opening
        except (KeyError, TypeError, ValueError, ProtocolError) as error:
            raise WrongSession(f"that isn't a session: {error}") from error

    def as_answer(self) -> dict[str, Any]:
        """What `from_answer` reads."""
        config, terms = self.config, self.terms
        return {
            "sessionId": hex(config.session_id),
            "configHash": _hex(self.config_hash()),
            "templateId": _hex(config.template_id),
            "game": _hex(config.game),
            "openedAt": hex(config.opened_at),
            "openedBlock": hex(config.opened_block),
            "deadline": hex(config.deadline),
            "players": [_hex(player) for player in self.players],
            "initData": _hex(self.init_data),
            "seed": _hex(self.seed),
            "terms": {
                "operator": _hex(terms.operator),
                "disputeGame": _hex(terms.dispute_game),
                "verifier": _hex(terms.verifier),
                "programId": _hex(terms.program_id),
                "claimBond": hex(terms.claim_bond),
                "challengeWindow": hex(terms.challenge_window),
                "inclusionDelay": hex(terms.inclusion_delay),
                "abortDelay": hex(terms.abort_delay),
                "callbackGas": hex(terms.callback_gas),
                "dataMode": terms.data_mode.name.lower().replace("_", "-"),
            },
        }

    async def check_on_l1(self, l1: L1Client) -> None:
        """Compare with the opening's event, and the seed with L1's randomness. Raises `WrongSession`, `L1Error`."""
        number = self.config.opened_block
        found = await l1.get_logs([self.zk_relayer], [], number, number)
        reader = EventReader(self.zk_relayer, self.l1_chain_id)
        events = [reader.read(log, found.last) for log in found.logs]
        same = [event for event in events if isinstance(event, SessionOpened) and event.config == self.config]
        if not same:
            raise WrongSession(f"L1's block {number} doesn't open session {self.session_id} with this configuration")
        after = await l1.get_block(number + 1)
        if after is None or session_seed(after.prev_randao, self.session_id) != self.seed:
            raise WrongSession(f"the seed of session {self.session_id} isn't of L1's block {number + 1}")


def _terms(answer: Mapping[str, Any]) -> Terms:
    return Terms(
        operator=_bytes(answer["operator"]),
        dispute_game=_bytes(answer["disputeGame"]),
        verifier=_bytes(answer["verifier"]),
        program_id=_bytes(answer["programId"]),
        claim_bond=_number(answer["claimBond"]),
        challenge_window=_number(answer["challengeWindow"]),
        inclusion_delay=_number(answer["inclusionDelay"]),
        abort_delay=_number(answer["abortDelay"]),
        callback_gas=_number(answer["callbackGas"]),
        data_mode=DataMode[answer["dataMode"].upper().replace("-", "_")],
    )


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value.removeprefix("0x"))


def _number(value: str) -> int:
    return int(value, 16)


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
