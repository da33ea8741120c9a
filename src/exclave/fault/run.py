"""One fault from its beginning to its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exclave.config import KeySource
from exclave.fault import challengers, games, liars, signing
from exclave.fault.errors import FaultError
from exclave.fault.report import Report
from exclave.fault.stage import Stage, refuse_main_network, stage
from exclave.fault.table import FAULTS, Role
from exclave.l1.client import L1Client
from exclave.node.keys import load_key


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be committed, where, and with which account. `rpc`: the node that has the session."""

    name: str
    l1_url: str
    l1_chain_id: int
    zk_relayer: bytes
    session_id: int
    rpc: str
    key: KeySource
    answers: str
    output: Path | None


async def commit(request: Request, tell: Callable[[str], None]) -> Report:
    """Commits the fault; returns when it has been dealt with. `tell` is told of each step.

    Raises `FaultError`, `ClientError`, `RpcFailure`, `L1Error`, `TransactionFailed`, `FatalError`, `OSError`.
    """
    refuse_main_network(request.l1_chain_id)
    answers = _answers(request.answers)
    key = await load_key(request.key, "the adversary's account", request.l1_chain_id)
    report = Report(request.name, tell, request.session_id)
    async with (
        L1Client([request.l1_url], request.l1_chain_id) as l1,
        stage(l1, key, request.rpc, request.session_id, request.zk_relayer) as set_up,
    ):
        await _commit(set_up, request, answers, report)
    return report


async def _commit(stage: Stage, request: Request, answers: liars.Answers, report: Report) -> None:
    match FAULTS[request.name].role, request.name:
        case _, "no-claim":
            await liars.say_nothing(stage, report)
        case Role.LIAR, name:
            await liars.lie(stage, name, answers, report)
        case Role.GAME, name:
            await games.open_hostile(stage, name, report)
        case _, "equivocation":
            signing.equivocate(stage, request.output, report)
        case _, "griefing":
            await challengers.grieve(stage, report)
        case _, "front-running":
            await challengers.front_run(stage, report)
        case _, "proof-replay":
            await challengers.replay(stage, report)
        case _, name:
            raise AssertionError(f"nothing commits {name}")


def _answers(text: str) -> liars.Answers:
    try:
        return liars.Answers[text.upper()]
    except KeyError:
        raise FaultError(f"--answers is none, leaf, hashes or block, not {text}") from None
