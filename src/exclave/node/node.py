"""The node: its parts, in the order in which they start and stop.

Start: data directory -> store -> keys -> L1 -> engine -> leases -> the Relayer catches up with L1 -> JSON-RPC -> the
other tasks. Nothing is served before the store agrees with L1: a session that L1 replaced or decided while the node was
down must not be played on.
Stop, on SIGINT or SIGTERM, also while starting: tasks, then the engine (which finishes what it accepted), then leases.

Of several processes that share a database all run sessions, and the one that has the lease `node` leads: it follows L1,
claims, settles, and answers for `/`. When it is gone another takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from decimal import Decimal

import structlog
from sqlalchemy import Connection

from exclave import __version__, _engine
from exclave.config import Config
from exclave.coordinator.calls import ZkRelayerReader
from exclave.coordinator.coordinator import Coordinator
from exclave.coordinator.decided import DecidedSessions
from exclave.coordinator.settings import CoordinatorSettings
from exclave.coordinator.stopper import Stopper
from exclave.defence.defence import Defence
from exclave.defence.settings import DefenceSettings
from exclave.l1.client import ClientSettings, L1Client
from exclave.l1.errors import L1Error, NodeError
from exclave.l1.fees import FeeSettings
from exclave.l1.intents import KeyInUse, KeyLeased
from exclave.l1.signers import Signer
from exclave.l1.transaction_manager import EthTxManager, ManagerSettings
from exclave.node.acceptance import AcceptancePolicy
from exclave.node.balance import BalanceWatch
from exclave.node.instance import InstanceLock
from exclave.node.keys import load_key, make_signer
from exclave.node.metrics import serve_metrics
from exclave.node.sessions import SessionHost
from exclave.node.stopping import stop_signals
from exclave.node.supervisor import FatalError, Supervisor
from exclave.node.sync import SessionSync
from exclave.node.templates import Workshop
from exclave.node.worker import Worker, worker_directory
from exclave.protocol import ProtocolError, address_bytes, address_of, chain_id_base
from exclave.protocol.constants import ZERO_ADDRESS
from exclave.prover import LocalProver, Prover, ProverMissing
from exclave.relayer.relayer import Relayer, RelayerSettings
from exclave.rpc.batches import BatchMethods
from exclave.rpc.claims import ClaimMethods
from exclave.rpc.client import RpcClient, RpcFailure
from exclave.rpc.disputes import DisputeMethods
from exclave.rpc.errors import RpcError
from exclave.rpc.node_info import Identity, NodeMethods
from exclave.rpc.registry import Registry
from exclave.rpc.sessions import SessionMethods
from exclave.rpc.templates import TemplateMethods
from exclave.rpc.transactions import TransactionMethods
from exclave.store import Lease, LeaseHeld, LeaseLost, Store, StoreError
from exclave.store.intents import IntentRepository

log = structlog.get_logger(__name__)

MEMORY_INTERVAL = 5.0
"""Seconds between looks at which sessions leave memory."""

NODE_RESOURCE = "node"
"""The name of the lease whose holder follows L1 and claims."""

LEAD_LOST = "another process took over this one's lead while this one was stalled: it must not sign on"

JOIN_INTERVAL = 0.5
"""Seconds between a process's attempts to take the lead, or to find who has it."""


async def run_node(config: Config, worker: Worker | None = None) -> int:
    """Run a node until SIGINT or SIGTERM; returns the process's exit code: 0 after a clean stop, 1 when it can't go on.

    What is wrong is logged with what to do about it. `worker`: None when it is alone.
    """
    with stop_signals() as stop:
        waiting = asyncio.create_task(stop.wait())
        try:
            async with contextlib.AsyncExitStack() as stack:
                # It may wait for L1 for long, and must be stoppable meanwhile.
                starting = asyncio.create_task(stack.enter_async_context(Node(config, worker).running()))
                await asyncio.wait([waiting, starting], return_when=asyncio.FIRST_COMPLETED)
                if not starting.done():
                    log.info("stopping before the start was complete")
                    starting.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await starting
                    return 0
                failing = asyncio.create_task(starting.result().supervisor.failure())
                await asyncio.wait([waiting, failing], return_when=asyncio.FIRST_COMPLETED)
                failing.cancel()
                if not stop.is_set():
                    log.error("the node stops because it can't go on", reason=str(failing.result()))
                    return 1
                log.info("stopping")
            return 0
        except (FatalError, StoreError, L1Error, _engine.EngineError, OSError) as error:
            log.error("the node can't start", reason=str(error))
            return 1
        finally:
            waiting.cancel()
            log.info("stopped")


class Node:
    """A node's parts. `running()` starts and stops them."""

    def __init__(self, config: Config, worker: Worker | None = None, prover: Prover | None = None) -> None:
        """`worker`: which of the processes of `exclave node --workers` it is, None when it is alone. `prover`: what
        makes proofs for disputes, None for this machine's own as configured.
        """
        self.config = config
        self._prover = prover
        self.worker = worker
        self.shares = config.node.shared or worker is not None
        """Whether other processes use the database too."""
        self.zk_relayer = address_bytes(config.l1.zk_relayer)
        self.registry = Registry("Exclave", __version__)
        self.coordinator: Coordinator | None = None
        self.defence: Defence | None = None
        self.port = 0
        self.operator: bytes
        self.store: Store
        self.host: SessionHost
        self.engine: _engine.Engine
        self.l1: L1Client
        self.manager: EthTxManager
        self.relayer: Relayer
        self.balance: BalanceWatch
        self.sync: SessionSync
        self.supervisor: Supervisor
        self.peer_url = ""
        """Where other processes reach this one; empty if there are none."""
        self._owner = ""
        self._node_lease: Lease | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Node]:
        """Everything started; on leaving, everything stopped in the opposite order.

        Raises `FatalError`, `StoreError`, `L1Error`, `EngineError` or `OSError` when it can't start.
        """
        async with contextlib.AsyncExitStack() as stack:
            await self._open_data_directory(stack)
            operator_key = await load_key(self.config.operator, "operator", self.config.l1.chain_id)
            signer = await make_signer(self.config.signer, self.config.l1.chain_id)
            self.operator = address_of(operator_key)
            stack.push_async_callback(asyncio.to_thread, self._leave)
            await self._connect_to_l1(stack)
            self._make_manager(signer, stack)
            policy = AcceptancePolicy.of(self.config.accept, self.operator)
            self.host = SessionHost(self.store, self._owner, self.config.node.lease_seconds, policy)
            self.sync = SessionSync(self.store, self.host)
            self._start_engine(operator_key, stack)
            self._compose(operator_key)
            self._compose_rpc()
            self._start_metrics(stack)
            self.supervisor = Supervisor((FatalError, KeyInUse))
            stack.push_async_callback(self.supervisor.stop)
            await asyncio.to_thread(self.sync.begin)
            self.supervisor.start("leases", self._renew_leases)
            await self._join()
            await asyncio.to_thread(self.sync.look)
            await self._serve()
            self._start_tasks()
            log.info(
                "node started",
                version=__version__,
                rpc=f"http://{self.config.node.host}:{self.port}",
                l1_chain_id=self.config.l1.chain_id,
                zk_relayer=self.config.l1.zk_relayer,
                operator="0x" + self.operator.hex(),
                signer="0x" + signer.address.hex(),
                leads=self.leads,
            )
            yield self

    @property
    def leads(self) -> bool:
        """Whether this process follows L1 and claims."""
        return self._node_lease is not None

    # -- start, in this order ---------------------------------------------------------------------------------------

    async def _open_data_directory(self, stack: contextlib.AsyncExitStack) -> None:
        """Lock the directory, open and migrate the store."""
        data_dir = self.config.node.data_dir
        lock = InstanceLock(worker_directory(data_dir, self.worker.number) if self.worker else data_dir)
        self._owner = lock.acquire()
        stack.callback(lock.release)
        self.store = Store(self.config.database_url)
        stack.callback(self.store.close)
        before, after = await asyncio.to_thread(self.store.migrate)
        if before != after:
            log.info("database migrated", before=before, after=after)

    async def _connect_to_l1(self, stack: contextlib.AsyncExitStack) -> None:
        """Check that L1 is the right chain and has the contract. Raises `FatalError`, `L1Error`."""
        config = self.config.l1
        settings = ClientSettings(
            timeout=config.request_timeout, logs_range=config.log_range, check_headers=config.check_headers
        )
        self.l1 = L1Client([url.get_secret_value() for url in config.rpc_urls], config.chain_id, settings)
        stack.push_async_callback(self.l1.close)
        if not await self.l1.get_code(self.zk_relayer):
            raise FatalError(
                f"there is no contract at {config.zk_relayer} on L1 chain {config.chain_id}: check l1.zk_relayer"
            )
        reader = ZkRelayerReader(self.l1, self.zk_relayer)
        expected = chain_id_base(config.chain_id, self.zk_relayer)
        try:
            found = await reader.chain_id_base()
        except (NodeError, ProtocolError) as error:
            raise FatalError(f"the contract at {config.zk_relayer} is not a ZkRelayer: check l1.zk_relayer") from error
        if found != expected:
            raise FatalError(f"the contract at {config.zk_relayer} is not a ZkRelayer of L1 chain {config.chain_id}")

    def _make_manager(self, signer: Signer, stack: contextlib.AsyncExitStack) -> None:
        fees = self.config.fees
        settings = ManagerSettings(
            confirmations=max(1, self.config.l1.confirmations),
            poll_interval=self.config.l1.poll_interval,
            bump_after=fees.bump_after,
            lease_seconds=self.config.node.lease_seconds,
            fees=FeeSettings(
                max_priority_fee=_wei(fees.max_priority_fee_gwei),
                max_fee_per_gas=_wei(fees.max_fee_gwei),
                max_fee_per_blob_gas=_wei(fees.max_blob_fee_gwei),
            ),
        )
        self.manager = EthTxManager(
            self.l1,
            signer,
            IntentRepository(self.store),
            settings,
            not_needed=DecidedSessions(self.store, ZkRelayerReader(self.l1, self.zk_relayer)),
            owner=self._owner,
        )
        stack.push_async_callback(self.manager.stop)

    def _start_engine(self, operator_key: bytes, stack: contextlib.AsyncExitStack) -> None:
        self.engine = _engine.Engine(
            persist=self.host.persist,
            wake=self.host.wake,
            call=self._answer,
            preconfirmation_key=operator_key,
            l1_chain_id=self.config.l1.chain_id,
            zk_relayer=self.zk_relayer,
            rpc_threads=self.config.node.rpc_threads,
            # Sessions that other processes open: what was unknown a moment ago is asked for again.
            limits={**self.config.limits.model_dump(), **({"unknown_ms": 0} if self.shares else {})},
        )
        self.host.attach(self.engine)
        stack.push_async_callback(asyncio.to_thread, self.host.release_all)
        stack.push_async_callback(asyncio.to_thread, self.engine.shutdown)

    def _compose(self, operator_key: bytes) -> None:
        l1, coordinator = self.config.l1, self.config.coordinator
        settings = CoordinatorSettings(
            zk_relayer=self.zk_relayer,
            l1_chain_id=l1.chain_id,
            batch_size=coordinator.batch_size,
            batch_delay=coordinator.batch_delay,
            checkpoint_blocks=coordinator.checkpoint_blocks,
            poll_interval=coordinator.poll_interval,
            retry_delay=coordinator.retry_delay,
        )
        if coordinator.enabled:
            stopper = Stopper(self.store, self.host, operator_key, settings) if coordinator.stop_expired else None
            self.coordinator = Coordinator(
                self.l1, self.store, self.manager, settings, self.host.policy, stopper, operator_key
            )
        self.relayer = Relayer(
            self.l1,
            self.store,
            self.host,
            RelayerSettings(
                zk_relayer=self.zk_relayer,
                l1_chain_id=l1.chain_id,
                start_block=l1.start_block,
                confirmations=l1.confirmations,
                log_range=l1.log_range,
                poll_interval=l1.poll_interval,
            ),
            self.config.node.data_dir / "archive",
            self._l1_changed,
            self._fence,
        )
        if coordinator.enabled and self.config.defence.enabled:
            self.defence = self._make_defence()
        low_balance = int(self.config.fees.low_balance_ether * 10**18)
        self.balance = BalanceWatch(self.l1, self.manager.address, low_balance)

    def _make_defence(self) -> Defence:
        config = self.config.defence
        games = tuple(game for game in self.host.policy.dispute_games if game != ZERO_ADDRESS)
        settings = DefenceSettings(
            zk_relayer=self.zk_relayer,
            l1_chain_id=self.config.l1.chain_id,
            dispute_games=games,
            parallel_proofs=config.parallel_proofs,
            poll_interval=config.poll_interval,
            retry_delay=config.retry_delay,
            withdraw_above=int(config.withdraw_above_ether * 10**18),
            claims_anew=config.claims_anew,
        )
        return Defence(self.l1, self.store, self.manager, settings, self._prover or self._local_prover(bool(games)))

    def _local_prover(self, needed: bool) -> Prover | None:
        """This machine's own prover; None where its program isn't there."""
        config = self.config.defence
        try:
            return LocalProver(
                self.config.node.data_dir / "proofs",
                program=config.prover,
                segment_memory=config.segment_memory << 20,
                slots=config.parallel_proofs,
            )
        except ProverMissing as error:
            if needed:
                log.warning("claims that are challenged will be lost", reason=str(error))
            return None

    def _compose_rpc(self) -> None:
        local = self.config.node.local_sessions
        identity = Identity(
            version=__version__,
            l1_chain_id=self.config.l1.chain_id,
            zk_relayer=self.zk_relayer,
            operator=self.operator,
            signer=self.manager.address,
            local_sessions=local,
            coordinator=self.coordinator is not None,
        )
        workshop = Workshop(self.store, self.host, self.config.l1.chain_id, self.zk_relayer) if local else None
        for methods in (
            NodeMethods(identity, self.store, self.l1, self.relayer, self.manager, self.host, self.balance),
            SessionMethods(self.store, self.host, self._public_url),
            BatchMethods(self.store),
            ClaimMethods(self.store),
            DisputeMethods(self.store),
            TransactionMethods(self.store),
            TemplateMethods(self.store, workshop, self._public_url),
        ):
            methods.register(self.registry)

    def _public_url(self) -> str:
        """Under which URL players reach the node."""
        return self.config.node.public_url or f"http://{self.config.node.host}:{self.port}"

    def _answer(self, method: str, params_json: str) -> str:
        """What the engine's JSON-RPC server asks for the methods that Python serves."""
        try:
            return self.registry.dispatch(method, params_json)
        except RpcError as error:
            data = None if error.data is None else json.dumps(error.data)
            raise _engine.RpcError(error.code, error.message, data) from error

    def _start_metrics(self, stack: contextlib.AsyncExitStack) -> None:
        if self.config.node.metrics_port:
            # The process that keeps the workers has the first.
            port = self.config.node.metrics_port + (1 + self.worker.number if self.worker else 0)
            stack.callback(serve_metrics(self.config.node.metrics_host, port, self.engine))

    async def _serve(self) -> None:
        """Answer JSON-RPC, and tell the other processes where."""
        node = self.config.node
        if self.shares:
            port = await asyncio.to_thread(self.engine.serve, node.peer_host, 0, peers=True)
            host = f"[{node.peer_host}]" if ":" in node.peer_host else node.peer_host
            self.peer_url = f"http://{host}:{port}"
            await asyncio.to_thread(self._announce)
        self.port = await asyncio.to_thread(self.engine.serve, node.host, node.port, share_port=self.worker is not None)

    # -- who leads --------------------------------------------------------------------------------------------------

    async def _join(self) -> None:
        """Take the lead, or find who has it. Raises `FatalError` when this node can't do either."""
        while not await self._lead():
            leader = await asyncio.to_thread(self._find_leader)
            if leader is not None:
                try:
                    await asyncio.to_thread(self._check_deployment, leader)
                    break
                except RpcFailure as error:
                    log.info("waiting for the process that leads", reason=str(error))
            await asyncio.sleep(JOIN_INTERVAL)

    async def _lead(self) -> bool:
        """Follow L1 and claim from now on; False when another process does.

        Raises `FatalError`, `KeyInUse` when that can't be, or when a task that keeps leases failed meanwhile.
        """
        if self.shares and await asyncio.to_thread(self._is_led):
            return False  # asked first, as an attempt to take the lease is a write
        try:
            self._node_lease = await asyncio.to_thread(
                self.store.leases.acquire, NODE_RESOURCE, self._owner, self.config.node.lease_seconds
            )
        except LeaseHeld as error:
            if self.shares:
                return False
            raise FatalError(
                f"another node ({error.owner}) uses {self.store.where}: stop it, give this one a database of its own, "
                "or set node.shared = true on both. "
                f"If it died, its lease is over in {error.expires_in:.0f} s"
            ) from error
        try:
            await self.manager.start()
        except KeyLeased:
            if not self.shares:
                raise
            # Whoever led until now hasn't noticed yet that it doesn't any more.
            await asyncio.to_thread(self._resign)
            return False
        self.supervisor.start("transactions", self.manager.run)
        await self._catch_up()
        self.engine.set_leader(None)
        self.supervisor.start("balance", self.balance.run)
        self.supervisor.start("relayer", self.relayer.run)
        if self.coordinator is not None:
            self.supervisor.start("coordinator", self.coordinator.run)
        if self.defence is not None:
            self.supervisor.start("defence", self.defence.run)
        return True

    async def _stand_by(self) -> None:
        """Pass requests to `/` on to the process that leads, and take its place when it is gone."""
        while not self.leads:
            self.engine.set_leader(await asyncio.to_thread(self._find_leader))
            try:
                led = await self._lead()
            except (FatalError, KeyInUse):
                raise
            except Exception as error:
                if not self.leads:
                    raise
                raise FatalError(f"this process can't take the lead: {error}") from error
            if led:
                log.info("this process leads now")
            await asyncio.sleep(JOIN_INTERVAL)

    def _is_led(self) -> bool:
        """Whether another process has the lead."""
        lease = self.store.leases.holder(NODE_RESOURCE)
        return lease is not None and lease.owner != self._owner

    def _find_leader(self) -> str | None:
        """Where the process that leads is reached; None while it isn't, or when there is none."""
        lease = self.store.leases.holder(NODE_RESOURCE)
        if lease is None or lease.owner == self._owner:
            return None
        found = [process for process in self.store.processes.all() if process.owner == lease.owner]
        return found[0].url if found else None

    def _check_deployment(self, leader: str) -> None:
        """Processes that share a database must be of one mind. Raises `FatalError`, and `RpcFailure`."""
        theirs = RpcClient(leader).call("zkcop_nodeInfo")
        ours = json.loads(self.registry.dispatch("zkcop_nodeInfo", "[]"))
        for key in ("version", "l1ChainId", "zkRelayer", "operator", "signer"):
            if theirs.get(key) != ours[key]:
                raise FatalError(
                    f"the node at {leader} uses {self.store.where} with {key} {theirs.get(key)}, this one has "
                    f"{ours[key]}: nodes that share a database need the same"
                )

    def _fence(self, tx: Connection) -> None:
        """Nobody else follows L1 until the transaction is over. Raises `FatalError` when somebody does by now."""
        if self._node_lease is None:
            raise FatalError("this process doesn't lead: it must not follow L1")
        try:
            self.store.leases.check(self._node_lease, connection=tx)
        except LeaseLost as error:
            raise FatalError(LEAD_LOST) from error

    def _announce(self) -> None:
        self.store.processes.announce(self._owner, self.peer_url, self.config.node.lease_seconds)

    def _resign(self) -> None:
        lease, self._node_lease = self._node_lease, None
        if lease is not None:
            self.store.leases.release([lease])

    def _leave(self) -> None:
        self._resign()
        if self.peer_url:
            self.store.processes.withdraw(self._owner)

    # -- tasks ------------------------------------------------------------------------------------------------------

    def _l1_changed(self) -> None:
        self.sync.notify()
        if self.coordinator is not None:
            self.coordinator.notify()
        if self.defence is not None:
            self.defence.notify()

    async def _catch_up(self) -> None:
        """L1 is the truth: what it did while the node was down is known before anything is served.

        Raises `FatalError` when that can't be, or when a task that keeps leases failed meanwhile.
        """
        catching_up = asyncio.create_task(self.relayer.catch_up())
        failing = asyncio.create_task(self.supervisor.failure())
        try:
            await asyncio.wait([catching_up, failing], return_when=asyncio.FIRST_COMPLETED)
            if failing.done():
                raise failing.result()
            await catching_up
        finally:
            for task in (catching_up, failing):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await catching_up

    def _start_tasks(self) -> None:
        self.supervisor.start("sessions", self.sync.run)
        self.supervisor.start("idle sessions", self._drop_idle)
        if self.shares:
            self.supervisor.start("standby", self._stand_by)
        if self.worker is not None:
            self.supervisor.start("parent", self._watch_parent)

    async def _renew_leases(self) -> None:
        """Raises `FatalError` when another node took this one's place (after a stall longer than the lease)."""
        seconds = self.config.node.lease_seconds
        while True:
            await asyncio.sleep(seconds / 3)
            if (lease := self._node_lease) is not None:
                try:
                    await asyncio.to_thread(self.store.leases.renew, [lease], seconds)
                except LeaseLost as error:
                    raise FatalError(LEAD_LOST) from error
            await asyncio.to_thread(self.host.renew)
            if self.peer_url:
                await asyncio.to_thread(self._announce)

    async def _watch_parent(self) -> None:
        """A worker doesn't outlive the process that would start it again. Raises `FatalError`."""
        assert self.worker is not None
        while True:
            if os.getppid() != self.worker.parent:
                raise FatalError("the process that started this worker is gone")
            await asyncio.sleep(1.0)

    async def _drop_idle(self) -> None:
        config = self.config.node
        pause = min(config.idle_seconds / 10 or MEMORY_INTERVAL, MEMORY_INTERVAL)
        while True:
            await asyncio.sleep(max(pause, 0.1))
            await asyncio.to_thread(
                self.host.drop_idle, config.idle_seconds, config.max_sessions, config.max_memory_mb << 20
            )


def _wei(gwei: Decimal) -> int:
    return int(gwei * 10**9)
