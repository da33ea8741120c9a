"""`exclave doctor`: is everything there that a node needs, and if not, what to do."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from eth_utils.address import to_checksum_address

import exclave
from exclave.cli.config import ConfigPath
from exclave.cli.output import err, escape, ether, out, print_json
from exclave.config import Config, ConfigError, KeySource, SignerConfig, load_config
from exclave.l1.signers import SignerError, SignerUnavailable, Web3Signer
from exclave.protocol import address_bytes, address_of
from exclave.prover.errors import ProverMissing
from exclave.prover.local import find_program
from exclave.store import DatabaseTooOld, Store, StoreError

CHECKOUT = Path(exclave.__file__).resolve().parents[2]
MIN_PYTHON = (3, 11)
MIN_RUST = (1, 91)
MIN_NODE = (20,)
LOW_DISK_BYTES = 2 << 30


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works without, or can't be checked
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check; `remedy` says what to do when it isn't OK."""

    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Verdict.OK, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Verdict.WARNING, detail, remedy)


def failed(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Verdict.FAILED, detail, remedy)


def doctor(
    config: ConfigPath = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    verify_database: Annotated[
        bool, typer.Option("--verify-database", help="Read the whole database and check that it is sound.")
    ] = False,
) -> None:
    """Check the set-up and say what to do about what is missing. Exit code 1 if a check failed."""
    findings = []
    for finding in check_all(config, verify_database=verify_database):
        findings.append(finding)
        if not json_output:
            colour = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red"}[finding.verdict]
            out.print(
                f"[{colour}]{finding.verdict:<8}[/] {escape(finding.check)}: {escape(finding.detail)}", highlight=False
            )
            if finding.verdict is not Verdict.OK:
                out.print(f"         {escape(finding.remedy)}", highlight=False, style="bold")
    if json_output:
        print_json([dataclasses.asdict(finding) for finding in findings])
    bad = sum(finding.verdict is Verdict.FAILED for finding in findings)
    if bad:
        err.print(f"{bad} of {len(findings)} checks failed.")
        raise typer.Exit(1)


def check_all(path: Path | None, *, verify_database: bool = False) -> Iterator[Finding]:
    """All checks, one by one: of this installation, then of the configuration and what it refers to."""
    yield check_python()
    yield check_engine()
    yield check_artifacts()
    if (CHECKOUT / "toolchain" / "package.json").exists():
        yield check_tool(
            "Rust", ["cargo", "--version"], MIN_RUST, "install it from https://rustup.rs (needed to build)"
        )
        yield check_tool(
            "Node.js", ["node", "--version"], MIN_NODE, "install Node.js 20 or later (needed by anvil, solc and MUD)"
        )
        yield check_anvil()
    try:
        config = load_config(path)
    except ConfigError as error:
        missing = path is None and not Path("exclave.toml").exists()
        remedy = (
            "make a file with `exclave config init`, or name one with --config"
            if missing
            else "correct the file or variable"
        )
        for problem in [error.problems[0]] if missing else error.problems:
            detail = "there is no exclave.toml here" if missing else str(problem)
            yield (warning if missing else failed)("configuration", detail, remedy)
        return
    yield ok("configuration", "valid")
    yield from check_config(config, verify_database=verify_database)


def check_config(config: Config, *, verify_database: bool = False) -> Iterator[Finding]:
    """What the configuration refers to: directories, database, ports, keys, L1."""
    yield check_disk(config)
    yield check_database(config, verify_database)
    yield check_port("JSON-RPC port", config.node.host, config.node.port)
    if config.node.metrics_port:
        yield check_port("metrics port", config.node.metrics_host, config.node.metrics_port)
    signer, finding = check_key("signer key", config.signer, config.l1.chain_id)
    yield finding
    operator, finding = check_key("operator key", config.operator, config.l1.chain_id)
    yield finding
    if signer is not None and signer == operator:
        yield warning(
            "keys",
            "signer and operator are the same account",
            "use two: the operator's key signs every block, the signer's pays, and each can then be replaced alone",
        )
    yield from check_l1(config, signer)
    if any(int(game, 16) for game in config.accept.dispute_games):
        yield check_prover(config)


def check_python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < MIN_PYTHON:
        return failed("Python", found, f"install Python {'.'.join(map(str, MIN_PYTHON))} or later")
    return ok("Python", found)


def check_engine() -> Finding:
    """The Rust extension is there and was built from these sources' version."""
    remedy = "build it: scripts/setup (in a checkout), or reinstall the package"
    try:
        from exclave import _engine
    except ImportError as error:
        return failed("engine", f"the extension can't be loaded: {error}", remedy)
    version = getattr(_engine, "__version__", None)
    if version != exclave.__version__:
        return failed("engine", f"the extension has version {version}, the package {exclave.__version__}", remedy)
    return ok("engine", f"version {version}")


def check_artifacts() -> Finding:
    try:
        from exclave.contracts import load

        load("ZkRelayer")
    except Exception as error:
        return failed("contracts", f"the contracts' artifacts can't be read: {error}", "reinstall the package")
    return ok("contracts", "artifacts present")


def check_tool(check: str, command: list[str], minimum: tuple[int, ...], remedy: str) -> Finding:
    """A program of at least a version. What it is needed for is already built, so its absence only warns."""
    if shutil.which(command[0]) is None:
        return warning(check, f"{command[0]} isn't installed", remedy)
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return warning(check, f"{command[0]} doesn't run: {error}", remedy)
    match = re.search(r"\d+(\.\d+)+", answer)
    if match is None or tuple(int(part) for part in match[0].split(".")) < minimum:
        return warning(check, f"{answer.strip()} is too old", remedy)
    return ok(check, match[0])


def check_anvil() -> Finding:
    anvil = CHECKOUT / "toolchain" / "bin" / "anvil"
    remedy = "run scripts/setup: it installs the packages in toolchain/ (the demo and the tests need them)"
    try:
        answer = subprocess.run([anvil, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return warning("anvil", f"doesn't run: {error}", remedy)
    return ok("anvil", answer.split("\n")[0].strip())


def check_prover(config: Config) -> Finding:
    """The program that answers challenges is there. Without it a claim that is challenged loses its bond."""
    remedy = "run scripts/build-prover in a checkout, or name the program in defence.prover"
    if not (config.defence.enabled and config.coordinator.enabled):
        return warning("prover", "disputes aren't answered (defence.enabled)", "claims that are disputed are lost")
    program = config.defence.prover
    if program is not None:
        if not os.access(program, os.X_OK):
            return failed("prover", f"{program} is no program", remedy)
        return ok("prover", str(program))
    try:
        return ok("prover", str(find_program()))
    except ProverMissing as error:
        return failed("prover", str(error), remedy)


def check_disk(config: Config) -> Finding:
    """The data directory can be written to and has space."""
    directory = config.node.data_dir
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return failed("data directory", f"{existing} can't be written to", "change its permissions or node.data_dir")
    free = shutil.disk_usage(existing).free
    detail = f"{directory}, {free / (1 << 30):.1f} GiB free"
    if free < LOW_DISK_BYTES:
        return warning("data directory", detail, "free some space: a full disk stops all sessions")
    return ok("data directory", detail)


def check_database(config: Config, verify: bool) -> Finding:
    try:
        with Store(config.database_url) as store:
            try:
                version = store.check_version()
            except DatabaseTooOld as error:
                return ok("database", str(error))
            if verify and (damage := store.verify()):
                return failed("database", f"{store.where} is damaged: {damage[0]}", "restore a back-up")
            return ok("database", f"{store.where}, version {version}")
    except StoreError as error:
        return failed("database", str(error), "correct node.database_url or the database")


def check_port(check: str, host: str, port: int) -> Finding:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return warning(
            check,
            f"can't listen on {host}:{port}: {error.strerror}",
            "fine if it is this node that runs already; else stop the other program or change the port",
        )
    return ok(check, f"{host}:{port} is free")


def check_key(check: str, source: KeySource, chain_id: int) -> tuple[str | None, Finding]:
    """The key's address, if the key can be used."""
    if isinstance(source, SignerConfig) and source.kind == "http":
        return source.address, _check_remote_signer(check, source)
    try:
        from exclave.node.keys import load_key
        from exclave.node.supervisor import FatalError
    except ImportError as error:
        return None, failed(check, f"can't be checked: {error}", "repair the engine first")
    try:
        key = asyncio.run(load_key(source, check, chain_id))
    except FatalError as error:
        return None, failed(check, str(error), "the node reads it when it starts; see docs/configuration.md")
    address = to_checksum_address(address_of(key))
    expected = source.address if isinstance(source, SignerConfig) else None
    if expected is not None and expected != address:
        return None, failed(
            check, f"it is the key of {address}, not of {expected}", "correct the key or signer.address"
        )
    return address, ok(check, address)


def _check_remote_signer(check: str, source: SignerConfig) -> Finding:
    """Asks as the node does: by the service's REST interface, not JSON-RPC."""
    assert source.url is not None and source.address is not None
    signer = Web3Signer(source.url.get_secret_value(), address_bytes(source.address))

    async def ask() -> None:
        try:
            await signer.check()
        finally:
            await signer.close()

    try:
        asyncio.run(ask())
    except SignerUnavailable as error:
        return failed(check, str(error), "start it, or correct signer.url")
    except SignerError as error:
        return failed(check, str(error), "load the key into it, or correct signer.url and signer.address")
    return ok(check, f"{source.address} by a signing service")


class _NoAnswer(Exception):
    """No answer, or none that can be used; the text says which."""


def _rpc(url: str, timeout: float, method: str, *params: Any) -> Any:
    """A JSON-RPC answer. The error never shows the URL, which may hold a key."""
    try:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(url, json=body, timeout=timeout).json()
        if "error" in answer:
            raise _NoAnswer(str(answer["error"]))
        return answer["result"]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _NoAnswer(type(error).__name__) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _NoAnswer("it doesn't speak JSON-RPC") from None


def _quantity(answer: Any, method: str) -> int:
    """A JSON-RPC quantity. Raises `_NoAnswer`."""
    if not isinstance(answer, str) or not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", answer):
        raise _NoAnswer(f"{method} answers {str(answer)[:80]!r}, which is no quantity")
    return int(answer, 16)


def check_l1(config: Config, signer: str | None) -> Iterator[Finding]:
    """Every L1 URL is of the right chain and has the contract; the signer can pay."""
    usable: Callable[..., Any] | None = None
    for index, url in enumerate(config.l1.rpc_urls):
        check = f"L1 node {index + 1} ({url})"

        def ask(method: str, *params: Any, address: str = url.get_secret_value()) -> Any:
            return _rpc(address, config.l1.request_timeout, method, *params)

        try:
            chain_id = _quantity(ask("eth_chainId"), "eth_chainId")
            if chain_id != config.l1.chain_id:
                yield failed(
                    check, f"has chain id {chain_id}, not {config.l1.chain_id}", "correct l1.rpc_urls or l1.chain_id"
                )
                continue
            block = _quantity(ask("eth_blockNumber"), "eth_blockNumber")
            code = ask("eth_getCode", config.l1.zk_relayer, "latest")
        except _NoAnswer as error:
            yield failed(check, f"doesn't answer: {error}", "start it, correct its URL, or take it out of l1.rpc_urls")
            continue
        if not isinstance(code, str) or code in ("", "0x"):
            yield failed(
                check, f"there is no contract at {config.l1.zk_relayer}", "deploy ZkRelayer, or correct l1.zk_relayer"
            )
            continue
        yield ok(check, f"chain {chain_id}, block {block}, ZkRelayer present")
        usable = usable or ask
    if usable is not None and signer is not None:
        try:
            wei = _quantity(usable("eth_getBalance", signer, "latest"), "eth_getBalance")
        except _NoAnswer as error:
            yield warning("signer balance", f"L1 doesn't tell it: {error}", "run doctor again, or check the L1 nodes")
            return
        if wei < config.fees.low_balance_ether * 10**18:
            yield warning(
                "signer balance", ether(wei), f"send ether to {signer}: it pays for claims, settlements and their bonds"
            )
        else:
            yield ok("signer balance", ether(wei))
