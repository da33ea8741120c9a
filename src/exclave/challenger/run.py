"""`exclave challenge`, put together: its parts, in the order in which they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from exclave import _engine
from exclave.challenger.archive import Archive
from exclave.challenger.data import DataSources, SourceSettings
from exclave.challenger.execution import Executor
from exclave.challenger.hand import Hand
from exclave.challenger.proving import FaultProofs
from exclave.challenger.watch import ClaimReport, WatchSettings, Watchtower
from exclave.coordinator.calls import ZkRelayerReader
from exclave.l1.client import L1Client
from exclave.l1.errors import L1Error
from exclave.l1.intents import FINAL_STATES, KeyInUse
from exclave.l1.signers import Signer
from exclave.l1.transaction_manager import EthTxManager, ManagerSettings
from exclave.node.balance import BalanceWatch
from exclave.node.instance import InstanceLock
from exclave.node.metrics import serve_metrics
from exclave.node.stopping import stop_signals
from exclave.node.supervisor import FatalError, Supervisor
from exclave.protocol import ProtocolError, chain_id_base
from exclave.prover import Prover
from exclave.relayer.relayer import Relayer, RelayerSettings
from exclave.store import Session, Store

log = structlog.get_logger(__name__)

ONCE_SECONDS = 600.0
"""How long `once` waits for its own transactions to be final."""


@dataclass(frozen=True, slots=True)
class ChallengeSettings:
    """All that a watchtower is told. `templates` are files, or directories of nothing else; `max_bonds`, `low_balance`
    and `collect_above` in wei, times in seconds.
    """

    l1_urls: tuple[str, ...]
    l1_chain_id: int
    zk_relayer: bytes
    start_block: int
    database_url: str
    data_dir: Path
    templates: tuple[Path, ...] = ()
    sources: SourceSettings = field(default_factory=SourceSettings)
    dispute_games: tuple[bytes, ...] = ()
    preconfirmations: Path | None = None
    max_bonds: int = 10**18
    low_balance: int = 10**17
    collect_above: int | None = None
    confirmations: int = 2
    log_range: int = 2000
    poll_interval: float = 12.0
    patience: float = 0.25
    data_retry: float = 30.0
    review_time: float = 5.0
    metrics_port: int | None = None


class _Spectator:
    """Whom the Relayer works for: somebody who looks at every session, and serves none."""

    @property
    def policy(self) -> _Spectator:
        return self

    @property
    def dispute_games(self) -> Sequence[bytes]:
        """The watchtower reads disputes itself, and has no claims."""
        return ()

    def refusal(self, session: Session) -> str | None:
        """None is refused."""
        return None

    def unsupported_reason(self, session: Session) -> str | None:
        """None is played here, which is no news."""
        return None


@dataclass
class Running:
    """A watchtower with its parts."""

    watchtower: Watchtower
    store: Store
    l1: L1Client
    manager: EthTxManager | None
    supervisor: Supervisor


@contextlib.asynccontextmanager
async def running(
    settings: ChallengeSettings, signer: Signer | None = None, prover: Prover | None = None
) -> AsyncIterator[Running]:
    """Start all but the passes. Without a signer it only reports.

    Raises `FatalError`, `StoreError`, `L1Error`, `OSError`.
    """
    async with contextlib.AsyncExitStack() as stack:
        lock = InstanceLock(settings.data_dir)
        owner = lock.acquire()
        stack.callback(lock.release)
        store = stack.enter_context(Store(settings.database_url))
        await asyncio.to_thread(store.migrate)
        l1 = await stack.enter_async_context(L1Client(settings.l1_urls, settings.l1_chain_id))
        await _check_relayer(l1, settings)
        executor = Executor(store, settings.l1_chain_id, settings.zk_relayer)
        stack.callback(executor.shutdown)
        await asyncio.to_thread(_read_templates, executor, settings.templates)
        sources = DataSources(l1, settings.zk_relayer, Archive(settings.data_dir / "claims"), settings.sources)
        stack.push_async_callback(sources.close)
        relayer = Relayer(
            l1,
            store,
            _Spectator(),
            RelayerSettings(
                zk_relayer=settings.zk_relayer,
                l1_chain_id=settings.l1_chain_id,
                start_block=settings.start_block,
                confirmations=settings.confirmations,
                log_range=settings.log_range,
                poll_interval=settings.poll_interval,
            ),
            settings.data_dir / "replaced",
        )
        supervisor = Supervisor((FatalError, KeyInUse))
        stack.push_async_callback(supervisor.stop)
        manager, hand, proofs = None, None, None
        if signer is not None:
            manager = EthTxManager(
                l1,
                signer,
                store.intents,
                ManagerSettings(confirmations=settings.confirmations + 1, poll_interval=settings.poll_interval),
                owner=owner,
            )
            await manager.start()
            stack.push_async_callback(manager.stop)
            supervisor.start("transactions", manager.run)
            supervisor.start("balance", BalanceWatch(l1, signer.address, settings.low_balance).run)
            hand = Hand(store, manager, settings.max_bonds)
            if prover is not None:
                proofs = FaultProofs(prover, l1, hand, manager)
                stack.push_async_callback(proofs.stop)
        watchtower = Watchtower(
            l1,
            store,
            relayer,
            executor,
            sources,
            WatchSettings(
                zk_relayer=settings.zk_relayer,
                l1_chain_id=settings.l1_chain_id,
                dispute_games=settings.dispute_games,
                rpc_urls=settings.sources.rpc_urls,
                preconfirmations=settings.preconfirmations,
                patience=settings.patience,
                collect_above=settings.collect_above,
                poll_interval=settings.poll_interval,
                data_retry=settings.data_retry,
                review_time=settings.review_time,
            ),
            hand,
            proofs,
        )
        stack.push_async_callback(watchtower.stop)
        if settings.metrics_port is not None:
            stop_metrics = serve_metrics("127.0.0.1", settings.metrics_port)
            stack.callback(stop_metrics)
        yield Running(watchtower, store, l1, manager, supervisor)


async def watch(settings: ChallengeSettings, signer: Signer | None, prover: Prover | None) -> int:
    """Watch until SIGINT or SIGTERM; returns the exit code, 0 after a clean stop and 1 when it can't go on."""
    with stop_signals() as stop:
        async with running(settings, signer, prover) as parts:
            log.info(
                "watching",
                zk_relayer=settings.zk_relayer,
                acts_as=signer.address if signer is not None else None,
                dispute_games=["0x" + game.hex() for game in settings.dispute_games],
            )
            parts.supervisor.start("watchtower", parts.watchtower.run)
            waiting = asyncio.create_task(stop.wait())
            failing = asyncio.create_task(parts.supervisor.failure())
            await asyncio.wait([waiting, failing], return_when=asyncio.FIRST_COMPLETED)
            failed = failing.result() if failing.done() else None
            for task in (waiting, failing):
                task.cancel()
            if failed is not None:
                log.error("the watchtower stops because it can't go on", reason=str(failed))
                return 1
            log.info("stopping")
    return 0


async def once(
    settings: ChallengeSettings, signer: Signer | None, prover: Prover | None, *, collect: bool = False
) -> list[ClaimReport]:
    """One pass, and what it has begun on L1 brought to its end. With `collect`, deposits are withdrawn at last.

    Raises `L1Error` and what `running` raises.
    """
    async with running(replace(settings, review_time=math.inf), signer, prover) as parts:
        await parts.watchtower.step()
        if parts.manager is not None:
            if collect:
                await parts.watchtower.collect()
            await _settle(parts.manager, parts.store)
        return [parts.watchtower.reports[claim_id] for claim_id in sorted(parts.watchtower.reports)]


async def collect(settings: ChallengeSettings, signer: Signer) -> int:
    """Withdraw what was won, without a review; returns wei. Raises `L1Error` and what `running` raises."""
    async with running(settings, signer) as parts:
        assert parts.manager is not None, "there is a signer"
        total = await parts.watchtower.collect()
        await _settle(parts.manager, parts.store)
        return total


async def _settle(manager: EthTxManager, store: Store) -> None:
    """Wait until all intents are final, or for so long as may be."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ONCE_SECONDS):
            for record in await asyncio.to_thread(store.intents.open, manager.chain_id, manager.address):
                if record.state not in FINAL_STATES:
                    await manager.wait(record.key)
            return
    log.warning("transactions are still on their way; the next run goes on with them")


async def _check_relayer(l1: L1Client, settings: ChallengeSettings) -> None:
    try:
        base = await ZkRelayerReader(l1, settings.zk_relayer).chain_id_base()
    except L1Error as error:
        raise FatalError(f"there is no ZkRelayer at 0x{settings.zk_relayer.hex()} on this L1: {error}") from error
    if base != chain_id_base(settings.l1_chain_id, settings.zk_relayer):
        raise FatalError(f"0x{settings.zk_relayer.hex()} is not a ZkRelayer of this version")


def _read_templates(executor: Executor, paths: tuple[Path, ...]) -> None:
    files: list[Path] = []
    for path in paths:
        files += sorted(item for item in path.iterdir() if item.is_file()) if path.is_dir() else [path]
    for file in files:
        try:
            template_id = executor.add_template(file.read_bytes())
        except (ProtocolError, _engine.TemplateError, OSError) as error:
            raise FatalError(f"{file} is not a template that can be used: {error}") from error
        log.info("template known", template=template_id, path=str(file))
