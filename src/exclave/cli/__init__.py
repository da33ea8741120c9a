"""The `exclave` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from exclave import __version__
from exclave.cli import challenge, claim, config, demo, doctor, fault, node, operator, player, prove, session, template
from exclave.cli.output import fail
from exclave.config import ConfigError
from exclave.logging import configure_logging
from exclave.rpc.client import RpcFailure
from exclave.store import StoreError

app = typer.Typer(
    name="exclave",
    help="An off-chain zk-coprocessor for Ethereum, made for fully on-chain games.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("node")(node.node)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("challenge")(challenge.challenge)
app.command("prove")(prove.prove)
app.command("verify")(prove.verify)
app.add_typer(template.app, name="template")
app.add_typer(session.app, name="session")
app.add_typer(claim.app, name="claim")
app.add_typer(player.app, name="player")
app.add_typer(operator.app, name="operator")
app.add_typer(fault.app, name="fault")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"exclave {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    # Standard output is for results, and no secret of an L1's URL is for anybody. The node and the watchtower, which
    # have settings of their own, set it up again.
    configure_logging("warning", "console")


def main() -> None:
    """The program: expected failures end with a message and exit code 1, interrupts with 130."""
    try:
        app()
    except ConfigError as error:
        fail("the configuration can't be used:\n" + "\n".join(f"  {problem}" for problem in error.problems))
    except (StoreError, RpcFailure) as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
