"""L1Client against endpoints that are dead, slow, behind or lying: real servers in front of a real node."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import structlog
from l1.counter import INCREMENT, TOPIC, Counter
from l1.proxy import Fault, Proxy
from support.anvil import Anvil, account

from exclave.l1 import CallRequest, ClientSettings, L1Client, L1Unavailable
from exclave.l1.endpoints import redact_url
from exclave.l1.errors import (
    ExecutionReverted,
    MethodUnavailable,
    NodeError,
    ResultTooLarge,
    StateUnavailable,
    UnexpectedResult,
)
from exclave.l1.values import read_header
from exclave.protocol.fields import decode_abi, decode_rlp, encode_rlp, keccak256


class Network:
    """A node, proxies before it, and clients."""

    def __init__(self, node: Anvil, exits: AsyncExitStack) -> None:
        self.node = node
        self.exits = exits
        self.now = 1000.0
        self.pauses: list[float] = []

    def proxy(self, path: str = "") -> Proxy:
        proxy = Proxy(self.node.url, path)
        self.exits.callback(proxy.stop)
        return proxy

    def client(self, *urls: str, chain_id: int = 31337, **settings: Any) -> L1Client:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)
            await asyncio.sleep(0)

        client = L1Client(
            urls,
            chain_id,
            ClientSettings(**{"timeout": 2.0, "rounds": 2, **settings}),
            clock=lambda: self.now,
            sleep=sleep,
            random=lambda: 0.5,
        )
        self.exits.push_async_callback(client.close)
        return client


@pytest.fixture
async def network(anvil: Callable[..., Anvil]) -> AsyncIterator[Network]:
    async with AsyncExitStack() as exits:
        yield Network(anvil(), exits)


def reasons(client: L1Client) -> list[str | None]:
    return [health.reason for health in client.health()]


async def test_reads_what_the_node_has(network: Network) -> None:
    node, client = network.node, network.client(network.node.url)
    node.mine(5)
    head = await client.get_head()
    block = node.rpc("eth_getBlockByNumber", "latest", False)
    assert (head.number, "0x" + head.hash.hex()) == (5, block["hash"])
    assert head.timestamp == int(block["timestamp"], 16)
    assert "0x" + head.prev_randao.hex() == block["mixHash"]
    for name in (3, bytes.fromhex(node.rpc("eth_getBlockByNumber", "0x3", False)["hash"][2:])):
        found = await client.get_block(name)
        assert found is not None
        assert found.number == 3
    assert await client.get_block(6) is None
    assert await client.get_block(b"\x01" * 32) is None
    sender = bytes.fromhex(account(0).address[2:])
    state = await client.get_account(sender, head.hash)
    assert (state.nonce, state.balance) == (node.nonce(account(0).address), node.balance(account(0).address))
    with pytest.raises(StateUnavailable):
        await client.get_account(sender, b"\x01" * 32)
    assert await client.get_balance(sender, 2) == state.balance
    assert await client.get_blob_base_fee() == 1
    assert (await client.get_fee_history()).next_base_fee > 0
    with pytest.raises(MethodUnavailable):
        await client.request("eth_noSuchThing", ())


async def test_calls_estimates_and_reverts(network: Network) -> None:
    client, counter = network.client(network.node.url), Counter(network.node)
    assert await client.call(CallRequest(counter.address)) == bytes(32)
    assert await client.get_code(counter.address) != b""
    assert await client.estimate_gas(CallRequest(counter.address, INCREMENT)) > 21_000
    for work in (client.call, client.estimate_gas):
        with pytest.raises(ExecutionReverted) as reverted:
            await work(CallRequest(counter.address, b"\xffwhy"))
        assert reverted.value.revert_data == b"why"
    assert network.pauses == []  # an answer, not a fault


def break_connection(proxy: Proxy) -> None:
    proxy.stop()


def hang(proxy: Proxy) -> None:
    proxy.delay = 5.0


def server_error(proxy: Proxy) -> None:
    proxy.status, proxy.body = 502, b"<html>bad gateway</html>"


def rate_limit(proxy: Proxy) -> None:
    proxy.status, proxy.body = 429, b"slow down"


def not_json(proxy: Proxy) -> None:
    proxy.body = b"<html>"


def cut_off(proxy: Proxy) -> None:
    proxy.body = b'{"jsonrpc":"2.0","id":1,"resu'


def not_rpc(proxy: Proxy) -> None:
    proxy.body = b'{"hello": "world"}'


def list_of_nothing(proxy: Proxy) -> None:
    proxy.body = b"[]"


def another_id(proxy: Proxy) -> None:
    proxy.body = b'{"jsonrpc":"2.0","id":987654,"result":"0x7a69"}'


def deep_nesting(proxy: Proxy) -> None:
    proxy.body = b"[" * 100_000


def odd_error(proxy: Proxy) -> None:
    proxy.body = b'{"jsonrpc":"2.0","id":1,"error":"no"}'


def drip(proxy: Proxy) -> None:
    proxy.drip = 0.2


def odd_ids(proxy: Proxy) -> None:
    proxy.rewrite = lambda answer: [{**item, "id": []} for item in answer] if isinstance(answer, list) else answer


def answer_with(method: str, garbage: Any) -> Callable[[Proxy], None]:
    def apply(proxy: Proxy) -> None:
        proxy.falsify = lambda asked, _params, result: garbage if asked == method else result

    return apply


def falsify_fees(**changes: Any) -> Callable[[Proxy], None]:
    def apply(proxy: Proxy) -> None:
        proxy.falsify = lambda method, _params, result: {**result, **changes} if method == "eth_feeHistory" else result

    return apply


def wrong_chain(proxy: Proxy) -> None:
    proxy.falsify = lambda method, _params, result: "0x1" if method == "eth_chainId" else result


def falsify_block(**changes: Any) -> Callable[[Proxy], None]:
    def apply(proxy: Proxy) -> None:
        def change(method: str, _params: list[Any], result: Any) -> Any:
            return {**result, **changes} if method == "eth_getBlockByNumber" and result else result

        proxy.falsify = change

    return apply


def internal_error(proxy: Proxy) -> None:
    def fail(method: str, _params: list[Any], _result: Any) -> Any:
        raise Fault(-32603, "internal error")

    proxy.falsify = fail


FAULTS: dict[str, Callable[[Proxy], None]] = {
    "dead": break_connection,
    "slow": hang,
    "HTTP 502": server_error,
    "HTTP 429": rate_limit,
    "not JSON": not_json,
    "cut off": cut_off,
    "not JSON-RPC": not_rpc,
    "an empty list": list_of_nothing,
    "another id": another_id,
    "deep nesting": deep_nesting,
    "error not an object": odd_error,
    "wrong chain": wrong_chain,
    "a false hash": falsify_block(hash="0x" + "11" * 32),
    "a false state root": falsify_block(stateRoot="0x" + "11" * 32),
    "a false time": falsify_block(timestamp="0x1"),
    "a field missing": falsify_block(parentHash=None),
    "a field malformed": falsify_block(gasUsed="lots"),
    "an odd quantity": falsify_block(number="0x" + "f" * 65),
    "internal error": internal_error,
    "byte by byte": drip,
    "ids that are lists": odd_ids,
    "rewards that aren't lists": falsify_fees(reward=[5]),
    "base fees that aren't a list": falsify_fees(baseFeePerGas={"0": "0x1"}),
    "no fee history": answer_with("eth_feeHistory", []),
    "no block": answer_with("eth_getBlockByNumber", [[]]),
    "logs that aren't a list": answer_with("eth_getLogs", {}),
    "logs of lists": answer_with("eth_getLogs", [[], []]),
    "a receipt that's a number": answer_with("eth_getTransactionReceipt", 5),
    "a receipt of nothing": answer_with("eth_getTransactionReceipt", {"blockHash": []}),
    "a nonce that's a list": answer_with("eth_getTransactionCount", []),
    "a balance of text": answer_with("eth_getBalance", "lots"),
    "no code": answer_with("eth_getCode", None),
    "gas that's a list": answer_with("eth_estimateGas", []),
    "a call's result that's no data": answer_with("eth_call", {}),
    "a call's result that's empty": answer_with("eth_call", "0x"),
    "a transaction that's a number": answer_with("eth_getTransactionByHash", 5),
    "a transaction without a hash": answer_with("eth_getTransactionByHash", {}),
}
ABOUT: dict[str, tuple[str, ...]] = {
    "rewards that aren't lists": ("fees",),
    "base fees that aren't a list": ("fees",),
    "no fee history": ("fees",),
    "logs that aren't a list": ("logs",),
    "logs of lists": ("logs",),
    "a receipt that's a number": ("receipts",),
    "a receipt of nothing": ("receipts",),
    "a nonce that's a list": ("nonce", "account"),
    "a balance of text": ("balance", "account"),
    "no code": ("code",),
    "gas that's a list": ("gas",),
    "a call's result that's no data": ("call",),
    "a call's result that's empty": ("call",),
    "a transaction that's a number": ("known",),
    "a transaction without a hash": ("known",),
}
"""The questions whose answers have the fault; the others are in a single answer, in one of several, and in a batch."""


class Questions:
    """One of each kind that a client is asked, about a node with two blocks and a counter."""

    def __init__(self, node: Anvil) -> None:
        self.counter = Counter(node)
        transaction = {"from": account(0).address, "to": "0x" + self.counter.address.hex(), "data": "0x01"}
        self.sent = bytes.fromhex(node.rpc("eth_sendTransaction", transaction)[2:])
        self.block = mined_in(node, "0x" + self.sent.hex())
        self.sender = bytes.fromhex(account(0).address[2:])

    def about(self, fault: str) -> dict[str, Callable[[L1Client], Awaitable[Any]]]:
        read = CallRequest(self.counter.address)
        questions: dict[str, Callable[[L1Client], Awaitable[Any]]] = {
            "block": lambda client: client.get_block(1),
            "head": lambda client: client.get_head(),
            "logs": lambda client: client.get_logs([self.counter.address], [[TOPIC]], 0, self.block),
            "receipts": lambda client: client.get_receipts([self.sent, self.sent]),
            "known": lambda client: client.known_transactions([self.sent, b"\x01" * 32]),
            "account": lambda client: client.get_account(self.sender),
            "nonce": lambda client: client.get_nonce(self.sender),
            "balance": lambda client: client.get_balance(self.sender),
            "code": lambda client: client.get_code(self.counter.address),
            "call": lambda client: client.call_for(read, lambda data: decode_abi(["uint256"], data)),
            "gas": lambda client: client.estimate_gas(read),
            "fees": lambda client: client.get_fee_history(),
        }
        return {name: questions[name] for name in ABOUT.get(fault, ("block", "head", "logs"))}


@pytest.mark.parametrize("fault", FAULTS)
async def test_another_endpoint_answers_when_one_fails(network: Network, fault: str) -> None:
    bad, true = network.proxy(), network.client(network.node.url)
    questions = Questions(network.node).about(fault)
    FAULTS[fault](bad)
    noticed = []
    for name, ask in questions.items():
        client = network.client(bad.url, network.node.url, timeout=1.0, straggler_timeout=0.5)
        assert await ask(client) == await ask(true), name
        noticed += [name] if reasons(client)[0] is not None else []
        assert reasons(client)[1] is None
    assert noticed == list(questions) if fault != "ids that are lists" else ["logs"]


@pytest.mark.parametrize("fault", FAULTS)
async def test_alone_it_is_a_typed_error(network: Network, fault: str) -> None:
    bad = network.proxy()
    questions = Questions(network.node).about(fault)
    FAULTS[fault](bad)
    client = network.client(bad.url, timeout=0.4, rounds=1)
    with pytest.raises((L1Unavailable, NodeError)):
        for ask in questions.values():
            await ask(client)


async def test_what_no_endpoint_gives_is_the_contracts_answer(network: Network) -> None:
    """Where all are alike, it isn't an endpoint that is at fault: no pause, no quarantine."""
    client = network.client(network.proxy().url, network.node.url)
    with pytest.raises(UnexpectedResult, match="isn't what was expected"):
        await client.call_for(CallRequest(b"\x77" * 20), lambda data: decode_abi(["uint256"], data))
    assert network.pauses == []
    assert all(health.usable for health in client.health())


async def test_one_endpoint_that_hangs_keeps_no_other_waiting(network: Network) -> None:
    slow, signed = network.proxy(), account(0).sign_transaction
    hang(slow)
    network.node.mine(2)
    client = network.client(slow.url, network.node.url, timeout=4.0, straggler_timeout=0.2)
    started = time.monotonic()
    assert (await client.get_head()).number == 2
    transaction = {
        "chainId": 31337, "nonce": 0, "to": account(1).address, "gas": 21_000,
        "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 1,
    }  # fmt: skip
    await client.send_raw(bytes(signed(transaction).raw_transaction))
    assert time.monotonic() - started < 2.5
    assert "while others had one" in (reasons(client)[0] or "")


async def test_liars_are_not_asked_again_until_the_quarantine_is_over(network: Network) -> None:
    liar = network.proxy()
    falsify_block(hash="0x" + "11" * 32)(liar)
    client = network.client(liar.url, network.node.url, quarantine=300.0)
    await client.get_head()
    liar.methods.clear()
    for _ in range(3):
        await client.get_head()
    assert liar.methods == []
    assert "hash" in (reasons(client)[0] or "")
    liar.falsify = None
    network.now += 301
    await client.get_head()
    assert liar.methods != []
    assert reasons(client) == [None, None]


async def test_dead_endpoints_rest_and_come_back(network: Network) -> None:
    flaky = network.proxy()
    client = network.client(flaky.url, network.node.url)
    server_error(flaky)
    await client.get_block(0)
    flaky.methods.clear()
    await client.get_block(0)
    assert flaky.methods == []
    flaky.status, flaky.body = 200, None
    network.now += 31
    await client.get_head()  # asks all
    assert flaky.methods[:1] == ["eth_chainId"]  # whoever answers there now is asked again
    assert "eth_getBlockByNumber" in flaky.methods


async def test_answers_are_read_within_pythons_own_recursion_limit() -> None:
    """Deeply nested answers must not end the process, so no import may raise the limit."""
    script = (
        "import sys; before = sys.getrecursionlimit(); import exclave.cli, exclave.l1, exclave.node.node; "
        "assert sys.getrecursionlimit() == before"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await process.wait() == 0


async def test_pauses_grow_between_rounds(network: Network) -> None:
    dead = network.proxy()
    dead.stop()
    client = network.client(dead.url, rounds=5, backoff=1.0, max_backoff=3.0)
    with pytest.raises(L1Unavailable) as failed:
        await client.get_head()
    assert network.pauses == [1.0, 2.0, 3.0, 3.0]
    assert "eth_getBlockByNumber" in str(failed.value)


async def test_an_endpoint_that_is_behind_is_asked_last(network: Network) -> None:
    behind = network.proxy()
    network.node.mine(20)

    def old(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and (params[0] == "latest" or int(params[0], 16) > 5):
            return network.node.rpc("eth_getBlockByNumber", "0x5", False) if params[0] == "latest" else None
        return result

    behind.falsify = old
    client = network.client(behind.url, network.node.url)
    assert (await client.get_head()).number == 20
    assert [health.blocks_behind for health in client.health()] == [15, 0]
    behind.methods.clear()
    await client.get_block(7)
    assert behind.methods == []
    # Alone, what it doesn't have isn't there; and its logs are not taken for all logs.
    alone = network.client(behind.url)
    assert await alone.get_block(7) is None
    with pytest.raises(L1Unavailable, match="doesn't have block 7 yet"):
        await alone.get_logs([], [], 0, 7)


async def test_a_head_that_falls_back_too_far_is_a_lie(network: Network) -> None:
    liar = network.proxy()
    network.node.mine(20)
    client = network.client(liar.url, network.node.url, reorg_tolerance=8)
    await client.get_head()

    def serve(number: int) -> None:
        block = network.node.rpc("eth_getBlockByNumber", hex(number), False)
        liar.falsify = lambda method, params, result: block if params[:1] == ["latest"] else result

    serve(13)  # as a reorg may
    await client.get_head()
    assert reasons(client) == [None, None]
    serve(4)
    assert (await client.get_head()).number == 20
    assert "fell back" in (reasons(client)[0] or "")


async def test_a_head_far_beyond_the_others_is_a_lie(network: Network, anvil: Callable[..., Anvil]) -> None:
    ahead = anvil()  # a chain of its own, longer than the real one: every hash is right
    ahead.mine(100)
    client = network.client(ahead.url, network.node.url, network.proxy().url)
    network.node.mine(3)
    assert (await client.get_head()).number == 3
    assert "beyond" in (reasons(client)[0] or "")


def mined_in(node: Anvil, transaction: str) -> int:
    """The block of a transaction; anvil answers before it has mined it."""
    while (receipt := node.rpc("eth_getTransactionReceipt", transaction)) is None:
        time.sleep(0.01)
    return int(receipt["blockNumber"], 16)


def increment(node: Anvil, counter: Counter) -> int:
    """Call the counter; returns the block."""
    transaction = {"from": account(0).address, "to": "0x" + counter.address.hex(), "data": "0x01"}
    return mined_in(node, node.rpc("eth_sendTransaction", transaction))


async def test_logs_are_checked_against_the_endpoints_own_chain(network: Network) -> None:
    counter = Counter(network.node)
    expected = [increment(network.node, counter) for _ in range(3)]
    head = network.node.block_number()

    async def logs(client: L1Client) -> list[int]:
        found = await client.get_logs([counter.address], [[TOPIC]], 0, head)
        assert found.last.number == head
        return [entry.block_number for entry in found.logs]

    assert await logs(network.client(network.node.url)) == expected

    changes: dict[str, Callable[[list[Any]], list[Any]]] = {
        "another block": lambda found: [{**found[0], "blockHash": "0x" + "11" * 32}, *found[1:]],
        "another address": lambda found: [{**found[0], "address": "0x" + "11" * 20}, *found[1:]],
        "another topic": lambda found: [{**found[0], "topics": ["0x" + "11" * 32]}, *found[1:]],
        "out of range": lambda found: [{**found[0], "blockNumber": hex(head + 1)}, *found[1:]],
        "not a log": lambda found: [None],
    }
    for change in changes.values():
        liar = network.proxy()
        liar.falsify = lambda method, _params, result, change=change: (
            change(result) if method == "eth_getLogs" else result
        )
        client = network.client(liar.url, network.node.url)
        assert await logs(client) == expected
        assert reasons(client)[0] is not None
        with pytest.raises(L1Unavailable):
            await logs(network.client(liar.url))


async def test_ranges_are_split_where_endpoints_want_less(network: Network) -> None:
    counter = Counter(network.node)
    for _ in range(9):
        increment(network.node, counter)
        network.node.mine(4)
    head = network.node.block_number()
    strict = network.proxy()

    def at_most_seven(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs" and int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 7:
            raise Fault(-32005, "block range is too large")
        return result

    strict.falsify = at_most_seven
    client = network.client(strict.url)
    found = await client.get_logs([counter.address], [], 0, head)
    assert len(found.logs) == 9
    assert len({(entry.block_number, entry.log_index) for entry in found.logs}) == 9

    def never(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs":
            raise Fault(-32005, "query returned more than 10000 results")
        return result

    strict.falsify = never
    with pytest.raises(ResultTooLarge):
        await client.get_logs([counter.address], [], 0, head)


async def test_receipts_of_blocks_off_the_chain_are_a_lie(network: Network) -> None:
    transaction = {"from": account(0).address, "to": account(1).address, "value": "0x1"}
    sent = network.node.rpc("eth_sendTransaction", transaction)
    mined_in(network.node, sent)
    hashed = bytes.fromhex(sent[2:])
    receipt = await network.client(network.node.url).get_receipt(hashed)
    assert receipt is not None
    assert receipt.success
    assert await network.client(network.node.url).get_receipt(b"\x01" * 32) is None
    for change in ({"blockHash": "0x" + "11" * 32}, {"transactionHash": "0x" + "11" * 32}, {"status": "0x7"}):
        liar = network.proxy()
        liar.falsify = lambda method, _params, result, change=change: (
            {**result, **change} if method == "eth_getTransactionReceipt" and result else result
        )
        client = network.client(liar.url, network.node.url)
        assert await client.get_receipt(hashed) == receipt
        assert reasons(client)[0] is not None


async def test_batches_and_endpoints_that_do_not_take_them(network: Network) -> None:
    calls = [("eth_blockNumber", ()), ("eth_noSuchThing", ()), ("eth_chainId", ())]
    for batches in (True, False):
        proxy = network.proxy()
        proxy.batches = batches
        client = network.client(proxy.url)
        for _ in range(2):
            number, error, chain = await client.batch(calls)
            assert (number, chain) == ("0x0", hex(31337))
            assert isinstance(error, MethodUnavailable)


async def test_keys_in_urls_show_nowhere(network: Network) -> None:
    secret = "s3cr3tk3y99"
    proxies = [network.proxy(f"/v3/{secret}") for _ in range(3)]
    server_error(proxies[0])
    proxies[1].stop()

    def echo(method: str, _params: list[Any], _result: Any) -> Any:
        raise Fault(-32000, f"no access to {proxies[2].url} for key /v3/{secret}")

    proxies[2].falsify = echo
    client = network.client(*(proxy.url for proxy in proxies))
    with structlog.testing.capture_logs() as entries, pytest.raises(Exception) as failed:
        await client.get_head()
    shown = repr(entries) + str(failed.value) + repr(failed.value.args) + repr(client.health())
    assert secret not in shown
    assert "127.0.0.1" in shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://mainnet.example.org/v3/0123456789abcdef", "https://mainnet.example.org/..."),
        ("https://user:password@example.org", "https://example.org/..."),
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("http://127.0.0.1:8545/", "http://127.0.0.1:8545"),
        ("https://example.org?key=abc", "https://example.org/..."),
        ("http://[::1]:8545/key", "http://[::1]:8545/..."),
    ],
)
def test_redacted_urls(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize("url", ["", "ws://example.org", "example.org", "https://", "ftp://x/secret"])
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ValueError, match="needs a URL") as refused:
        L1Client([url], 1)
    assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match="at least one"):
        L1Client([], 1)


def without_logs(proxy: Proxy, *, receipts: bool = True) -> None:
    """Leaves all logs out."""

    def change(method: str, _params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts" and not receipts:
            raise Fault(-32601, "the method eth_getBlockReceipts does not exist")
        return [] if method == "eth_getLogs" else result

    proxy.falsify = change


async def test_logs_that_an_endpoint_leaves_out_are_missed(network: Network) -> None:
    counter = Counter(network.node)
    block = increment(network.node, counter)
    network.node.mine(3)
    question = ([counter.address], [[TOPIC]], 0, network.node.block_number())
    for place in range(2):
        liar = network.proxy()
        without_logs(liar)
        urls = [network.proxy().url]
        urls.insert(place, liar.url)
        client = network.client(*urls)
        assert [entry.block_number for entry in (await client.get_logs(*question)).logs] == [block]
        assert "commit to" in (reasons(client)[place] or "")
        assert reasons(client)[1 - place] is None
    # Alone it is found out by the block's bloom filter and receipts.
    client = network.client(liar.url)
    with pytest.raises(L1Unavailable, match="left out logs"):
        await client.get_logs(*question)
    # Who has no receipts to show is believed where nobody else can be asked, and outvoted by receipts elsewhere.
    without_logs(liar, receipts=False)
    assert (await network.client(liar.url).get_logs(*question)).logs == []
    client = network.client(liar.url, network.node.url)
    assert [entry.block_number for entry in (await client.get_logs(*question)).logs] == [block]
    # When nobody shows any, nobody is believed.
    other = network.proxy()

    def no_receipts(method: str, _params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockReceipts":
            raise Fault(-32601, "the method eth_getBlockReceipts does not exist")
        return result

    other.falsify = no_receipts
    with pytest.raises(L1Unavailable, match="differ about logs of block"):
        await network.client(liar.url, other.url).get_logs(*question)


async def test_logs_that_an_endpoint_makes_up_or_changes_are_refused(network: Network) -> None:
    counter = Counter(network.node)
    block = increment(network.node, counter)
    network.node.mine(2)
    question = ([counter.address], [[TOPIC]], 0, network.node.block_number())

    def elsewhere(found: list[Any]) -> list[Any]:
        empty = network.node.rpc("eth_getBlockByNumber", hex(block + 1), False)
        return [*found, {**found[0], "blockNumber": empty["number"], "blockHash": empty["hash"]}]

    changes: dict[str, Callable[[list[Any]], list[Any]]] = {
        "in a block whose bloom filter rules it out": elsewhere,
        "with other data": lambda found: [{**found[0], "data": "0x1234"}],
        "twice": lambda found: [*found, *found],
        "twice, as another": lambda found: [*found, {**found[0], "logIndex": "0x1"}],
        "as another": lambda found: [{**found[0], "logIndex": "0x1"}],
    }
    for change in changes.values():
        liar = network.proxy()
        liar.falsify = lambda method, _params, result, change=change: (
            change(result) if method == "eth_getLogs" else result
        )
        client = network.client(liar.url, network.node.url)
        assert [entry.data for entry in (await client.get_logs(*question)).logs] == [b""]
        assert not client.health()[0].usable


async def test_a_second_opinion_is_had_in_pieces_where_it_must(network: Network) -> None:
    counter = Counter(network.node)
    increment(network.node, counter)
    network.node.mine(20)
    liar, strict = network.proxy(), network.proxy()
    without_logs(liar)

    def at_most_seven(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs" and int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) >= 7:
            raise Fault(-32005, "block range is too large")
        return result

    strict.falsify = at_most_seven
    client = network.client(liar.url, strict.url)
    assert len((await client.get_logs([counter.address], [], 0, 20)).logs) == 1
    assert not client.health()[0].usable


async def test_the_longest_agreement_on_a_chain_counts(network: Network, anvil: Callable[..., Anvil]) -> None:
    forged = anvil()
    counter = Counter(network.node)
    block = increment(network.node, counter)
    network.node.mine(3)
    forged.mine(network.node.block_number())
    client = network.client(forged.url, network.node.url, network.proxy().url)
    found = await client.get_logs([counter.address], [], 0, network.node.block_number())
    assert [entry.block_number for entry in found.logs] == [block]


async def test_a_block_that_a_backend_does_not_have_yet_is_no_lie(network: Network) -> None:
    counter = Counter(network.node)
    block = increment(network.node, counter)
    sent = bytes.fromhex(network.node.rpc("eth_getBlockByNumber", hex(block), False)["transactions"][0][2:])
    network.node.mine(2)
    balanced = network.proxy()
    balanced.falsify = lambda method, params, result: (
        None if method == "eth_getBlockByNumber" and params[0] == hex(block) else result
    )
    client = network.client(balanced.url)
    with pytest.raises(L1Unavailable, match="doesn't have block"):
        await client.get_logs([counter.address], [], 0, block + 2)
    with pytest.raises(L1Unavailable, match="doesn't have block"):
        await client.get_receipts([sent])
    assert all(health.usable for health in client.health())
    balanced.falsify = None
    assert len((await client.get_logs([counter.address], [], 0, block + 2)).logs) == 1


def forked(*items: bytes | int, **fields: Any) -> Callable[[Proxy], None]:
    """Headers as a later fork makes them: with fields at the end."""

    def apply(proxy: Proxy) -> None:
        def change(method: str, _params: list[Any], result: Any) -> Any:
            if method != "eth_getBlockByNumber" or not result:
                return result
            encoded = encode_rlp([*decode_rlp(read_header(result).rlp, "header"), *items])
            return {**result, **fields, "hash": "0x" + keccak256(encoded).hex()}

        proxy.falsify = change

    return apply


async def test_fields_that_a_fork_adds_to_headers_are_no_lie(network: Network) -> None:
    proxy = network.proxy()
    client = network.client(proxy.url)
    # As EIP-7928 and EIP-7843 do.
    forked(b"\x22" * 32, 77, blockAccessListHash="0x" + "22" * 32, slotNumber="0x4d", other="0x1")(proxy)
    head = await client.get_head()
    assert keccak256(head.rlp) == head.hash
    # The check holds all the same.
    forked(b"\x22" * 32, blockAccessListHash="0x" + "22" * 32)(proxy)
    assert (await client.get_head()).number == 0
    falsify_block(stateRoot="0x" + "11" * 32)(proxy)
    with pytest.raises(L1Unavailable, match="which its header doesn't give"):
        await client.get_head()
    # What can't be checked isn't taken, unless one says so; but nobody is banned for it.
    forked(b"\x33" * 32, somethingElse="0x" + "22" * 32)(proxy)
    client = network.client(proxy.url)
    with pytest.raises(L1Unavailable, match="check_headers = false"):
        await client.get_head()
    assert "somethingElse" in (reasons(client)[0] or "")
    network.now += 31
    forked()(proxy)
    assert (await client.get_head()).number == 0
    forked(b"\x33" * 32, somethingElse="0x" + "22" * 32)(proxy)
    assert (await network.client(proxy.url, check_headers=False).get_head()).number == 0
