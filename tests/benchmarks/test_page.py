"""The page of figures, and the load generator's own checks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.client import Refused, Request, at_rate, saturate
from benchmarks.page import PAGE, load_results, meets, render


def test_the_performance_page_is_current() -> None:
    assert PAGE.read_text() == render(load_results()), "run: python -m benchmarks.page"


def test_every_result_says_how_and_where_it_was_measured() -> None:
    for name, result in load_results().items():
        assert {"command", "date", "cores", "commit"} <= set(result), name


def test_goals_are_compared_as_they_are_written() -> None:
    assert meets(3, ">= 3") and not meets(2.99, ">= 3")
    assert meets(10, "<= 10") and not meets(10.01, "<= 10")


@asynccontextmanager
async def answering(bodies: list[bytes], pause: float = 0.0) -> AsyncIterator[str]:
    """An HTTP server that gives these answers, then the last one again and again."""
    left = list(bodies)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].split()[0]))
                await asyncio.sleep(pause)
                body = left.pop(0) if len(left) > 1 else left[0]
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def test_an_error_in_any_answer_ends_the_load() -> None:
    async with answering([b'[{"id":0,"result":"0x"}]', b'[{"id":0,"error":{"code":-32000}}]']) as url:
        with pytest.raises(ExceptionGroup) as raised:
            await saturate(url, [[Request(b"[]"), Request(b"[]")]])
    assert raised.group_contains(Refused)


async def test_a_transaction_counts_when_it_is_in_a_block() -> None:
    confirm = b'{"id":1,"result":null}'
    async with answering([b'[{"id":0,"result":"0x"}]', confirm, confirm, b'{"id":1,"result":{}}']) as url:
        timings = await saturate(url, [[Request(b"[]", b"{}")]])
    assert len(timings.latencies) == 1 and timings.milliseconds(1.0) >= 40


async def test_what_a_late_answer_delays_counts_from_when_it_was_due() -> None:
    """No coordinated omission: at 1,000 a second over one connection, an answer after 20 ms delays all that follow."""
    async with answering([b'{"id":1,"result":"0x"}'], pause=0.02) as url:
        timings = await at_rate([(url, [Request(b"{}")] * 10)], rate=1_000)
    assert timings.latencies[-1] > 0.1
