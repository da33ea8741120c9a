"""Single transactions of an account of a user's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from l1.bench import FAST_CLIENT
from l1.proxy import Proxy
from support.anvil import Anvil, account
from support.watchtower import eventually

from exclave.l1 import L1Client, LocalSigner, single
from exclave.l1.blobs import pack_blobs
from exclave.l1.single import send

SIGNER = LocalSigner(bytes(account(1).key))
TO = b"\x55" * 20

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def node(anvil: Callable[..., Anvil]) -> Anvil:
    return anvil("--no-mining")


@pytest.fixture
def proxy(node: Anvil) -> Iterator[Proxy]:
    made = Proxy(node.url)
    yield made
    made.stop()


async def pending(node: Anvil) -> dict[str, Any]:
    """The transaction in the pool, once there is one."""
    while True:
        content = await asyncio.to_thread(node.rpc, "txpool_content")
        for account_content in content["pending"].values():
            for transaction in account_content.values():
                return dict(transaction)
        await asyncio.sleep(0.02)


async def test_what_was_sent_is_waited_for_though_l1_does_not_answer_meanwhile(node: Anvil, proxy: Proxy) -> None:
    async with L1Client([proxy.url], node.chain_id, FAST_CLIENT) as l1:
        sending = asyncio.create_task(send(l1, SIGNER, TO, b"", 1))
        sent = await pending(node)
        proxy.status, proxy.body = 503, b""
        asked = len(proxy.methods)
        await eventually(lambda: len(proxy.methods) > asked + 2 * FAST_CLIENT.rounds)
        await asyncio.to_thread(node.mine)
        proxy.status, proxy.body = 200, None
        receipt = await sending
        assert "0x" + receipt.transaction_hash.hex() == sent["hash"]


@pytest.mark.parametrize("blobs", [(), pack_blobs(b"data")], ids=["plain", "blobs"])
async def test_what_a_pool_dropped_is_offered_again(
    node: Anvil, monkeypatch: pytest.MonkeyPatch, blobs: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(single, "OFFER_SECONDS", 0.1)
    async with L1Client([node.url], node.chain_id) as l1:
        sending = asyncio.create_task(send(l1, SIGNER, TO, b"", 1, blobs=blobs))
        sent = await pending(node)
        await asyncio.to_thread(node.rpc, "anvil_dropAllTransactions")
        assert (await pending(node))["hash"] == sent["hash"]
        await asyncio.to_thread(node.mine)
        assert (await sending).success
