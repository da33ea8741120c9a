"""The demo's L1: funded accounts, the contracts, and a record of every transaction."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass

from eth_account import Account
from eth_account.signers.local import LocalAccount

from exclave import contracts
from exclave.l1.client import CallRequest, L1Client
from exclave.l1.payloads import encode_call, encode_creation
from exclave.l1.signers import LocalSigner
from exclave.l1.single import send
from exclave.l1.values import L1Receipt
from exclave.protocol import address_bytes

FUNDS = 100 * 10**18
MIN_CHALLENGE_WINDOW = 1


@dataclass(frozen=True, slots=True)
class SentTransaction:
    """A transaction for the final table; the fee, that of blobs included, is in wei."""

    label: str
    sender: bytes
    transaction_hash: bytes
    block_number: int
    gas_used: int
    fee: int


def sent_transaction(label: str, sender: bytes, receipt: L1Receipt) -> SentTransaction:
    fee = receipt.gas_used * receipt.effective_gas_price
    fee += (receipt.blob_gas_used or 0) * (receipt.blob_gas_price or 0)
    return SentTransaction(label, sender, receipt.transaction_hash, receipt.block_number, receipt.gas_used, fee)


class DemoChain:
    """An anvil, as the demo and its game use it."""

    def __init__(self, client: L1Client) -> None:
        self.client = client
        self.zk_relayer = b""
        self.deployed_in = 0
        self.sent: list[SentTransaction] = []
        self._sending: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def new_account(self) -> LocalAccount:
        """A fresh account with ether."""
        account: LocalAccount = Account.create()
        await self.client.request("anvil_setBalance", [account.address, hex(FUNDS)])
        return account

    async def send(self, label: str, sender: LocalAccount, to: bytes | None, data: bytes, value: int = 0) -> L1Receipt:
        """Send a transaction, wait for it, and keep it for the table."""
        async with self._sending[sender.address]:  # one at a time: its nonce is counted by L1
            receipt = await send(self.client, LocalSigner(bytes(sender.key)), to, data, value)
        self.sent.append(sent_transaction(label, address_bytes(sender.address), receipt))
        return receipt

    async def call(self, to: bytes, data: bytes) -> bytes:
        return await self.client.call(CallRequest(to=to, data=data))

    async def deposit_of(self, account: LocalAccount) -> int:
        """Wei that an account has in ZkRelayer for bonds, free and locked."""
        call = encode_call(contracts.load("ZkRelayer"), "bondAccount", account.address)
        answer = await self.call(self.zk_relayer, call)
        return int.from_bytes(answer[:32], "big") + int.from_bytes(answer[32:64], "big")

    async def deploy_zk_relayer(self, deployer: LocalAccount) -> None:
        data = encode_creation(contracts.load("ZkRelayer"), MIN_CHALLENGE_WINDOW)
        receipt = await self.send("deploy ZkRelayer", deployer, None, data)
        assert receipt.contract_address is not None
        self.zk_relayer, self.deployed_in = receipt.contract_address, receipt.block_number

    async def register_template(self, deployer: LocalAccount, state_root: bytes, data_hash: bytes) -> None:
        data = encode_call(contracts.load("ZkRelayer"), "registerTemplate", state_root, data_hash, "")
        await self.send("register the template", deployer, self.zk_relayer, data)
