"""A JSON-RPC load generator over HTTP/1.1 with keep-alive.

Requests are rendered before the clock starts, and answers are checked without being parsed where that suffices, so
that the generator takes as little of the machine as it can from what it measures.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

RETRY_PAUSE = 0.005


class Refused(Exception):
    """The node answered a request of the load with an error."""


def render(url: str, body: bytes) -> bytes:
    """A whole HTTP request."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def call_body(method: str, *params: Any, id_: int = 1) -> bytes:
    """One JSON-RPC call."""
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": method, "params": list(params)}).encode()


def batch_body(method: str, each: Iterable[Sequence[Any]]) -> bytes:
    """A batch of calls of one method."""
    return b"[" + b",".join(call_body(method, *params, id_=id_) for id_, params in enumerate(each)) + b"]"


class Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> Connection:
        parts = urlsplit(url)
        assert parts.hostname is not None
        return cls(*await asyncio.open_connection(parts.hostname, parts.port, limit=2**26))

    async def send(self, request: bytes) -> bytes:
        """The body of the answer. Raises `Refused` for anything but HTTP 200."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        start = lower.index(b"content-length:") + len(b"content-length:")
        length = int(lower[start : lower.index(b"\r\n", start)])
        body = await self._reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise Refused(f"{head!r} {body[:300]!r}")
        return body

    async def call(self, url: str, method: str, *params: Any) -> Any:
        """A JSON-RPC result."""
        answer = json.loads(await self.send(render(url, call_body(method, *params))))
        if "error" in answer:
            raise Refused(str(answer["error"]))
        return answer["result"]

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@dataclass
class Timings:
    """Seconds that requests took, and from first to last."""

    latencies: list[float] = field(default_factory=list)
    wall: float = 0.0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def saturate(url: str, queues: Sequence[Sequence[bytes]]) -> Timings:
    """Each queue of rendered requests over a connection of its own, the next request when the last is answered.

    Raises `Refused` if any answer holds an error.
    """
    timings = Timings()
    connections = [await Connection.open(url) for _ in queues]

    async def run(connection: Connection, queue: Sequence[bytes]) -> None:
        for request in queue:
            began = time.perf_counter()
            answer = await connection.send(request)
            timings.latencies.append(time.perf_counter() - began)
            if b'"error"' in answer:
                raise Refused(answer[:500].decode(errors="replace"))

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for connection, queue in zip(connections, queues, strict=True):
            group.create_task(run(connection, queue))
    timings.wall = time.perf_counter() - started
    for connection in connections:
        await connection.close()
    return timings


async def at_rate(url: str, queues: Sequence[Sequence[bytes]], rate: float) -> Timings:
    """An open-loop load: requests leave at fixed times whatever the answers take, `rate` a second over all queues.

    A request that its connection can't send in time because the last answer is late counts from when it should have
    left (no coordinated omission).
    """
    timings = Timings()
    connections = [await Connection.open(url) for _ in queues]
    started = time.perf_counter() + 0.1

    async def run(position: int, connection: Connection, queue: Sequence[bytes]) -> None:
        for index, request in enumerate(queue):
            due = started + (index * len(queues) + position) / rate
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            answer = await connection.send(request)
            timings.latencies.append(time.perf_counter() - due)
            if b'"error"' in answer:
                raise Refused(answer[:500].decode(errors="replace"))

    async with asyncio.TaskGroup() as group:
        for position, (connection, queue) in enumerate(zip(connections, queues, strict=True)):
            group.create_task(run(position, connection, queue))
    timings.wall = time.perf_counter() - started
    for connection in connections:
        await connection.close()
    return timings
