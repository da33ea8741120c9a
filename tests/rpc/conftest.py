"""A running JSON-RPC server, and sessions of their own for tests."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator

import pytest
from support.engine import Node
from support.rpc import Client, Session

from exclave import _engine


def serve_coprocessor(method: str, params: str) -> str:
    """What the node's own methods do, as far as the server sees it: answers, refusals, crashes."""
    if method == "zkcop_echo":
        return json.dumps({"method": method, "params": json.loads(params)})
    if method == "zkcop_refuse":
        raise _engine.RpcError(-32001, "claim 7 not found", '{"claim":7}')
    if method == "zkcop_crash":
        raise ValueError("secret detail")
    raise _engine.RpcError(-32601, f"the method {method} does not exist/is not available")


@pytest.fixture(scope="session")
def rpc_node() -> Iterator[tuple[Node, str]]:
    node = Node(call=serve_coprocessor, limits={"nonce_gap_ms": 300})
    port = node.engine.serve("127.0.0.1", 0)
    yield node, f"127.0.0.1:{port}"
    node.engine.shutdown()


@pytest.fixture(scope="session")
def root(rpc_node: tuple[Node, str]) -> Client:
    """The coprocessor's own URL."""
    return Client(f"http://{rpc_node[1]}/")


@pytest.fixture(scope="session")
def open_session(rpc_node: tuple[Node, str]) -> Callable[[], Session]:
    """Opens a session that has the probe contract."""
    node, address = rpc_node
    numbers = itertools.count(1)

    def open_next() -> Session:
        session_id = next(numbers)
        node.open(session_id)
        url = f"http://{address}/session/{session_id}"
        session = Session(node, session_id, url, Client(url))
        session.deploy()
        return session

    return open_next


@pytest.fixture
def session(open_session: Callable[[], Session]) -> Session:
    """A session of the test's own."""
    return open_session()
