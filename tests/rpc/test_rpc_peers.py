"""What another process of the deployment has is asked for there, and nobody notices."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from support.engine import Node, wait_until
from support.rpc import Client, Session
from support.websocket import open_socket

from exclave import _engine

PASSED_ON = {"x-exclave-passed-on": "1"}


@dataclass
class Peers:
    """Two engines: `edge`, which is asked, and `holder`, which has the session. Both serve their peers."""

    edge: Node
    holder: Node
    edge_url: str
    holder_url: str
    places: dict[int, bool | str] = field(default_factory=dict)
    """What the edge is told of where a session is."""
    asked: list[int] = field(default_factory=list)

    def session(self, session_id: int) -> Session:
        """A session of the holder, as a client of the edge sees it."""
        self.holder.open(session_id)
        self.places[session_id] = self.holder_url
        url = f"{self.edge_url}/session/{session_id}"
        session = Session(self.holder, session_id, url, Client(url))
        session.deploy()
        return session


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def peers() -> Iterator[Peers]:
    made: list[Peers] = []

    def where(session_id: int) -> bool | str:
        made[0].asked.append(session_id)
        return made[0].places.get(session_id, False)

    def call(method: str, params: str) -> str:
        return json.dumps("the holder")

    edge, holder = Node(wake=where, call=lambda method, params: json.dumps("the edge")), Node(call=call)
    urls = [f"http://127.0.0.1:{node.engine.serve('127.0.0.1', 0, peers=True)}" for node in (edge, holder)]
    made.append(Peers(edge, holder, *urls))
    yield made[0]
    edge.engine.shutdown()
    holder.engine.shutdown()


def test_requests_and_batches_are_answered_by_whoever_has_the_session(peers: Peers) -> None:
    session = peers.session(1)
    receipt = session.send()
    assert receipt["status"] == "0x1"
    raw = [session.sign(data="0x", nonce=session.nonce + index) for index in range(3)]
    batch = [{"jsonrpc": "2.0", "id": i, "method": "eth_sendRawTransaction", "params": [raw[i]]} for i in range(3)]
    answers = session.client.post(batch)
    assert [answer["id"] for answer in answers] == [0, 1, 2] and all("result" in answer for answer in answers)
    assert peers.holder.info(1).number == int(session.client("eth_blockNumber"), 16)
    assert session.client.failure("eth_nothing").code == -32601
    # The place is remembered.
    assert peers.asked == [1]
    assert peers.edge.engine.session_ids() == []
    assert "exclave_rpc_passed_on_total" in _engine.metrics_text()


async def test_subscriptions_reach_through_another_process(peers: Peers) -> None:
    session = await asyncio.to_thread(peers.session, 1)
    async with open_socket(session) as client:
        assert await client("eth_chainId") == hex(session.chain_id)
        heads = await client("eth_subscribe", "newHeads")
        receipt = await asyncio.to_thread(session.send)
        assert (await client.heard(heads, 1))[0]["hash"] == receipt["blockHash"]
        # It ends with the session, as it would there.
        await asyncio.to_thread(peers.holder.engine.drop_session, 1)
        await client.connection.wait_closed()
        assert client.connection.close_code == 1012


def test_a_session_that_moved_is_asked_for_where_it_is_now(peers: Peers) -> None:
    session = peers.session(1)
    port = free_port()
    third = Node()
    try:
        third.engine.serve("127.0.0.1", port, peers=True)
        third.open(2)
        other = Client(f"{peers.edge_url}/session/2")
        # The holder was woken for it and knows nothing of it; then it turns out to be elsewhere.
        peers.places[2] = f"http://127.0.0.1:{port}"
        assert int(other("eth_blockNumber"), 16) == 1
        assert peers.asked.count(2) == 1
    finally:
        third.engine.shutdown()
    # Nobody listens there any more; meanwhile it has come to the edge itself.
    moved = threading.Timer(0.3, lambda: peers.edge.open(2))
    moved.start()
    assert int(other("eth_blockNumber"), 16) == 1
    assert peers.asked.count(2) > 1
    assert peers.edge.engine.session_ids() == [2]
    assert session.send()["status"] == "0x1"


def test_a_session_that_comes_back_is_not_looked_for_where_it_was(peers: Peers) -> None:
    back = False

    def where(session_id: int) -> bool | str:
        if back:
            other.open(session_id)
        return back or peers.edge_url

    other = Node(wake=where)
    try:
        url = f"http://127.0.0.1:{other.engine.serve('127.0.0.1', 0)}"
        peers.edge.open(9)
        assert int(Client(f"{url}/session/9")("eth_blockNumber"), 16) == 1  # `other` knows now that the edge has it
        peers.edge.engine.drop_session(9)
        peers.places[9], back = url, True
        assert int(Client(f"{peers.edge_url}/session/9")("eth_blockNumber"), 16) == 1
        assert peers.asked == [9]
    finally:
        other.engine.shutdown()


def test_what_was_passed_on_goes_no_further(peers: Peers) -> None:
    """Two processes that each believe that the other one has a session must not play ball with a request."""
    peers.places[7] = peers.holder_url
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
    answer = httpx.post(f"{peers.edge_url}/session/7", json=body, headers=PASSED_ON)
    assert answer.status_code == 421
    peers.edge.engine.set_leader(peers.holder_url)
    assert httpx.post(peers.edge_url, json=body, headers=PASSED_ON).status_code == 421
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert httpx.get(f"{peers.edge_url}/session/7", headers={**PASSED_ON, **upgrade}).status_code == 421


def test_the_coprocessors_methods_are_the_leaders(peers: Peers) -> None:
    client = Client(peers.edge_url)
    assert client("zkcop_any") == "the edge"
    peers.edge.engine.set_leader(peers.holder_url)
    assert client("zkcop_any") == "the holder"
    peers.edge.engine.set_leader(None)
    assert client("zkcop_any") == "the edge"


def serve_once(answer: Callable[[socket.socket], None]) -> tuple[str, threading.Thread]:
    """A process that takes one connection; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                answer(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", thread


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"])
def test_a_request_that_a_dying_process_took_is_not_sent_again(peers: Peers, half: bytes) -> None:
    """INVARIANT I6: whether it was executed isn't known, so nothing is said of it."""
    url, thread = serve_once(lambda connection: connection.sendall(half))
    peers.places[3] = url
    body = {"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": ["0x00"]}
    answer = httpx.post(f"{peers.edge_url}/session/3", json=body, timeout=60)
    thread.join(30)
    assert answer.status_code == 502
    assert "ask for its receipt" in answer.json()["error"]["message"]
    assert peers.asked == [3]


def test_a_process_that_stops_leaves_its_peers_requests_to_the_next_one(peers: Peers) -> None:
    session = peers.session(1)
    probe = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    sent: list[Any] = []
    with peers.holder.store.held() as waiting:
        sending = threading.Thread(target=lambda: sent.append(session.send()))
        sending.start()
        assert waiting.wait(30)
        stopping = threading.Thread(target=peers.holder.engine.shutdown)
        stopping.start()
        url = f"{peers.holder_url}/session/1"
        wait_until(lambda: httpx.post(url, json=probe, headers=PASSED_ON).status_code == 421)
        # Meanwhile the edge comes to have the session.
        asked = len(peers.asked)
        second: list[Any] = []
        asking = threading.Thread(target=lambda: second.append(Client(session.url)("eth_chainId")))
        asking.start()
        wait_until(lambda: len(peers.asked) > asked)
        peers.edge.open(1)
        asking.join(30)
    stopping.join(30)
    sending.join(30)
    assert second == [hex(session.chain_id)]
    assert len(sent) == 1, "what the holder had accepted before it stopped it also acknowledged"
