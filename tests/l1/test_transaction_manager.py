"""EthTxManager against a real L1 node: what becomes of an intent."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from l1.bench import Bench
from l1.counter import INCREMENT, ONLY_FIRST, REVERT, error_string
from l1.proxy import Fault, Proxy
from structlog.testing import capture_logs
from support.anvil import ETHER, RpcFailure, account

from exclave.l1 import AlertKind, ClientSettings, IntentRecord, IntentState, L1Unavailable
from exclave.l1.blobs import pack_blobs
from exclave.l1.intents import IntentConflict, IntentRefused, Purpose, UnknownIntent

MakeBench = Callable[..., Bench]
DROPPED = "an L1 transaction isn't needed any more, and is dropped"


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


async def test_submit_is_idempotent_by_key(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    first = await manager.submit(b.intent())
    assert await manager.submit(b.intent()) == first
    await b.settle(manager)
    again = await manager.submit(b.intent())
    assert again.state is IntentState.CONFIRMED
    await manager.step()
    assert b.counter.value() == 1
    for other in (b.intent(data=INCREMENT * 2), b.intent(value=1), b.intent(to=bytes(20)), b.intent(to=None)):
        with pytest.raises(IntentConflict):
            await manager.submit(other)


async def test_refuses_what_no_transaction_can_carry(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    for fields in (
        {"data": bytes(131_072)},
        {"blobs": (bytes(131_072),) * 7},
        {"blobs": (bytes(131_071),)},
        {"blobs": (bytes(131_072),), "to": None},
        {"gas_limit": 16_777_217},
        {"gas_limit": 20_999},
    ):
        with pytest.raises(IntentRefused):
            await manager.submit(b.intent(**fields))
    with pytest.raises(IntentRefused):
        b.intent(key="")
    with pytest.raises(UnknownIntent):
        await manager.status("count")


async def test_runs_by_itself_and_tells_who_waits(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    seen: list[IntentState] = []
    manager.add_listener(lambda record: seen.append(record.state))
    running = asyncio.create_task(manager.run())
    await manager.submit(b.intent())
    waiting = asyncio.create_task(manager.wait("count", 60))
    while not waiting.done():
        b.node.mine()
        await asyncio.sleep(0.05)
    assert (await waiting).state is IntentState.CONFIRMED
    assert (await manager.wait("count")).state is IntentState.CONFIRMED  # known already
    assert list(dict.fromkeys(seen)) == [IntentState.SENT, IntentState.MINED, IntentState.CONFIRMED]
    with pytest.raises(UnknownIntent):
        await manager.wait("other")
    await manager.submit(b.intent("never mined"))
    with pytest.raises(TimeoutError):
        await manager.wait("never mined", 0.2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_sends_in_order_and_not_too_many_at_once(bench: MakeBench) -> None:
    b = bench(settings={"max_in_flight": 3})
    manager = await b.manager()
    for i in range(8):
        await manager.submit(b.intent(f"count {i}"))
    await manager.step()
    await manager.step()
    records = [await manager.status(f"count {i}") for i in range(8)]
    assert [record.nonce for record in records] == [0, 1, 2, None, None, None, None, None]
    for i in range(8):
        assert (await b.settle(manager, f"count {i}")).nonce == i
    assert b.counter.value() == 8


async def test_creates_contracts_and_moves_value(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    other = account(7).address
    before = b.node.balance(other)
    await manager.submit(b.intent("create", to=None, data=bytes.fromhex("5f5ff3")))
    await manager.submit(b.intent("pay", to=bytes.fromhex(other[2:]), data=b"", value=123))
    assert (await b.settle(manager, "create")).state is IntentState.CONFIRMED
    assert (await b.settle(manager, "pay")).state is IntentState.CONFIRMED
    assert b.node.balance(other) == before + 123


async def test_what_would_revert_fails_before_it_costs_gas(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    for key, gas_limit in (("estimated", None), ("given", 100_000)):
        await manager.submit(b.intent(key, data=REVERT + error_string("too late"), gas_limit=gas_limit))
        await manager.step()
        record = await manager.status(key)
        assert (record.state, record.reason) == (IntentState.FAILED, "would revert: too late")
        assert record.revert_data == error_string("too late")
        assert record.attempts == ()
    assert b.node.nonce(b.sender, "pending") == 0


async def test_a_revert_on_l1_is_a_failure_with_its_reason(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent(data=REVERT + error_string("too late"), gas_limit=100_000, preflight=False))
    record = await b.settle(manager)
    assert (record.state, record.reason) == (IntentState.FAILED, "too late")
    assert record.transaction_hash is not None
    assert b.counter.value() == 0


async def test_what_depends_on_a_transaction_on_its_way_waits_for_it(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    # Reverts as long as the counter, which isn't zero yet, has not been set back: here it simply never works, but it
    # must not be judged while another transaction may still change the outcome.
    await manager.submit(b.intent("first"))
    await manager.submit(b.intent("second", data=REVERT))
    await manager.step()
    await manager.step()
    assert (await manager.status("second")).state is IntentState.QUEUED
    b.node.mine()
    await manager.step()
    assert (await manager.status("second")).state is IntentState.FAILED


async def test_what_would_revert_is_judged_though_others_are_always_on_their_way(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent("before"))
    await manager.submit(b.intent("bad", data=REVERT))
    await manager.step()
    assert (await manager.status("bad")).state is IntentState.QUEUED
    before = (await manager.status("before")).attempts[0]
    await manager.submit(b.intent("after"))
    await manager.step()
    after = (await manager.status("after")).attempts[0]
    b.node.drop("0x" + after.hash.hex())
    b.node.mine()
    assert b.node.rpc("eth_getTransactionReceipt", "0x" + before.hash.hex()) is not None
    await manager.step()
    assert (await manager.status("after")).state is IntentState.SENT
    record = await manager.status("bad")
    assert (record.state, record.reason) == (IntentState.FAILED, "would revert: execution reverted")


async def test_an_effect_that_somebody_else_had_counts(bench: MakeBench) -> None:
    b = bench()
    done = False

    async def check(_record: object) -> bool:
        return done

    manager = await b.manager(checks={"settle": check})
    await manager.submit(b.intent("raced", data=ONLY_FIRST, kind="settle", gas_limit=100_000))
    await manager.step()  # sent, and now somebody else is first
    done = True
    other = account(5).address
    b.node.rpc(
        "eth_sendTransaction",
        {
            "from": other,
            "to": "0x" + b.counter.address.hex(),
            "data": "0xfe",
            "gas": hex(100_000),
            "maxPriorityFeePerGas": hex(10**12),
            "maxFeePerGas": hex(10**13),
        },
    )
    record = await b.settle(manager, "raced")
    assert record.state is IntentState.CONFIRMED
    assert record.reason == "somebody else had the effect"
    # and one that is done before it is ever signed
    await manager.submit(b.intent("late", data=ONLY_FIRST, kind="settle"))
    await manager.step()
    record = await manager.status("late")
    assert (record.state, record.transaction_hash, record.attempts) == (IntentState.CONFIRMED, None, ())
    assert b.counter.value() == 1


async def test_more_gas_than_a_transaction_may_have_is_a_failure(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    # An endless loop as creation code: no amount of gas is enough.
    await manager.submit(b.intent(to=None, data=bytes.fromhex("5b5f56")))
    await manager.step()
    record = await manager.status("count")
    assert record.state is IntentState.FAILED
    assert record.attempts == ()


async def test_out_of_time_before_it_is_signed(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent(not_after=int(b.clock.seconds) - 1))
    await manager.step()
    record = await manager.status("count")
    assert (record.state, record.attempts) == (IntentState.ABANDONED, ())


async def test_out_of_time_on_its_way_is_taken_back_for_sure(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent(not_after=int(b.clock.seconds) + 10))
    await manager.step()
    b.clock.seconds += 11
    await manager.step()
    record = await manager.status("count")
    assert record.state is IntentState.SENT  # not before it is certain
    assert record.cancelling
    record = await b.settle(manager)
    assert record.state is IntentState.ABANDONED
    assert b.counter.value() == 0
    assert b.node.nonce(b.sender) == 1


class Needed:
    """Says that an intent is needed until a test gives a reason why not."""

    def __init__(self) -> None:
        self.reason: str | None = None

    async def __call__(self, _record: IntentRecord) -> str | None:
        return self.reason


async def test_what_is_not_needed_any_more_is_not_sent(bench: MakeBench) -> None:
    b = bench()
    needless = {"first"}

    async def check(record: IntentRecord) -> str | None:
        return "somebody else decided" if record.key in needless else None

    manager = await b.manager(not_needed=check)
    for key in ("first", "second"):
        await manager.submit(b.intent(key))
    with capture_logs() as logs:
        await manager.step()
    record = await manager.status("first")
    assert (record.state, record.attempts) == (IntentState.ABANDONED, ())
    told = [(entry["intent"], entry["reason"]) for entry in logs if entry["event"] == DROPPED]
    assert told == [("first", "somebody else decided")]
    assert (await b.settle(manager, "second")).state is IntentState.CONFIRMED
    assert b.counter.value() == 1


async def test_what_is_not_needed_any_more_is_taken_back_instead_of_sent_again(bench: MakeBench) -> None:
    """INVARIANT I7: it may be on its way all the same, so that its nonce is used up by something else."""
    b = bench()
    check = Needed()
    manager = await b.manager(not_needed=check)
    await manager.submit(b.intent())
    await manager.step()
    effect = (await manager.status("count")).attempts[0]
    check.reason = "somebody else decided"
    await manager.step()
    assert not (await manager.status("count")).cancelling  # a pool has it: most probably it is mined next
    await manager.stop()
    b.node.drop("0x" + effect.hash.hex())
    with capture_logs() as logs:
        record = await b.settle(await b.manager(not_needed=check))
    assert (record.state, record.reason) == (IntentState.ABANDONED, "not needed any more, and taken back")
    told = [entry["reason"] for entry in logs if entry["event"] == DROPPED]
    assert told == ["somebody else decided"]  # once
    with pytest.raises(RpcFailure, match="nonce too low"):
        b.node.rpc("eth_sendRawTransaction", "0x" + effect.raw.hex())
    assert b.counter.value() == 0
    assert b.node.nonce(b.sender) == 1


async def test_what_is_stuck_and_not_needed_any_more_is_taken_back(bench: MakeBench) -> None:
    b = bench()
    check = Needed()
    manager = await b.manager(not_needed=check)
    await manager.submit(b.intent())
    await manager.step()
    check.reason = "somebody else decided"
    b.clock.seconds += manager.settings.bump_after
    await manager.step()
    assert (await manager.status("count")).cancelling
    assert (await b.settle(manager)).state is IntentState.ABANDONED
    assert b.counter.value() == 0


async def test_what_can_not_be_judged_is_sent(bench: MakeBench) -> None:
    b = bench()

    async def check(_record: IntentRecord) -> str | None:
        raise UnknownIntent("no contract answers")

    manager = await b.manager(not_needed=check)
    await manager.submit(b.intent())
    assert (await b.settle(manager)).state is IntentState.CONFIRMED


async def test_out_of_time_but_mined_all_the_same_counts(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent(not_after=int(b.clock.seconds) + 10))
    await manager.step()
    effect = (await manager.status("count")).attempts[0]
    b.clock.seconds += 11
    await manager.step()
    cancel = (await manager.status("count")).attempts[-1]
    b.node.drop("0x" + cancel.hash.hex())
    b.node.rpc("eth_sendRawTransaction", "0x" + effect.raw.hex())
    b.node.mine()
    record = await b.settle(manager)
    assert (record.state, record.transaction_hash) == (IntentState.CONFIRMED, effect.hash)
    assert b.counter.value() == 1


async def test_insufficient_funds_wait_and_alert(bench: MakeBench) -> None:
    b = bench()
    alerts = []
    b.node.set_balance(b.sender, 10**12)
    manager = await b.manager(on_alert=alerts.append)
    await manager.submit(b.intent())
    await manager.step()
    await manager.step()
    assert (await manager.status("count")).attempts == ()
    assert [alert.kind for alert in alerts] == [AlertKind.INSUFFICIENT_FUNDS]  # once, not at each step
    b.node.set_balance(b.sender, ETHER)
    record = await b.settle(manager)
    assert record.state is IntentState.CONFIRMED
    assert manager.alerts() == []


async def test_funds_that_vanish_after_signing_wait_too(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    sent = (await manager.status("count")).attempts[0]
    b.node.drop("0x" + sent.hash.hex())
    b.node.set_balance(b.sender, 0)
    await manager.step()
    assert [alert.kind for alert in manager.alerts()] == [AlertKind.INSUFFICIENT_FUNDS]
    b.node.set_balance(b.sender, ETHER)
    record = await b.settle(manager)
    assert (record.state, record.transaction_hash) == (IntentState.CONFIRMED, sent.hash)
    assert b.counter.value() == 1


async def test_a_transaction_that_fell_out_of_the_pool_is_sent_again(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    for i in range(3):
        await manager.submit(b.intent(f"count {i}"))
    await manager.step()
    lost = (await manager.status("count 0")).attempts[0]
    b.node.drop("0x" + lost.hash.hex())  # a gap: the two others are stuck behind it
    b.node.mine()
    assert b.counter.value() == 0
    await manager.step()
    for i in range(3):
        assert (await b.settle(manager, f"count {i}")).state is IntentState.CONFIRMED
    assert (await manager.status("count 0")).transaction_hash == lost.hash
    assert b.counter.value() == 3


async def test_stuck_transactions_are_replaced_by_dearer_ones(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    first = (await manager.status("count")).attempts[0]
    await manager.step()
    assert len((await manager.status("count")).attempts) == 1  # there is time
    b.clock.seconds += 36
    await manager.step()
    second = (await manager.status("count")).attempts[1]
    assert second.nonce == first.nonce
    assert second.fees.max_fee_per_gas * 1000 >= first.fees.max_fee_per_gas * 1125
    assert second.fees.max_priority_fee_per_gas * 1000 >= first.fees.max_priority_fee_per_gas * 1125
    assert b.node.rpc("eth_getTransactionByHash", "0x" + first.hash.hex()) is None  # the pool took the second
    record = await b.settle(manager)
    assert record.transaction_hash == second.hash
    assert b.counter.value() == 1


async def test_survives_a_fee_spike(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    b.node.set_next_base_fee(100 * 10**9)
    b.node.mine()
    assert b.counter.value() == 0  # not for that price
    for _ in range(3):
        b.node.set_next_base_fee(100 * 10**9)
        b.clock.seconds += 40
        await manager.step()
        b.node.mine()
    record = await b.settle(manager)
    assert record.state is IntentState.CONFIRMED
    assert record.effective_gas_price >= 100 * 10**9
    assert b.counter.value() == 1


async def test_caps_on_fees_hold_and_alert(bench: MakeBench) -> None:
    b = bench(fees={"max_fee_per_gas": 5 * 10**9})
    manager = await b.manager()
    b.node.set_next_base_fee(50 * 10**9)
    b.node.mine()
    await manager.submit(b.intent())
    await manager.step()
    assert (await manager.status("count")).attempts == ()
    assert [alert.kind for alert in manager.alerts()] == [AlertKind.FEE_CAP]
    b.node.set_next_base_fee(10**9)
    b.node.mine()
    b.node.set_next_base_fee(10**9)
    await manager.step()
    for _ in range(40):  # replaced until the cap is met, not beyond
        b.clock.seconds += 40
        await manager.step()
    record = await manager.status("count")
    assert max(attempt.fees.max_fee_per_gas for attempt in record.attempts) <= 5 * 10**9
    assert AlertKind.FEE_CAP in [alert.kind for alert in manager.alerts()]
    record = await b.settle(manager)
    assert record.state is IntentState.CONFIRMED
    assert manager.alerts() == []
    assert b.counter.value() == 1


async def test_what_no_node_takes_fails_and_blocks_nobody(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    # More gas than a block has: the caller insists on it, and the nonce is given before the node says no.
    b.node.rpc("evm_setBlockGasLimit", hex(2_000_000))
    b.node.mine()
    await manager.submit(b.intent("bad", gas_limit=3_000_000, preflight=False))
    await manager.submit(b.intent("good"))
    good = await b.settle(manager, "good")
    bad = await b.settle(manager, "bad")
    assert good.state is IntentState.CONFIRMED
    assert bad.state is IntentState.FAILED
    assert "no node takes it" in (bad.reason or "")
    assert b.counter.value() == 1


async def test_one_that_cannot_be_paid_for_keeps_none_of_the_others_waiting(bench: MakeBench) -> None:
    """A claim's bond is more than the account has: the settlements behind it are what would bring ether back."""
    b = bench()
    b.node.set_balance(b.sender, ETHER // 10)
    manager = await b.manager()
    intents = {
        "bond": b.intent("bond", data=b"", value=ETHER),
        "gas": b.intent("gas", gas_limit=16_000_000, preflight=False),
        "blob": b.intent("blob", value=ETHER, blobs=pack_blobs(b"data"), gas_limit=100_000),
    }
    for intent in (*intents.values(), b.intent("settle"), b.intent("release")):
        await manager.submit(intent)
    b.node.set_next_base_fee(20 * 10**9)
    b.node.mine()
    b.node.set_next_base_fee(20 * 10**9)
    await manager.step()
    for key in ("settle", "release"):
        assert (await manager.status(key)).state is IntentState.SENT
    waiting = {alert.key for alert in manager.alerts() if alert.kind is AlertKind.INSUFFICIENT_FUNDS}
    assert waiting == set(intents)
    assert (await b.settle(manager, "release")).state is IntentState.CONFIRMED
    assert [(await manager.status(key)).attempts for key in intents] == [(), (), ()]
    b.node.set_balance(b.sender, 10 * ETHER)
    for key in ("gas", "blob"):
        assert (await b.settle(manager, key)).state is IntentState.CONFIRMED
    assert b.counter.value() == 4


async def test_an_unpaid_intent_asks_l1_nothing_at_each_step(bench: MakeBench) -> None:
    b = bench()
    proxy = Proxy(b.node.url)
    b.exits.callback(proxy.stop)
    b.node.set_balance(b.sender, 10**12)
    manager = await b.manager(await b.client(proxy.url))
    for i in range(5):
        await manager.submit(b.intent(f"count {i}"))
    await manager.step()
    proxy.methods.clear()
    await manager.step()
    assert "eth_estimateGas" not in proxy.methods
    assert proxy.methods.count("eth_feeHistory") == 1


async def test_one_that_nodes_cannot_try_keeps_none_of_the_others_waiting(bench: MakeBench) -> None:
    b = bench()
    proxy = Proxy(b.node.url)
    b.exits.callback(proxy.stop)
    client = await b.client(proxy.url, settings=ClientSettings(timeout=1.0, rounds=1, backoff=0.0))
    manager = await b.manager(client)
    heavy = b.intent("heavy", data=INCREMENT + b"heavy")

    def too_much(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_estimateGas" and params[0]["input"] == "0x" + heavy.data.hex():
            raise Fault(-32000, "execution aborted (timeout = 5s)")
        return result

    proxy.falsify = too_much
    await manager.submit(heavy)
    await manager.submit(b.intent("count"))
    await manager.step()
    assert (await manager.status("count")).state is IntentState.SENT
    assert [(alert.kind, alert.key) for alert in manager.alerts()] == [(AlertKind.NOT_ACCEPTED, "heavy")]

    def silent(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_estimateGas" and params[0]["input"] == "0x" + heavy.data.hex():
            return {}
        return result

    proxy.falsify = silent  # no usable answer at all: the step ends, and the next one begins with the others
    await manager.submit(b.intent("another"))
    with pytest.raises(L1Unavailable):
        await manager.step()
    client._endpoints[0].succeeded()
    with pytest.raises(L1Unavailable):
        await manager.step()
    assert (await manager.status("another")).state is IntentState.SENT
    client._endpoints[0].succeeded()
    proxy.falsify = None
    assert (await b.settle(manager, "heavy")).state is IntentState.CONFIRMED


async def test_malformed_blobs_fail_and_block_nobody(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent("bad", blobs=(b"\xff" * 131_072,)))
    await manager.submit(b.intent("good"))
    await manager.step()
    record = await manager.status("bad")
    assert (record.state, record.reason) == (
        IntentState.FAILED,
        "no node takes it: a field element isn't below the modulus",
    )
    assert (await manager.status("good")).state is IntentState.SENT


async def test_a_replacement_that_cannot_be_paid_for_is_not_made(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    first = (await manager.status("count")).attempts[0]
    b.node.set_balance(b.sender, first.max_gas_cost * 11 // 10)
    b.clock.seconds += 40
    await manager.step()
    assert AlertKind.INSUFFICIENT_FUNDS in [alert.kind for alert in manager.alerts()]
    record = await b.settle(manager)
    assert (record.state, record.transaction_hash, len(record.attempts)) == (IntentState.CONFIRMED, first.hash, 1)


class BlobMarket:
    """A node whose blob base fee is what a test says, as far as eth_feeHistory tells."""

    def __init__(self, b: Bench) -> None:
        self.fee = 10**9
        self.proxy = Proxy(b.node.url)
        b.exits.callback(self.proxy.stop)
        self.proxy.falsify = self._change

    def _change(self, method: str, _params: list[Any], result: Any) -> Any:
        if method == "eth_feeHistory":
            return {**result, "baseFeePerBlobGas": [hex(self.fee)] * len(result["baseFeePerGas"])}
        return result


async def test_a_blob_transaction_is_replaced_as_blob_pools_ask(bench: MakeBench) -> None:
    """geth's blob pool asks for twice of all three fees; a blob transaction replaces, and takes back, another one."""
    b = bench()
    market = BlobMarket(b)
    manager = await b.manager(await b.client(market.proxy.url))
    await manager.submit(b.intent(blobs=pack_blobs(b"data"), gas_limit=100_000, not_after=int(b.clock.seconds) + 100))
    await manager.step()
    for expected in (2, 3, 4):
        b.clock.seconds += 40
        await manager.step()
        assert len((await manager.status("count")).attempts) == expected
    attempts = (await manager.status("count")).attempts
    assert [attempt.purpose for attempt in attempts] == [Purpose.EFFECT] * 3 + [Purpose.CANCEL]
    for old, new in itertools.pairwise(attempts):
        assert new.fees.max_fee_per_gas >= 2 * old.fees.max_fee_per_gas
        assert new.fees.max_priority_fee_per_gas >= 2 * old.fees.max_priority_fee_per_gas
        assert new.fees.max_fee_per_blob_gas >= 2 * old.fees.max_fee_per_blob_gas
        assert b.node.rpc("eth_getTransactionByHash", "0x" + old.hash.hex()) is None  # the pool took the new one
    assert b.node.rpc("eth_getTransactionByHash", "0x" + attempts[-1].hash.hex())["type"] == "0x3"
    record = await b.settle(manager)
    assert (record.state, record.transaction_hash) == (IntentState.ABANDONED, attempts[-1].hash)
    assert b.counter.value() == 0


async def test_a_blob_fee_beyond_the_cap_is_waited_out(bench: MakeBench) -> None:
    b = bench(fees={"max_fee_per_blob_gas": 100 * 10**9})
    market = BlobMarket(b)
    manager = await b.manager(await b.client(market.proxy.url))
    await manager.submit(b.intent("sent", blobs=pack_blobs(b"sent"), gas_limit=100_000))
    await manager.step()
    market.fee = 500 * 10**9
    await manager.submit(b.intent("queued", blobs=pack_blobs(b"queued"), gas_limit=100_000))
    for _ in range(4):  # stuck, and dearer it would be stuck as well
        b.clock.seconds += 40
        await manager.step()
    assert len((await manager.status("sent")).attempts) == 1
    assert (await manager.status("queued")).attempts == ()
    capped = {alert.key for alert in manager.alerts() if alert.kind is AlertKind.FEE_CAP}
    assert capped == {"sent", "queued"}
    market.fee = 10 * 10**9  # back, but above what the first attempt pays
    b.clock.seconds += 40
    await manager.step()
    first, second = (await manager.status("sent")).attempts
    assert second.fees.max_fee_per_blob_gas == 20 * 10**9
    assert second.fees.max_fee_per_gas >= 2 * first.fees.max_fee_per_gas
    for key in ("sent", "queued"):
        assert (await b.settle(manager, key)).state is IntentState.CONFIRMED
    assert manager.alerts() == []
    assert b.counter.value() == 2


async def test_transactions_without_blobs_do_not_wait_for_the_blob_fee(bench: MakeBench) -> None:
    b = bench(fees={"max_fee_per_blob_gas": 10**9})
    market = BlobMarket(b)
    market.fee = 500 * 10**9
    manager = await b.manager(await b.client(market.proxy.url))
    await manager.submit(b.intent("claim", blobs=pack_blobs(b"data"), gas_limit=100_000))
    await manager.submit(b.intent("settle"))
    assert (await b.settle(manager, "settle")).state is IntentState.CONFIRMED
    assert (await manager.status("claim")).attempts == ()


async def test_no_step_goes_on_after_run_was_cancelled(bench: MakeBench) -> None:
    b = bench()
    client = await b.client()
    entered, left = asyncio.Event(), asyncio.Event()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        async def get_head(self) -> Any:
            entered.set()
            try:
                await asyncio.sleep(60)
            finally:
                left.set()

    manager = await b.manager(Slow())  # type: ignore[arg-type]
    running = asyncio.create_task(manager.run())
    async with asyncio.timeout(10):
        await entered.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert left.is_set()
