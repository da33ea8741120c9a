"""`exclave demo`."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from eth_utils.address import to_checksum_address

from exclave.cli.output import err, ether, fail, out, print_record, print_table, short
from exclave.cli.rpc import number
from exclave.rpc.client import RpcFailure

if TYPE_CHECKING:
    from exclave.demo.dispute import DisputeReport
    from exclave.demo.proving import ProvenBlock
    from exclave.demo.run import Report


def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep L1 and node running at the end, until Ctrl-C.")] = False,
    matches: Annotated[int, typer.Option(min=1, max=16, help="Matches played in parallel.")] = 2,
    game: Annotated[Path | None, typer.Option(help="Directory of the game to play. Default: games/holdfast.")] = None,
    prove: Annotated[
        bool,
        typer.Option(
            "--prove",
            help="Also prove a block of the first match and have L1 verify it: minutes, and 5 to 16 GB of memory.",
        ),
    ] = False,
    dispute: Annotated[
        bool,
        typer.Option(
            "--dispute",
            help="Play one match; a lying operator and a griefer lose to proofs on L1. Takes a quarter of an hour.",
        ),
    ] = False,
    keep: Annotated[
        Path | None, typer.Option(help="Keep data and logs in this (new) directory.", metavar="DIR")
    ] = None,
) -> None:
    """Show everything: L1, contracts, node, matches played by bots, claims, settlement and payout."""
    from exclave.cli.prove import Watch
    from exclave.demo.dispute import DisputeDemo
    from exclave.demo.game import GameFailed, GameUnavailable, load_game
    from exclave.demo.processes import CHECKOUT, ProcessFailed, interrupts
    from exclave.demo.run import Demo, DemoFailed
    from exclave.l1.errors import L1Error
    from exclave.l1.single import TransactionFailed
    from exclave.prover import ProverError

    try:
        shown = load_game(game if game is not None else CHECKOUT / "games" / "holdfast")
    except GameUnavailable as error:
        fail(str(error))
    if keep is not None:
        try:
            keep.mkdir(parents=True)
        except OSError as error:
            fail(f"can't make the directory {keep}: {error.strerror}")
    hint = f"\nData and logs are in {keep}." if keep else "\nRun it again with --keep DIR to keep data and logs."
    directory = (keep if keep is not None else Path(tempfile.mkdtemp(prefix="exclave-demo-"))).resolve()

    def phase(text: str) -> None:
        err.print(f"[bold]==>[/] {text}", highlight=False)

    said: dict[int, str] = {}

    def progress(number: int, text: str) -> None:
        if said.get(number) != text:
            said[number] = text
            err.print(f"    match {number}: {text}", markup=False, highlight=False)

    async def run() -> bool:
        """Whether it came to its end."""
        interrupted = interrupts()
        complete = False
        began = time.monotonic()

        async def ended(report: Report | None = None) -> None:
            nonlocal complete
            complete = True
            phase(
                f"Done in {time.monotonic() - began:.0f} s"
                + ("" if stay else ". With --stay, everything keeps running")
            )
            if stay:
                if report is not None:
                    show_connections(report)
                phase("Everything keeps running: stop it with Ctrl-C")
                await interrupted.wait()

        async def done(report: Report) -> None:
            show(report)
            await ended(report)

        async def decided(report: DisputeReport) -> None:
            show_dispute(report)
            await ended()

        if dispute:
            course = DisputeDemo(shown, directory, phase, lambda text: progress(1, text), Watch(), decided).run()
        else:
            course = Demo(shown, directory, matches, phase, progress, done, prove, Watch()).run()
        running = asyncio.create_task(course)
        waiting = asyncio.create_task(interrupted.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not running.done() and not complete:
            phase("Interrupted: stopping everything")
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return complete

    try:
        complete = asyncio.run(run())
    except (DemoFailed, GameFailed, ProcessFailed, TransactionFailed, RpcFailure, L1Error, ProverError) as error:
        fail(f"the demo failed: {error}{hint}")
    except Exception as error:
        err.print_exception()
        fail(f"the demo failed: {type(error).__name__}: {error}{hint}")
    finally:
        if keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    if not complete:
        raise typer.Exit(130)


def show(report: Report) -> None:
    """The final tables."""
    print_table(
        "Sessions",
        ["Match", "Session", "Chain id", "Status", "Blocks", "Transactions", "Gas"],
        [
            (
                played.match.number,
                played.match.session_id,
                number(played.session["chainId"]),
                played.session["status"],
                number(played.session["blockNumber"]),
                f"{played.played.transactions:,}",
                f"{played.played.gas:,}",
            )
            for played in report.matches
        ],
    )
    print_table("Outcome on L1", ["Match", "Prizes"], [(p.match.number, p.outcome) for p in report.matches])
    name = str if out.width >= 140 else short
    print_table(
        "L1 transactions",
        ["Block", "What", "Transaction", "Gas", "Fee"],
        [
            (
                sent.block_number,
                sent.label,
                name("0x" + sent.transaction_hash.hex()),
                f"{sent.gas_used:,}",
                _fee(sent.fee),
            )
            for sent in report.transactions
        ],
    )
    print_table(
        "Balances",
        ["Account", "Before", "After", "Won or lost", "Fees paid to L1"],
        [
            *((b.name, ether(b.before, 6), ether(b.after, 6), _signed(b.won), _fee(b.fees)) for b in report.players),
            (report.node.name, ether(report.node.before, 6), ether(report.node.after, 6), "", _fee(report.node.fees)),
            ("the node's bonds in ZkRelayer", ether(0), ether(report.node_deposit, 6), "", ""),
        ],
    )
    if report.proven is not None:
        show_proven(report.proven)
    count = len(report.matches)
    transactions = sum(played.played.transactions for played in report.matches)
    gas = sum(played.played.gas for played in report.matches)
    out.print(
        f"{transactions:,} transactions with {gas:,} gas were played off-chain at no fee. Claiming and settling "
        f"{count} matches took {report.settling_gas:,} gas on L1: {report.settling_gas // count:,} a match.",
        highlight=False,
    )


def show_dispute(report: DisputeReport) -> None:
    """What a dispute cost whom."""
    print_table(
        "L1 transactions",
        ["Who", "What", "Gas", "Fee"],
        [(step.who, step.what, f"{step.gas:,}", _fee(step.fee)) for step in report.steps],
    )
    print_table(
        "Who has won and lost",
        ["Account", "Before", "After", "Won or lost", "Fees paid to L1"],
        [
            (
                standing.who,
                ether(standing.before, 6),
                ether(standing.after, 6),
                _signed(standing.after - standing.before + standing.fees),
                _fee(standing.fees),
            )
            for standing in report.standings
        ],
    )
    out.print(
        f"{ether(report.burnt, 6)} of lost bonds and stakes are burnt. The match: {report.outcome}.", highlight=False
    )
    out.print(
        f"From the lie to its verdict {report.lie_to_verdict:.0f} s, of which {report.fault_seconds:.0f} s made the "
        f"fault proof; the proof against the griefer took {report.validity_seconds:.0f} s.",
        highlight=False,
    )


def show_proven(proven: ProvenBlock) -> None:
    """What a proof took."""
    print_record(
        f"Proof of block {proven.number} of session {proven.session_id}",
        [
            ("statement", "0x" + proven.proof.statement.hash().hex()),
            ("verdict", proven.proof.statement.verdict.name.lower()),
            ("instructions", f"{proven.instructions:,} in {proven.segments} segment(s)"),
            ("proven in", f"{proven.seconds:.0f} s"),
            ("proof", f"{len(proven.proof.proof):,} bytes"),
            ("signatures left to L1", len(proven.proof.recoveries)),
            ("verified on L1 by", ", ".join("0x" + receipt.transaction_hash.hex() for receipt in proven.receipts)),
            ("gas", f"{proven.gas:,} in {len(proven.receipts)} transactions"),
            ("the verifier's deployment", f"{proven.deployment_gas:,} gas, once for all sessions"),
        ],
    )


def show_connections(report: Report) -> None:
    """What a wallet or a program needs to look on. In lines, since cells of a table may be broken where one copies."""
    player = report.matches[0].match.players[0]
    lines = ["", "Networks for your wallet (currency: ETH)"]
    lines += [f"  {network.name:<8} chain id {network.chain_id:<17} {network.url}" for network in report.networks]
    lines += ["Contracts on L1"]
    lines += [f"  {name:<14} {to_checksum_address(address)}" for name, address in report.contracts.items()]
    lines += ["An account to import: match 1, player 1. It has ether in this demo only"]
    lines += [f"  address        {player.address}", f"  private key    0x{bytes(player.key).hex()}"]
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _fee(wei: int) -> str:
    return ether(wei, 9)


def _signed(wei: int) -> str:
    return ("+" if wei > 0 else "-" if wei < 0 else "") + ether(abs(wei), 6)
