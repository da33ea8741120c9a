"""What can go wrong between a player and an operator."""

from __future__ import annotations

from exclave.dispute.payloads import SignedBlock


class ClientError(Exception):
    """The base of all errors of this package."""


class WrongSession(ClientError):
    """What a node says of a session, or a file has of it, contradicts itself or L1."""


class NotSigned(ClientError):
    """The operator's signature is missing, or isn't his: the block isn't promised."""


class Equivocation(ClientError):
    """The operator signed two blocks of one number: evidence that costs him his stake (`OperatorStakes`)."""

    def __init__(self, one: SignedBlock, other: SignedBlock) -> None:
        self.one = one
        self.other = other
        super().__init__(f"the operator signed two blocks {one.number} of session {one.session_id}: keep the evidence")
