"""WebSocket: the same methods, and subscriptions."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest
from support.engine import COUNTER, wait_until
from support.rpc import Session, call_data
from support.websocket import open_socket
from websockets.exceptions import ConnectionClosed

from exclave import _engine
from exclave.protocol import keccak256

PLAIN = "0x" + keccak256(b"Plain(uint256)").hex()


async def send(session: Session, *arguments: Any, **fields: Any) -> Any:
    return await asyncio.to_thread(session.send, *arguments, **fields)


async def test_requests_and_errors(session: Session) -> None:
    async with open_socket(session) as client:
        assert await client("eth_chainId") == hex(session.chain_id)
        assert (await client("eth_nothing"))["code"] == -32601
        await client.connection.send("nonsense")
        assert (await client.receive())["error"]["code"] == -32700
        await client.connection.send("[]")
        assert (await client.receive())["error"]["code"] == -32600
        await client.connection.send(b'{"jsonrpc":"2.0","id":7,"method":"net_listening"}')
        assert (await client.receive())["result"] is True
        request = {"jsonrpc": "2.0", "method": "net_listening"}
        await client.connection.send(json.dumps([{**request, "id": 1}, request, {**request, "id": 2}]))
        assert [answer["id"] for answer in await client.receive()] == [1, 2]
        assert (
            await client("eth_call", {"to": session.probe, "input": call_data("counter()")}, "latest")
            == "0x" + "00" * 32
        )


async def test_new_heads_are_the_blocks_headers(session: Session) -> None:
    async with open_socket(session) as client:
        subscription = await client("eth_subscribe", "newHeads")
        assert int(subscription, 16) > 0
        receipts = [await send(session) for _ in range(3)]
        heads = await client.heard(subscription, 3)
        assert [head["hash"] for head in heads] == [receipt["blockHash"] for receipt in receipts]
        for head in heads:
            assert head == session.client("eth_getHeaderByHash", head["hash"])


async def test_logs_and_transactions(session: Session) -> None:
    async with open_socket(session) as client:
        everything = await client("eth_subscribe", "logs", {})
        plain = await client("eth_subscribe", "logs", {"address": session.probe, "topics": [PLAIN]})
        silent = await client("eth_subscribe", "logs", {"address": "0x" + "12" * 20})
        hashes = await client("eth_subscribe", "newPendingTransactions")
        full = await client("eth_subscribe", "newPendingTransactions", True)
        assert len({everything, plain, silent, hashes, full}) == 5
        receipts = [await send(session, "note(uint256,bytes)", key, b"x") for key in range(3)]
        assert await client.heard(everything, 6) == [log for receipt in receipts for log in receipt["logs"]]
        assert await client.heard(plain, 3) == [receipt["logs"][1] for receipt in receipts]
        assert await client.heard(hashes, 3) == [receipt["transactionHash"] for receipt in receipts]
        assert await client.heard(full, 3) == [
            session.client("eth_getTransactionByHash", receipt["transactionHash"]) for receipt in receipts
        ]
        assert silent not in client.notifications


async def test_unsubscribed_means_silence(session: Session) -> None:
    async with open_socket(session) as client:
        first, second = await client("eth_subscribe", "newHeads"), await client("eth_subscribe", "newHeads")
        assert await client("eth_unsubscribe", first) is True
        assert (await client("eth_unsubscribe", first))["message"] == "subscription not found"
        await send(session)
        await client.heard(second, 1)
        assert first not in client.notifications


async def test_pipelined_subscription_hears_of_the_transaction_after_it(session: Session) -> None:
    async with open_socket(session) as client:
        subscribe = {"jsonrpc": "2.0", "id": "s", "method": "eth_subscribe", "params": ["newHeads"]}
        transaction = {"jsonrpc": "2.0", "id": "t", "method": "eth_sendRawTransaction", "params": [session.sign()]}
        await client.connection.send(json.dumps(subscribe))
        await client.connection.send(json.dumps(transaction))
        first = await client.receive()
        assert first["id"] == "s"
        head = (await client.heard(first["result"], 1))[0]
        assert head["number"] == session.client("eth_blockNumber")


async def test_transactions_on_one_connection_keep_their_order(session: Session) -> None:
    async with open_socket(session) as client:
        for index in range(50):
            request = {
                "jsonrpc": "2.0",
                "id": index,
                "method": "eth_sendRawTransaction",
                "params": [session.sign(nonce=session.nonce + index)],
            }
            await client.connection.send(json.dumps(request))
        answers = [await client.receive() for _ in range(50)]
        assert all("result" in answer for answer in answers), answers
        assert {answer["id"] for answer in answers} == set(range(50))


async def test_subscriptions_are_checked_and_bounded(session: Session) -> None:
    async with open_socket(session) as client:
        answer = await client("eth_subscribe", "newStuff")
        assert (answer["code"], answer["message"]) == (-32601, 'no "newStuff" subscription in eth namespace')
        assert (await client("eth_subscribe", "logs", {"address": "0x1"}))["code"] == -32602
        assert (await client("eth_subscribe"))["code"] == -32602
        ids = [await client("eth_subscribe", "syncing") for _ in range(100)]
        assert len(set(ids)) == 100
        assert (await client("eth_subscribe", "newHeads"))["code"] == -32005
        assert await client("eth_unsubscribe", ids[50]) is True
        assert int(await client("eth_subscribe", "newHeads"), 16)
    failure = session.client.failure("eth_subscribe", "newHeads")
    assert (failure.code, failure.message) == (-32601, "notifications not supported: use WebSocket")
    failure = session.client.failure("eth_unsubscribe", ids[0])
    assert (failure.code, failure.message) == (-32000, "subscription not found")


async def test_oversize_messages_end_the_connection(session: Session) -> None:
    async with open_socket(session) as client:
        with pytest.raises(ConnectionClosed) as caught:
            await client.connection.send(" " * (5 * 1024 * 1024 + 1))
            await client.receive()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1009


async def test_dropped_session_ends_its_subscribers_connections(session: Session) -> None:
    async with open_socket(session) as client:
        await client("eth_subscribe", "newHeads")
        await asyncio.to_thread(session.node.engine.drop_session, session.id)
        with pytest.raises(ConnectionClosed) as caught:
            await client.receive()
        assert caught.value.rcvd is not None and caught.value.rcvd.code == 1012
    # And it is there again for who comes back.
    async with open_socket(session) as client:
        assert await client("eth_getTransactionCount", session.player.address, "latest") == hex(session.nonce)


async def test_who_does_not_read_does_not_hold_up_the_session(session: Session) -> None:
    """A subscriber that never reads: the session goes on, and others hear of every block."""
    host, port = session.url.removeprefix("http://").split("/")[0].split(":")
    deaf = socket.create_connection((host, int(port)))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(
        f"GET /session/{session.id} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert b"101" in deaf.recv(4096)
    for _ in range(20):
        body = b'{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["logs",{}]}'
        deaf.sendall(bytes([0x81, 0x80 | len(body)]) + bytes(4) + body)
    async with open_socket(session) as client:
        heads = await client("eth_subscribe", "newHeads")
        for _ in range(5):
            receipt = await send(session, "notes(uint256)", 2000, gas=16_000_000)
            assert receipt["status"] == "0x1"
        assert len(await client.heard(heads, 5)) == 5
        assert await client("eth_getBalance", "0x" + COUNTER.hex(), "latest") == "0x0"
    deaf.close()


def open_gauge(name: str) -> int:
    lines = _engine.metrics_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"exclave_rpc_{name} "))


async def test_closed_connections_leave_nothing_behind(session: Session) -> None:
    """Not even in a session that has no more blocks, and not by those who go without a word."""
    before = open_gauge("websockets"), open_gauge("subscriptions")
    for abrupt in [False, True]:
        async with open_socket(session) as client:
            await client("eth_subscribe", "newHeads")
            await client("eth_subscribe", "logs", {})
            assert open_gauge("websockets") > 0 and open_gauge("subscriptions") > 1
            if abrupt:
                client.connection.transport.abort()
    await asyncio.to_thread(wait_until, lambda: (open_gauge("websockets"), open_gauge("subscriptions")) <= before)
