"""What a player, or a player's bot, does: play, keep what the operator signed, and go to L1 if he doesn't."""

from __future__ import annotations

from exclave.client.errors import ClientError, Equivocation, NotSigned, WrongSession
from exclave.client.evidence import report_equivocation
from exclave.client.log import read_log, write_log
from exclave.client.opening import SessionOpening
from exclave.client.results import SignedResult, sign_result
from exclave.client.session import Receipt, SessionClient

__all__ = [
    "ClientError",
    "Equivocation",
    "NotSigned",
    "Receipt",
    "SessionClient",
    "SessionOpening",
    "SignedResult",
    "WrongSession",
    "read_log",
    "report_equivocation",
    "sign_result",
    "write_log",
]
