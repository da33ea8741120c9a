"""The node: its parts, in the order in which they start and stop.

Start: data directory -> store -> leases -> keys -> L1 -> engine -> tasks that keep what was taken (leases,
transactions) -> the Relayer catches up with L1 -> JSON-RPC -> the other tasks (Relayer, coordinator). Nothing is served
before the store agrees with L1: a session that L1 replaced or decided while the node was down must not be played on.
Stop, on SIGINT or SIGTERM, also while starting: tasks, then the engine (which finishes what it accepted), then leases.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from decimal import Decimal

import structlog

from exclave import __version__, _engine
from exclave.config import Config
from exclave.coordinator.calls import ZkRelayerReader
from exclave.coordinator.coordinator import Coordinator
from exclave.coordinator.settings import CoordinatorSettings
from exclave.coordinator.stopper import Stopper
from exclave.l1.client import ClientSettings, L1Client
from exclave.l1.errors import L1Error, NodeError
from exclave.l1.fees import FeeSettings
from exclave.l1.intents import KeyInUse
from exclave.l1.signers import Signer
from exclave.l1.transaction_manager import EthTxManager, ManagerSettings
from exclave.node.acceptance import AcceptancePolicy
from exclave.node.balance import BalanceWatch
from exclave.node.instance import InstanceLock
from exclave.node.keys import load_key, make_signer
from exclave.node.metrics import serve_metrics
from exclave.node.sessions import SessionHost
from exclave.node.supervisor import FatalError, Supervisor
from exclave.node.templates import Workshop
from exclave.protocol import ProtocolError, address_bytes, address_of, chain_id_base
from exclave.relayer.relayer import Relayer, RelayerSettings
from exclave.rpc.batches import BatchMethods
from exclave.rpc.claims import ClaimMethods
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
"""The name of the lease whose holder may use the database."""


async def run_node(config: Config) -> int:
    """Run a node until SIGINT or SIGTERM; returns the process's exit code: 0 after a clean stop, 1 when it can't go on.

    What is wrong is logged with what to do about it.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    waiting = asyncio.create_task(stop.wait())
    try:
        async with contextlib.AsyncExitStack() as stack:
            # It may wait for L1 for long, and must be stoppable meanwhile.
            starting = asyncio.create_task(stack.enter_async_context(Node(config).running()))
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
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        log.info("stopped")


class Node:
    """A node's parts. `running()` starts and stops them."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.zk_relayer = address_bytes(config.l1.zk_relayer)
        self.registry = Registry("Exclave", __version__)
        self.coordinator: Coordinator | None = None
        self.port = 0
        self.operator: bytes
        self.store: Store
        self.host: SessionHost
        self.engine: _engine.Engine
        self.l1: L1Client
        self.manager: EthTxManager
        self.relayer: Relayer
        self.balance: BalanceWatch
        self.supervisor: Supervisor
        self._node_lease: Lease

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Node]:
        """Everything started; on leaving, everything stopped in the opposite order.

        Raises `FatalError`, `StoreError`, `L1Error`, `EngineError` or `OSError` when it can't start.
        """
        async with contextlib.AsyncExitStack() as stack:
            owner = await self._open_data_directory(stack)
            operator_key = await load_key(self.config.operator, "operator", self.config.l1.chain_id)
            signer = await make_signer(self.config.signer, self.config.l1.chain_id)
            self.operator = address_of(operator_key)
            await self._take_database(owner, stack)
            await self._connect_to_l1(stack)
            await self._start_manager(signer, owner, stack)
            policy = AcceptancePolicy.of(self.config.accept, self.operator)
            self.host = SessionHost(self.store, owner, self.config.node.lease_seconds, policy)
            self._start_engine(operator_key, stack)
            self._compose(operator_key)
            self._compose_rpc()
            self._start_metrics(stack)
            self.supervisor = Supervisor((FatalError, KeyInUse))
            stack.push_async_callback(self.supervisor.stop)
            self.supervisor.start("leases", self._renew_leases)
            self.supervisor.start("transactions", self.manager.run)
            await self._catch_up()
            self.port = await asyncio.to_thread(self.engine.serve, self.config.node.host, self.config.node.port)
            self._start_tasks()
            log.info(
                "node started",
                version=__version__,
                rpc=f"http://{self.config.node.host}:{self.port}",
                l1_chain_id=self.config.l1.chain_id,
                zk_relayer=self.config.l1.zk_relayer,
                operator="0x" + self.operator.hex(),
                signer="0x" + signer.address.hex(),
            )
            yield self

    # -- start, in this order ---------------------------------------------------------------------------------------

    async def _open_data_directory(self, stack: contextlib.AsyncExitStack) -> str:
        """Lock the directory, open and migrate the store; returns the name under which leases are held."""
        lock = InstanceLock(self.config.node.data_dir)
        owner = lock.acquire()
        stack.callback(lock.release)
        self.store = Store(self.config.database_url)
        stack.callback(self.store.close)
        before, after = await asyncio.to_thread(self.store.migrate)
        if before != after:
            log.info("database migrated", before=before, after=after)
        return owner

    async def _take_database(self, owner: str, stack: contextlib.AsyncExitStack) -> None:
        """One node for a database at a time: two would follow L1 with one cursor, and signing with one operator key,
        contradict each other.
        """
        try:
            self._node_lease = await asyncio.to_thread(
                self.store.leases.acquire, NODE_RESOURCE, owner, self.config.node.lease_seconds
            )
        except LeaseHeld as error:
            raise FatalError(
                f"another node ({error.owner}) uses {self.store.where}: stop it, or give this one a database of its "
                f"own. If it died, its lease is over in {error.expires_in:.0f} s"
            ) from error
        stack.push_async_callback(asyncio.to_thread, self._release_database)

    def _release_database(self) -> None:
        self.store.leases.release([self._node_lease])

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

    async def _start_manager(self, signer: Signer, owner: str, stack: contextlib.AsyncExitStack) -> None:
        """EthTxManager becomes the owner of the signer's nonces. Raises `KeyInUse`."""
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
        self.manager = EthTxManager(self.l1, signer, IntentRepository(self.store), settings, owner=owner)
        await self.manager.start()
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
            limits=self.config.limits.model_dump(),
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
            self.coordinator.notify if self.coordinator else lambda: None,
        )
        low_balance = int(self.config.fees.low_balance_ether * 10**18)
        self.balance = BalanceWatch(self.l1, self.manager.address, low_balance)

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
            stack.callback(serve_metrics(self.config.node.metrics_host, self.config.node.metrics_port))

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
        self.supervisor.start("balance", self.balance.run)
        self.supervisor.start("relayer", self.relayer.run)
        self.supervisor.start("idle sessions", self._drop_idle)
        if self.coordinator is not None:
            self.supervisor.start("coordinator", self.coordinator.run)

    async def _renew_leases(self) -> None:
        """Raises `FatalError` when another node took this one's place (after a stall longer than the lease)."""
        while True:
            await asyncio.sleep(self.config.node.lease_seconds / 3)
            try:
                renewed = await asyncio.to_thread(
                    self.store.leases.renew, [self._node_lease], self.config.node.lease_seconds
                )
            except LeaseLost as error:
                raise FatalError(
                    "another node took over this one's database while this one was stalled: it must not sign on"
                ) from error
            self._node_lease = renewed[0]
            await asyncio.to_thread(self.host.renew)

    async def _drop_idle(self) -> None:
        config = self.config.node
        pause = min(config.idle_seconds / 10 or MEMORY_INTERVAL, MEMORY_INTERVAL)
        while True:
            await asyncio.sleep(max(pause, 0.1))
            await asyncio.to_thread(self.host.drop_idle, config.idle_seconds, config.max_sessions)


def _wei(gwei: Decimal) -> int:
    return int(gwei * 10**9)
