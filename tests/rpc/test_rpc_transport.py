"""The envelope and HTTP: what is no request, batches, limits, CORS, the two kinds of URLs."""

from __future__ import annotations

import json
import selectors
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from support.engine import Node, wait_until
from support.rpc import Client, Session, call_data

from exclave import _engine

MEBIBYTE = 1024 * 1024


def code(response: httpx.Response) -> int:
    return int(response.json()["error"]["code"])


@pytest.mark.parametrize("body", ["", "{", "nonsense", "[1,", '{"jsonrpc":"2.0","id":1', "\x00", '"\\ud800"x'])
def test_malformed_json_is_a_parse_error(session: Session, body: str) -> None:
    response = httpx.post(session.url, content=body)
    assert response.status_code == 200
    assert code(response) == -32700 and response.json()["id"] is None


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "7",
        "null",
        "{}",
        '{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}',
        '{"id":1,"method":"eth_chainId"}',
        '{"jsonrpc":"2.0","id":1}',
        '{"jsonrpc":"2.0","id":1,"method":7}',
        '{"jsonrpc":"2.0","id":[],"method":"eth_chainId"}',
    ],
)
def test_what_is_no_request_is_invalid(session: Session, body: str) -> None:
    assert code(httpx.post(session.url, content=body)) == -32600


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", []),
        ("eth_getBalance", ["0x12"]),
        ("eth_getBalance", [7]),
        ("eth_getBalance", ["0x" + "00" * 20, "newest"]),
        ("eth_getBalance", ["0x" + "00" * 20, "0xzz"]),
        ("eth_getBalance", ["0x" + "00" * 20, "0x" + "f" * 40]),
        ("eth_getBalance", ["0x" + "00" * 20, "latest", "more"]),
        ("eth_getBalance", {"address": "0x" + "00" * 20}),
        ("eth_getBlockByNumber", []),
        ("eth_getBlockByNumber", ["latest", "yes"]),
        ("eth_getBlockByHash", ["0x12", False]),
        ("eth_getTransactionByHash", [None]),
        ("eth_getTransactionByBlockNumberAndIndex", ["latest", "first"]),
        ("eth_call", ["0x"]),
        ("eth_call", [{"to": "0x1"}]),
        ("eth_call", [{"data": "0x01", "input": "0x02"}]),
        ("eth_call", [{}, "latest", {"0x12": {}}]),
        ("eth_call", [{}, "latest", {"0x" + "00" * 20: {"what": 1}}]),
        ("eth_getStorageAt", ["0x" + "00" * 20, "0x" + "0" * 65, "latest"]),
        ("eth_getStorageAt", ["0x" + "00" * 20, "slot", "latest"]),
        ("eth_getLogs", [{"topics": [None] * 5}]),
        ("eth_getLogs", [{"address": "0x1"}]),
        ("eth_getLogs", [{"blockHash": "0x" + "00" * 32, "fromBlock": "0x1"}]),
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}]),
        ("eth_feeHistory", ["0x1", "latest", [50, 20]]),
        ("eth_feeHistory", ["0x1", "latest", [101]]),
        ("eth_sendRawTransaction", ["nothex"]),
        ("eth_sendRawTransaction", []),
        ("web3_sha3", ["0x1"]),
        ("eth_subscribe", []),
    ],
)
def test_parameters_of_wrong_type_are_invalid_params(session: Session, method: str, params: object) -> None:
    answer = session.client.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    expected = -32601 if method == "eth_subscribe" else -32602
    assert answer["error"]["code"] == expected, answer


def test_unknown_methods_do_not_exist(session: Session) -> None:
    for method in ["eth_unknown", "personal_sign", "", "anvil_nodeInfo", "eth_fillTransaction", "admin_peers"]:
        failure = session.client.failure(method)
        assert failure.code == -32601
        assert failure.message == f"the method {method} does not exist/is not available"


def test_ids_come_back_as_they_were(session: Session) -> None:
    for raw_id in ["1", '"text"', "null", "-1.5", "123456789012345678901234567890"]:
        body = f'{{"jsonrpc":"2.0","id":{raw_id},"method":"net_listening"}}'
        assert httpx.post(session.url, content=body).text == f'{{"jsonrpc":"2.0","id":{raw_id},"result":true}}'


def test_notifications_get_no_response(session: Session) -> None:
    notification = {"jsonrpc": "2.0", "method": "eth_chainId"}
    for body in [notification, [notification, notification]]:
        response = httpx.post(session.url, json=body)
        assert (response.status_code, response.content) == (204, b"")
    answers = session.client.post([notification, {**notification, "id": 5}])
    assert [answer["id"] for answer in answers] == [5]


def test_batch_answers_in_order_and_keeps_good_entries(session: Session) -> None:
    request = {"jsonrpc": "2.0", "method": "eth_chainId"}
    batch = [{**request, "id": 1}, 7, {**request, "id": 2, "method": "eth_nothing"}, {**request, "id": "x"}, []]
    answers = session.client.post(batch)
    assert [answer["id"] for answer in answers] == [1, None, 2, "x", None]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32600, -32601, None, -32600]


def test_batch_is_limited_to_1000_requests(session: Session) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "net_listening"}
    assert len(session.client.post([request] * 1000)) == 1000
    response = httpx.post(session.url, json=[request] * 1001)
    assert code(response) == -32600 and "batch too large" in response.json()["error"]["message"]


def test_batch_of_transactions_is_executed_in_order(session: Session) -> None:
    batch = [
        {
            "jsonrpc": "2.0",
            "id": index,
            "method": "eth_sendRawTransaction",
            "params": [session.sign(nonce=session.nonce + index)],
        }
        for index in range(100)
    ]
    answers = session.client.post(batch)
    assert all("result" in answer for answer in answers), answers
    assert int(session.client("eth_getTransactionCount", session.player.address, "latest"), 16) == session.nonce + 100


@pytest.mark.parametrize("method", ["eth_sendRawTransaction", "eth_sendRawTransactionSync"])
def test_batch_of_transactions_may_be_in_any_order_and_of_any_length(session: Session, method: str) -> None:
    """More than a sender may have in the queue (256), each before all those that it waits for."""
    nonces = list(range(session.nonce, session.nonce + 300))
    batch = [
        {"jsonrpc": "2.0", "id": nonce, "method": method, "params": [session.sign(nonce=nonce)]}
        for nonce in reversed(nonces)
    ]
    answers = session.client.post(batch)
    assert all("result" in answer for answer in answers), answers
    assert [answer["id"] for answer in answers] == nonces[::-1]


def test_transactions_of_a_batch_are_refused_one_by_one(session: Session) -> None:
    good, low = session.sign(), session.sign(nonce=0)
    batch = [
        {"jsonrpc": "2.0", "id": index, "method": "eth_sendRawTransaction", "params": params}
        for index, params in enumerate([[low], ["0x02"], ["nothex"], [], [good], [good]])
    ]
    answers = session.client.post(batch)
    assert [answer.get("error", {}).get("code") for answer in answers] == [-32000, -32000, -32602, -32602, None, -32000]
    assert answers[0]["error"]["message"].startswith("nonce too low")
    assert answers[5]["error"]["message"] == "already known"


def test_oversize_body_is_refused_with_413(session: Session) -> None:
    padding = " " * (5 * MEBIBYTE)
    response = httpx.post(session.url, content='{"jsonrpc":"2.0","id":1,"method":"net_listening"}' + padding)
    assert response.status_code == 413 and code(response) == -32600
    assert response.headers["access-control-allow-origin"] == "*"

    def chunks() -> object:
        for _ in range(6):
            yield b" " * MEBIBYTE

    response = httpx.post(session.url, content=chunks())  # type: ignore[arg-type]
    assert response.status_code == 413
    just_fits = '{"jsonrpc":"2.0","id":1,"method":"net_listening"}'
    just_fits += " " * (5 * MEBIBYTE - len(just_fits))
    assert httpx.post(session.url, content=just_fits).json()["result"] is True


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded"]
)
def test_any_content_type_will_do(session: Session, content_type: str | None) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = httpx.post(session.url, content=b'{"jsonrpc":"2.0","id":1,"method":"net_listening"}', headers=headers)
    assert response.json()["result"] is True


def test_browsers_may_ask_from_any_page(session: Session) -> None:
    preflight = httpx.options(
        session.url,
        headers={
            "origin": "https://game.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-custom",
        },
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-headers"] == "content-type,x-custom"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    answer = httpx.post(session.url, json={}, headers={"origin": "https://game.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


def test_get_tells_that_the_server_is_well(session: Session, root: Client) -> None:
    assert httpx.get(root.url).json()["status"] == "ok"
    assert httpx.get(session.url).json()["session"] == session.id
    assert httpx.head(root.url).status_code == 200


def test_other_paths_and_verbs_are_refused(root: Client) -> None:
    for path in ["session", "session/", "session/x", "session/-1", f"session/{2**64}", "session/1/2", "favicon.ico"]:
        assert httpx.post(root.url + path, json={}).status_code == 404
    assert httpx.put(root.url, json={}).status_code == 405


def test_unknown_session_is_not_found(root: Client) -> None:
    failure = Client(root.url + "session/4000000000").failure("eth_chainId")
    assert (failure.code, failure.message) == (-32001, "session 4000000000 not found")


def test_an_unknown_session_is_asked_for_once_and_found_as_soon_as_it_opens(rpc_node: tuple[Node, str]) -> None:
    node, address = rpc_node
    clients = [Client(f"http://{address}/session/{unknown}") for unknown in (4_000_000_001, 4_000_000_002)]
    for client in clients * 3:
        assert client.failure("eth_chainId").code == -32001
    assert [node.wakes.count(unknown) for unknown in (4_000_000_001, 4_000_000_002)] == [1, 1]
    node.open(4_000_000_001)
    assert clients[0]("eth_blockNumber") == "0x1"
    # What came into the store without being opened is found a moment later.
    node.store.add_session(4_000_000_002)
    wait_until(lambda: "result" in clients[1].post({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}))


def test_root_serves_the_coprocessor_only(root: Client, session: Session) -> None:
    for client in [root, session.client]:
        assert client("zkcop_echo", 1, "two") == {"method": "zkcop_echo", "params": [1, "two"]}
        failure = client.failure("zkcop_refuse")
        assert (failure.code, failure.message, failure.data) == (-32001, "claim 7 not found", {"claim": 7})
        assert client.failure("zkcop_nothing").code == -32601
        assert client("web3_clientVersion").startswith("exclave/v")
    named = {"jsonrpc": "2.0", "id": 1, "method": "zkcop_echo", "params": {"session": 7}}
    assert root.post(named)["result"]["params"] == {"session": 7}
    failure = root.failure("eth_chainId")
    assert failure.code == -32601 and "/session/<id>" in failure.message


def test_crash_of_a_python_method_is_an_internal_error_without_details(root: Client) -> None:
    failure = root.failure("zkcop_crash")
    assert failure.code == -32603
    assert "secret detail" not in failure.message


def test_connections_are_kept_and_pipelined_requests_are_answered(root: Client) -> None:
    host, port = root.url.removeprefix("http://").rstrip("/").split(":")
    body = b'{"jsonrpc":"2.0","id":1,"method":"web3_clientVersion"}'
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request * 3)
        received = b""
        while received.count(b"exclave/v") < 3:
            received += connection.recv(65536)


def test_nonsense_on_the_wire_harms_nobody(root: Client) -> None:
    host, port = root.url.removeprefix("http://").rstrip("/").split(":")
    for nonsense in [b"\x16\x03\x01 tls\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]:
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(nonsense)
            while connection.recv(65536):
                pass
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert root("web3_clientVersion")


def test_deeply_nested_parameters_are_refused(session: Session) -> None:
    depth = 200_000
    body = '{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"address":' + "[" * depth + "]" * depth + "}]}"
    assert code(httpx.post(session.url, content=body)) == -32602


def test_large_results_of_a_batch_are_cut_off(session: Session) -> None:
    session.send("notes(uint256)", 9000, gas=16_000_000)
    request = {"jsonrpc": "2.0", "method": "eth_getLogs", "params": [{"fromBlock": "earliest"}]}
    answers = session.client.post([{**request, "id": index} for index in range(20)])
    errors = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert "result" in answers[0] and errors and set(errors) == {-32003}
    assert sum(len(json.dumps(answer)) for answer in answers) < 40 * MEBIBYTE


def test_a_batch_executes_nothing_after_a_result_that_does_not_fit(session: Session) -> None:
    session.send("notes(uint256)", 9000, gas=16_000_000)
    request = {"jsonrpc": "2.0", "method": "eth_getLogs", "params": [{"fromBlock": "earliest"}]}
    batch = [{**request, "id": index} for index in range(80)]
    batch += [{"jsonrpc": "2.0", "id": 80 + index, "method": "eth_newBlockFilter"} for index in range(100)]
    answers = session.client.post(batch)
    assert {answer["error"]["code"] for answer in answers[80:]} == {-32003}


def test_large_receipts_are_no_work_for_the_threads_of_connections(session: Session) -> None:
    """What takes long has its place among the session's heavy requests, of which there are so many and no more."""
    receipt = session.send("notes(uint256)", 3000, gas=16_000_000)
    request = {"jsonrpc": "2.0", "method": "eth_getTransactionReceipt", "params": [receipt["transactionHash"]]}
    body = json.dumps([{**request, "id": index} for index in range(64)])

    def ask(_: int) -> set[int]:
        answers = httpx.post(session.url, content=body, timeout=60).json()
        return {answer["error"]["code"] for answer in answers if "error" in answer}

    with ThreadPoolExecutor(8) as pool:
        codes = set().union(*pool.map(ask, range(8)))
    assert codes == {-32003, -32005}


def test_python_methods_have_so_many_places_and_no_more() -> None:
    """A method that hangs must not make all later requests wait without an answer."""
    entered, released = threading.Event(), threading.Event()

    def hang(method: str, params: str) -> str:
        entered.set()
        assert released.wait(60)
        return "null"

    node = Node(call=hang, limits={"calls": 1})
    body = b'{"jsonrpc":"2.0","id":1,"method":"zkcop_hang"}'
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with ExitStack() as stack:
        stack.callback(node.engine.shutdown)
        stack.callback(released.set)
        port = node.engine.serve("127.0.0.1", 0)
        connections = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(267)]
        for connection in connections:
            connection.sendall(request)
        assert entered.wait(30)
        answers = stack.enter_context(selectors.DefaultSelector())
        for connection in connections:
            answers.register(connection, selectors.EVENT_READ)
        refused: list[Any] = []

        def others_are_refused() -> bool:
            refused[:] = [key.fileobj for key, _ in answers.select(0)]
            return len(refused) == 10

        # One is answered, 256 wait.
        wait_until(others_are_refused)
        assert all(b'"code":-32005' in connection.recv(4096) for connection in refused)
        released.set()
        for connection in set(connections) - set(refused):
            assert b'"result":null' in connection.recv(4096)


def test_invariant_i5_callers_of_one_session_do_not_starve_another(session: Session, open_session: object) -> None:
    """INVARIANT I5: with far more endless calls in one session than there are threads, another one answers."""
    other: Session = open_session()  # type: ignore[operator]
    burn = {"to": session.probe, "input": call_data("burn()"), "gas": hex(5_000_000)}
    batch = [{"jsonrpc": "2.0", "id": index, "method": "eth_call", "params": [burn, "latest"]} for index in range(60)]
    with ThreadPoolExecutor(6) as pool:
        hostile = [pool.submit(session.client.http.post, session.url, json=batch, timeout=300) for _ in range(6)]
        answered_meanwhile = 0
        # Those that found the queue full are done at once.
        while sum(future.done() for future in hostile) < 3:
            assert other.call("counter()") == "0x" + "00" * 32
            answered_meanwhile += 1
        codes = {answer["error"]["code"] for future in hostile for answer in future.result().json()}
    assert answered_meanwhile > 10
    assert codes == {-32000, -32005}


def test_metrics_count_requests_and_errors(session: Session) -> None:
    session.client("eth_chainId")
    session.client.failure("eth_nothing")
    text = _engine.metrics_text()
    assert 'exclave_rpc_request_seconds_count{method="eth_chainId"}' in text
    assert 'exclave_rpc_errors_total{method="unknown"}' in text
    assert "eth_nothing" not in text
