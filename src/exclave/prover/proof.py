"""What is proven, and the file in which a proof is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from exclave.protocol.errors import DecodeError
from exclave.protocol.fields import decode_rlp, encode_rlp, keccak256, read_list
from exclave.prover.errors import InvalidProof
from exclave.prover.program import PROGRAM_ID
from exclave.prover.statement import Recovery, Statement, decode_recoveries, encode_recoveries

_VERSION: Final = 1
ROUNDS: Final = 4
"""Rounds of openings: `VerifyingKey.ROUNDS` of the contracts, which a test compares."""


@dataclass(frozen=True, slots=True)
class ProofRequest:
    """An execution of the guest to be proven: its input, what it will state, and the signatures that L1 checks."""

    input: bytes
    statement: Statement
    recoveries: tuple[Recovery, ...]

    @classmethod
    def from_run(cls, run: tuple[bytes, bytes, bytes]) -> ProofRequest:
        """From what `Engine.guest_run` gives."""
        encoded, statement, recoveries = run
        return cls(encoded, Statement.decode(statement), tuple(decode_recoveries(recoveries)))

    def key(self) -> bytes:
        """Names the proof: of this program and this input."""
        return keccak256(PROGRAM_ID + keccak256(self.input))


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof of a statement. `head` is the length of the part that says what is proven; `parts` are the places, in
    bytes, where the contract's verification can be interrupted: before the openings, and after each of their rounds.
    """

    program_id: bytes
    statement: Statement
    recoveries: tuple[Recovery, ...]
    proof: bytes
    head: int
    parts: tuple[int, ...]

    def encode(self) -> bytes:
        """The content of a proof's file: RLP of a version and the members, and their hash, so that damage shows."""
        members = [
            self.program_id,
            self.statement.encode(),
            encode_recoveries(self.recoveries),
            self.proof,
            self.head,
            list(self.parts),
        ]
        return encode_rlp([_VERSION, members, keccak256(encode_rlp(members))])

    @classmethod
    def decode(cls, data: bytes) -> Proof:
        """Inverse of `encode`. It may be of anything and invalid. Raises `InvalidProof`."""
        try:
            version, members, checksum = read_list(decode_rlp(data, "a proof's file"), "a proof's file", 3)
            if version != bytes([_VERSION]):
                raise DecodeError(f"version {version.hex() or '0'}, this program reads {_VERSION}")
            if checksum != keccak256(encode_rlp(members)):
                raise DecodeError("the file is damaged")
            program_id, statement, recoveries, proof, head, parts = read_list(members, "a proof", 6)
            found = cls(
                program_id,
                Statement.decode(statement),
                tuple(decode_recoveries(recoveries)),
                proof,
                _number(head),
                tuple(_number(part) for part in parts),
            )
        except (DecodeError, TypeError, AttributeError) as error:
            raise InvalidProof(f"not a proof's file: {error}") from error
        found._check_parts()
        return found

    def check_request(self, request: ProofRequest) -> None:
        """Raises `InvalidProof` unless this says what was asked for."""
        if (self.statement, self.recoveries) != (request.statement, request.recoveries):
            raise InvalidProof("the proof is of another statement than was asked for")

    def _check_parts(self) -> None:
        ordered: Sequence[int] = (0, self.head, *self.parts)
        rising = all(one < other for one, other in pairwise(ordered))
        if len(self.parts) != ROUNDS + 1 or not rising or self.parts[-1] != len(self.proof):
            raise InvalidProof("not a proof's file: its parts don't fit")
        if keccak256(encode_recoveries(self.recoveries)) != self.statement.recoveries_hash:
            raise InvalidProof("not a proof's file: the recoveries aren't those of the statement")


def _number(value: bytes) -> int:
    if len(value) > 4:
        raise DecodeError("a length is too large")
    return int.from_bytes(value, "big")
