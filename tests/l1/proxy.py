"""A real HTTP server between the client and a real node, which may delay, break or falsify what passes."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Falsify = Callable[[str, list[Any], Any], Any]
"""Method, parameters and true result to the result that is answered. May raise `Fault`."""


class Fault(Exception):
    """Answer a JSON-RPC error instead."""

    def __init__(self, code: int, message: str) -> None:
        self.error = {"code": code, "message": message}


class Proxy:
    """`falsify` changes single results, `rewrite`, `body` and `status` whole answers. `delay` is in seconds before the
    answer, `drip` in seconds between its bytes.
    """

    def __init__(self, node_url: str, path: str = "") -> None:
        self.falsify: Falsify | None = None
        self.body: bytes | None = None
        self.status = 200
        self.delay = 0.0
        self.drip = 0.0
        self.rewrite: Callable[[Any], Any] = lambda answer: answer
        self.batches = True
        self.methods: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner._note(request)
                time.sleep(owner.delay)
                if owner.body is not None:
                    body = owner.body
                elif isinstance(request, list) and not owner.batches:
                    error = {"code": -32600, "message": "batch requests are not supported"}
                    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
                else:
                    body = json.dumps(owner.rewrite(owner._answer(request, node_url))).encode()
                self.send_response(owner.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if owner.drip:
                    with contextlib.suppress(OSError):
                        for byte in body:
                            self.wfile.write(bytes([byte]))
                            time.sleep(owner.drip)
                else:
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}{path}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()

    def _note(self, request: Any) -> None:
        self.methods += [item["method"] for item in (request if isinstance(request, list) else [request])]

    def _answer(self, request: Any, node_url: str) -> Any:
        if isinstance(request, list):
            return [self._answer(item, node_url) for item in request]
        forwarded = urllib.request.Request(node_url, json.dumps(request).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(forwarded, timeout=30) as response:
            answer = json.load(response)
        if self.falsify is not None:
            try:
                answer["result"] = self.falsify(request["method"], request["params"], answer.get("result"))
            except Fault as fault:
                answer.pop("result", None)
                answer["error"] = fault.error
        return answer
