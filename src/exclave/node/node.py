"""The node: its parts, in the order in which they start and stop.

Start: data directory -> store -> leases -> keys -> L1 -> engine -> JSON-RPC -> tasks (leases, transactions, Relayer,
coordinator). Stop, on SIGINT or SIGTERM: tasks, then the engine (which finishes what it accepted), then the leases.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog
from prometheus_client import start_http_server

from exclave import __version__, _engine
from exclave.config import Config, LimitsConfig
from exclave.coordinator.coordinator import Coordinator
from exclave.coordinator.settings import CoordinatorSettings
from exclave.coordinator.stopper import Stopper
from exclave.l1.client import ClientSettings, L1Client
from exclave.l1.errors import L1Error
from exclave.l1.signers import Signer
from exclave.node.instance import InstanceLock
from exclave.node.keys import load_key, make_signer
from exclave.node.sessions import SessionHost
from exclave.node.supervisor import FatalError, Supervisor
from exclave.node.templates import Workshop
from exclave.protocol import address_bytes, address_of
from exclave.relayer.relayer import FOLLOWER, Relayer, RelayerSettings
from exclave.rpc.batches import BatchMethods
from exclave.rpc.claims import ClaimMethods
from exclave.rpc.errors import RpcError
from exclave.rpc.node_info import Identity, NodeMethods
from exclave.rpc.registry import Registry
from exclave.rpc.sessions import SessionMethods
from exclave.rpc.templates import TemplateMethods
from exclave.rpc.transactions import TransactionMethods
from exclave.store import Lease, LeaseHeld, LeaseLost, Store, StoreError

log = structlog.get_logger(__name__)


async def run_node(config: Config) -> int:
    """Run a node until SIGINT or SIGTERM; returns the process's exit code: 0 after a clean stop, 1 when it can't go on.

    What is wrong is logged with what to do about it.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with Node(config).running() as node:
            waiting = asyncio.create_task(stop.wait())
            failing = asyncio.create_task(node.supervisor.failure())
            await asyncio.wait([waiting, failing], return_when=asyncio.FIRST_COMPLETED)
            for task in (waiting, failing):
                task.cancel()
            if not stop.is_set():
                log.error("the node stops because it can't go on", reason=str(failing.result()))
                return 1
            log.info("stopping")
        return 0
    except (FatalError, StoreError, L1Error, _engine.EngineError, OSError) as error:
        log.error("the node can't start", reason=str(error))
        return 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        log.info("stopped")


class Node:
    """A node's parts. `running()` starts and stops them."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.zk_relayer = address_bytes(config.l1.zk_relayer)
        self.port = 0
        self.store: Store
        self.host: SessionHost
        self.engine: _engine.Engine
        self.l1: L1Client
        self.relayer: Relayer
        self.coordinator: Coordinator | None = None
        self.supervisor: Supervisor

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Node]:
        """Everything started; on leaving, everything stopped in the opposite order.

        Raises `FatalError`, `StoreError`, `L1Error`, `EngineError` or `OSError` when it can't start.
        """
        async with contextlib.AsyncExitStack() as stack:
            owner = await self._open_data_directory(stack)
            operator_key = await load_key(self.config.operator, "operator", self.config.l1.chain_id)
            signer = await make_signer(self.config.signer, self.config.l1.chain_id)
            operator = address_of(operator_key)
            self._node_lease = await self._take_operator(operator, owner, stack)
            self.l1 = await self._connect_to_l1(stack)
            manager = await self._start_manager(signer, owner, stack)
            self.host = SessionHost(self.store, owner, self.config.node.lease_seconds, operator)
            self._start_engine(operator_key, stack)
            self._compose(operator_key, manager)
            registry = self._registry(operator, manager)
            self._call = registry.dispatch
            self.port = await asyncio.to_thread(self.engine.serve, self.config.node.host, self.config.node.port)
            self._start_metrics(stack)
            self.supervisor = Supervisor((FatalError,))
            stack.push_async_callback(self.supervisor.stop)
            self._start_tasks(manager)
            log.info(
                "node started",
                version=__version__,
                rpc=f"http://{self.config.node.host}:{self.port}",
                l1_chain_id=self.config.l1.chain_id,
                zk_relayer=self.config.l1.zk_relayer,
                operator="0x" + operator.hex(),
                signer="0x" + signer.address.hex(),
            )
            yield self
