"""JSON-RPC to a node: of the commands that look at one, and between the processes of a deployment."""

from __future__ import annotations

import itertools
from typing import Any

import httpx

DEFAULT_URL = "http://127.0.0.1:8645"


class RpcFailure(Exception):
    """The node can't be reached, doesn't speak JSON-RPC, or answered with an error."""


class RpcClient:
    """JSON-RPC 2.0 over HTTP."""

    def __init__(self, url: str, timeout: float = 15.0) -> None:
        self._url = url
        self._timeout = timeout
        self._ids = itertools.count(1)

    def call(self, method: str, *params: Any) -> Any:
        """The result of a method. Raises `RpcFailure` with a message for the user."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        try:
            response = httpx.post(self._url, json=body, timeout=self._timeout)
            answer = response.json()
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise RpcFailure(f"{self._url} isn't a URL ({error}): use for example --rpc {DEFAULT_URL}") from error
        except httpx.HTTPError as error:
            raise RpcFailure(
                f"no node answers at {self._url} ({type(error).__name__}: {error}): "
                "start one with `exclave node`, or name another with --rpc"
            ) from error
        except ValueError as error:
            raise RpcFailure(f"{self._url} doesn't speak JSON-RPC (HTTP status {response.status_code})") from error
        if not isinstance(answer, dict) or ("result" not in answer and "error" not in answer):
            raise RpcFailure(f"{self._url} doesn't speak JSON-RPC")
        refusal = answer.get("error")
        if refusal is not None:
            if not isinstance(refusal, dict):
                raise RpcFailure(f"{method} failed: {refusal}")
            if refusal.get("code") == -32601:
                raise RpcFailure(f"{self._url} has no method {method}: is it an Exclave node of this version?")
            raise RpcFailure(str(refusal.get("message", refusal)))
        return answer["result"]
