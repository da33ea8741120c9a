from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from exclave.logging import configure_logging


@pytest.fixture
def lines() -> Iterator[Callable[..., list[str]]]:
    """Configure logging into a buffer; the function returns its lines so far."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    buffer = io.StringIO()

    def read() -> list[str]:
        return buffer.getvalue().splitlines()

    configure_logging("info", "json", buffer)
    yield read
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_carry_fields_level_and_time(lines: Callable[..., list[str]]) -> None:
    structlog.get_logger("exclave.test").info("session opened", session=3, hash=b"\x01\xff")
    record = json.loads(lines()[0])
    assert record["event"] == "session opened"
    assert (record["session"], record["hash"], record["level"]) == (3, "0x01ff", "info")
    assert record["logger"] == "exclave.test"
    assert record["timestamp"].endswith("Z")


def test_the_level_is_respected(lines: Callable[..., list[str]]) -> None:
    structlog.get_logger("exclave.test").debug("not shown")
    logging.getLogger("httpx").info("not shown either")
    assert lines() == []


def test_the_standard_library_comes_out_in_the_same_form(lines: Callable[..., list[str]]) -> None:
    logging.getLogger("exclave.engine").warning("block %d refused", 7)
    record = json.loads(lines()[0])
    assert (record["event"], record["level"], record["logger"]) == ("block 7 refused", "warning", "exclave.engine")


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"keystore_password": "hunter2"},
        {"private_key": "hunter2"},
        {"url": "https://user:hunter2@l1.example/rpc"},
        {"url": "https://l1.example/v2/hunter2"},
        {"url": "wss://l1.example/?key=hunter2"},
        {"error": "cannot reach postgresql://exclave:hunter2@db/exclave: refused"},
        {"nested": [{"deep": {"secret": "hunter2"}}]},
        {"error": ValueError("https://l1.example/hunter2 timed out")},
    ],
)
def test_secrets_are_not_shown(lines: Callable[..., list[str]], fields: dict[str, object]) -> None:
    structlog.get_logger("exclave.test").info("failed", **fields)
    logging.getLogger("other").error("failed: %s", fields.get("error") or fields.get("url") or "")
    shown = "\n".join(lines())
    assert "hunter2" not in shown
    assert "failed" in shown


def test_tracebacks_are_redacted(lines: Callable[..., list[str]]) -> None:
    try:
        raise ValueError("https://l1.example/hunter2 timed out")
    except ValueError:
        structlog.get_logger("exclave.test").exception("failed")
    assert "hunter2" not in lines()[0]
    assert "ValueError" in lines()[0]


def test_keys_that_are_not_secret_are_shown(lines: Callable[..., list[str]]) -> None:
    structlog.get_logger("exclave.test").info("sent", intent_key="claim:1", public_key="0x02")
    record = json.loads(lines()[0])
    assert (record["intent_key"], record["public_key"]) == ("claim:1", "0x02")
