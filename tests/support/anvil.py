"""A real L1 node of the tests' own: anvil under Osaka rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

BINARY = Path(__file__).parents[2] / "toolchain" / "bin" / "anvil"
MNEMONIC = "test test test test test test test test test test test junk"
CHAIN_ID = 31337
ETHER = 10**18

Account.enable_unaudited_hdwallet_features()


def account(index: int) -> LocalAccount:
    """One of the accounts that anvil funds with 10,000 ether."""
    return Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")


class RpcFailure(Exception):
    """The node answered with an error; `error` is its JSON."""

    def __init__(self, error: Any) -> None:
        self.error = error
        super().__init__(json.dumps(error))


@dataclass
class Anvil:
    """A running anvil. Its helpers are synchronous: tests prepare and look with them."""

    url: str
    process: subprocess.Popen[bytes]
    chain_id: int = CHAIN_ID
    _id: int = field(default=0, repr=False)

    def rpc(self, method: str, *params: Any, timeout: float = 30) -> Any:
        """Call any JSON-RPC method; raises `RpcFailure`."""
        self._id += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            answer = json.load(response)
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.rpc("evm_mine")

    def reorg(self, depth: int, transactions: list[tuple[str, int]] | None = None) -> None:
        """Replace the last `depth` blocks by others, empty but for `transactions` (raw, block index)."""
        self.rpc("anvil_reorg", depth, transactions or [])

    def block_number(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def balance(self, address: str) -> int:
        return int(self.rpc("eth_getBalance", address, "latest"), 16)

    def set_balance(self, address: str, wei: int) -> None:
        self.rpc("anvil_setBalance", address, hex(wei))

    def nonce(self, address: str, block: str = "latest") -> int:
        return int(self.rpc("eth_getTransactionCount", address, block), 16)

    def set_next_base_fee(self, wei: int) -> None:
        self.rpc("anvil_setNextBlockBaseFeePerGas", hex(wei))

    def drop(self, transaction_hash: str) -> None:
        """Take a transaction out of the pool."""
        self.rpc("anvil_dropTransaction", transaction_hash)

    def deploy(self, code: str, deployer: int = 9) -> str:
        """Deploy creation code from one of anvil's own accounts and mine; returns the contract's address."""
        sender = account(deployer).address
        transaction = self.rpc("eth_sendTransaction", {"from": sender, "data": code, "gas": hex(15_000_000)})
        receipt = self.rpc("eth_getTransactionReceipt", transaction)
        if receipt is None:
            self.mine()
            receipt = self.rpc("eth_getTransactionReceipt", transaction)
        assert receipt["status"] == "0x1", receipt
        return str(receipt["contractAddress"])

    def stop(self) -> None:
        """Kill the node; calling it again does nothing."""
        self.process.kill()
        self.process.wait(30)


@contextmanager
def run_anvil(*arguments: str) -> Iterator[Anvil]:
    """Anvil on a free port, mining each transaction at once unless `arguments` say otherwise (`--no-mining`)."""
    if not BINARY.exists():
        raise RuntimeError("anvil is not installed: run scripts/setup")
    command = [str(BINARY), "--host", "127.0.0.1", "--port", "0", "--hardfork", "osaka", "--enable-tx-gas-limit"]
    command += arguments
    if shutil.which("setpriv"):
        # The node ends with the tests, even when they are killed.
        command = ["setpriv", "--pdeathsig", "KILL", *command]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while True:
                output.seek(0)
                text = output.read().decode(errors="replace")
                listening = re.search(r"Listening on (127\.0\.0\.1:\d+)", text)
                if listening:
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"anvil did not start: {text}")
                time.sleep(0.02)
            node = Anvil(f"http://{listening[1]}", process)
            node.chain_id = int(node.rpc("eth_chainId"), 16)
            yield node
        finally:
            process.kill()
            process.wait(30)
