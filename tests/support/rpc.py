"""A client of JSON-RPC for tests: plain requests, nothing hidden."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from eth_abi import decode, encode
from eth_utils import to_checksum_address

from exclave.protocol import keccak256
from support.engine import PLAYERS, Node, chain_id

SOLC = Path(__file__).parents[2] / "toolchain" / "bin" / "solc-0.8.24"
PROBE = Path(__file__).parents[1] / "rpc" / "probe.sol"


class RpcFailure(Exception):
    """The error of a response."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(json.dumps(error))
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class Client:
    """JSON-RPC by HTTP."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(timeout=60)
        self._id = 0

    def __call__(self, method: str, *params: Any) -> Any:
        self._id += 1
        answer = self.post({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        assert answer["jsonrpc"] == "2.0" and answer["id"] == self._id
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def post(self, body: Any) -> Any:
        response = self.http.post(self.url, json=body)
        assert response.status_code == 200 and response.headers["content-type"] == "application/json"
        return response.json()

    def failure(self, method: str, *params: Any) -> RpcFailure:
        """The error that a request gets; one that succeeds is a failed test."""
        try:
            result = self(method, *params)
        except RpcFailure as failure:
            return failure
        raise AssertionError(f"{method}{params} succeeded: {result}")


@cache
def probe_code() -> str:
    """Creation code of `tests/rpc/probe.sol`."""
    settings = {
        "optimizer": {"enabled": True},
        "evmVersion": "cancun",
        "outputSelection": {"*": {"Probe": ["evm.bytecode.object"]}},
    }
    sources = {"probe.sol": {"content": PROBE.read_text()}}
    request = json.dumps({"language": "Solidity", "sources": sources, "settings": settings})
    output = json.loads(
        subprocess.run([SOLC, "--standard-json"], input=request, capture_output=True, text=True, check=True).stdout
    )
    assert "contracts" in output, output.get("errors")
    return "0x" + str(output["contracts"]["probe.sol"]["Probe"]["evm"]["bytecode"]["object"])


def call_data(signature: str, *arguments: Any) -> str:
    """ABI-encoded call: `call_data("set(uint256,uint256)", 1, 2)`."""
    types = signature[signature.index("(") + 1 : -1]
    return "0x" + (keccak256(signature.encode())[:4] + encode(types.split(",") if types else [], arguments)).hex()


def words(types: str, data: str) -> Any:
    """Decoded return data."""
    return decode(types.split(","), bytes.fromhex(data[2:]))


@dataclass
class Session:
    """A session with the probe contract, and the client of its URL."""

    node: Node
    id: int
    url: str
    client: Client
    probe: str = ""
    nonce: int = 0

    @property
    def chain_id(self) -> int:
        return chain_id(self.id)

    @property
    def player(self) -> Any:
        return PLAYERS[0]

    def sign(self, *, signer: Any = None, **fields: Any) -> str:
        """A signed transaction: the player's next call of the probe, but for `fields`; None leaves one out."""
        values = {
            "chainId": self.chain_id,
            "nonce": self.nonce,
            "to": to_checksum_address(self.probe) if self.probe else None,
            "value": 0,
            "gas": 1_000_000,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
            **fields,
        }
        transaction = {name: value for name, value in values.items() if value is not None}
        return str((signer or self.player).sign_transaction(transaction).raw_transaction.to_0x_hex())

    def send(self, signature: str = "note(uint256,bytes)", *arguments: Any, **fields: Any) -> Any:
        """Sends a call of the probe and returns its receipt."""
        data = call_data(signature, *(arguments or (1, b"")) if signature.startswith("note(") else arguments)
        transaction_hash = self.client("eth_sendRawTransaction", self.sign(data=data, **fields))
        self.nonce += 1
        return self.client("eth_getTransactionReceipt", transaction_hash)

    def deploy(self) -> None:
        receipt = self.client("eth_sendRawTransactionSync", self.sign(data=probe_code(), to=None, gas=5_000_000))
        self.nonce += 1
        assert receipt["status"] == "0x1", receipt
        self.probe = receipt["contractAddress"]

    def call(self, signature: str, *arguments: Any, block: Any = "latest", **fields: Any) -> str:
        request = {"to": self.probe, "input": call_data(signature, *arguments), **fields}
        return str(self.client("eth_call", request, block))
