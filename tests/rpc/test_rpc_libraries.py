"""The libraries that players use, on a session as on any chain: web3.py and viem."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest
from eth_utils import to_checksum_address
from support.engine import PLAYERS
from support.rpc import Session, probe_code
from web3 import AsyncHTTPProvider, AsyncWeb3, WebSocketProvider
from web3.exceptions import BadFunctionCallOutput, ContractLogicError, TransactionNotFound, Web3RPCError
from web3.logs import DISCARD

ROOT = Path(__file__).parents[2]
ABI = [
    {"type": "function", "name": name, "stateMutability": mutability, "inputs": inputs, "outputs": outputs}
    for name, mutability, inputs, outputs in [
        ("counter", "view", [], [{"name": "", "type": "uint256"}]),
        ("note", "nonpayable", [{"name": "key", "type": "uint256"}, {"name": "data", "type": "bytes"}], []),
        ("failText", "pure", [], []),
    ]
] + [
    {
        "type": "event",
        "name": "Noted",
        "anonymous": False,
        "inputs": [
            {"name": "by", "type": "address", "indexed": True},
            {"name": "key", "type": "uint256", "indexed": True},
            {"name": "data", "type": "bytes", "indexed": False},
        ],
    }
]


async def test_web3_plays_over_http(session: Session) -> None:
    web3 = AsyncWeb3(AsyncHTTPProvider(session.url))
    player = PLAYERS[5]
    assert await web3.eth.chain_id == session.chain_id and await web3.is_connected()
    deployment = web3.eth.contract(abi=ABI, bytecode=probe_code()).constructor()
    transaction = await deployment.build_transaction({"from": player.address, "nonce": 0})
    assert transaction["maxPriorityFeePerGas"] == 0
    transaction_hash = await web3.eth.send_raw_transaction(player.sign_transaction(transaction).raw_transaction)
    receipt = await web3.eth.wait_for_transaction_receipt(transaction_hash)
    contract = web3.eth.contract(address=receipt["contractAddress"], abi=ABI)
    nonce = await web3.eth.get_transaction_count(player.address, "pending")
    call = await contract.functions.note(7, b"hello").build_transaction({"from": player.address, "nonce": nonce})
    receipt = await web3.eth.wait_for_transaction_receipt(
        await web3.eth.send_raw_transaction(player.sign_transaction(call).raw_transaction)
    )
    assert receipt["status"] == 1 and await contract.functions.counter().call() == 1
    [noted] = contract.events.Noted().process_receipt(receipt, errors=DISCARD)
    assert noted["args"] == {"by": player.address, "key": 7, "data": b"hello"}
    [logged] = await contract.events.Noted.get_logs(from_block=0, argument_filters={"key": 7})
    assert logged["args"]["data"] == b"hello"
    with pytest.raises(ContractLogicError, match="no luck"):
        await contract.functions.failText().call()
    with pytest.raises(Web3RPCError, match="nonce too low"):
        await web3.eth.send_raw_transaction(player.sign_transaction({**call, "nonce": 0}).raw_transaction)
    with pytest.raises(TransactionNotFound):
        await web3.eth.get_transaction(b"\0" * 32)
    with pytest.raises(BadFunctionCallOutput):
        await web3.eth.contract(address=to_checksum_address("0x" + "12" * 20), abi=ABI).functions.counter().call()
    block = await web3.eth.get_block("latest", full_transactions=True)
    assert block["transactions"][0]["hash"] == receipt["transactionHash"]
    assert (await web3.eth.get_block("pending"))["number"] == block["number"] + 1
    assert (await web3.eth.get_block(1, full_transactions=True))["transactions"][0]["type"] == 0x7E
    history = await web3.eth.fee_history(2, "latest", [50.0])
    assert history["reward"] == [[0], [0]]
    filter_id = (await web3.eth.filter("latest")).filter_id
    assert await web3.eth.get_filter_changes(filter_id) == []
    await web3.provider.disconnect()


async def test_web3_hears_over_websocket(session: Session) -> None:
    async with AsyncWeb3(WebSocketProvider(session.url.replace("http", "ws"))) as web3:
        heads = await web3.eth.subscribe("newHeads")
        logs = await web3.eth.subscribe("logs", {"address": to_checksum_address(session.probe)})
        receipt = await asyncio.to_thread(session.send, "note(uint256,bytes)", 3, b"x")
        heard: dict[str, list[str]] = {heads: [], logs: []}
        async for message in web3.socket.process_subscriptions():
            result = message["result"]
            heard[message["subscription"]].append(
                result["hash" if message["subscription"] == heads else "blockHash"].to_0x_hex()
            )
            if len(heard[heads]) == 1 and len(heard[logs]) == 2:
                break
        assert heard == {heads: [receipt["blockHash"]], logs: [receipt["blockHash"]] * 2}
        assert await web3.eth.unsubscribe(heads)


def test_viem_plays_and_hears(session: Session) -> None:
    """viem's wallet and public clients, HTTP and WebSocket, as MUD's clients use them."""
    environment = {
        **os.environ,
        "SESSION_URL": session.url,
        "CHAIN_ID": str(session.chain_id),
        "PRIVATE_KEY": "0x" + bytes(PLAYERS[6].key).hex(),
        "PROBE": session.probe,
        "ABI": json.dumps(ABI),
        "VIEM": str(ROOT / "games" / "holdfast" / "node_modules" / "viem"),
    }
    script = Path(__file__).with_name("viem_client.cjs")
    done = subprocess.run(["node", script], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    receipt = session.client("eth_getTransactionReceipt", seen["hash"])
    assert receipt["status"] == "0x1" and seen["status"] == "success"
    assert seen["counter"] == "1" and seen["heads"] == [int(receipt["blockNumber"], 16)]
    assert seen["noted"] == ["9"] and seen["logs"] == 1
    assert "no luck" in seen["revert"] and seen["tooLow"] == "NonceTooLowError" and seen["systemType"] == "0x7e"
