"""Claimants who lie, say nothing, or come too late; and how far they defend what they said."""

from __future__ import annotations

import asyncio
import time
from enum import IntEnum
from typing import Final

from exclave.challenger.board import LeafBoard
from exclave.coordinator.calls import L1SessionStatus, encode_claim, encode_release_bond
from exclave.dispute.payloads import (
    DisputeKind,
    DisputeStatus,
    LeafName,
    ShownHash,
    ShownLeaf,
    encode_answer_block,
    encode_answer_hashes,
    encode_answer_leaf,
    encode_challenge,
    encode_release,
)
from exclave.fault.errors import FaultError
from exclave.fault.forgery import Lie, Occasion, forge
from exclave.fault.report import Report
from exclave.fault.stage import Stage
from exclave.l1.blobs import BYTES_PER_BLOB, pack_blobs
from exclave.l1.errors import ExecutionReverted
from exclave.l1.single import TransactionFailed
from exclave.protocol import DataMode, keccak256
from exclave.protocol.constants import ZERO_ADDRESS, ZERO_HASH
from exclave.relayer.events import ClaimPosted, EventReader

POLL_SECONDS: Final = 0.2
SILENT: Final = frozenset({"garbage-root", "garbage-blob", "withheld-data"})
"""Those who have nothing to show, or show nothing."""

REORG_BLOCKS: Final = 8
"""How much earlier a claim may be, or a dispute have been opened, when L1 was reorganised meanwhile."""

REORG_SECONDS: Final = 30.0
"""How long what a reorganisation took back may need to come again."""

GARBAGE_BLOB: Final = b"\x01" * BYTES_PER_BLOB
"""Field elements below the modulus, whose first bytes aren't zero: no data has been packed so."""


class Answers(IntEnum):
    """How far an adversary defends a claim, before it dies: each step needs the one before."""

    NONE = 0
    LEAF = 1
    HASHES = 2
    BLOCK = 3


async def lie(stage: Stage, name: str, answers: Answers, report: Report) -> None:
    """Posts the claim and answers demands as far as `answers` says, until the claim is dead or its session over. Who
    answers nothing leaves at once.

    Raises `FaultError`, `L1Error`, `TransactionFailed`.
    """
    _needs_disputes(stage)
    now = (await stage.l1.get_head()).timestamp
    occasion = Occasion(stage.chain, stage.executor, stage.key, now)
    made = await asyncio.to_thread(forge, name, occasion)
    if name == "late-claim":
        report.say("waiting until the session can be aborted")
        await until_abortable(stage)
    leaf = await post(stage, made, report, garbage=name == "garbage-blob")
    if name == "self-challenge":
        await _challenge_oneself(stage, made, leaf, report)
    if answers is Answers.NONE or name in SILENT:
        report.outcome = "posted"
        return
    await _defend(stage, made, leaf, answers, report)


async def say_nothing(stage: Stage, report: Report) -> None:
    """Waits until others have ended the session. Raises `L1Error`."""
    report.say("waiting until the session is over")
    while True:
        status = await stage.relayer.session_status(stage.opening.session_id)
        if status is not L1SessionStatus.OPEN:
            report.outcome = status.name.lower()
            return
        await asyncio.sleep(POLL_SECONDS)


async def until_abortable(stage: Stage) -> None:
    """Waits until L1 would abort the session. Raises `L1Error`."""
    since = stage.opening.config.deadline + stage.opening.terms.abort_delay
    while True:
        if (await stage.l1.get_head()).timestamp >= since:
            return
        await asyncio.sleep(POLL_SECONDS)


async def post(stage: Stage, made: Lie, report: Report, *, garbage: bool = False) -> ShownLeaf:
    """Claims one session on L1. Raises `L1Error`, `TransactionFailed`."""
    terms = stage.opening.terms
    blobs: tuple[bytes, ...] = ()
    data, data_hash = b"", ZERO_HASH
    match terms.data_mode:
        case DataMode.BLOB:
            blobs = (GARBAGE_BLOB,) if garbage else pack_blobs(made.data)
        case DataMode.CALLDATA:
            data = made.data
        case DataMode.ON_DEMAND:
            data_hash = keccak256(made.data)
    call = encode_claim(made.root, 1, terms, data_hash, data, b"")
    receipt = await stage.send(stage.opening.zk_relayer, call, terms.claim_bond, blobs=blobs)
    leaf = await _posted(stage, made, max(0, receipt.block_number - REORG_BLOCKS))
    report.claim_id = leaf.name.claim_id
    report.say(f"claim {leaf.name.claim_id} posted")
    return leaf


async def _posted(stage: Stage, made: Lie, since: int) -> ShownLeaf:
    """The adversary's claim, which was in a block a moment ago."""
    deadline = time.monotonic() + REORG_SECONDS
    while (leaf := await find_claim(stage, made, since, stage.me)) is None:
        if time.monotonic() > deadline:
            raise FaultError("the claim isn't on L1 any more: L1 was reorganised")
        await asyncio.sleep(POLL_SECONDS)
    return leaf


async def find_claim(stage: Stage, made: Lie, since: int, claimant: bytes | None = None) -> ShownLeaf | None:
    """The claim with this root, by whomever unless `claimant` is given, as L1 has it from block `since` on: a
    reorganisation gives it another number and time.

    Raises `L1Error`.
    """
    zk_relayer = stage.opening.zk_relayer
    reader = EventReader(zk_relayer, stage.l1.chain_id)
    found = await stage.l1.get_logs([zk_relayer], [], since, (await stage.l1.get_head()).number)
    for entry in found.logs:
        header = await stage.l1.get_block(entry.block_hash)
        event = reader.read(entry, header) if header is not None else None
        if not isinstance(event, ClaimPosted) or event.header.root != made.root:
            continue
        if claimant is None or event.claimant == claimant:
            return ShownLeaf.of(LeafName(event.claim_id, 0, event.header), [made.claim])
    return None


async def _challenge_oneself(stage: Stage, made: Lie, leaf: ShownLeaf, report: Report) -> None:
    """The last block, before anybody else can."""
    last = made.claim.last_number
    pair = [ShownHash.of(made.hashes, 0, number) for number in (last - 1, last)]
    bond = await stage.disputes.bond_of(DisputeKind.CHALLENGE)
    await stage.send(stage.disputes.game, encode_challenge(leaf, *pair), bond)
    report.say(f"block {last} challenged")


async def _defend(stage: Stage, made: Lie, leaf: ShownLeaf, answers: Answers, report: Report) -> None:
    since = max(0, (await stage.l1.get_head()).number - REORG_BLOCKS)
    while True:
        leaf = await find_claim(stage, made, since, stage.me) or leaf
        claim_id, head = leaf.name.claim_id, await stage.l1.get_head()
        board = (await stage.disputes.boards(claim_id, since, head.number)).get(0)
        if board is not None:
            if board.state.killed:
                report.outcome = "killed"
                return
            await _answer(stage, made, leaf, board, answers, report)
            if board.state.held and not board.state.open and head.timestamp > board.state.until:
                await stage.send(stage.disputes.game, encode_release(leaf.name))
                report.say("leaf released")
        header = leaf.name.header
        over = head.timestamp > header.claimed_at + header.challenge_window
        if over and (board is None or not board.state.held):
            report.outcome = "survived"
            await stage.send(stage.opening.zk_relayer, encode_release_bond(claim_id, header))
            return
        await asyncio.sleep(POLL_SECONDS)


async def _answer(stage: Stage, made: Lie, leaf: ShownLeaf, board: LeafBoard, answers: Answers, report: Report) -> None:
    now = (await stage.l1.get_head()).timestamp
    for (kind, number), dispute in board.disputes.items():
        if dispute.status is not DisputeStatus.OPEN or now > dispute.deadline:
            continue
        if kind is DisputeKind.LEAF and answers >= Answers.LEAF:
            call = encode_answer_leaf(leaf)
        elif kind is DisputeKind.HASHES and answers >= Answers.HASHES:
            call = encode_answer_hashes(leaf, number, made.hashes)
        elif kind is DisputeKind.BLOCK and answers >= Answers.BLOCK and number:
            parent, target = (ShownHash.of(made.hashes, 0, at) for at in (number - 1, number))
            block = made.block(number)
            call = encode_answer_block(leaf, parent, target, block.header, block.transactions)
        else:
            continue
        try:
            await stage.send(stage.disputes.game, call)
        except (ExecutionReverted, TransactionFailed) as error:
            # The claim may have died meanwhile, or L1 have been reorganised: the next look tells.
            report.say(f"{kind.name.lower()} {number} not shown: {error}")
            return
        report.answered.append((kind.name.lower(), number))
        report.say(f"{kind.name.lower()} {number} shown")


def _needs_disputes(stage: Stage) -> None:
    if stage.opening.terms.dispute_game == ZERO_ADDRESS:
        raise FaultError("the session's terms name no dispute contract: nobody but the operator can claim it")
