"""Game contracts on L1 that misbehave when they are given an outcome (`contracts/src/testing/HostileLobby.sol`)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from exclave import contracts
from exclave.client.opening import SessionOpening
from exclave.fault.errors import FaultError
from exclave.fault.report import Report
from exclave.fault.stage import Stage
from exclave.l1.payloads import encode_call, encode_creation
from exclave.relayer.events import EventReader, SessionOpened


class Manner(IntEnum):
    """`Manner` of the contract."""

    CALM = 0
    REVERTING = 1
    REENTERING = 2
    GAS_BURNING = 3


MANNERS: Final = {
    "reverting-game": Manner.REVERTING,
    "reentering-game": Manner.REENTERING,
    "gas-burning-game": Manner.GAS_BURNING,
}


async def open_hostile(stage: Stage, name: str, report: Report) -> None:
    """Deploys the game, and opens a session of it that is like the one on the stage: same template, terms and players.

    Raises `FaultError`, `L1Error`, `TransactionFailed`.
    """
    opening, artifact = stage.opening, contracts.load("HostileLobby")
    creation = encode_creation(artifact, opening.zk_relayer, int(MANNERS[name]))
    game = (await stage.send(None, creation)).contract_address
    assert game is not None, "it was created"
    now = (await stage.l1.get_head()).timestamp
    deadline = now + opening.config.deadline - opening.config.opened_at
    call = encode_call(
        artifact,
        "open",
        opening.config.template_id,
        opening.config.terms_hash,
        list(opening.players),
        opening.init_data,
        deadline,
    )
    receipt = await stage.send(game, call)
    opened = await _opened(stage, receipt.block_number, game)
    report.session_id = opened.config.session_id
    report.say(f"session {opened.config.session_id} opened by 0x{game.hex()}")
    if MANNERS[name] is Manner.REENTERING:
        await stage.send(game, encode_call(artifact, "setAttempts", _intrusions(opening, opened)))


def _intrusions(opening: SessionOpening, opened: SessionOpened) -> list[bytes]:
    """What would be a theft or a second outcome, if ZkRelayer took it from within a callback."""
    relayer = contracts.load("ZkRelayer")
    config = opened.config.as_abi_tuple()
    return [
        encode_call(relayer, "withdraw", opening.terms.claim_bond, opened.config.game),
        encode_call(relayer, "abort", config, opening.terms.as_abi_tuple()),
        encode_call(relayer, "retryCallback", config, b""),
    ]


async def _opened(stage: Stage, number: int, game: bytes) -> SessionOpened:
    found = await stage.l1.get_logs([stage.opening.zk_relayer], [], number, number)
    reader = EventReader(stage.opening.zk_relayer, stage.l1.chain_id)
    for entry in found.logs:
        event = reader.read(entry, found.last)
        if isinstance(event, SessionOpened) and event.config.game == game:
            return event
    raise FaultError(f"the session isn't in L1's block {number} any more: L1 was reorganised")
