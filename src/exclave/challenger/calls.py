"""The call data that a contract was given in an L1 transaction, also when another contract called it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exclave.l1.client import L1Client
from exclave.l1.errors import L1Error, MalformedResponse, NodeError
from exclave.l1.values import read_data, read_object


async def find_calls(l1: L1Client, transaction: bytes, to: bytes, selector: bytes) -> list[bytes]:
    """The data of the calls of one function that a transaction made, in order.

    Whoever hides a call behind a contract of his own is found out by tracing (`debug_traceTransaction`). Empty when no
    endpoint shows any. Raises `L1Unavailable`.
    """
    answer = await l1.request("eth_getTransactionByHash", ["0x" + transaction.hex()])
    if answer is None:
        return []
    sent = read_object(answer, "transaction")
    if sent.get("to") is not None and read_data(sent["to"], "to", 20) == to:
        data = read_data(sent.get("input"), "input")
        return [data] if data[:4] == selector else []
    try:
        trace = await l1.request("debug_traceTransaction", ["0x" + transaction.hex(), {"tracer": "callTracer"}])
        return [data for data in _calls(read_object(trace, "trace"), to) if data[:4] == selector]
    except (NodeError, MalformedResponse):
        return []


def _calls(frame: Mapping[str, Any], to: bytes) -> Iterator[bytes]:
    """In order of execution; what reverted had no effect."""
    if frame.get("error"):
        return
    if frame.get("to") is not None and read_data(frame["to"], "to", 20) == to and frame.get("type") == "CALL":
        yield read_data(frame.get("input"), "input")
    for inner in frame.get("calls") or []:
        yield from _calls(read_object(inner, "call"), to)


async def optional(l1: L1Client, method: str, *parameters: Any) -> Any:
    """The result of a method that not every node has, None where it hasn't, or L1 doesn't answer."""
    try:
        return await l1.request(method, list(parameters))
    except L1Error:
        return None
