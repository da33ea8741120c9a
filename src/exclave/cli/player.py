"""`exclave player`: what players do with a session besides playing: keep its log, and go to L1 with their own key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from exclave.cli.addresses import read_address
from exclave.cli.keys import Keystore, KeyVariable, PasswordFile, key_source
from exclave.cli.output import err, fail, moment
from exclave.cli.rpc import RpcUrl
from exclave.protocol.constants import MAX_MESSAGE_GAS
from exclave.rpc.client import DEFAULT_URL, RpcClient

if TYPE_CHECKING:
    from exclave.client import SessionOpening
    from exclave.l1.client import L1Client

T = TypeVar("T")

app = typer.Typer(
    help="For players: a session's log, and what to do on L1 when the operator doesn't do his part.",
    no_args_is_help=True,
)

PLAYER_VARIABLE = "EXCLAVE_PLAYER_KEY"

SessionId = Annotated[int, typer.Argument(min=1, help="The session's id.", metavar="SESSION")]
L1Url = Annotated[
    str, typer.Option("--l1", help="L1's JSON-RPC: the player's own.", metavar="URL", envvar="EXCLAVE_L1_URL")
]
Relayer = Annotated[
    str | None,
    typer.Option(help="ZkRelayer's address on L1. Default: what the node says.", metavar="ADDRESS"),
]
Log = Annotated[
    Path | None,
    typer.Option(help="Take the session from this log, for when the node doesn't answer.", exists=True, dir_okay=False),
]


@app.command()
def export(
    session_id: SessionId,
    rpc: RpcUrl = DEFAULT_URL,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; .gz compresses. Default: session-S.jsonl.gz.")
    ] = None,
    l1: Annotated[
        str | None,
        typer.Option("--l1", help="Check the session's opening on this L1.", metavar="URL", envvar="EXCLAVE_L1_URL"),
    ] = None,
    relayer: Relayer = None,
) -> None:
    """Write a session's log: its configuration and all blocks with transactions and the operator's signatures.

    Every block is executed again and every signature checked while it is written.
    """
    from exclave.client import ClientError, SessionClient

    path = output or Path(f"session-{session_id}.jsonl.gz")
    try:
        client = SessionClient.connect(rpc, session_id, zk_relayer=_relayer(relayer))
        if l1 is not None:
            _check(l1, client.opening)
        blocks = client.export(path)
    except ClientError as error:
        fail(str(error))
    except OSError as error:
        fail(f"can't write {path}: {error.strerror}")
    err.print(f"Wrote {path}: {blocks} blocks, all of them signed and right.", markup=False, highlight=False)


@app.command()
def force(
    session_id: SessionId,
    l1: L1Url,
    to: Annotated[str, typer.Option(help="The contract in the session that is called.", metavar="ADDRESS")],
    data: Annotated[str, typer.Option(help="Calldata in hex.", metavar="HEX")] = "0x",
    gas: Annotated[
        int, typer.Option(min=21_000, max=MAX_MESSAGE_GAS, help="Gas of the call in the session.")
    ] = MAX_MESSAGE_GAS,
    rpc: RpcUrl = DEFAULT_URL,
    relayer: Relayer = None,
    log: Log = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = PLAYER_VARIABLE,
) -> None:
    """Put a call into the session through L1, past an operator who doesn't take it.

    The operator must include it within the terms' inclusion delay, or his claim can be killed.
    """
    from exclave.client.payloads import encode_force

    opening = _opening(session_id, rpc, relayer, log, l1)
    data_bytes = _hex(data, "calldata")
    payload = encode_force(opening, read_address(to), gas, data_bytes)
    _send(opening, l1, keystore, password_file, key_variable, payload)
    due = moment(int(time.time()) + opening.terms.inclusion_delay)
    err.print(f"The operator must have it in the session by about {due}.", highlight=False)


@app.command()
def abort(
    session_id: SessionId,
    l1: L1Url,
    rpc: RpcUrl = DEFAULT_URL,
    relayer: Relayer = None,
    log: Log = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = PLAYER_VARIABLE,
) -> None:
    """Give up a session that nobody settled by its deadline and the terms' abort delay: stakes go back."""
    from exclave.client.payloads import encode_abort

    opening = _opening(session_id, rpc, relayer, log, l1)
    since = opening.config.deadline + opening.terms.abort_delay
    err.print(f"An open session can be aborted from {moment(since)} on.", highlight=False)
    _send(opening, l1, keystore, password_file, key_variable, encode_abort(opening))


@app.command("report-equivocation")
def report(
    session_id: SessionId,
    l1: L1Url,
    signatures: Annotated[
        Path,
        typer.Option(help="File in which the client has kept what the operator signed.", exists=True, dir_okay=False),
    ],
    rpc: RpcUrl = DEFAULT_URL,
    relayer: Relayer = None,
    log: Log = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = PLAYER_VARIABLE,
) -> None:
    """Show L1 that the operator signed two blocks of one number: it costs him his stake, most of it for who reports it.

    What is earned is a deposit in OperatorStakes; `exclave challenge --collect` withdraws it.
    """
    from exclave.client import ClientError, Equivocation, SessionClient, report_equivocation
    from exclave.l1.signers import LocalSigner
    from exclave.node.keys import load_key

    opening = _opening(session_id, rpc, relayer, log, l1)
    try:
        SessionClient(rpc, opening, signatures)
    except Equivocation as found:
        evidence = found
    except (ClientError, OSError) as error:
        fail(str(error))
    else:
        fail(f"{signatures} has no two signatures of one block")
    source = key_source(keystore, password_file, key_variable)

    async def work(client: L1Client) -> bytes:
        signer = LocalSigner(await load_key(source, "player's account", client.chain_id))
        return (await report_equivocation(client, signer, opening, evidence)).transaction_hash

    typer.echo("0x" + _with_l1(l1, opening, work).hex())


@app.command("sign-result")
def sign(
    session_id: SessionId,
    l1: L1Url,
    result: Annotated[
        str | None, typer.Option(help="The result in hex. Default: what the node says.", metavar="HEX")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 365, help="How long the signature counts.")] = 24.0,
    valid_until: Annotated[
        int | None, typer.Option(min=1, help="Instead of --hours: until this L1 timestamp, as the other players have.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: result-S-PLAYER.json.")] = None,
    rpc: RpcUrl = DEFAULT_URL,
    relayer: Relayer = None,
    log: Log = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = PLAYER_VARIABLE,
) -> None:
    """Sign a session's result. With the signatures of all players it settles at once (`exclave player settle`).

    All must sign the same result and the same --valid-until.
    """
    from exclave.client import ClientError, sign_result
    from exclave.node.keys import load_key
    from exclave.node.supervisor import FatalError

    opening = _opening(session_id, rpc, relayer, log, l1)
    value = _hex(result, "result") if result is not None else _result(rpc, session_id)
    source = key_source(keystore, password_file, key_variable)
    try:
        key = asyncio.run(load_key(source, "player's account", opening.l1_chain_id))
        signed = sign_result(opening, value, valid_until or int(time.time() + hours * 3600), key)
    except (ClientError, FatalError) as error:
        fail(str(error))
    path = output or Path(f"result-{session_id}-0x{signed.player.hex()[:8]}.json")
    try:
        path.write_text(signed.to_json() + "\n", encoding="ascii")
    except OSError as error:
        fail(f"can't write {path}: {error.strerror}")
    err.print(f"Wrote {path}. It counts until {moment(signed.valid_until)}.", markup=False, highlight=False)
    typer.echo(f"--valid-until {signed.valid_until}")


@app.command()
def settle(
    session_id: SessionId,
    l1: L1Url,
    signatures: Annotated[
        list[Path], typer.Argument(help="Files of `sign-result`, of all players.", exists=True, dir_okay=False)
    ],
    rpc: RpcUrl = DEFAULT_URL,
    relayer: Relayer = None,
    log: Log = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = PLAYER_VARIABLE,
) -> None:
    """Settle a session at once with the result that all players signed. Anybody may send it."""
    from exclave.client import ClientError, SignedResult
    from exclave.client.results import settlement_of

    opening = _opening(session_id, rpc, relayer, log, l1)
    try:
        signed = [SignedResult.from_json(path.read_text(encoding="utf-8")) for path in signatures]
        payload = settlement_of(opening, signed)
    except (ClientError, OSError, UnicodeDecodeError) as error:
        fail(str(error))
    _send(opening, l1, keystore, password_file, key_variable, payload)


@app.command("retry-callback")
def retry_callback(
    session_id: SessionId,
    l1: L1Url,
    result: Annotated[
        str | None,
        typer.Option(help="The settled result in hex; empty if it was aborted. Default: what the node says."),
    ] = None,
    rpc: RpcUrl = DEFAULT_URL,
    relayer: Relayer = None,
    log: Log = None,
    keystore: Keystore = None,
    password_file: PasswordFile = None,
    key_variable: KeyVariable = PLAYER_VARIABLE,
) -> None:
    """Give the game contract its outcome again, after it refused it."""
    from exclave.client.payloads import encode_retry_callback

    opening = _opening(session_id, rpc, relayer, log, l1)
    if result is not None:
        value = _hex(result, "result")
    else:
        found = RpcClient(rpc).call("zkcop_getSession", session_id)
        value = b"" if found["status"] == "aborted" else _result(rpc, session_id)
    _send(opening, l1, keystore, password_file, key_variable, encode_retry_callback(opening, value))


# -- what the commands share ----------------------------------------------------------------------------------------


def _opening(session_id: int, rpc: str, relayer: str | None, log: Path | None, l1: str) -> SessionOpening:
    """The session, checked on L1. Ends the program when it isn't what L1 opened."""
    from exclave.client import ClientError, SessionClient, read_log

    try:
        if log is None:
            opening = SessionClient.connect(rpc, session_id, zk_relayer=_relayer(relayer)).opening
        else:
            opening, _ = read_log(log)
            if opening.session_id != session_id:
                fail(f"{log} is of session {opening.session_id}")
            if relayer is not None and opening.zk_relayer != read_address(relayer):
                fail(f"{log} is of the ZkRelayer 0x{opening.zk_relayer.hex()}")
    except (ClientError, OSError) as error:
        fail(str(error))
    _check(l1, opening)
    return opening


def _check(url: str, opening: SessionOpening) -> None:
    async def check(l1: L1Client) -> None:
        await opening.check_on_l1(l1)

    _with_l1(url, opening, check)


def _send(
    opening: SessionOpening,
    url: str,
    keystore: Path | None,
    password_file: Path | None,
    key_variable: str,
    payload: bytes,
) -> None:
    from exclave.l1.signers import LocalSigner
    from exclave.l1.single import send
    from exclave.node.keys import load_key

    source = key_source(keystore, password_file, key_variable)

    async def work(l1: L1Client) -> bytes:
        signer = LocalSigner(await load_key(source, "player's account", l1.chain_id))
        return (await send(l1, signer, opening.zk_relayer, payload)).transaction_hash

    typer.echo("0x" + _with_l1(url, opening, work).hex())


def _with_l1(url: str, opening: SessionOpening, work: Callable[[L1Client], Awaitable[T]]) -> T:
    from exclave.client import ClientError
    from exclave.l1.client import L1Client
    from exclave.l1.errors import L1Error
    from exclave.l1.single import TransactionFailed
    from exclave.node.supervisor import FatalError

    async def run() -> T:
        async with L1Client([url], opening.l1_chain_id) as l1:
            return await work(l1)

    try:
        return asyncio.run(run())
    except (ClientError, L1Error, TransactionFailed, FatalError) as error:
        fail(str(error))


def _result(rpc: str, session_id: int) -> bytes:
    found = RpcClient(rpc).call("zkcop_getSession", session_id)
    if found["result"] is None:
        fail(f"session {session_id} has no result yet: play it to its end, or give --result")
    return _hex(found["result"], "result")


def _relayer(text: str | None) -> bytes | None:
    return None if text is None else read_address(text)


def _hex(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        fail(f"{text} isn't a {what} in hex")
