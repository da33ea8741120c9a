"""`exclave demo`."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from exclave.cli.output import err, ether, fail, out, print_table, short
from exclave.cli.rpc import number


def demo(
    stay: Annotated[bool, typer.Option("--stay", help="Keep L1 and node running at the end, until Ctrl-C.")] = False,
    matches: Annotated[int, typer.Option(min=1, max=16, help="Matches played in parallel.")] = 2,
    game: Annotated[Path | None, typer.Option(help="Directory of the game to play. Default: games/holdfast.")] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep data and logs in this (new) directory.", metavar="DIR")
    ] = None,
) -> None:
    """Show everything: L1, contracts, node, matches played by bots, claims, settlement and payout."""
    from exclave.demo.game import GameUnavailable, load_game
    from exclave.demo.processes import CHECKOUT, ProcessFailed, interrupts
    from exclave.demo.run import Demo, DemoFailed, Report

    try:
        shown = load_game(game if game is not None else CHECKOUT / "games" / "holdfast")
    except GameUnavailable as error:
        fail(str(error))
    if keep is not None:
        try:
            keep.mkdir(parents=True)
        except OSError as error:
            fail(f"can't make the directory {keep}: {error.strerror}")
    directory = (keep if keep is not None else Path(tempfile.mkdtemp(prefix="exclave-demo-"))).resolve()

    def phase(text: str) -> None:
        err.print(f"[bold]==>[/] {text}", highlight=False)

    said: dict[int, str] = {}

    def progress(index: int, text: str) -> None:
        if said.get(index) != text:
            said[index] = text
            err.print(f"    match {index + 1}: {text}", markup=False, highlight=False)

    async def run() -> Report | None:
        interrupted = interrupts()

        async def stay_here(l1_url: str, node_url: str, sessions: list[str]) -> None:
            phase("Staying: stop with Ctrl-C")
            for name, value in (("L1", l1_url), ("node", node_url), *(("session", url) for url in sessions)):
                out.print(f"{name:>8}  {value}", markup=False, highlight=False)
            await interrupted.wait()

        course = Demo(shown, directory, matches, phase, progress, stay_here if stay else None)
        running = asyncio.create_task(course.run())
        waiting = asyncio.create_task(interrupted.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not running.done() and not stay:
            running.cancel()
        waiting.cancel()
        try:
            return await running
        except asyncio.CancelledError:
            return None

    try:
        report = asyncio.run(run())
    except (ProcessFailed, DemoFailed) as error:
        fail(str(error))
    except Exception as error:
        err.print_exception()
        fail(f"the demo failed: {error}" + (f"; logs are in {directory}" if keep else ""))
    finally:
        if keep is None:
            shutil.rmtree(directory, ignore_errors=True)
    if report is None:
        raise typer.Exit(130)
    show(report)


def show(report: Any) -> None:
    """The final tables."""
    print_table(
        "Sessions",
        ["Session", "Chain id", "Status", "Blocks", "Outcome"],
        [
            (number(m["sessionId"]), number(m["chainId"]), m["status"], number(m["blockNumber"]), m["outcome"])
            for m in report.matches
        ],
    )
    name = str if out.width >= 120 else short
    rows = [(t.label, name("0x" + t.transaction_hash.hex()), t.gas_used, ether(t.fee, 9)) for t in report.transactions]
    for t in reversed(report.node_transactions):
        gas, price = number(t["gasUsed"]) or 0, number(t["effectiveGasPrice"]) or 0
        purpose = t["key"].partition(":")[0]
        rows.append((f"node: {purpose}", name(t["txHash"] or "-"), gas, ether(gas * price, 9)))
    print_table("L1 transactions", ["What", "Transaction", "Gas", "Fee"], rows)
    print_table(
        "Balances",
        ["Account", "Before", "After", "Change"],
        [
            (who, ether(before, 6), ether(after, 6), ("+" if after >= before else "-") + ether(abs(after - before), 6))
            for who, (before, after) in report.balances.items()
        ],
    )
