"""Structured logs, for people or for machines, without secrets.

Modules log with `structlog.get_logger(__name__)`; what libraries (and the Rust engine) log through the standard library
comes out in the same form.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from exclave.config import redact_url

REDACTED = "***"

# Names of fields that are never shown. "public_key" and "intent_key" are not secret.
_SECRET_NAME = re.compile(
    r"(^|_)(password|passphrase|secret|mnemonic|api_?key|private_?key|preconfirmation_?key|authorization|credentials)(_|$)",
    re.IGNORECASE,
)
_URL = re.compile(r"\b(?:https?|wss?|postgres(?:ql)?(?:\+\w+)?)://[^\s\"'<>]+")


def redact(value: Any) -> Any:
    """`value` with passwords, API keys and whatever else a URL may hold taken out, also deep inside."""
    if isinstance(value, str):
        return _URL.sub(lambda match: redact_url(match[0]), value)
    if isinstance(value, Mapping):
        return {key: REDACTED if _SECRET_NAME.search(str(key)) else redact(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [redact(item) for item in value]
    if isinstance(value, BaseException):
        return redact(f"{type(value).__name__}: {value}")
    return value


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    internal = {key: event.pop(key) for key in ("_record", "_from_structlog", "exc_info") if key in event}
    redacted: EventDict = redact(event)
    redacted.update(internal)
    return redacted


def _hexadecimal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hashes and addresses as people know them."""
    return {key: f"0x{value.hex()}" if isinstance(value, bytes) else value for key, value in event.items()}


def _number(worker: int) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**event, "worker": worker} if "worker" not in event else event

    return add


def configure_logging(
    level: Literal["debug", "info", "warning", "error"] = "info",
    form: Literal["auto", "console", "json"] = "auto",
    stream: TextIO | None = None,
    *,
    worker: int | None = None,
) -> None:
    """Set up logging of this process, to `stream` (standard error). May be called again to change it. `worker`: its
    number, in every line.
    """
    stream = sys.stderr if stream is None else stream
    console = form == "console" or (form == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        _hexadecimal,
        *([] if worker is None else [_number(worker)]),
    ]
    # Tracebacks are made into text before redaction: an exception's message may hold a URL.
    rendering: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redact_event,
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if console
        else structlog.processors.JSONRenderer(default=str),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=rendering))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # One line per request and per connection is what these say at INFO.
    for noisy in ("httpx", "httpcore", "websockets", "asyncio", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
