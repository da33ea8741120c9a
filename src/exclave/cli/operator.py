"""`exclave operator`: what an operator has at stake for the blocks that it signs and the claims that it makes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from exclave.cli.amounts import read_ether
from exclave.cli.config import ConfigPath
from exclave.cli.output import err, ether, fail, moment, print_record
from exclave.config import Config, load_config

if TYPE_CHECKING:
    from exclave.l1.client import L1Client

T = TypeVar("T")

app = typer.Typer(
    help="The operator's stake, which a proven lie costs. The operator's key sends and pays the transactions.",
    no_args_is_help=True,
)

Game = Annotated[
    str | None,
    typer.Option(
        "--dispute-game", help="The dispute contract. Default: the first of accept.dispute_games.", metavar="ADDRESS"
    ),
]
Amount = Annotated[str, typer.Argument(help="In ether.", metavar="ETHER")]


@app.command()
def show(config: ConfigPath = None, dispute_game: Game = None) -> None:
    """Show the stake, what of it is leaving, and what can be withdrawn."""
    from exclave.l1.client import CallRequest
    from exclave.protocol.fields import decode_abi

    async def look(l1: L1Client, stakes: bytes, key: bytes) -> None:
        from exclave.protocol import address_of

        operator = address_of(key)
        staying, leaving, until = decode_abi(
            ["uint256", "uint256", "uint256"],
            await l1.call(CallRequest(to=stakes, data=_encode("stakeOf", operator))),
        )
        available, _ = decode_abi(
            ["uint256", "uint256"], await l1.call(CallRequest(to=stakes, data=_encode("bondAccount", operator)))
        )
        print_record(
            "Stake",
            [
                ("operator", "0x" + operator.hex()),
                ("contract", "0x" + stakes.hex()),
                ("stake", ether(staying)),
                ("leaving", f"{ether(leaving)}, free from {moment(until)} on" if leaving else ether(0)),
                ("to withdraw", ether(available)),
            ],
        )

    _with_l1(load_config(config), dispute_game, look)


@app.command()
def stake(amount: Amount, config: ConfigPath = None, dispute_game: Game = None) -> None:
    """Add to the stake."""
    wei = read_ether(amount)
    _send(load_config(config), dispute_game, _encode("depositStake"), wei)
    err.print(f"Staked {ether(wei)}.")


@app.command()
def unstake(amount: Amount, config: ConfigPath = None, dispute_game: Game = None) -> None:
    """Begin to take some of the stake back: it can be slashed as before until its delay is over."""
    wei = read_ether(amount)
    _send(load_config(config), dispute_game, _encode("beginStakeReturn", wei))
    err.print(f"{ether(wei)} are leaving: `exclave operator show` says until when they can be slashed.")


@app.command()
def withdraw(config: ConfigPath = None, dispute_game: Game = None) -> None:
    """Take what has left the stake, and what was earned by reports, to the operator's account."""
    from exclave.l1.client import CallRequest
    from exclave.l1.signers import LocalSigner
    from exclave.l1.single import send
    from exclave.protocol.fields import decode_abi

    async def work(l1: L1Client, stakes: bytes, key: bytes) -> int:
        signer = LocalSigner(key)
        answer = await l1.call(CallRequest(to=stakes, data=_encode("stakeOf", signer.address)))
        _, leaving, until = decode_abi(["uint256", "uint256", "uint256"], answer)
        if leaving and (await l1.get_head()).timestamp >= until:
            await send(l1, signer, stakes, _encode("finishStakeReturn"))
        answer = await l1.call(CallRequest(to=stakes, data=_encode("bondAccount", signer.address)))
        available, _ = decode_abi(["uint256", "uint256"], answer)
        if available:
            await send(l1, signer, stakes, _encode("withdraw", available, signer.address))
        return int(available)

    wei = _with_l1(load_config(config), dispute_game, work)
    if not wei:
        fail("there is nothing to withdraw: `exclave operator show` says from when on there is")
    err.print(f"Withdrew {ether(wei)}.")


def _encode(name: str, *values: object) -> bytes:
    from exclave import contracts
    from exclave.l1.payloads import encode_call

    return encode_call(contracts.load("OperatorStakes"), name, *values)


def _send(config: Config, game: str | None, data: bytes, value: int = 0) -> None:
    from exclave.l1.signers import LocalSigner
    from exclave.l1.single import send

    async def work(l1: L1Client, stakes: bytes, key: bytes) -> None:
        signer = LocalSigner(key)
        await send(l1, signer, stakes, data, value)

    _with_l1(config, game, work)


def _with_l1(config: Config, game: str | None, work: Callable[[L1Client, bytes, bytes], Awaitable[T]]) -> T:
    """Runs `work` with L1, the address of OperatorStakes, and the operator's key. Ends the program when that fails."""
    from exclave.dispute.accounts import encode_stakes
    from exclave.l1.client import CallRequest, L1Client
    from exclave.l1.errors import L1Error
    from exclave.l1.single import TransactionFailed
    from exclave.node.keys import load_key
    from exclave.node.supervisor import FatalError
    from exclave.protocol import ProtocolError, address_bytes
    from exclave.protocol.fields import decode_abi

    named = game or config.accept.dispute_games[0]
    try:
        contract = bytes.fromhex(named.removeprefix("0x"))
    except ValueError:
        contract = b""
    if len(contract) != 20 or not any(contract):
        fail("there is no dispute contract: name one in accept.dispute_games, or with --dispute-game")

    async def run() -> T:
        chain_id = config.l1.chain_id
        key = await load_key(config.operator, "operator", chain_id)
        async with L1Client([url.get_secret_value() for url in config.l1.rpc_urls], chain_id) as l1:
            answer = await l1.call(CallRequest(to=contract, data=encode_stakes()))
            (stakes,) = decode_abi(["address"], answer)
            return await work(l1, address_bytes(stakes), key)

    try:
        return asyncio.run(run())
    except ProtocolError:
        fail(f"the contract at 0x{contract.hex()} isn't a dispute contract")
    except (FatalError, L1Error, TransactionFailed) as error:
        fail(str(error))
