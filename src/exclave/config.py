"""The node's configuration: a TOML file, and the environment above it (`EXCLAVE_SECTION__KEY`).

The models below are the only place where a key is defined: `exclave config init` writes its file from them and
docs/configuration.md is made from them (`exclave.config_reference`). No private key is ever in the file, only where
to find one.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin
from urllib.parse import urlsplit, urlunsplit

from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Secret,
    ValidationError,
    ValidationInfo,
    model_validator,
)

ENVIRONMENT_PREFIX = "EXCLAVE_"
DEFAULT_FILE = "exclave.toml"


def redact_url(url: str) -> str:
    """The URL without what may be secret: password, path and query (API keys are in either)."""
    parts = urlsplit(url)
    if not parts.netloc:
        return url if parts.scheme in ("sqlite", "") else f"{parts.scheme}:..."
    host = parts.netloc.rpartition("@")[2]
    user = "***@" if "@" in parts.netloc else ""
    path = "" if parts.path in ("", "/") else "/..."
    return urlunsplit((parts.scheme, user + host, path, "", ""))


class SecretUrl(Secret[str]):
    """A URL that may hold a password or an API key; shown without. `get_secret_value()` is the whole."""

    def _display(self) -> str:
        return redact_url(self.get_secret_value())


def _address(value: str) -> str:
    if not is_hex_address(value):
        raise ValueError("not an address: it must be 0x and 40 hexadecimal digits")
    if value != value.lower() and value != value.upper() and not is_checksum_address(value):
        raise ValueError("its checksum is wrong (EIP-55): a digit or letter was mistyped")
    return to_checksum_address(value)


def _path(value: Path, info: ValidationInfo) -> Path:
    """Relative paths are relative to the configuration file."""
    base: Path = (info.context or {}).get("base", Path.cwd())
    return base / value.expanduser()


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _url(schemes: tuple[str, ...]) -> AfterValidator:
    def check(value: SecretUrl) -> SecretUrl:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in schemes or not parts.netloc:
            raise ValueError(f"not a URL of the form {' or '.join(scheme + '://host' for scheme in schemes)}")
        return value

    return AfterValidator(check)


def _database_url(value: SecretUrl) -> SecretUrl:
    if not re.match(r"(sqlite:///.|postgres(ql)?://)", value.get_secret_value()):
        raise ValueError("not a database: use sqlite:///path/to/file or postgresql://user:password@host/database")
    return value


def _hash(value: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{64}", value):
        raise ValueError("not a hash: it must be 0x and 64 hexadecimal digits")
    return value.lower()


ZERO_ADDRESS = "0x" + "00" * 20
ZERO_HASH = "0x" + "00" * 32
Address = Annotated[str, AfterValidator(_address)]
Hash = Annotated[str, AfterValidator(_hash)]
FilePath = Annotated[Path, AfterValidator(_path)]
HttpUrl = Annotated[SecretUrl, _url(("http", "https"))]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


class Section(BaseModel):
    """A table of the file. Unknown keys are refused: a misspelt one would silently do nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class NodeConfig(Section):
    """Where the node keeps its data and where it listens."""

    data_dir: FilePath = Field(
        Path("exclave-data"),
        description="Directory of the database and the lock that keeps a second node out. Relative to this file.",
    )
    database_url: Annotated[SecretUrl, AfterValidator(_database_url)] | None = Field(
        None,
        description=(
            "`sqlite:////absolute/path` or `postgresql://user:password@host/database`. "
            "Default: `exclave.db` in `data_dir`."
        ),
    )
    host: str = Field(
        "127.0.0.1", description="Address to listen on; `0.0.0.0` for all (put a TLS proxy in front of it)."
    )
    port: Port = Field(8645, description="Port of JSON-RPC over HTTP and WebSocket; 0 takes a free one.")
    public_url: str | None = Field(
        None,
        description="URL under which players reach the node, told in `zkcop_*` answers. Default: `http://host:port`.",
    )
    rpc_threads: int = Field(2, ge=1, le=256, description="Threads that serve JSON-RPC.")
    metrics_host: str = Field("127.0.0.1", description="Address of the Prometheus endpoint.")
    metrics_port: Port = Field(
        0,
        description="Port of the Prometheus endpoint, workers have the ones after it; 0 turns it off.",
    )
    lease_seconds: Seconds = Field(
        15.0,
        description=(
            "Seconds after which another node may use the database and the sessions of this one when it died. "
            "Renewed three times as often."
        ),
    )
    max_sessions: int = Field(
        2_000,
        ge=1,
        le=1_000_000,
        description=(
            "Sessions in memory: when there are more, those without a new block for the longest leave it; they come "
            "back at the next touch. It may be exceeded for seconds."
        ),
    )
    max_memory_mb: int = Field(
        4096,
        ge=0,
        description=(
            "MiB of the histories of all sessions in memory: when they have more, the sessions without a new block for "
            "the longest leave it. Of each process. 0 is no bound."
        ),
    )
    workers: int = Field(
        1,
        ge=1,
        le=256,
        description=(
            "Processes among which the sessions are spread, on this machine. They share the port and the database "
            "(PostgreSQL, if it is to be fast); one that dies is started again, and the others take its sessions over."
        ),
    )
    shared: bool = Field(
        False,
        description=(
            "Share the database (PostgreSQL) with `exclave node` on other machines: they spread the sessions among "
            "them, and one follows L1 and claims until it stops. All need the same keys and the same `[l1]`."
        ),
    )
    peer_host: str = Field(
        "127.0.0.1",
        description=(
            "Address at which the other processes reach this one, on a free port; with `shared`, this machine's in a "
            "private network."
        ),
    )
    idle_seconds: float = Field(
        3600.0,
        ge=0,
        le=30 * 86400,
        description=(
            "Seconds without a new block after which a session leaves memory; it comes back at the next touch. "
            "0 keeps all."
        ),
    )
    local_sessions: bool = Field(
        False,
        description=(
            "Serve `zkcop_openTemplateSession`: sessions of this node alone, for building templates. "
            "Not for public nodes."
        ),
    )


class L1Config(Section):
    """The L1 chain and the contract on it."""

    rpc_urls: Annotated[list[HttpUrl], BeforeValidator(_split), Field(min_length=1)] = Field(
        description=(
            "JSON-RPC URLs of L1 nodes, the preferred first. Several by different providers guard against "
            "one that lies or is down."
        ),
    )
    chain_id: int = Field(
        ge=1, description="Chain id of L1, for example 1 (mainnet) or 11155111 (Sepolia). Checked at the start."
    )
    zk_relayer: Address = Field(description="Address of the `ZkRelayer` contract.")
    start_block: int = Field(0, ge=0, description="L1 block in which `ZkRelayer` was deployed: nothing before is read.")
    confirmations: int = Field(
        2,
        ge=0,
        le=1000,
        description=(
            "L1 blocks on top of an event before the node acts on it. More is slower to open sessions and "
            "safer against reorgs."
        ),
    )
    poll_interval: Seconds = Field(2.0, description="Seconds between looks at L1.")
    request_timeout: Seconds = Field(10.0, description="Seconds after which an L1 request is given up and retried.")
    check_headers: bool = Field(
        True,
        description=(
            "Check that L1 blocks hash to their hash. `false` only for a chain, or a fork of L1, whose headers this "
            "version can't hash: then the endpoints are believed."
        ),
    )
    log_range: int = Field(
        2000,
        ge=1,
        le=1_000_000,
        description="Blocks per `eth_getLogs`; made smaller by itself when the provider refuses.",
    )


class KeySource(Section):
    """Where a private key comes from."""

    kind: Literal["keystore", "environment"] = Field(
        "keystore",
        description=(
            "`keystore` (an encrypted JSON file) or `environment` (a plain key in a variable; development only)."
        ),
    )
    keystore: FilePath | None = Field(None, description="Encrypted key file (Web3 Secret Storage), for `keystore`.")
    password_file: FilePath | None = Field(
        None, description="File with the keystore's password. Default: the variable `password_variable`."
    )
    password_variable: str = Field(
        "EXCLAVE_KEYSTORE_PASSWORD", description="Environment variable with the keystore's password."
    )
    private_key_variable: str = Field(
        "EXCLAVE_PRIVATE_KEY", description="Environment variable with the key in hexadecimal, for `environment`."
    )

    @model_validator(mode="after")
    def _complete(self) -> KeySource:
        if self.kind == "keystore" and self.keystore is None:
            raise ValueError(
                "kind = \"keystore\" needs the key 'keystore': the path of an encrypted key file "
                "(make one with `cast wallet new`, geth or clef)"
            )
        return self


class SignerConfig(KeySource):
    """The account that pays for and sends L1 transactions. One node per account."""

    kind: Literal["keystore", "environment", "http"] = Field(  # type: ignore[assignment]
        "keystore",
        description=(
            "`keystore` (an encrypted JSON file), `environment` (a plain key in a variable; development only) or "
            "`http` (a web3signer-like service)."
        ),
    )
    url: HttpUrl | None = Field(None, description="URL of the signing service, for `http`.")
    address: Address | None = Field(
        None, description="The account's address: needed for `http`, checked against the key otherwise."
    )

    @model_validator(mode="after")
    def _complete_http(self) -> SignerConfig:
        if self.kind == "http" and (self.url is None or self.address is None):
            raise ValueError("kind = \"http\" needs the keys 'url' and 'address'")
        return self


class OperatorConfig(KeySource):
    """The key that signs preconfirmations: the `operator` in the sessions' terms. Use another one than the signer's."""

    private_key_variable: str = Field(
        "EXCLAVE_OPERATOR_KEY", description="Environment variable with the key in hexadecimal, for `environment`."
    )


class AcceptConfig(Section):
    """Which sessions the node serves and claims. Their opener chooses the terms; a claim locks this node's deposit."""

    max_claim_bond_ether: Decimal = Field(
        Decimal("0.05"), ge=0, description="Most ether that a claim may lock for one session."
    )
    max_callback_gas: int = Field(
        500_000, ge=50_000, description="Most gas that a game's callback may take at settlement, which the signer pays."
    )
    max_challenge_window: int = Field(
        86400, ge=1, description="Longest challenge window in seconds: bonds are locked for so long."
    )
    min_inclusion_delay: int = Field(
        60,
        ge=1,
        description=(
            "Shortest inclusion delay in seconds. It must be longer than L1 takes for `l1.confirmations`, "
            "or claims can be spoilt by forced transactions."
        ),
    )
    data_modes: Annotated[
        list[Literal["blob", "calldata", "on-demand"]], BeforeValidator(_split), Field(min_length=1)
    ] = Field(
        ["blob", "calldata", "on-demand"],
        description="Accepted data modes, the recommended first. `calldata` is the dearest for the signer.",
    )
    dispute_games: Annotated[list[Address], BeforeValidator(_split), Field(min_length=1)] = Field(
        [ZERO_ADDRESS],
        description=(
            "Dispute contracts that may kill this node's claims and give their bonds away: only those whose rules you "
            "know. The zero address is none."
        ),
    )
    verifiers: Annotated[list[Address], BeforeValidator(_split), Field(min_length=1)] = Field(
        [ZERO_ADDRESS], description="Contracts that verify proofs. The zero address is none."
    )
    programs: Annotated[list[Hash], BeforeValidator(_split), Field(min_length=1)] = Field(
        [ZERO_HASH], description="Ids of guest programs. Zero is none."
    )
    games: Annotated[list[Address], BeforeValidator(_split)] = Field(
        [], description="L1 game contracts whose sessions are served; empty for all. The signer pays for their claims."
    )
    templates: Annotated[list[Hash], BeforeValidator(_split)] = Field(
        [], description="Templates that are served; empty for all that were added."
    )


class CoordinatorConfig(Section):
    """From ended sessions to settled ones."""

    enabled: bool = Field(True, description="Claim and settle. `false`: only run sessions, another node claims.")
    batch_size: int = Field(100, ge=1, le=1000, description="Most sessions in one claim.")
    batch_delay: float = Field(
        30.0,
        ge=0,
        le=86400,
        description="Seconds that an ended session waits for others to share its claim. 0 claims at once and alone.",
    )
    checkpoint_blocks: int = Field(
        0, ge=0, description="Claim a running session's blocks each time there are so many new ones; 0 only at its end."
    )
    poll_interval: Seconds = Field(5.0, description="Seconds between looks at the work list.")
    retry_delay: Seconds = Field(60.0, description="Seconds before a claim or settlement that failed is tried again.")
    stop_expired: bool = Field(
        True, description="Stop sessions whose deadline has passed, so that they can be claimed."
    )


class DefenceConfig(Section):
    """Answers to disputes about this node's claims, where `accept.dispute_games` has contracts."""

    enabled: bool = Field(True, description="Answer disputes. `false`: claims that are disputed lose their bonds.")
    prover: FilePath | None = Field(
        None,
        description=(
            "The program `exclave-prover`, which answers challenges. Default: what `EXCLAVE_PROVER` names, a "
            "checkout's, or the one in `PATH`. Its proofs are kept in `proofs` of node.data_dir."
        ),
    )
    parallel_proofs: int = Field(1, ge=1, le=64, description="Proofs made at the same time. Each takes gigabytes.")
    segment_memory: int = Field(
        9216,
        ge=1024,
        le=65536,
        description=(
            "MiB that the proof of one segment may take, by an estimate which is nearly twice what it takes. Less "
            "makes longer proofs."
        ),
    )
    poll_interval: Seconds = Field(5.0, description="Seconds between looks at disputes.")
    retry_delay: Seconds = Field(30.0, description="Seconds before an answer or a proof that failed is tried again.")
    withdraw_above_ether: Decimal = Field(
        Decimal("0.1"),
        ge=0,
        description="Ether won in disputes from which on it is withdrawn to the signer; 0 leaves it in the contract.",
    )
    claims_anew: int = Field(
        1,
        ge=0,
        le=10,
        description=(
            "How often a session is claimed again after its claim died because a dispute had no answer in time, if "
            "what was claimed is right. Each claim locks a bond. 0: a person decides (`exclave session retry`)."
        ),
    )


class FeesConfig(Section):
    """What L1 transactions may cost."""

    max_fee_gwei: Decimal = Field(
        Decimal(200), gt=0, description="Highest `maxFeePerGas` in gwei. Above it the node waits, and says so."
    )
    max_priority_fee_gwei: Decimal = Field(Decimal(5), ge=0, description="Highest tip in gwei.")
    max_blob_fee_gwei: Decimal = Field(Decimal(200), gt=0, description="Highest `maxFeePerBlobGas` in gwei.")
    bump_after: Seconds = Field(36.0, description="Seconds without inclusion after which the fee is raised.")
    low_balance_ether: Decimal = Field(
        Decimal("0.1"), ge=0, description="The signer's balance in ether below which the node warns."
    )


class LimitsConfig(Section):
    """Bounds that keep one session or client from harming the others."""

    transaction_bytes: int = Field(131072, ge=1024, le=1 << 24, description="Largest raw transaction, in bytes.")
    session_queue: int = Field(4096, ge=1, description="Transactions waiting in one session.")
    session_memory: int = Field(
        1 << 30,
        ge=0,
        description=(
            "Bytes of a session's history, in memory, from which on it takes no more transactions of users but "
            "`stop()`: they cost nothing, and only this bounds what one session takes. About 4 KB a transaction. "
            "0 is no bound."
        ),
    )
    sender_queue: int = Field(256, ge=1, description="Transactions of one sender waiting in one session.")
    nonce_gap_ms: int = Field(
        2000, ge=0, le=60000, description="Milliseconds that a transaction with a nonce gap waits for its predecessors."
    )
    block_time_ms: int = Field(
        100, ge=1, le=10000, description="Milliseconds after which no further transaction joins a block being built."
    )
    persist_group: int = Field(
        1024, ge=1, le=100_000, description="Blocks written in one database transaction at most."
    )
    wakes: int = Field(4, ge=1, le=256, description="Sessions being rebuilt from the database at the same moment.")
    calls: int = Field(16, ge=1, le=1024, description="`zkcop_*` requests being answered at the same moment.")
    client_connections: int = Field(
        512,
        ge=0,
        le=1 << 20,
        description="Open connections of one client address (IPv6: of one /64 network); 0 is no bound. Connections from"
        " this machine are not counted: behind a proxy on another one set 0 and let the proxy bound its clients.",
    )
    shutdown_ms: int = Field(
        10000, ge=0, le=600_000, description="Milliseconds that a stopping node gives accepted work."
    )


class LoggingConfig(Section):
    """What the node says about itself."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important messages to show: `debug`, `info`, `warning` or `error`."
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description="`console` for people, `json` for machines; `auto` is console on a terminal, else JSON."
    )


class Config(Section):
    """All of the node's configuration."""

    node: NodeConfig = Field(default_factory=NodeConfig)  # type: ignore[arg-type]
    l1: L1Config
    signer: SignerConfig
    operator: OperatorConfig
    accept: AcceptConfig = Field(default_factory=AcceptConfig)  # type: ignore[arg-type]
    coordinator: CoordinatorConfig = Field(default_factory=CoordinatorConfig)  # type: ignore[arg-type]
    defence: DefenceConfig = Field(default_factory=DefenceConfig)  # type: ignore[arg-type]
    fees: FeesConfig = Field(default_factory=FeesConfig)  # type: ignore[arg-type]
    limits: LimitsConfig = Field(default_factory=LimitsConfig)  # type: ignore[arg-type]
    logging: LoggingConfig = Field(default_factory=LoggingConfig)  # type: ignore[arg-type]

    @property
    def database_url(self) -> str:
        """The database's URL with its password: `node.database_url` or the default. Not for logs."""
        if self.node.database_url is not None:
            return self.node.database_url.get_secret_value()
        return f"sqlite:///{self.node.data_dir / 'exclave.db'}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where (file and line, or variable), which key, and what to do."""

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: {self.message}" if self.key else f"{self.where}: {self.message}"


class ConfigError(Exception):
    """The configuration can't be used; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def load_config(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration of `path` with the environment above it.

    `path`: the file; None takes `exclave.toml` of the working directory when it is there, else only the environment.
    Raises `ConfigError` that names every problem with its key, its file and line or variable, and what to do.
    """
    environment = os.environ if environment is None else environment
    if path is None and Path(DEFAULT_FILE).exists():
        path = Path(DEFAULT_FILE)
    values: dict[str, Any] = {}
    lines: dict[tuple[str, ...], int] = {}
    if path is not None:
        values, lines = _read(path)
    sources = _overlay(values, environment)
    for section, field in Config.model_fields.items():
        if not field.is_required():
            values.setdefault(section, {})  # so that its relative paths are the file's too
    base = Path.cwd() if path is None else path.resolve().parent
    try:
        return Config.model_validate(values, context={"base": base})
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_input=False, include_url=False):
            location = tuple(str(part) for part in detail["loc"])
            key = ".".join(location)
            where = sources.get(location[:2]) or _where(path, lines, location, sources)
            problems.append(Problem(where, key, _advice(detail["type"], detail["msg"], location)))
        raise ConfigError(problems) from None  # the cause would show the values


def _read(path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            [Problem(str(path), "", "there is no such file: make one with `exclave config init`")]
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), "", f"can't be read: {error}")]) from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem(str(path), "", f"isn't TOML: {error}")]) from None
    return values, _lines(text)


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of each table and key, as far as they are written plainly (`[table]`, `key = value`)."""
    found: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\s*([\w.\-]+)\s*\]", line):
            table = tuple(match[1].split("."))
            found.setdefault(table, number)
        elif match := re.match(r"\s*([\w.\-]+)\s*=", line):
            found.setdefault((*table, *match[1].split(".")), number)
    return found


def _where(
    path: Path | None,
    lines: Mapping[tuple[str, ...], int],
    location: tuple[str, ...],
    sources: Mapping[tuple[str, ...], str],
) -> str:
    if location[:1] not in lines:
        for (section, _), variable in sources.items():
            if section == location[0]:
                return variable
    if path is None:
        return "configuration"
    for length in range(len(location), 0, -1):
        if line := lines.get(location[:length]):
            return f"{path}:{line}"
    return str(path)


def _overlay(values: dict[str, Any], environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Put `EXCLAVE_SECTION__KEY` variables over the file's values. Returns which key came from which variable."""
    sources: dict[tuple[str, ...], str] = {}
    for name in sorted(environment):
        section, separator, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or not separator:
            continue
        sources[(section, key)] = f"${name}"
        table = values.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = environment[name]
    return sources


def _advice(kind: str, message: str, location: tuple[str, ...]) -> str:
    if kind == "extra_forbidden":
        known = _known_keys(location)
        return f"unknown key. Known here: {', '.join(known)}" if known else "unknown key"
    if kind == "missing":
        variable = f"{ENVIRONMENT_PREFIX}{location[0].upper()}__{location[-1].upper()}"
        if len(location) == 1:
            return f"the table [{location[0]}] is missing: see `exclave config init` for what it needs"
        return f"missing: set it in the table [{location[0]}] or in ${variable}"
    return message.removeprefix("Value error, ")


def _known_keys(location: tuple[str, ...]) -> list[str]:
    if len(location) == 1:
        return sorted(Config.model_fields)
    section = Config.model_fields.get(location[0])
    annotation = section.annotation if section is not None else None
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        return sorted(annotation.model_fields)
    return []
