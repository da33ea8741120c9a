"""`exclave challenge`: the watchtower."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exclave.cli.addresses import read_address
from exclave.cli.amounts import read_ether
from exclave.cli.output import err, ether, fail, moment, print_json, print_table
from exclave.config import KeySource
from exclave.logging import configure_logging
from exclave.rpc.client import RpcClient

if TYPE_CHECKING:
    from exclave.challenger.run import ChallengeSettings
    from exclave.challenger.watch import ClaimReport
    from exclave.l1.signers import Signer
    from exclave.prover import Prover

DISAGREEMENT: int = 2
UNDECIDED: int = 3
"""The exit codes of `--once` when a claim is wrong, and when none is known to be but one couldn't be reviewed."""

_VARIABLES = "EXCLAVE_CHALLENGE_"


def challenge(
    l1: Annotated[
        list[str],
        typer.Option("--l1", envvar="EXCLAVE_L1_URL", help="L1's JSON-RPC; several are compared.", metavar="URL"),
    ],
    zk_relayer: Annotated[
        str, typer.Option(envvar=_VARIABLES + "ZK_RELAYER", help="ZkRelayer's address on L1.", metavar="ADDRESS")
    ],
    template: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="A template's file, or a directory of such. Other sessions aren't reviewed."),
    ] = None,
    dispute_game: Annotated[
        list[str] | None,
        typer.Option(
            help="A dispute contract that may be sent bonds. Claims under others are reviewed, and left alone.",
            metavar="ADDRESS",
        ),
    ] = None,
    start_block: Annotated[int, typer.Option(min=0, help="L1 block in which ZkRelayer was deployed.")] = 0,
    confirmations: Annotated[int, typer.Option(min=0, max=1000, help="L1 blocks on top of what is acted on.")] = 2,
    data_dir: Annotated[Path, typer.Option(help="Where the watchtower keeps what it knows.")] = Path(
        "exclave-challenger"
    ),
    database: Annotated[
        str | None, typer.Option(help="Database. Default: a file in the data directory.", metavar="URL")
    ] = None,
    rpc: Annotated[
        list[str] | None,
        typer.Option(help="An operator's JSON-RPC, asked for data and preconfirmations.", metavar="URL"),
    ] = None,
    beacon: Annotated[str | None, typer.Option(help="A beacon node's API, for blobs.", metavar="URL")] = None,
    archive: Annotated[
        list[str] | None,
        typer.Option(help="Another watchtower's claims' data.", metavar="DIRECTORY|URL"),
    ] = None,
    preconfirmations: Annotated[
        Path | None,
        typer.Option(help="Directory of preconfirmations (JSON), as players keep them.", exists=True, file_okay=False),
    ] = None,
    keystore: Annotated[Path | None, typer.Option(help="Encrypted key file of the account that acts on L1.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the keystore's password.")] = None,
    key_variable: Annotated[
        str | None,
        typer.Option(help="Environment variable with the account's key (development chains only)."),
    ] = None,
    max_bonds: Annotated[str, typer.Option(help="Bonds that may be locked at one time.", metavar="ETHER")] = "1",
    prove: Annotated[bool, typer.Option("--prove", help="Make fault proofs with this machine's prover.")] = False,
    collect: Annotated[bool, typer.Option("--collect", help="Withdraw what was won, and end.")] = False,
    collect_above: Annotated[
        str | None, typer.Option(help="Withdraw deposits of more than this while watching.", metavar="ETHER")
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="One pass and a report. Code 2: a claim is wrong; 3: one is undecided."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="With --once: the report as JSON.")] = False,
    poll_interval: Annotated[float, typer.Option(min=0.05, help="Seconds between passes.")] = 12.0,
    patience: Annotated[
        float, typer.Option(min=0, max=1, help="Share of a claim's window before missing data is demanded on L1.")
    ] = 0.25,
    metrics_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Serve Prometheus metrics here.")] = None,
    low_balance: Annotated[str, typer.Option(help="Warn when the account has less.", metavar="ETHER")] = "0.1",
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    log_format: Annotated[str, typer.Option(help="console or json.")] = "console",
) -> None:
    """Review every claim on L1 by executing its sessions again, and dispute what is wrong.

    Without a key (--keystore) it only reports. SIGINT or SIGTERM stops it cleanly; a restart goes on where it was.
    """
    if log_level not in ("debug", "info", "warning", "error") or log_format not in ("console", "json"):
        fail("--log-level is debug, info, warning or error, --log-format is console or json")
    configure_logging(log_level, log_format)  # type: ignore[arg-type]
    from exclave import _engine
    from exclave.challenger import run
    from exclave.challenger.data import SourceSettings
    from exclave.l1.errors import L1Error
    from exclave.node.supervisor import FatalError
    from exclave.prover import ProverMissing

    relayer = read_address(zk_relayer)
    settings = run.ChallengeSettings(
        l1_urls=tuple(l1),
        l1_chain_id=int(RpcClient(l1[0]).call("eth_chainId"), 16),
        zk_relayer=relayer,
        start_block=start_block,
        database_url=database or f"sqlite:///{data_dir}/challenger.db",
        data_dir=data_dir,
        templates=tuple(template or ()),
        sources=SourceSettings(tuple(rpc or ()), tuple(archive or ()), beacon),
        dispute_games=tuple(read_address(value) for value in dispute_game or ()),
        preconfirmations=preconfirmations,
        max_bonds=read_ether(max_bonds, zero=True),
        low_balance=read_ether(low_balance, zero=True),
        collect_above=None if collect_above is None else read_ether(collect_above, zero=True),
        confirmations=confirmations,
        poll_interval=poll_interval,
        patience=patience,
        metrics_port=metrics_port,
    )
    try:
        if collect and not once:
            total = asyncio.run(_collect(settings, keystore, password_file, key_variable))
            err.print(f"{ether(total)} withdrawn.", highlight=False)
            return
        if once:
            reports = asyncio.run(_once(settings, keystore, password_file, key_variable, prove, collect))
            _show(reports, json)
            raise typer.Exit(_code(reports))
        raise typer.Exit(asyncio.run(_watch(settings, keystore, password_file, key_variable, prove)))
    except (FatalError, L1Error, ProverMissing, _engine.EngineError, OSError) as error:
        fail(str(error))


async def _watch(
    settings: ChallengeSettings, keystore: Path | None, password: Path | None, variable: str | None, prove: bool
) -> int:
    from exclave.challenger.run import watch

    signer = await _signer(settings.l1_chain_id, keystore, password, variable)
    return await watch(settings, signer, _prover(settings, prove))


async def _once(
    settings: ChallengeSettings,
    keystore: Path | None,
    password: Path | None,
    variable: str | None,
    prove: bool,
    collect: bool,
) -> list[ClaimReport]:
    from exclave.challenger.run import once

    signer = await _signer(settings.l1_chain_id, keystore, password, variable)
    return await once(settings, signer, _prover(settings, prove), collect=collect)


async def _collect(
    settings: ChallengeSettings, keystore: Path | None, password: Path | None, variable: str | None
) -> int:
    from exclave.challenger.run import collect

    signer = await _signer(settings.l1_chain_id, keystore, password, variable)
    if signer is None:
        fail("there is no key to collect for: give --keystore")
    return await collect(settings, signer)


async def _signer(
    chain_id: int, keystore: Path | None, password_file: Path | None, key_variable: str | None
) -> Signer | None:
    """Who acts; None where no key is given."""
    if keystore is None and key_variable is None:
        return None
    from exclave.l1.signers import LocalSigner
    from exclave.node.keys import load_key

    values: dict[str, Any] = {"kind": "keystore", "keystore": keystore, "password_file": password_file}
    if keystore is None:
        values = {"kind": "environment", "private_key_variable": key_variable}
    source = KeySource.model_validate(values)
    return LocalSigner(await load_key(source, "the watchtower's account", chain_id))


def _prover(settings: ChallengeSettings, wanted: bool) -> Prover | None:
    if not wanted:
        return None
    from exclave.prover import LocalProver

    return LocalProver(settings.data_dir / "proofs")


def _show(reports: list[ClaimReport], json: bool) -> None:
    if json:
        print_json([_as_json(report) for report in reports])
        return
    rows: list[tuple[str, str, str, str]] = []
    for report in reports:
        rows.append((f"{report.claim_id}", report.verdict.value, moment(report.ends_at), report.reason))
        rows += [(f"  leaf {leaf.index}", leaf.verdict.value, "", leaf.reason) for leaf in report.leaves]
    print_table("Claims that can be disputed", ["Claim", "Verdict", "Until", "Why"], rows)


def _code(reports: list[ClaimReport]) -> int:
    from exclave.challenger.review import ClaimVerdict

    if any(report.disagrees for report in reports):
        return DISAGREEMENT
    return 0 if all(report.verdict is ClaimVerdict.AGREES for report in reports) else UNDECIDED


def _as_json(report: ClaimReport) -> dict[str, Any]:
    return {
        "claimId": report.claim_id,
        "claimant": "0x" + report.claimant.hex(),
        "disputeGame": "0x" + report.dispute_game.hex(),
        "endsAt": report.ends_at,
        "verdict": report.verdict.value,
        "reason": report.reason,
        "disagrees": report.disagrees,
        "leaves": [
            {"index": leaf.index, "verdict": leaf.verdict.value, "reason": leaf.reason} for leaf in report.leaves
        ],
    }
