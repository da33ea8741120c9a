"""INVARIANT I7: an intent takes effect on L1 at most once, through crashes, timeouts, fee bumps and reorgs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from l1.bench import FINAL, Bench
from l1.counter import INCREMENT
from l1.crashes import Boundaries, Killed
from l1.proxy import Fault, Proxy
from support.anvil import account

from exclave.l1 import AlertKind, ClientSettings, EthTxManager, IntentState, L1Client, L1Unavailable
from exclave.l1.blobs import build_sidecar, network_form
from exclave.l1.errors import EndpointTimeout
from exclave.l1.intents import Attempt, NonceConflict, Purpose
from exclave.l1.transaction_manager import KeyUsedElsewhere
from exclave.l1.transactions import Fees, Transaction

MakeBench = Callable[..., Bench]
Scenario = Callable[[Bench, EthTxManager, int], Awaitable[None]]


async def plain(b: Bench, manager: EthTxManager, round_: int) -> None:
    await manager.step()
    b.node.mine()


async def stuck(b: Bench, manager: EthTxManager, round_: int) -> None:
    """Nothing is mined until there are replacements."""
    await manager.step()
    b.clock.seconds += 40
    if round_ >= 2:
        b.node.mine()


async def reorged(b: Bench, manager: EthTxManager, round_: int) -> None:
    """Two blocks later it never happened, once."""
    await manager.step()
    b.node.mine()
    if round_ == 2 and b.node.nonce(b.sender) > 0:
        b.node.reorg(2)
    b.clock.seconds += 5


async def kill_everywhere(b: Bench, scenario: Scenario, *, reads: bool, **fields: Any) -> None:
    """Run the scenario once for each place at which it can be killed; each time with a fresh intent. After the kill
    a new process takes over.
    """
    kill_at = 0
    effects = b.counter.value()
    while True:
        key = f"{scenario.__name__} {kill_at}"
        boundaries = Boundaries(kill_at, reads=reads)
        client = await b.client()
        manager = await b.manager(
            boundaries.around(client), store=boundaries.around(b.store.intents), start=False, owner=f"first {kill_at}"
        )
        killed = ""
        rounds = 0
        try:
            await manager.start()
            await manager.submit(b.intent(key, **fields))
            while (await manager.status(key)).state not in FINAL:
                await scenario(b, manager, rounds)
                rounds += 1
                assert rounds < 40
        except Killed as kill:
            killed = str(kill)
        # A new process, with the same key and store, does the same. (It waits for the dead one's lease.)
        successor = await b.manager(client, start=False, owner=f"second {kill_at}")
        if not killed:
            boundaries.kill_at = None
            await manager.stop()
        await successor.start()
        await successor.submit(b.intent(key, **fields))
        rounds = 0
        while (await successor.status(key)).state not in FINAL:
            await scenario(b, successor, rounds)
            rounds += 1
            assert rounds < 40, killed
        record = await successor.status(key)
        effects += 1
        assert record.state is IntentState.CONFIRMED, killed
        assert b.counter.value() == effects, f"killed {killed}"
        assert len({attempt.nonce for attempt in record.attempts}) == 1, killed
        await successor.stop()
        if not killed:
            assert "after send_raw" in boundaries.places
            return
        kill_at += 1


@pytest.mark.parametrize("scenario", [plain, stuck, reorged])
async def test_invariant_i7_one_effect_wherever_it_is_killed(bench: MakeBench, scenario: Scenario) -> None:
    await kill_everywhere(bench(), scenario, reads=False)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [plain, stuck, reorged])
async def test_invariant_i7_one_effect_wherever_it_is_killed_between_reads(
    bench: MakeBench, scenario: Scenario
) -> None:
    await kill_everywhere(bench(), scenario, reads=True)


async def test_invariant_i7_nothing_is_sent_before_it_is_recorded(bench: MakeBench) -> None:
    b = bench()
    client = await b.client()
    sent: list[bytes] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        async def send_raw(self, raw: bytes) -> None:
            record = b.store.intents.get("count")
            assert record is not None
            assert raw in [attempt.raw for attempt in record.attempts]
            sent.append(raw)
            await client.send_raw(raw)

    manager = await b.manager(Watched())  # type: ignore[arg-type]
    await manager.submit(b.intent())
    await manager.step()
    b.clock.seconds += 40
    await manager.step()
    assert len(sent) == 2


async def test_invariant_i7_a_send_that_times_out_but_lands(bench: MakeBench) -> None:
    b = bench()
    client = await b.client()

    class Deaf:
        """The node gets the transaction, its answer is lost."""

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        async def send_raw(self, raw: bytes) -> None:
            await client.send_raw(raw)
            raise L1Unavailable("eth_sendRawTransaction", {"node": str(EndpointTimeout("no answer in time"))})

    manager = await b.manager(Deaf())  # type: ignore[arg-type]
    for i in range(3):
        await manager.submit(b.intent(f"count {i}"))
    for i in range(3):
        record = await b.settle(manager, f"count {i}")
        assert (record.state, len(record.attempts)) == (IntentState.CONFIRMED, 1)
    assert b.counter.value() == 3


async def test_invariant_i7_a_reorg_brings_the_same_transaction_back(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    b.node.mine()
    await manager.step()
    mined = await manager.status("count")
    assert mined.state is IntentState.MINED
    b.node.reorg(1)
    b.node.rpc("anvil_dropAllTransactions")  # and no pool remembers it
    assert b.counter.value() == 0
    await manager.step()
    assert (await manager.status("count")).state is IntentState.SENT
    record = await b.settle(manager)
    assert (record.state, record.transaction_hash) == (IntentState.CONFIRMED, mined.transaction_hash)
    assert len(record.attempts) == 1
    assert b.counter.value() == 1


async def test_invariant_i7_a_reorg_after_a_replacement(bench: MakeBench) -> None:
    """The first attempt was mined, then the second is in the pools when the reorg comes: either may land, not both."""
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    first = (await manager.status("count")).attempts[0]
    b.clock.seconds += 40
    await manager.step()
    second = (await manager.status("count")).attempts[1]
    b.node.drop("0x" + second.hash.hex())
    b.node.rpc("eth_sendRawTransaction", "0x" + first.raw.hex())
    b.node.mine()
    await manager.step()
    assert (await manager.status("count")).transaction_hash == first.hash
    b.node.reorg(1)
    b.node.rpc("anvil_dropAllTransactions")
    b.node.rpc("eth_sendRawTransaction", "0x" + second.raw.hex())
    record = await b.settle(manager)
    assert record.state is IntentState.CONFIRMED
    assert b.counter.value() == 1


async def test_invariant_i7_a_reorg_deeper_than_the_confirmations(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    for i in range(2):
        await manager.submit(b.intent(f"count {i}"))
    await b.settle(manager, "count 0")
    await b.settle(manager, "count 1")
    b.node.mine(3)
    b.node.reorg(b.node.block_number() - 1)
    b.node.rpc("anvil_dropAllTransactions")
    assert b.counter.value() == 0
    await manager.submit(b.intent("count 2"))
    await manager.step()
    assert AlertKind.DEEP_REORG in [alert.kind for alert in manager.alerts()]
    for i in range(3):
        assert (await b.settle(manager, f"count {i}")).state is IntentState.CONFIRMED
    assert b.counter.value() == 3


def outsider_sends(b: Bench, nonce: int) -> str:
    """Somebody else uses the same key, and pays more."""
    transaction = {
        "chainId": b.node.chain_id,
        "nonce": nonce,
        "to": account(8).address,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": 10**12,
        "maxPriorityFeePerGas": 10**11,
    }
    signed = account(b.key_index).sign_transaction(transaction)
    return str(b.node.rpc("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex()))


async def test_invariant_i7_a_nonce_used_by_somebody_else_is_given_up_only_when_it_is_certain(
    bench: MakeBench,
) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    outsider_sends(b, 0)
    for _ in range(2):
        b.node.mine()
        await manager.step()
        record = await manager.status("count")
        assert (record.state, record.nonce) == (IntentState.SENT, 0)  # a reorg could still let it land
    b.node.mine()
    await manager.step()
    assert AlertKind.KEY_USED_ELSEWHERE in [alert.kind for alert in manager.alerts()]
    record = await b.settle(manager)
    assert (record.state, record.nonce) == (IntentState.CONFIRMED, 1)
    assert [attempt.nonce for attempt in record.attempts] == [0, 1]
    assert b.counter.value() == 1


async def test_invariant_i7_a_reorg_gives_the_nonce_back_in_time(bench: MakeBench) -> None:
    """Somebody else's transaction is taken back by a reorg before it was final: the first attempt lands after all."""
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    outsider_sends(b, 0)
    b.node.mine(2)
    await manager.step()
    b.node.reorg(2)
    b.node.rpc("anvil_dropAllTransactions")
    record = await b.settle(manager)
    assert (record.state, record.nonce, len(record.attempts)) == (IntentState.CONFIRMED, 0, 1)
    assert b.counter.value() == 1


async def test_invariant_i7_a_freed_nonce_is_filled_so_that_the_old_attempt_never_lands(bench: MakeBench) -> None:
    """A reorg deeper than the confirmations frees a nonce that another's transaction had used: the attempt with that
    nonce must not have the effect a second time.
    """
    b = bench()
    manager = await b.manager()
    start = b.node.block_number()
    await manager.submit(b.intent())
    await manager.step()
    outsider_sends(b, 0)
    record = await b.settle(manager)
    old, new = record.attempts
    assert (old.nonce, new.nonce) == (0, 1)
    b.node.reorg(b.node.block_number() - start)
    b.node.rpc("anvil_dropAllTransactions")
    assert b.counter.value() == 0
    for _ in range(8):
        await manager.step()
        b.node.mine()
    with pytest.raises(Exception, match="nonce too low"):
        b.node.rpc("eth_sendRawTransaction", "0x" + old.raw.hex())
    assert (await manager.status("count")).state is IntentState.CONFIRMED
    assert b.counter.value() == 1


def outsider_landed(b: Bench, make: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[Proxy, bytes]:
    """A proxy that shows blocks in which our transactions, which have the nonce 0, are others; and the others' hash."""
    proxy = Proxy(b.node.url)
    b.exits.callback(proxy.stop)
    signed = account(b.key_index + 1).sign_transaction(
        {
            "chainId": b.node.chain_id, "nonce": 0, "to": account(8).address, "value": 1, "gas": 21_000,
            "maxFeePerGas": 10**12, "maxPriorityFeePerGas": 10**11, "type": 2,
        }
    )  # fmt: skip
    fake = {
        "type": "0x2", "chainId": hex(b.node.chain_id), "nonce": "0x0", "gas": hex(21_000), "accessList": [],
        "maxFeePerGas": hex(10**12), "maxPriorityFeePerGas": hex(10**11), "to": account(8).address, "value": "0x1",
        "input": "0x", "from": b.sender, "hash": "0x" + bytes(signed.hash).hex(), "r": hex(signed.r),
        "s": hex(signed.s), "v": hex(signed.v), "yParity": hex(signed.v),
    }  # fmt: skip

    def falsify(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getTransactionReceipt":
            return None
        if method == "eth_getBlockByNumber" and params[1] and result:
            ours = b.sender.lower()
            return {**result, "transactions": [make(fake) if t["from"] == ours else t for t in result["transactions"]]}
        return result

    proxy.falsify = falsify
    return proxy, bytes(signed.hash)


@pytest.mark.parametrize("lie", ["signed by another", "signed for nothing", "left out", "of an unknown type"])
async def test_invariant_i7_a_lying_endpoint_frees_no_nonce(bench: MakeBench, lie: str) -> None:
    """An endpoint hides that our transaction was mined and shows another one with its nonce: were the intent given
    another nonce, it would have its effect twice.
    """
    b = bench()
    changes: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "signed by another": lambda fake: fake,
        "signed for nothing": lambda fake: {**fake, "hash": "0x" + "77" * 32, "r": "0x5"},
        "left out": lambda fake: {**fake, "from": account(5).address},
        "of an unknown type": lambda fake: {**fake, "type": "0x7c"},
    }
    liar, _ = outsider_landed(b, changes[lie])
    settings = ClientSettings(timeout=5.0, rounds=1, backoff=0.0, quarantine=0.0)
    manager = await b.manager(await b.client(liar.url, settings=settings))
    await manager.submit(b.intent())
    await manager.submit(b.intent("behind"))
    await manager.step()
    for _ in range(5):
        b.node.mine()
        b.clock.seconds += 61
        await manager.step()
        record = await manager.status("count")
        assert (record.nonce, len(record.attempts)) == (0, 1)
    assert AlertKind.NONCE_UNACCOUNTED in [alert.kind for alert in manager.alerts()]
    # Nobody else waits for it, and the truth is found when it is told.
    await manager.submit(b.intent("later"))
    await manager.step()
    assert (await manager.status("later")).state is IntentState.SENT
    liar.falsify = None
    assert (await b.settle(manager, "later")).state is IntentState.CONFIRMED
    record = await manager.status("count")
    assert (record.state, record.nonce) == (IntentState.CONFIRMED, 0)
    assert manager.alerts() == []
    assert b.counter.value() == 3


async def test_invariant_i7_endpoints_that_differ_free_no_nonce(bench: MakeBench) -> None:
    """The other transaction is truly signed with our key, so a liar can show it although ours was mined."""
    b = bench()
    signed = account(b.key_index).sign_transaction(
        {
            "chainId": b.node.chain_id, "nonce": 0, "to": account(8).address, "value": 1, "gas": 21_000,
            "maxFeePerGas": 10**12, "maxPriorityFeePerGas": 10**11, "type": 2,
        }
    )  # fmt: skip
    true_parts = {"hash": "0x" + bytes(signed.hash).hex(), "r": hex(signed.r), "s": hex(signed.s)}
    true_parts |= {"v": hex(signed.v), "yParity": hex(signed.v)}
    liar, _ = outsider_landed(b, lambda fake: {**fake, **true_parts})
    client = await b.client(liar.url, b.node.url)
    manager = await b.manager(client)
    await manager.submit(b.intent())
    await manager.step()
    b.node.mine(4)
    await manager.step()
    record = await manager.status("count")
    assert (record.nonce, len(record.attempts)) == (0, 1)
    assert "the endpoints differ" in " ".join(alert.message for alert in manager.alerts())
    # With no true endpoint beside it there would be nothing to see: it is our own key's signature.
    alone = await b.client(liar.url)
    assert await alone.find_transaction(b.node.block_number() - 3, manager.address, 0) == bytes(signed.hash)


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
async def test_invariant_i7_a_nonce_used_by_any_type_of_transaction_is_given_up(bench: MakeBench, kind: int) -> None:
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    sender = account(b.key_index)
    fields: dict[str, Any] = {
        "chainId": b.node.chain_id,
        "nonce": 0,
        "to": account(8).address,
        "value": 1,
        "gas": 90_000,
    }
    access = [{"address": account(7).address, "storageKeys": ["0x" + "01" * 32]}]
    fees = {"maxFeePerGas": 10**12, "maxPriorityFeePerGas": 10**11}
    fields |= [
        {"gasPrice": 10**12},
        {"type": 1, "gasPrice": 10**12, "accessList": access},
        {"type": 2, **fees, "accessList": access},
        {"type": 3, **fees, "maxFeePerBlobGas": 10**10},
        {"type": 4, **fees},
    ][kind]
    if kind == 4:
        permit = {"chainId": b.node.chain_id, "address": account(6).address, "nonce": 0}
        fields["authorizationList"] = [account(5).sign_authorization(permit)]
    if kind == 3:
        b.node.rpc("anvil_dropAllTransactions")  # pools keep the kinds apart
        sidecar = build_sidecar((bytes(131_072),))
        transaction = Transaction(
            b.node.chain_id, 0, Fees(10**12, 10**11, 10**10), 90_000, bytes(20), 1, b"", sidecar.versioned_hashes
        )
        raw = network_form(await b.signer.sign_transaction(transaction), sidecar)
    else:
        raw = bytes(sender.sign_transaction(fields).raw_transaction)
    used = b.node.rpc("eth_sendRawTransaction", "0x" + raw.hex())
    b.node.mine(3)
    assert b.node.rpc("eth_getTransactionReceipt", used) is not None
    await manager.step()
    record = await b.settle(manager)
    assert (record.state, record.nonce) == (IntentState.CONFIRMED, 1)
    assert b.counter.value() == 1


async def test_invariant_i7_what_used_a_nonce_is_found_without_old_states(bench: MakeBench) -> None:
    b = bench()
    proxy = Proxy(b.node.url)
    b.exits.callback(proxy.stop)
    manager = await b.manager(await b.client(proxy.url))
    await manager.submit(b.intent())
    await manager.step()
    outsider_sends(b, 0)
    b.node.mine(8)
    oldest = b.node.block_number() - 4

    def pruned(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getTransactionCount" and isinstance(params[1], str) and int(params[1], 16) < oldest:
            raise Fault(-32000, "missing trie node")
        return result

    proxy.falsify = pruned
    await manager.step()
    record = await manager.status("count")
    assert (record.state, record.nonce) == (IntentState.SENT, 1)
    assert (await b.settle(manager)).state is IntentState.CONFIRMED
    assert b.counter.value() == 1


async def test_invariant_i7_a_gap_filler_outbids_the_old_attempt(bench: MakeBench) -> None:
    """After a reorg somebody offers the attempt of long ago again before the gap filler comes."""
    b = bench()
    manager = await b.manager()
    start = b.node.block_number()
    await manager.submit(b.intent())
    await manager.step()
    outsider_sends(b, 0)
    record = await b.settle(manager)
    old, new = record.attempts
    b.node.reorg(b.node.block_number() - start)
    b.node.rpc("anvil_dropAllTransactions")
    b.node.rpc("eth_sendRawTransaction", "0x" + old.raw.hex())
    await manager.step()
    assert b.node.rpc("eth_getTransactionByHash", "0x" + old.hash.hex()) is None  # replaced
    for _ in range(4):
        b.node.mine()
        await manager.step()
    assert (await manager.status("count")).transaction_hash == new.hash
    assert b.counter.value() == 1


async def test_an_endpoint_that_is_behind_is_no_reorg(bench: MakeBench) -> None:
    b = bench()
    proxy = Proxy(b.node.url)
    b.exits.callback(proxy.stop)
    manager = await b.manager(await b.client(proxy.url))
    past = b.node.rpc("eth_getBlockByNumber", "latest", False)
    await manager.submit(b.intent())
    assert (await b.settle(manager)).state is IntentState.CONFIRMED
    states = []
    manager.add_listener(lambda record: states.append(record.state))
    proxy.falsify = lambda method, params, result: past if params[:1] == ["latest"] else result
    await manager.step()
    assert states == []
    assert manager.alerts() == []


async def test_invariant_i7_the_store_refuses_a_second_nonce(bench: MakeBench) -> None:
    b = bench()
    manager = await b.manager()
    for key in ("one", "two"):
        await manager.submit(b.intent(key))
    await manager.step()
    lease = manager._held()
    attempt = Attempt(b"\x01" * 32, 7, Purpose.EFFECT, Fees(1, 1), 21_000, b"raw", 0.0)
    with pytest.raises(NonceConflict):  # another nonce
        b.store.intents.add_attempt(lease, "one", attempt, 0)
    await manager.submit(b.intent("three"))
    taken = Attempt(b"\x02" * 32, 1, Purpose.EFFECT, Fees(1, 1), 21_000, b"raw", 0.0)
    with pytest.raises(NonceConflict):  # another intent's nonce
        b.store.intents.add_attempt(lease, "three", taken, 0)
    own = (await manager.status("one")).attempts[0].hash
    with pytest.raises(NonceConflict):  # used by itself
        b.store.intents.release_nonce(lease, "one", 0, own)
    with pytest.raises(NonceConflict):
        b.store.intents.insert_gap_filler(lease, b.node.chain_id, manager.address, taken, 0)
    await b.settle(manager, "one")
    late = Attempt(b"\x03" * 32, 0, Purpose.EFFECT, Fees(1, 1), 21_000, b"raw", 0.0)
    with pytest.raises(NonceConflict):  # final
        b.store.intents.add_attempt(lease, "one", late, 0)


async def test_two_managers_on_one_key_and_two_stores_stop_with_a_clear_error(
    bench: MakeBench, new_store: Callable[[], Any]
) -> None:
    b = bench(settings={"foreign_nonces_tolerated": 1})
    ours = await b.manager()
    theirs = await b.manager(store=new_store().intents)
    stopped = 0
    keys: list[tuple[EthTxManager, str]] = []
    for i in range(30):
        for name, manager in (("ours", ours), ("theirs", theirs)):
            key = f"{name} {i}"
            # Each its own bytes: one nonce and one content signed twice is one transaction.
            await manager.submit(b.intent(key, data=INCREMENT + key.encode()))
            keys.append((manager, key))
            try:
                await manager.step()
            except KeyUsedElsewhere as error:
                assert "another process uses the key" in str(error)
                stopped += 1
        b.node.mine()
        if stopped:
            break
    assert stopped
    confirmed = 0
    b.node.mine(5)
    for manager, key in keys:
        record = await manager.status(key)
        landed = [a for a in record.attempts if b.node.rpc("eth_getTransactionReceipt", "0x" + a.hash.hex())]
        assert len(landed) <= 1
        confirmed += len(landed)
    assert b.counter.value() == confirmed


async def test_refuses_to_start_while_somebody_elses_transactions_are_pending(bench: MakeBench) -> None:
    b = bench()
    outsider_sends(b, 0)
    with pytest.raises(KeyUsedElsewhere, match="another process uses the key"):
        await b.manager()
    b.node.mine()
    manager = await b.manager()
    await manager.submit(b.intent())
    assert (await b.settle(manager)).nonce == 1


async def test_a_client_is_never_asked_to_sign_twice_for_a_resubmission(bench: MakeBench) -> None:
    """A restart sends the recorded bytes, it doesn't sign anew."""
    b = bench()
    manager = await b.manager()
    await manager.submit(b.intent())
    await manager.step()
    raw = (await manager.status("count")).attempts[0].raw
    await manager.stop()
    b.node.rpc("anvil_dropAllTransactions")

    class NoSigner:
        address = manager.address

        async def sign_transaction(self, transaction: object) -> bytes:
            raise AssertionError("signed again")

    client: L1Client = await b.client()
    successor = await b.manager(client, signer=NoSigner())
    record = await b.settle(successor)
    assert (record.state, record.attempts[0].raw) == (IntentState.CONFIRMED, raw)
