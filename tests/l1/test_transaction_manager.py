"""EthTxManager against a real L1 node: what becomes of an intent."""

from __future__ import annotations

from collections.abc import Callable

from l1.bench import Bench

from exclave.l1 import IntentState

MakeBench = Callable[..., Bench]


async def test_confirms_after_the_confirmations(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    assert (await manager.submit(b.intent())).state is IntentState.QUEUED
    await manager.step()
    assert (await manager.status("count")).state is IntentState.SENT
    b.node.mine()
    await manager.step()
    mined = await manager.status("count")
    assert mined.state is IntentState.MINED
    b.node.mine()
    await manager.step()
    assert (await manager.status("count")).state is IntentState.MINED
    b.node.mine()
    await manager.step()
    record = await manager.status("count")
    assert record.state is IntentState.CONFIRMED
    receipt = b.node.rpc("eth_getTransactionReceipt", "0x" + record.transaction_hash.hex())
    assert int(receipt["blockNumber"], 16) == record.block_number
    assert int(receipt["gasUsed"], 16) == record.gas_used
    assert int(receipt["effectiveGasPrice"], 16) == record.effective_gas_price
    assert b.counter.value() == 1
