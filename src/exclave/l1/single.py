"""Single L1 transactions by an account of the user's own (the node's go through the EthTxManager)."""

from __future__ import annotations

import asyncio
import time

from exclave.l1.client import CallRequest, L1Client
from exclave.l1.fees import FeeSettings, suggest_fees
from exclave.l1.signers import Signer
from exclave.l1.transactions import MAX_TRANSACTION_GAS, Transaction, transaction_hash
from exclave.l1.values import L1Receipt

INCLUSION_SECONDS = 300.0


class TransactionFailed(Exception):
    """The transaction was refused, reverted, or wasn't included in time."""


async def send(l1: L1Client, signer: Signer, to: bytes | None, data: bytes, value: int = 0) -> L1Receipt:
    """Send one transaction and wait until it is in a block; `value` in wei.

    Raises `TransactionFailed`, and what `L1Client` and the signer raise.
    """
    request = CallRequest(to=to, data=data, sender=signer.address, value=value)
    gas = min(await l1.estimate_gas(request) * 5 // 4, MAX_TRANSACTION_GAS)
    suggestion = suggest_fees(await l1.get_fee_history(), FeeSettings(), blobs=False)
    nonce = await l1.get_nonce(signer.address, "pending")
    transaction = Transaction(l1.chain_id, nonce, suggestion.fees, gas, to, value, data)
    raw = await signer.sign_transaction(transaction)
    await l1.send_raw(raw)
    name = transaction_hash(raw)
    deadline = time.monotonic() + INCLUSION_SECONDS
    while (receipt := await l1.get_receipt(name)) is None:
        if time.monotonic() > deadline:
            raise TransactionFailed(
                f"0x{name.hex()} isn't in a block after {INCLUSION_SECONDS:.0f} s: look for it later"
            )
        await asyncio.sleep(0.2)
    if not receipt.success:
        raise TransactionFailed(f"0x{name.hex()} was included and reverted")
    return receipt
