"""A key, a store, a node, and the managers that a test starts on them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from l1.counter import INCREMENT, Counter
from support.anvil import Anvil, account

from exclave.l1 import (
    ClientSettings,
    EthTxManager,
    Intent,
    IntentRecord,
    IntentState,
    L1Client,
    LocalSigner,
    ManagerSettings,
)
from exclave.l1.fees import FeeSettings
from exclave.store import Store


class Clock:
    """Time that only passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


FINAL = (IntentState.CONFIRMED, IntentState.FAILED, IntentState.ABANDONED)
FAST_CLIENT = ClientSettings(timeout=5.0, rounds=2, backoff=0.0)


@dataclass
class Bench:
    """One key, one store and one node, and as many managers as a test starts on them."""

    node: Anvil
    store: Store
    clock: Clock
    counter: Counter
    exits: AsyncExitStack
    key_index: int = 1
    settings: dict[str, Any] = field(default_factory=dict)
    fees: dict[str, Any] = field(default_factory=dict)

    @property
    def signer(self) -> LocalSigner:
        return LocalSigner(bytes(account(self.key_index).key))

    @property
    def sender(self) -> str:
        return account(self.key_index).address

    async def client(self, *urls: str, settings: ClientSettings = FAST_CLIENT) -> L1Client:
        client = L1Client(urls or (self.node.url,), self.node.chain_id, settings)
        self.exits.push_async_callback(client.close)
        return client

    async def manager(self, client: L1Client | None = None, *, start: bool = True, **arguments: Any) -> EthTxManager:
        settings = ManagerSettings(
            **{"confirmations": 3, "poll_interval": 0.05, **self.settings}, fees=FeeSettings(**self.fees)
        )

        async def sleep(seconds: float) -> None:
            self.clock.seconds += seconds

        manager = EthTxManager(
            client or await self.client(),
            arguments.pop("signer", self.signer),
            arguments.pop("store", self.store.intents),
            settings,
            clock=self.clock,
            sleep=sleep,
            **arguments,
        )
        if start:
            await manager.start()
            self.exits.push_async_callback(manager.stop)
        return manager

    def intent(self, key: str = "count", data: bytes = INCREMENT, **fields: Any) -> Intent:
        return Intent(**{"key": key, "to": self.counter.address, "data": data, **fields})

    async def settle(self, manager: EthTxManager, key: str = "count", *, steps: int = 30) -> IntentRecord:
        """Steps and blocks until an intent is final."""
        for _ in range(steps):
            await manager.step()
            record = await manager.status(key)
            if record.state in FINAL:
                return record
            self.node.mine()
        raise AssertionError(f"not final after {steps} steps: {record}")
