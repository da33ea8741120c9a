"""One JSON-RPC endpoint over HTTP: its requests, its health, and a name for it that gives no secret away."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic_core import from_json

from exclave.l1.errors import (
    EndpointBehind,
    EndpointFault,
    EndpointLies,
    EndpointTimeout,
    EndpointUnreachable,
    MalformedResponse,
    MethodUnavailable,
    NodeError,
    RateLimited,
    WrongChain,
    node_error,
)
from exclave.l1.values import L1Header, read_quantity

# Both log whole URLs, in which hosted endpoints have their keys.
for _noisy in ("httpx", "httpcore"):
    logging.getLogger(_noisy).setLevel(logging.WARNING)

Call = tuple[str, Sequence[Any]]
"""Method and parameters."""

BATCH_SIZE = 50
MAX_RESPONSE_BYTES = 128 * 1024 * 1024


def redact_url(url: str) -> str:
    """The URL without what may be a secret: user, password, path, query."""
    parts = urlsplit(url)
    host = parts.hostname or "?"
    if ":" in host:
        host = f"[{host}]"
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    hidden = "/..." if parts.path.strip("/") or parts.query or parts.username else ""
    return f"{parts.scheme}://{host}{port}{hidden}"


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How an endpoint does. `head` is the number of its newest known block."""

    name: str
    usable: bool
    reason: str | None
    head: int | None
    blocks_behind: int


class Endpoint:
    """`clock` gives seconds (monotonic); an answer that isn't whole after `timeout` seconds is none.

    Raises `ValueError` for a URL that isn't http or https.
    """

    def __init__(
        self,
        url: str,
        http: httpx.AsyncClient,
        chain_id: int,
        *,
        clock: Callable[[], float],
        timeout: float,
        quarantine: float,
        reorg_tolerance: int,
        index: int = 0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"an L1 endpoint needs a URL like https://host/path, not {redact_url(url)}")
        self.url = url
        self.name = redact_url(url) + (f" (#{index + 1})" if index else "")
        self.index = index
        self._secrets = [part for part in (url, parts.path, parts.query, parts.password) if part and len(part) > 4]
        self._http = http
        self._chain_id = chain_id
        self._clock = clock
        self._timeout = timeout
        self._quarantine = quarantine
        self._reorg_tolerance = reorg_tolerance
        self._chain_checked = False
        self._next_id = 0
        self._batches = True
        self.failures = 0
        self.reason: str | None = None
        self.head: L1Header | None = None
        self.blocks_behind = 0
        self._banned_until = 0.0
        self._resting_until = 0.0

    # health

    @property
    def banned(self) -> bool:
        """Caught lying, or on another chain: not to be asked, even when no other endpoint is left."""
        return self._clock() < self._banned_until

    @property
    def resting(self) -> bool:
        """Failed lately: to be asked only when the others fail too."""
        return self._clock() < self._resting_until

    def health(self) -> EndpointHealth:
        usable = not self.banned and not self.resting
        return EndpointHealth(
            self.name, usable, self.reason, self.head.number if self.head else None, self.blocks_behind
        )

    def succeeded(self) -> None:
        self.failures = 0
        self.reason = None
        self._resting_until = 0.0

    def failed(self, error: EndpointFault | NodeError) -> None:
        """Note a fault: liars are banned for the quarantine, others rest longer the more often they fail."""
        self.reason = self.scrub(str(error))
        if isinstance(error, EndpointLies | WrongChain):
            self._banned_until = self._clock() + self._quarantine
            self._chain_checked = False
            self.head = None
        elif isinstance(error, EndpointFault | RateLimited) and not isinstance(error, EndpointBehind):
            self.failures += 1
            self._resting_until = self._clock() + min(0.5 * 2 ** min(self.failures, 10), 30.0)
            # Whoever answers there next may be somebody else.
            self._chain_checked = False

    def note_head(self, header: L1Header) -> None:
        """Follow the endpoint's head. Raises `EndpointLies` when it falls back further than a reorg can."""
        known = self.head
        self.head = header
        if known is not None and header.number < known.number - self._reorg_tolerance:
            raise EndpointLies(f"its head fell back from block {known.number} to {header.number}")

    def scrub(self, text: str) -> str:
        """`text` without this endpoint's secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "...")
        return text

    # requests

    async def request(self, method: str, params: Sequence[Any]) -> Any:
        """One call's result. Raises `EndpointFault`s and `NodeError`s."""
        await self._check_chain()
        return await self._single(method, params)

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """The calls' results in order, a `NodeError` in the place of each that failed. Raises `EndpointFault`s."""
        await self._check_chain()
        results: list[Any] = []
        for start in range(0, len(calls), BATCH_SIZE):
            chunk = calls[start : start + BATCH_SIZE]
            if self._batches and len(chunk) > 1:
                answered = await self._batch(chunk)
                if answered is not None:
                    results += answered
                    continue
                self._batches = False  # this endpoint doesn't take them: one by one from now on
            for method, params in chunk:
                try:
                    results.append(await self._single(method, params))
                except NodeError as error:
                    results.append(error)
        return results

    async def _check_chain(self) -> None:
        if not self._chain_checked:
            found = read_quantity(await self._single("eth_chainId", ()), "chain id", 256)
            if found != self._chain_id:
                raise WrongChain(f"it serves chain {found}, not {self._chain_id}")
            self._chain_checked = True

    async def _single(self, method: str, params: Sequence[Any]) -> Any:
        request = self._request(method, params)
        answer = await self._post(request)
        if not isinstance(answer, dict):
            raise MalformedResponse("the answer is not a JSON-RPC object")
        return self._result(answer, request["id"])

    async def _batch(self, calls: Sequence[Call]) -> list[Any] | None:
        requests = [self._request(method, params) for method, params in calls]
        answers = await self._post(requests)
        if isinstance(answers, dict):
            error = answers.get("error")
            if isinstance(error, dict):
                typed = self._node_error(error)
                if isinstance(typed, RateLimited):
                    raise typed
                return None
        if not isinstance(answers, list):
            raise MalformedResponse("the answer to a batch is not a list")
        # Ids as they were given: others may be anything, even what no dictionary takes.
        members = [answer for answer in answers if isinstance(answer, dict) and type(answer.get("id")) is int]
        by_id = {answer["id"]: answer for answer in members}
        results: list[Any] = []
        for request in requests:
            if request["id"] not in by_id:
                raise MalformedResponse("the answer to a batch lacks a member")
            try:
                results.append(self._result(by_id[request["id"]], request["id"]))
            except NodeError as error:
                results.append(error)
        return results

    def _request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        self._next_id += 1
        return {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": list(params)}

    def _result(self, answer: dict[str, Any], request_id: int) -> Any:
        error = answer.get("error")
        if error is not None:
            if not isinstance(error, dict):
                raise MalformedResponse("the error of the answer is not an object")
            raise self._node_error(error)
        if answer.get("id") != request_id:
            raise MalformedResponse("the answer is to another request")
        if "result" not in answer:
            raise MalformedResponse("the answer has neither result nor error")
        return answer["result"]

    def _node_error(self, error: dict[str, Any]) -> NodeError:
        code, message = error.get("code"), error.get("message")
        return node_error(
            code if isinstance(code, int) else 0,
            self.scrub(message if isinstance(message, str) else "no message")[:2000],
            error.get("data"),
        )

    async def _post(self, body: Any) -> Any:
        try:
            # httpx's own limits are for each read: an endpoint that sends a byte now and then would never exceed them.
            async with (
                asyncio.timeout(self._timeout),
                self._http.stream(
                    "POST", self.url, content=json.dumps(body), headers={"Content-Type": "application/json"}
                ) as response,
            ):
                chunks, size = [], 0
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > MAX_RESPONSE_BYTES:
                        raise MalformedResponse(f"the answer is larger than {MAX_RESPONSE_BYTES} bytes")
                    chunks.append(chunk)
                status = response.status_code
        except (httpx.TimeoutException, TimeoutError) as error:
            raise EndpointTimeout(f"no answer in time ({type(error).__name__})") from None
        except (httpx.HTTPError, OSError) as error:
            # Not chained: an exception of httpx may show the URL.
            raise EndpointUnreachable(f"no connection ({type(error).__name__})") from None
        try:
            # Not json.loads: deep nesting overflows its C stack where a library has raised the recursion limit.
            answer = from_json(b"".join(chunks))
        except ValueError:
            answer = None
        if status == 429:
            raise RateLimited("too many requests (HTTP 429)", -32005)
        # Many nodes send JSON-RPC errors with a status of their own.
        if status >= 300 and not (isinstance(answer, dict) and "error" in answer):
            if status in (404, 405):
                raise MethodUnavailable(f"not a JSON-RPC endpoint (HTTP {status})", -32601)
            raise EndpointUnreachable(f"HTTP {status}")
        if answer is None:
            raise MalformedResponse("the answer is not JSON")
        return answer
