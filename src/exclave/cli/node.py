"""`exclave node`."""

from __future__ import annotations

import asyncio

import typer

from exclave.cli.config import ConfigPath
from exclave.config import load_config
from exclave.logging import configure_logging


def node(config: ConfigPath = None) -> None:
    """Run a node: sessions, JSON-RPC, Relayer and zkCoordinator. SIGINT or SIGTERM stops it cleanly."""
    loaded = load_config(config)
    configure_logging(loaded.logging.level, loaded.logging.format)
    from exclave.node.node import run_node  # the engine is loaded only when it is needed

    raise typer.Exit(asyncio.run(run_node(loaded)))
