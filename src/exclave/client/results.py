"""Results that all players sign, so that their session settles at once, without operator, bond or window."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from exclave.client.errors import ClientError
from exclave.client.opening import SessionOpening
from exclave.client.payloads import encode_settle_unanimously
from exclave.protocol import address_of, keccak256, session_result_digest, sign_digest


@dataclass(frozen=True, slots=True)
class SignedResult:
    """A player's signature of a result, which counts until L1's timestamp `valid_until`."""

    session_id: int
    config_hash: bytes
    result: bytes
    valid_until: int
    player: bytes
    signature: bytes

    def to_json(self) -> str:
        """For the file that players exchange."""
        return json.dumps(
            {
                "sessionId": self.session_id,
                "configHash": "0x" + self.config_hash.hex(),
                "result": "0x" + self.result.hex(),
                "validUntil": self.valid_until,
                "player": "0x" + self.player.hex(),
                "signature": "0x" + self.signature.hex(),
            },
            indent=2,
        )

    @classmethod
    def from_json(cls, text: str) -> SignedResult:
        """Inverse of `to_json`. Raises `ClientError`."""
        try:
            values = json.loads(text)
            names = ("configHash", "result", "player", "signature")
            config_hash, result, player, signature = (bytes.fromhex(values[name].removeprefix("0x")) for name in names)
            return cls(int(values["sessionId"]), config_hash, result, int(values["validUntil"]), player, signature)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ClientError(f"not a signed result: {error}") from error


def sign_result(opening: SessionOpening, result: bytes, valid_until: int, private_key: bytes) -> SignedResult:
    """A player's signature. Raises `ClientError` if the key isn't a player's, `InvalidSignature` if it is no key."""
    player = address_of(private_key)
    if player not in opening.players:
        raise ClientError(f"0x{player.hex()} isn't a player of session {opening.session_id}")
    config_hash = opening.config_hash()
    digest = session_result_digest(opening.l1_chain_id, opening.zk_relayer, config_hash, keccak256(result), valid_until)
    signature = sign_digest(digest, private_key)
    return SignedResult(opening.session_id, config_hash, result, valid_until, player, signature)


def settlement_of(opening: SessionOpening, signed: Sequence[SignedResult]) -> bytes:
    """Calldata of `settleUnanimously`. Raises `ClientError` unless every player signed the same.

    Whether the signatures are right is for L1 to say: a player may be a contract (EIP-1271).
    """
    by_player = {entry.player: entry for entry in signed}
    if missing := [player for player in opening.players if player not in by_player]:
        raise ClientError(f"these players haven't signed: {', '.join('0x' + player.hex() for player in missing)}")
    entries = [by_player[player] for player in opening.players]
    if any(entry.config_hash != opening.config_hash() for entry in entries):
        raise ClientError(f"a signature is of another session than {opening.session_id}")
    if len({(entry.result, entry.valid_until) for entry in entries}) != 1:
        raise ClientError("the players have signed different results, or for different times")
    return encode_settle_unanimously(
        opening, entries[0].result, entries[0].valid_until, [entry.signature for entry in entries]
    )
