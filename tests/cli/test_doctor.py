from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from subprocess import CompletedProcess
from typing import Any

from coincurve import PublicKey
from support.anvil import account
from support.node_process import SIGNER, NodeProcess
from support.world import OPERATOR_KEY, World

Run = Callable[..., "CompletedProcess[str]"]
KEY = bytes(account(SIGNER).key)
KEYS = {"EXCLAVE_PRIVATE_KEY": "0x" + KEY.hex(), "EXCLAVE_OPERATOR_KEY": "0x" + OPERATOR_KEY.hex()}
Answer = Callable[[str, Any], Any]


@contextmanager
def service(answer: Answer) -> Iterator[str]:
    """A URL at which `answer(path, body)` gives the JSON of each response, or None for "not found"."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(answer(self.path, None))

        def do_POST(self) -> None:
            self._reply(answer(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def _reply(self, content: Any) -> None:
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def finding(done: CompletedProcess[str], check: str) -> tuple[str, str]:
    found = json.loads(done.stdout)
    return next((entry["verdict"], entry["detail"]) for entry in found if entry["check"].startswith(check))


def remote(url: str, address: str) -> dict[str, str]:
    """Settings for a signing service."""
    return {"EXCLAVE_SIGNER__KIND": "http", "EXCLAVE_SIGNER__URL": url, "EXCLAVE_SIGNER__ADDRESS": address}


def test_doctor_asks_a_signing_service_as_the_node_does(exclave: Run, node: tuple[World, NodeProcess]) -> None:
    _, process = node
    config = {**KEYS, "EXCLAVE_CONFIG": str(process.config_path)}
    public = "0x" + PublicKey.from_secret(KEY).format(compressed=False)[1:].hex()

    def web3signer(path: str, body: Any) -> Any:
        return [public] if path == "/api/v1/eth1/publicKeys" and body is None else None

    with service(web3signer) as url:
        done = exclave("doctor", "--json", **config, **remote(url, account(SIGNER).address))
        assert finding(done, "signer key") == ("ok", f"{account(SIGNER).address} by a signing service")
        assert finding(done, "signer balance")[0] == "ok"
        done = exclave("doctor", "--json", code=1, **config, **remote(url, account(7).address))
        assert "has no key for" in finding(done, "signer key")[1]
    done = exclave("doctor", "--json", code=1, **config, **remote(url, account(SIGNER).address))
    assert "doesn't answer" in finding(done, "signer key")[1]


def test_doctor_survives_an_l1_node_that_answers_nonsense(exclave: Run, node: tuple[World, NodeProcess]) -> None:
    _, process = node
    answers: dict[str, Any] = {
        "eth_chainId": "0x7a69",
        "eth_blockNumber": "0x1",
        "eth_getCode": "0x60",
        "eth_getBalance": "0x1",
    }
    config = {**KEYS, "EXCLAVE_CONFIG": str(process.config_path)}

    def endpoint(path: str, body: Any) -> Any:
        return {"jsonrpc": "2.0", "id": body["id"], "result": answers[body["method"]]}

    with service(endpoint) as url:
        config["EXCLAVE_L1__RPC_URLS"] = url
        answers["eth_getBalance"] = "0xzz"
        verdict, detail = finding(exclave("doctor", "--json", **config), "signer balance")
        assert verdict == "warning" and "no quantity" in detail
        answers["eth_chainId"] = None
        verdict, detail = finding(exclave("doctor", "--json", code=1, **config), "L1 node 1")
        assert verdict == "failed" and "no quantity" in detail


def test_doctor_looks_for_the_prover_where_claims_can_be_challenged(
    exclave: Run, node: tuple[World, NodeProcess]
) -> None:
    _, process = node
    check = ("doctor", "--json", "--config", str(process.config_path))
    found = json.loads(exclave(*check, **KEYS).stdout)
    assert not any(entry["check"] == "prover" for entry in found)
    disputable = {**KEYS, "EXCLAVE_ACCEPT__DISPUTE_GAMES": "0x" + "11" * 20}
    missing = exclave(*check, code=1, **disputable, EXCLAVE_DEFENCE__PROVER="/nowhere/exclave-prover")
    assert finding(missing, "prover") == ("failed", "/nowhere/exclave-prover is no program")
    assert finding(exclave(*check, **disputable, EXCLAVE_DEFENCE__PROVER="/bin/true"), "prover")[0] == "ok"
    off = exclave(*check, **disputable, EXCLAVE_DEFENCE__ENABLED="false")
    assert finding(off, "prover")[0] == "warning"
