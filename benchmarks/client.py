"""A JSON-RPC load generator over HTTP/1.1 with keep-alive, or WebSocket.

Requests are rendered before the clock starts, and answers are checked without being parsed where that suffices, so
that the generator takes as little of the machine as it can from what it measures.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

CONFIRM_PAUSE = 0.02
"""Seconds between looks at whether a transaction is in a block: looking more often slows anvil down."""


class Refused(Exception):
    """The node answered a request of the load with an error."""


def call_body(method: str, *params: Any, id_: int = 1) -> bytes:
    """One JSON-RPC call."""
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": list(params)}).encode()


def batch_body(method: str, each: Iterable[Sequence[Any]]) -> bytes:
    """A batch of calls of one method."""
    return b"[" + b",".join(call_body(method, *params, id_=id_) for id_, params in enumerate(each)) + b"]"


class Connection(Protocol):
    """Sends one request at a time."""

    async def send(self, body: bytes) -> bytes:
        """The answer to a JSON-RPC call or batch. Raises `Refused` for what isn't one."""
        ...

    async def close(self) -> None: ...


class HttpConnection:
    """One keep-alive connection."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        parts = urlsplit(url)
        self._head = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    @classmethod
    async def open(cls, url: str) -> Self:
        parts = urlsplit(url)
        assert parts.hostname is not None
        return cls(url, *await asyncio.open_connection(parts.hostname, parts.port, limit=2**26))

    async def send(self, body: bytes) -> bytes:
        self._writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        head = await self._reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        start = lower.index(b"content-length:") + len(b"content-length:")
        length = int(lower[start : lower.index(b"\r\n", start)])
        answer = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise Refused(f"{head!r} {answer[:300]!r}")
        return answer

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class SocketConnection:
    """One WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, url: str) -> Self:
        return cls(await connect("ws" + url.removeprefix("http"), max_size=2**26, compression=None))

    async def send(self, body: bytes) -> bytes:
        await self._socket.send(body, text=True)
        return await self._socket.recv(decode=False)

    async def close(self) -> None:
        await self._socket.close()


async def open_connection(url: str, *, socket: bool = False) -> Connection:
    """To an http URL, by HTTP or by WebSocket on the same port."""
    return await (SocketConnection if socket else HttpConnection).open(url)


@dataclass(frozen=True, slots=True)
class Request:
    """A rendered request of a load. `confirm`: one whose result is null until what was sent is in a block; None where
    the answer says so.
    """

    body: bytes
    confirm: bytes | None = None


@dataclass
class Timings:
    """Seconds that requests took."""

    latencies: list[float] = field(default_factory=list)

    def milliseconds(self, share: float) -> float:
        """What that share of the requests took at most; 1.0 is the longest."""
        ordered = sorted(self.latencies)
        return round(1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)


async def _exchange(connection: Connection, request: Request) -> None:
    answer = await connection.send(request.body)
    if b'"error"' in answer:
        raise Refused(answer[:500].decode(errors="replace"))
    while request.confirm is not None:
        if b'"result":null' not in await connection.send(request.confirm):
            break
        await asyncio.sleep(CONFIRM_PAUSE)


async def saturate(url: str, queues: Sequence[Sequence[Request]], *, socket: bool = False) -> Timings:
    """Each queue over a connection of its own, the next request when what the last one sent is in a block.

    Raises `Refused` if any answer holds an error.
    """
    timings = Timings()
    connections = [await open_connection(url, socket=socket) for _ in queues]

    async def run(connection: Connection, queue: Sequence[Request]) -> None:
        for request in queue:
            began = time.perf_counter()
            await _exchange(connection, request)
            timings.latencies.append(time.perf_counter() - began)

    try:
        async with asyncio.TaskGroup() as group:
            for connection, queue in zip(connections, queues, strict=True):
                group.create_task(run(connection, queue))
    finally:
        for connection in connections:
            await connection.close()
    return timings


async def at_rate(lines: Sequence[tuple[str, Sequence[Request]]], rate: float) -> Timings:
    """An open-loop load: requests leave at random times (a Poisson process), `rate` a second over all, whatever the
    answers take. `lines`: what each connection sends, and to which URL.

    A request that its connection can't send in time because the last answer is late counts from when it should have
    left (no coordinated omission).
    """
    timings = Timings()
    chance = random.Random(1)
    connections = [await open_connection(url) for url, _ in lines]
    started = time.perf_counter() + 0.1

    async def run(connection: Connection, queue: Sequence[Request], gaps: Sequence[float]) -> None:
        due = started
        for request, gap in zip(queue, gaps, strict=True):
            due += gap
            began = due
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
                began = time.perf_counter()  # what this loop is late isn't the node's
            await _exchange(connection, request)
            timings.latencies.append(time.perf_counter() - began)

    try:
        async with asyncio.TaskGroup() as group:
            for connection, (_, queue) in zip(connections, lines, strict=True):
                gaps = [chance.expovariate(rate / len(lines)) for _ in queue]
                group.create_task(run(connection, queue, gaps))
    finally:
        for connection in connections:
            await connection.close()
    return timings
