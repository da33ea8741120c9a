"""A client of JSON-RPC over WebSocket, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from support.rpc import Session


class Socket:
    """A WebSocket client that keeps notifications apart from answers."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.notifications: dict[str, list[Any]] = {}
        self._id = 0

    async def receive(self) -> Any:
        async with asyncio.timeout(30):
            message = json.loads(await self.connection.recv())
        if isinstance(message, dict) and message.get("method") == "eth_subscription":
            params = message["params"]
            self.notifications.setdefault(params["subscription"], []).append(params["result"])
            return None
        return message

    async def __call__(self, method: str, *params: Any) -> Any:
        self._id += 1
        await self.connection.send(json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}))
        while (message := await self.receive()) is None:
            pass
        assert message["id"] == self._id
        return message["result"] if "result" in message else message["error"]

    async def heard(self, subscription: str, count: int) -> list[Any]:
        while len(self.notifications.get(subscription, [])) < count:
            await self.receive()
        return self.notifications[subscription]


@asynccontextmanager
async def open_socket(session: Session) -> AsyncIterator[Socket]:
    async with connect(session.url.replace("http", "ws"), max_size=None) as connection:
        yield Socket(connection)
