"""`exclave session`: what a node's sessions are doing, and a new attempt at a claim that failed."""

from __future__ import annotations

from typing import Annotated

import typer

from exclave.cli.config import ConfigPath
from exclave.cli.output import ether, fail, moment, print_json, print_record, print_table, short
from exclave.cli.rpc import Json, RpcUrl, number
from exclave.config import load_config
from exclave.rpc.client import DEFAULT_URL, RpcClient
from exclave.store import Store

app = typer.Typer(help="Look at a node's sessions, and have failed claims tried again.", no_args_is_help=True)

SessionId = Annotated[int, typer.Argument(min=1, help="The session's id.", metavar="ID")]


@app.command("list")
def list_(
    rpc: RpcUrl = DEFAULT_URL,
    status: Annotated[
        str | None, typer.Option(help="Only sessions that L1 has in this status (open, settled, ...).")
    ] = None,
    game: Annotated[str | None, typer.Option(help="Only sessions of this L1 game contract.", metavar="ADDRESS")] = None,
    player: Annotated[str | None, typer.Option(help="Only sessions of this player.", metavar="ADDRESS")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only sessions with ids above this.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """List sessions in order of their ids."""
    found = RpcClient(rpc).call("zkcop_listSessions", status, game, player, after, limit)
    if json:
        print_json(found)
        return
    print_table(
        None,
        ["Session", "Chain id", "Status", "Block", "Opened", "Deadline", "Game"],
        [
            (
                number(s["sessionId"]),
                number(s["chainId"]),
                s["status"],
                number(s["blockNumber"]),
                moment(int(s["openedAt"], 16)),
                moment(int(s["deadline"], 16)),
                short(s["game"]),
            )
            for s in found
        ],
    )
    if len(found) == limit:
        typer.echo(f"There may be more: --after {number(found[-1]['sessionId'])}", err=True)


@app.command()
def show(session_id: SessionId, rpc: RpcUrl = DEFAULT_URL, json: Json = False) -> None:
    """Show one session: terms, status, result, claims and L1 transactions."""
    client = RpcClient(rpc)
    found = client.call("zkcop_getSession", session_id)
    claims = client.call("zkcop_getClaimsBySession", session_id)
    if json:
        print_json({**found, "claims": claims})
        return
    terms, l1 = found["terms"], found["l1Transactions"]
    print_record(
        f"Session {session_id}",
        [
            ("status", found["status"] + (f" ({found['reason']})" if found["reason"] else "")),
            ("chain id", number(found["chainId"])),
            ("problem", found["problem"]),
            ("JSON-RPC", found["url"]),
            ("game (L1)", found["game"]),
            ("players", ", ".join(found["players"])),
            ("opened", f"{moment(int(found['openedAt'], 16))} in L1 block {number(found['openedBlock'])}"),
            ("deadline", moment(int(found["deadline"], 16))),
            ("template", found["templateId"]),
            ("config hash", found["configHash"]),
            ("seed", found["seed"]),
            ("block", f"{number(found['blockNumber'])} {found['blockHash'] or ''}"),
            ("block time", moment(int(found["blockTimestamp"], 16))),
            ("L1 messages", number(found["inboxCount"])),
            ("result", found["result"]),
            ("operator", terms["operator"]),
            ("claim bond", ether(int(terms["claimBond"], 16))),
            ("challenge window", f"{number(terms['challengeWindow'])} s"),
            ("data", terms["dataMode"]),
            ("open transaction", l1["openTxHash"]),
            ("claim transaction", l1["claimTxHash"]),
            ("settle transaction", l1["settleTxHash"]),
        ],
    )
    if claims:
        print_table(
            "Claims",
            ["Claim", "Status", "Claimed", "Settleable", "L1 transaction"],
            [
                (
                    number(c["claimId"]),
                    c["status"],
                    moment(int(c["claimedAt"], 16)),
                    moment(int(c["settleableAt"], 16)),
                    c["claimTxHash"],
                )
                for c in claims
            ],
        )


@app.command()
def retry(session_id: SessionId, config: ConfigPath = None) -> None:
    """Have what failed of a session's claims tried again, once its cause is gone.

    It writes into the database of the configuration; the node may be running.
    """
    with Store(load_config(config).database_url) as store:
        store.check_version()
        if store.sessions.get(session_id) is None:
            fail(f"no session {session_id}")
        ranges = store.jobs.retry(session_id)
    if not ranges:
        fail(f"nothing of session {session_id} failed for good: `exclave session show {session_id}` says how it is")
    typer.echo(f"Session {session_id}: {ranges} range(s) of blocks will be claimed again.")
