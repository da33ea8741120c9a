"""Questions to a running node, for commands that look at it."""

from __future__ import annotations

from typing import Annotated

import typer

RpcUrl = Annotated[
    str, typer.Option("--rpc", envvar="EXCLAVE_RPC_URL", help="URL of the node's JSON-RPC.", metavar="URL")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON as the node answered, for programs.")]


def number(quantity: str | None) -> int | None:
    """A JSON-RPC quantity as a number."""
    return None if quantity is None else int(quantity, 16)
