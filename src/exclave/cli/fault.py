"""`exclave fault`: adversaries to rehearse against, on a test L1."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exclave.cli.addresses import read_address
from exclave.cli.keys import Keystore, KeyVariable, PasswordFile, key_source
from exclave.cli.output import err, fail, print_json, print_table
from exclave.cli.rpc import RpcUrl
from exclave.rpc.client import DEFAULT_URL, RpcClient

if TYPE_CHECKING:
    from exclave.fault.report import Report

KEY_VARIABLE = "EXCLAVE_FAULT_KEY"

app = typer.Typer(
    help="Operators, challengers and games that misbehave, to rehearse against on a test L1.", no_args_is_help=True
)


@app.command("list")
def list_(json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List the faults: what each does, and who should lose what."""
    from exclave.fault.table import FAULTS

    if json:
        print_json([{"name": f.name, "role": f.role.value, "does": f.does, "loses": f.loses} for f in FAULTS.values()])
        return
    print_table(None, ["Fault", "As", "Does", "Loses"], [(f.name, f.role, f.does, f.loses) for f in FAULTS.values()])


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="The fault, as `exclave fault list` names it.", metavar="NAME")],
    l1: Annotated[str, typer.Option("--l1", envvar="EXCLAVE_L1_URL", help="L1's JSON-RPC.", metavar="URL")],
    zk_relayer: Annotated[str, typer.Option(help="ZkRelayer's address on L1.", metavar="ADDRESS")],
    session_id: Annotated[
        int, typer.Option("--session", min=1, help="The session that it is about, open on L1.", metavar="ID")
    ],
    rpc: RpcUrl = DEFAULT_URL,
    answers: Annotated[
        str, typer.Option(help="How far the adversary defends its claim: none, leaf, hashes or block.")
    ] = "block",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where a signature is written to (equivocation).")
    ] = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = KEY_VARIABLE,
    json: Annotated[bool, typer.Option("--json", help="Report as JSON, for programs.")] = False,
) -> None:
    """Commit a fault, and stay until it has been dealt with. Not on Ethereum's main network.

    The account (--keystore) pays for bonds and fees, and loses what the fault costs. What was played comes from the
    node at --rpc. SIGINT stops it: what is on L1 by then stays there.
    """
    from exclave.client import ClientError
    from exclave.fault.errors import FaultError
    from exclave.fault.run import Request, commit
    from exclave.fault.table import FAULTS
    from exclave.l1.errors import L1Error
    from exclave.l1.single import TransactionFailed
    from exclave.node.supervisor import FatalError

    if name not in FAULTS:
        fail(f"there is no fault {name}: `exclave fault list` shows them")
    relayer = read_address(zk_relayer)
    chain_id = int(RpcClient(l1).call("eth_chainId"), 16)
    source = key_source(keystore, password_file, key_variable)
    request = Request(name, l1, chain_id, relayer, session_id, rpc, source, answers, output)

    def tell(text: str) -> None:
        err.print(text, markup=False, highlight=False)

    try:
        report = asyncio.run(commit(request, tell))
    except (FaultError, ClientError, L1Error, TransactionFailed, FatalError, OSError) as error:
        fail(str(error))
    _show(report, json)


def _show(report: Report, json: bool) -> None:
    if json:
        print_json(report.as_json())
    else:
        err.print(f"{report.fault}: {report.outcome}", markup=False, highlight=False)
