"""Matches of Holdfast in real sessions: the engine, the committed template, JSON-RPC over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.holdfast import MatchHost, StartMatch, match_host


@pytest.fixture
def start_match() -> Iterator[StartMatch]:
    """Starts matches, each in a session of its own; they end with the test."""
    with ExitStack() as running:

        def start(*arguments: object, **options: object) -> MatchHost:
            return running.enter_context(match_host(*arguments, **options))  # type: ignore[arg-type]

        yield start
