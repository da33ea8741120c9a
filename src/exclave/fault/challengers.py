"""Who opposes honest claims, and who lives off others' proofs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from exclave import contracts
from exclave.dispute.payloads import (
    HASHES_TOGETHER,
    DisputeKind,
    ShownHash,
    ShownLeaf,
    encode_challenge,
    encode_demand_block,
    encode_demand_hashes,
    encode_demand_leaf,
)
from exclave.fault.errors import FaultError
from exclave.fault.forgery import Lie, truth
from exclave.fault.liars import POLL_SECONDS, find_claim
from exclave.fault.report import Report
from exclave.fault.stage import Stage
from exclave.l1.payloads import selector_of
from exclave.l1.signers import LocalSigner
from exclave.l1.single import TransactionFailed, send
from exclave.l1.transactions import Fees

PROOF_CALLS: Final = ("prove", "proveFault")
PROOF_GAS: Final = 3_000_000
"""More than any of them takes."""

POOL_SECONDS: Final = 0.05


# -- griefing -----------------------------------------------------------------------------------------------------


async def grieve(stage: Stage, report: Report) -> None:
    """Opens every dispute that there is about the honest claim of the session, and stays until all are over.

    Raises `FaultError`, `L1Error`, `TransactionFailed`.
    """
    honest = truth(stage.chain)
    leaf = await _claim_of(stage, honest)
    report.claim_id = leaf.name.claim_id
    numbers = range(1, stage.chain.last_number + 1)
    await _open(stage, DisputeKind.LEAF, encode_demand_leaf(leaf.name), report)
    for position in range((len(honest.hashes) - 1) // HASHES_TOGETHER + 1):
        await _open(stage, DisputeKind.HASHES, encode_demand_hashes(leaf, position), report)
    for number in numbers:
        await _open(stage, DisputeKind.BLOCK, encode_demand_block(leaf, number), report)
    for number in numbers:
        parent, target = (ShownHash.of(honest.hashes, 0, at) for at in (number - 1, number))
        await _open(stage, DisputeKind.CHALLENGE, encode_challenge(leaf, parent, target), report)
    while True:
        state = await stage.disputes.leaf_state(leaf.name.claim_id, 0)
        if state.killed or not state.open:
            report.outcome = "killed" if state.killed else "survived"
            return
        await asyncio.sleep(POLL_SECONDS)


async def _open(stage: Stage, kind: DisputeKind, call: bytes, report: Report) -> None:
    bond = await stage.disputes.bond_of(kind)
    await stage.send(stage.disputes.game, call, bond)
    report.say(f"{kind.name.lower()} disputed for {bond} wei")


async def _claim_of(stage: Stage, honest: Lie) -> ShownLeaf:
    """The claim of this session alone, once it is on L1."""
    while True:
        leaf = await find_claim(stage, honest, stage.opening.config.opened_block)
        if leaf is not None:
            return leaf
        if not await stage.is_open():
            raise FaultError("the session was settled before anybody could oppose its claim")
        await asyncio.sleep(POLL_SECONDS)


# -- theft of proofs ----------------------------------------------------------------------------------------------


async def front_run(stage: Stage, report: Report) -> None:
    """Sends the first proof that is on its way to the dispute contract before its maker does, at a higher fee.

    Raises `L1Error`.
    """
    report.say("watching")
    async for seen in _pending(stage):
        fees = Fees(int(seen["maxFeePerGas"], 16) * 3, int(seen["maxPriorityFeePerGas"], 16) * 3 + 1)
        # Whether it succeeds shows who comes first, and is of no interest to the thief.
        with contextlib.suppress(TransactionFailed):
            await _send_proof(stage, _data(seen), fees)
        report.say(f"a proof of {seen['from']} sent first")
        return


async def replay(stage: Stage, report: Report) -> None:
    """Sends the first proof that is used on L1 again: as it is, and as if the thief had made it.

    Raises `L1Error`.
    """
    report.say("watching")
    async for seen in _included(stage):
        data = _data(seen)
        maker = bytes(12) + bytes.fromhex(seen["from"][2:])
        for what, call in (("as it is", data), ("as one's own", data.replace(maker, bytes(12) + stage.me))):
            try:
                await _send_proof(stage, call)
            except TransactionFailed:
                report.say(f"refused {what}")
            else:
                report.say(f"taken {what}")
        return


def _selectors() -> set[bytes]:
    return {selector_of(contracts.load("DisputeGame"), name) for name in PROOF_CALLS}


def _data(transaction: dict[str, Any]) -> bytes:
    return bytes.fromhex(transaction["input"][2:])


def _is_proof(stage: Stage, transaction: dict[str, Any]) -> bool:
    to, sender = transaction["to"], bytes.fromhex(transaction["from"][2:])
    others = to is not None and bytes.fromhex(to[2:]) == stage.disputes.game and sender != stage.me
    return others and _data(transaction)[:4] in _selectors()


async def _pending(stage: Stage) -> AsyncIterator[dict[str, Any]]:
    """Proofs in the pool of L1's node."""
    while True:
        pool = await stage.l1.request("txpool_content", [])
        for account in pool["pending"].values():
            for transaction in account.values():
                if _is_proof(stage, transaction):
                    yield transaction
        await asyncio.sleep(POOL_SECONDS)


async def _included(stage: Stage) -> AsyncIterator[dict[str, Any]]:
    """Proofs that L1 has taken."""
    number = stage.opening.config.opened_block
    while True:
        block = await stage.l1.request("eth_getBlockByNumber", [hex(number), True])
        if block is None:
            await asyncio.sleep(POLL_SECONDS)
            continue
        number += 1
        for transaction in block["transactions"]:
            if _is_proof(stage, transaction):
                receipt = await stage.l1.get_receipt(bytes.fromhex(transaction["hash"][2:]))
                if receipt is not None and receipt.success:
                    yield transaction


async def _send_proof(stage: Stage, call: bytes, fees: Fees | None = None) -> None:
    """Without an estimate, which would refuse what reverts. Raises `TransactionFailed`, `L1Error`."""
    signer = LocalSigner(stage.key)
    await send(stage.l1, signer, stage.disputes.game, call, gas_limit=PROOF_GAS, fees=fees)
