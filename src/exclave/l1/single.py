"""Single L1 transactions by an account of the user's own (the node's go through the EthTxManager)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from exclave.l1.blobs import build_sidecar_in_thread, network_form
from exclave.l1.client import CallRequest, L1Client
from exclave.l1.errors import L1Unavailable, NodeError
from exclave.l1.fees import FeeSettings, suggest_fees
from exclave.l1.signers import Signer
from exclave.l1.transactions import MAX_TRANSACTION_GAS, Fees, Transaction, transaction_hash
from exclave.l1.values import L1Receipt

INCLUSION_SECONDS = 300.0
POLL_SECONDS = 0.2
OFFER_SECONDS = 5.0
"""After which a transaction that isn't in a block is offered again."""


class TransactionFailed(Exception):
    """The transaction was refused, reverted, or wasn't included in time."""


async def send(
    l1: L1Client,
    signer: Signer,
    to: bytes | None,
    data: bytes,
    value: int = 0,
    *,
    blobs: Sequence[bytes] = (),
    gas_limit: int | None = None,
    fees: Fees | None = None,
) -> L1Receipt:
    """Send one transaction, with its blobs, and wait until it is in a block; `value` in wei. A `gas_limit` sends what
    can't be estimated. `fees`: by default what L1 asks for now.

    Raises `TransactionFailed`, and before it is sent what `L1Client`, the signer and `exclave.l1.blobs` raise.
    """
    sidecar = await build_sidecar_in_thread(blobs) if blobs else None
    hashes = sidecar.versioned_hashes if sidecar else ()
    if gas_limit is None:
        request = CallRequest(to=to, data=data, sender=signer.address, value=value, blob_versioned_hashes=hashes)
        gas_limit = min(await l1.estimate_gas(request) * 5 // 4, MAX_TRANSACTION_GAS)
    if fees is None:
        fees = suggest_fees(await l1.get_fee_history(), FeeSettings(), blobs=bool(blobs)).fees
    nonce = await l1.get_nonce(signer.address, "pending")
    transaction = Transaction(l1.chain_id, nonce, fees, gas_limit, to, value, data, hashes)
    raw = await signer.sign_transaction(transaction)
    offer = raw if sidecar is None else network_form(raw, sidecar)
    await l1.send_raw(offer)
    receipt = await _included(l1, transaction_hash(raw), offer)
    if not receipt.success:
        raise TransactionFailed(f"0x{receipt.transaction_hash.hex()} was included and reverted")
    return receipt


async def _included(l1: L1Client, name: bytes, offer: bytes) -> L1Receipt:
    """The receipt of a transaction that was sent, once it is in a block."""
    offered = began = time.monotonic()
    while True:
        # What is on its way may have its effect, whether L1 answers now or not: it is waited for all the same.
        with contextlib.suppress(L1Unavailable):
            receipt = await l1.get_receipt(name)
            if receipt is not None:
                return receipt
        now = time.monotonic()
        if now > began + INCLUSION_SECONDS:
            raise TransactionFailed(
                f"0x{name.hex()} isn't in a block after {INCLUSION_SECONDS:.0f} s: look for it later"
            )
        if now > offered + OFFER_SECONDS:
            # A pool may have dropped it, after a reorganisation too. What is known or mined meanwhile is refused.
            offered = now
            with contextlib.suppress(NodeError, L1Unavailable):
                await l1.send_raw(offer)
        await asyncio.sleep(POLL_SECONDS)
