"""`exclave claim`: what was claimed on L1."""

from __future__ import annotations

from typing import Annotated

import typer

from exclave.cli.output import ether, moment, print_json, print_record, print_table
from exclave.cli.rpc import Json, RpcUrl, number
from exclave.rpc.client import DEFAULT_URL, RpcClient

app = typer.Typer(help="Look at claims on L1.", no_args_is_help=True)


@app.command("list")
def list_(
    rpc: RpcUrl = DEFAULT_URL,
    status: Annotated[
        str | None, typer.Option(help="Only claims in this status (posted, held, dead, settled).")
    ] = None,
    before: Annotated[int | None, typer.Option(min=0, help="Only claims with ids below this.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """List claims, the newest first."""
    found = RpcClient(rpc).call("zkcop_listClaims", status, before, limit)
    if json:
        print_json(found)
        return
    print_table(
        None,
        ["Claim", "Status", "Sessions", "Bond", "Claimed", "Settleable", "L1 transaction"],
        [
            (
                number(c["claimId"]),
                c["status"],
                number(c["count"]),
                ether(int(c["bond"], 16)),
                moment(int(c["claimedAt"], 16)),
                moment(int(c["settleableAt"], 16)),
                c["claimTxHash"],
            )
            for c in found
        ],
    )


@app.command()
def show(
    claim_id: Annotated[int, typer.Argument(min=0, help="The claim's id on L1.", metavar="ID")],
    rpc: RpcUrl = DEFAULT_URL,
    json: Json = False,
) -> None:
    """Show one claim with its sessions."""
    found = RpcClient(rpc).call("zkcop_getClaim", claim_id)
    if json:
        print_json(found)
        return
    print_record(
        f"Claim {claim_id}",
        [
            ("status", found["status"]),
            ("claimant", found["claimant"]),
            ("sessions", number(found["count"])),
            ("bond", ether(int(found["bond"], 16))),
            ("claimed", f"{moment(int(found['claimedAt'], 16))} in L1 block {number(found['blockNumber'])}"),
            ("settleable", moment(int(found["settleableAt"], 16))),
            ("root", found["claimsRoot"]),
            ("data hash", found["dataHash"]),
            ("blobs", ", ".join(found["blobHashes"]) or None),
            ("L1 transaction", found["claimTxHash"]),
        ],
    )
    if found["sessions"]:
        print_table(
            "Sessions",
            ["Leaf", "Session", "Blocks", "Last block", "Result hash"],
            [
                (
                    number(s["leafIndex"]),
                    number(s["sessionId"]),
                    f"{number(s['firstNumber'])} to {number(s['lastNumber'])}",
                    s["lastHash"],
                    "checkpoint" if int(s["resultHash"], 16) == 0 else s["resultHash"],
                )
                for s in found["sessions"]
            ],
        )


@app.command()
def disputes(
    session: Annotated[int | None, typer.Option(min=1, help="Only those about this session.", metavar="ID")] = None,
    unanswered: Annotated[bool, typer.Option("--open", help="Only those that have no answer yet.")] = False,
    rpc: RpcUrl = DEFAULT_URL,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """List disputes about the node's claims, the nearest deadline first."""
    found = RpcClient(rpc).call("zkcop_listDisputes", session, unanswered, limit)
    if json:
        print_json(found)
        return
    print_table(
        None,
        ["Claim", "Session", "Asked", "Status", "Deadline", "Bond", "Paid", "By"],
        [
            (
                number(d["claimId"]),
                number(d["sessionId"]),
                f"{d['kind']} {number(d['number'])}",
                d["status"],
                moment(int(d["deadline"], 16)),
                ether(int(d["bond"], 16)),
                "-" if d["paid"] is None else ether(int(d["paid"], 16)),
                d["opener"],
            )
            for d in found
        ],
    )
