"""`exclave template`: make a game's genesis state and make it known."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from exclave.cli.config import ConfigPath
from exclave.cli.keys import KeyVariable, PasswordFile, key_source
from exclave.cli.output import err, fail, print_json, print_record, print_table
from exclave.cli.rpc import Json, RpcUrl, number
from exclave.config import Config, KeySource, load_config
from exclave.rpc.client import DEFAULT_URL, RpcClient
from exclave.store import Store, Template

app = typer.Typer(
    help="Build templates (a game's genesis state), add them to a node, register them on L1.", no_args_is_help=True
)

TemplateFile = Annotated[Path, typer.Argument(help="The template's file.", metavar="FILE", exists=True, dir_okay=False)]


@app.command(context_settings={"ignore_unknown_options": True})
def build(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            help="Deploys the game, e.g. `pnpm mud deploy`. Without it you are asked to press Enter when done."
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("template.bin"),
    base: Annotated[
        str | None, typer.Option(help="Id of the template to start from. Default: the base template.")
    ] = None,
    rpc: RpcUrl = DEFAULT_URL,
) -> None:
    """Deploy a game into a session of the node's own and write its state as a template.

    COMMAND finds the session's URL in $RPC_URL (also $ETH_RPC_URL) and its chain id in $CHAIN_ID. The node must have
    node.local_sessions = true.
    """
    client = RpcClient(rpc, timeout=300)
    session = client.call("zkcop_openTemplateSession", base)
    url = rpc.rstrip("/") + session["path"]
    chain_id = str(number(session["chainId"]))
    err.print(f"Session {number(session['sessionId'])}: {url} (chain id {chain_id})", markup=False, highlight=False)
    if command:
        environment = {**os.environ, "RPC_URL": url, "ETH_RPC_URL": url, "CHAIN_ID": chain_id}
        try:
            code = subprocess.run(command, env=environment, check=False).returncode
        except OSError as error:
            fail(f"{command[0]} can't be started: {error.strerror}")
        if code != 0:
            fail(f"{command[0]} ended with exit code {code}: no template was written")
    else:
        typer.prompt("Deploy the game there, then press Enter", default="", show_default=False, err=True)
    found = client.call("zkcop_exportTemplate", session["sessionId"])
    try:
        output.write_bytes(bytes.fromhex(found["data"].removeprefix("0x")))
    except OSError as error:
        fail(f"can't write {output}: {error.strerror}")
    err.print(f"Wrote {output}, {number(found['dataBytes'])} bytes.", markup=False)
    typer.echo(found["templateId"])


@app.command()
def add(file: TemplateFile, config: ConfigPath = None) -> None:
    """Add a template to the node's database, so that it can serve sessions that start from it."""
    loaded = load_config(config)
    template = read_template(file)
    new = _keep(loaded, template)
    err.print("Added." if new else "The node has it already.")
    _show(template)


@app.command()
def register(
    file: TemplateFile,
    config: ConfigPath = None,
    uri: Annotated[str, typer.Option(help="Where others find the file; announced on L1, not checked.")] = "",
    keystore: Annotated[Path | None, typer.Option(help="Encrypted key file of the account that pays.")] = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = "EXCLAVE_DEVELOPER_KEY",
) -> None:
    """Register a template on L1 and add it to the node's database. Anybody may; use another account than the node's.

    The node's signer must not be used while the node runs: it alone counts that account's transactions.
    """
    from exclave.l1.errors import L1Error
    from exclave.l1.single import TransactionFailed
    from exclave.node.supervisor import FatalError

    loaded = load_config(config)
    template = read_template(file)
    source = key_source(keystore, password_file, key_variable)

    try:
        transaction = asyncio.run(_register(loaded, source, template, uri))
    except (FatalError, L1Error, TransactionFailed) as error:
        fail(str(error))
    _keep(loaded, template)
    err.print(
        "It was registered already." if transaction is None else f"Registered by transaction 0x{transaction.hex()}."
    )
    _show(template)


@app.command("list")
def list_(rpc: RpcUrl = DEFAULT_URL, json: Json = False) -> None:
    """List the templates that a node has."""
    found = RpcClient(rpc).call("zkcop_listTemplates")
    if json:
        print_json(found)
        return
    print_table(
        None,
        ["Template", "State root", "Bytes"],
        [(t["templateId"], t["stateRoot"], number(t["dataBytes"])) for t in found],
    )


def read_template(file: Path) -> Template:
    """A template's file, checked. Ends the program when it isn't one."""
    from exclave import _engine

    try:
        return describe_template(file.read_bytes())
    except _engine.TemplateError as error:
        fail(f"{file} isn't a template: {error}")


def describe_template(data: bytes) -> Template:
    """A template with its state root and id. Raises `exclave._engine.TemplateError` for other bytes."""
    from exclave import _engine

    def unused(*_: object) -> NoReturn:
        raise AssertionError("an engine without sessions calls nothing")

    engine = _engine.Engine(
        persist=unused, wake=unused, call=unused, preconfirmation_key=None, l1_chain_id=1, zk_relayer=bytes(20)
    )
    try:
        added = engine.add_template(data)
    finally:
        engine.shutdown()
    return Template(added.template_id, added.state_root, added.data_hash, data)


def _keep(config: Config, template: Template) -> bool:
    with Store(config.database_url) as store:
        store.migrate()
        return store.templates.put(template)


def _show(template: Template) -> None:
    print_record(
        "Template",
        [
            ("id", "0x" + template.template_id.hex()),
            ("state root", "0x" + template.state_root.hex()),
            ("data hash", "0x" + template.data_hash.hex()),
            ("bytes", len(template.data)),
        ],
    )


async def _register(config: Config, source: KeySource, template: Template, uri: str) -> bytes | None:
    """Registers on L1; the transaction's hash, None when the template is registered already."""
    from exclave import contracts
    from exclave.l1.client import CallRequest, L1Client
    from exclave.l1.payloads import encode_call
    from exclave.l1.signers import LocalSigner
    from exclave.l1.single import send
    from exclave.node.keys import load_key

    artifact = contracts.load("ZkRelayer")
    relayer = bytes.fromhex(config.l1.zk_relayer.removeprefix("0x"))
    signer = LocalSigner(await load_key(source, "developer's account", config.l1.chain_id))
    async with L1Client([url.get_secret_value() for url in config.l1.rpc_urls], config.l1.chain_id) as l1:
        known = await l1.call(
            CallRequest(to=relayer, data=encode_call(artifact, "templateExists", template.template_id))
        )
        if any(known):
            return None
        data = encode_call(artifact, "registerTemplate", template.state_root, template.data_hash, uri)
        return (await send(l1, signer, relayer, data)).transaction_hash
