"""`exclave node`."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from exclave.cli.config import ConfigPath
from exclave.config import load_config
from exclave.logging import configure_logging


def node(
    config: ConfigPath = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            "-w",
            min=1,
            max=256,
            help="Processes among which the sessions are spread. Default: node.workers of the configuration.",
            metavar="N",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            help="Run the workers on the Ray cluster at this address; `auto` finds one, `local` starts one here.",
            metavar="ADDRESS",
        ),
    ] = None,
    worker: Annotated[int | None, typer.Option("--worker", hidden=True)] = None,
    parent: Annotated[int, typer.Option("--parent", hidden=True)] = 0,
) -> None:
    """Run a node: sessions, JSON-RPC, Relayer and zkCoordinator. SIGINT or SIGTERM stops it cleanly."""
    loaded = load_config(config)
    configure_logging(loaded.logging.level, loaded.logging.format, worker=worker)
    count = workers or loaded.node.workers
    if worker is None and (count > 1 or ray is not None):
        from exclave.node.workers import run_workers

        raise typer.Exit(asyncio.run(run_workers(loaded, config, count, ray)))
    from exclave.node.node import run_node  # the engine is loaded only when it is needed
    from exclave.node.worker import Worker

    raise typer.Exit(asyncio.run(run_node(loaded, None if worker is None else Worker(worker, parent))))
