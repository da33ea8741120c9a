"""Blocks, transactions, receipts, accounts and proofs: their values, and their shapes beside those of a real node."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import to_checksum_address
from support.anvil import Anvil, account
from support.engine import COUNTER, OPERATOR_KEY, PLAYERS, config_hash, forced_transaction, seed, wait_until
from support.rpc import Session, call_data, probe_code

from exclave.protocol import keccak256
from exclave.protocol.constants import PREDEPLOY, SYSTEM_ADDRESS

ZERO_WORD = "0x" + "00" * 32
EMPTY_CODE = "0x" + keccak256(b"").hex()
EMPTY_ROOT = "0x" + keccak256(rlp.encode(b"")).hex()
NOBODY = "0x" + "77" * 20


def test_node_and_chain(session: Session) -> None:
    client = session.client
    assert client("eth_chainId") == hex(session.chain_id)
    assert client("net_version") == str(session.chain_id)
    assert client("net_listening") is True and client("net_peerCount") == "0x0"
    assert client("eth_syncing") is False and client("eth_accounts") == []
    assert client("eth_gasPrice") == client("eth_maxPriorityFeePerGas") == "0x0"
    assert client("eth_blobBaseFee") == "0x1"
    assert client("web3_sha3", "0x68656c6c6f") == "0x" + keccak256(b"hello").hex()
    assert client("eth_blockNumber") == hex(session.node.info(session.id).number)


def test_genesis_header_is_that_of_the_protocol(session: Session) -> None:
    block = session.client("eth_getBlockByNumber", "earliest", False)
    assert (
        block["number"] == "0x0"
        and block["transactions"] == []
        and block["uncles"] == []
        and block["withdrawals"] == []
    )
    assert block["extraData"] == "0x" + config_hash(session.id).hex()
    assert block["mixHash"] == "0x" + seed(session.id).hex()
    assert block["baseFeePerGas"] == block["blobGasUsed"] == block["excessBlobGas"] == "0x0"
    assert block["gasLimit"] == hex(30_000_000)


def test_hash_is_that_of_the_header_shown(session: Session) -> None:
    """The JSON of a header has all that its hash commits to."""
    fields = [
        "parentHash",
        "sha3Uncles",
        "miner",
        "stateRoot",
        "transactionsRoot",
        "receiptsRoot",
        "logsBloom",
        "difficulty",
        "number",
        "gasLimit",
        "gasUsed",
        "timestamp",
        "extraData",
        "mixHash",
        "nonce",
        "baseFeePerGas",
        "withdrawalsRoot",
        "blobGasUsed",
        "excessBlobGas",
        "parentBeaconBlockRoot",
        "requestsHash",
    ]
    quantities = {
        "difficulty",
        "number",
        "gasLimit",
        "gasUsed",
        "timestamp",
        "baseFeePerGas",
        "blobGasUsed",
        "excessBlobGas",
    }
    session.send()
    for number in range(int(session.client("eth_blockNumber"), 16) + 1):
        block = session.client("eth_getBlockByNumber", hex(number), False)
        header = [int(block[name], 16) if name in quantities else bytes.fromhex(block[name][2:]) for name in fields]
        encoded = rlp.encode(
            [rlp.sedes.big_endian_int.serialize(item) if isinstance(item, int) else item for item in header]
        )
        assert block["hash"] == "0x" + keccak256(encoded).hex()


def test_blocks_are_found_by_number_tag_and_hash(session: Session) -> None:
    client = session.client
    receipt = session.send()
    by_number = client("eth_getBlockByNumber", receipt["blockNumber"], False)
    assert by_number == client("eth_getBlockByHash", receipt["blockHash"], False)
    for tag in ["latest", "safe", "finalized"]:
        assert client("eth_getBlockByNumber", tag, False) == by_number
    assert by_number["transactions"] == [receipt["transactionHash"]]
    full = client("eth_getBlockByNumber", receipt["blockNumber"], True)
    assert full["transactions"] == [client("eth_getTransactionByHash", receipt["transactionHash"])]
    assert {**full, "transactions": by_number["transactions"]} == by_number
    body = session.node.store.load(session.id)[-1]
    assert int(by_number["size"], 16) == len(rlp.encode([rlp.decode(body.header), body.transactions, [], []]))
    assert client("eth_getBlockByNumber", "0xffff", False) is None
    assert client("eth_getBlockByHash", ZERO_WORD, True) is None
    header = client("eth_getHeaderByNumber", "latest")
    assert header == client("eth_getHeaderByHash", receipt["blockHash"])
    assert header == {name: by_number[name] for name in header} and "transactions" not in header


def test_pending_block_is_the_next_one(session: Session) -> None:
    pending, latest = (
        session.client("eth_getBlockByNumber", "pending", True),
        session.client("eth_getBlockByNumber", "latest", True),
    )
    assert int(pending["number"], 16) == int(latest["number"], 16) + 1
    assert pending["parentHash"] == latest["hash"] and pending["hash"] is None and pending["nonce"] is None
    assert int(pending["timestamp"], 16) >= time.time() - 60
    assert pending["mixHash"] == "0x" + keccak256(bytes.fromhex(latest["mixHash"][2:])).hex()


def test_counts_and_uncles(session: Session) -> None:
    client = session.client
    block = session.send()["blockHash"]
    assert (
        client("eth_getBlockTransactionCountByHash", block)
        == client("eth_getBlockTransactionCountByNumber", "latest")
        == "0x1"
    )
    assert client("eth_getBlockTransactionCountByNumber", "pending") == "0x0"
    assert client("eth_getBlockTransactionCountByNumber", "0xffff") is None
    assert client("eth_getUncleCountByBlockHash", block) == client("eth_getUncleCountByBlockNumber", "latest") == "0x0"
    assert client("eth_getUncleCountByBlockHash", ZERO_WORD) is None
    assert client("eth_getUncleByBlockHashAndIndex", block, "0x0") is None
    assert client("eth_getUncleByBlockNumberAndIndex", "latest", "0x0") is None


def test_transactions_of_all_types(session: Session) -> None:
    """Types 0, 1, 2 and 4 go in and come out with what was signed."""
    delegate = PLAYERS[1].sign_authorization({"chainId": session.chain_id, "address": "0x" + COUNTER.hex(), "nonce": 0})
    access_list = [{"address": "0x" + COUNTER.hex(), "storageKeys": ["0x" + "01" * 32]}]
    no_fees = {"maxFeePerGas": None, "maxPriorityFeePerGas": None}
    kinds: dict[int, dict[str, Any]] = {
        0: {**no_fees, "gasPrice": 0},
        1: {**no_fees, "gasPrice": 3, "type": 1, "accessList": access_list},
        2: {"accessList": access_list, "maxFeePerGas": 9, "maxPriorityFeePerGas": 2},
        4: {"authorizationList": [delegate]},
    }
    for kind, fields in kinds.items():
        raw = session.sign(to=to_checksum_address("0x" + "a1" * 20), value=5, **fields)
        expected_hash = "0x" + keccak256(bytes.fromhex(raw[2:])).hex()
        assert session.client("eth_sendRawTransaction", raw) == expected_hash
        session.nonce += 1
        transaction = session.client("eth_getTransactionByHash", expected_hash)
        assert transaction["type"] == hex(kind) and transaction["from"] == session.player.address.lower()
        assert (
            transaction["to"] == "0x" + "a1" * 20
            and transaction["value"] == "0x5"
            and transaction["nonce"] == hex(session.nonce - 1)
        )
        assert transaction["chainId"] == hex(session.chain_id)
        assert transaction["gasPrice"] == hex({0: 0, 1: 3, 2: 2, 4: 0}[kind])
        assert ("maxFeePerGas" in transaction) == (kind in (2, 4)) and ("accessList" in transaction) == (kind != 0)
        if kind == 0:
            assert (
                int(transaction["v"], 16) in (35 + 2 * session.chain_id, 36 + 2 * session.chain_id)
                and "yParity" not in transaction
            )
        else:
            assert transaction["v"] == transaction["yParity"]
        if kind == 4:
            assert [item["address"] for item in transaction["authorizationList"]] == ["0x" + COUNTER.hex()]
        by_block = session.client("eth_getTransactionByBlockHashAndIndex", transaction["blockHash"], "0x0")
        assert by_block == transaction
        assert (
            session.client("eth_getTransactionByBlockNumberAndIndex", transaction["blockNumber"], "0x0") == transaction
        )
        assert session.client("eth_getRawTransactionByHash", expected_hash) == raw
        assert session.client("eth_getRawTransactionByBlockHashAndIndex", transaction["blockHash"], "0x0") == raw
        assert session.client("eth_getRawTransactionByBlockNumberAndIndex", transaction["blockNumber"], "0x0") == raw
        assert Account.recover_transaction(raw) == session.player.address
        receipt = session.client("eth_getTransactionReceipt", expected_hash)
        assert receipt["type"] == hex(kind) and receipt["effectiveGasPrice"] == transaction["gasPrice"]
    assert session.client("eth_getCode", PLAYERS[1].address, "latest") == "0xef0100" + COUNTER.hex()


def test_what_does_not_exist_is_null(session: Session) -> None:
    client = session.client
    for method in [
        "eth_getTransactionByHash",
        "eth_getTransactionReceipt",
        "eth_getRawTransactionByHash",
        "eth_getBlockReceipts",
    ]:
        assert client(method, ZERO_WORD) is None
    assert client("eth_getBlockReceipts", "0xffff") is None
    assert client("eth_getTransactionByBlockNumberAndIndex", "latest", "0x7") is None
    assert client("eth_getTransactionByBlockHashAndIndex", ZERO_WORD, "0x0") is None


def test_system_transactions_look_like_legacy_ones(session: Session) -> None:
    init = session.client("eth_getTransactionByBlockNumberAndIndex", "0x1", "0x0")
    assert (init["type"], init["from"], init["to"]) == ("0x7e", "0x" + SYSTEM_ADDRESS.hex(), "0x" + PREDEPLOY.hex())
    assert "inboxIndex" not in init
    session.node.engine.enqueue_messages(session.id, [forced_transaction(session.id, 0, data=b"hi")])
    transaction_hash = "0x" + keccak256(forced_transaction(session.id, 0, data=b"hi")).hex()
    wait_until(lambda: session.client("eth_getTransactionReceipt", transaction_hash) is not None)
    forced = session.client("eth_getTransactionByHash", transaction_hash)
    assert forced["inboxIndex"] == "0x0" and forced["input"] == "0x" + b"hi".hex() and forced["gas"] == hex(1_000_000)
    for name in ["nonce", "value", "gasPrice", "v", "r", "s"]:
        assert forced[name] == "0x0"
    receipt = session.client("eth_getTransactionReceipt", transaction_hash)
    assert receipt["type"] == "0x7e" and receipt["status"] == "0x1" and receipt["to"] == "0x" + COUNTER.hex()


def test_receipts_have_logs_and_the_preconfirmation(session: Session) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": index, "method": "eth_sendRawTransaction", "params": [raw]}
        for index, raw in enumerate(
            session.sign(nonce=session.nonce + index, data=call_data("note(uint256,bytes)", index, b"x" * index))
            for index in range(20)
        )
    ]
    hashes = [answer["result"] for answer in session.client.post(batch)]
    receipts = [session.client("eth_getTransactionReceipt", transaction_hash) for transaction_hash in hashes]
    for block_hash in {receipt["blockHash"] for receipt in receipts}:
        of_block = session.client("eth_getBlockReceipts", block_hash)
        assert of_block == [receipt for receipt in receipts if receipt["blockHash"] == block_hash]
        logs = [log for receipt in of_block for log in receipt["logs"]]
        assert [int(log["logIndex"], 16) for log in logs] == list(range(len(logs)))
        assert all(log["blockHash"] == block_hash and log["removed"] is False for log in logs)
        gas = 0
        for receipt in of_block:
            gas += int(receipt["gasUsed"], 16)
            assert int(receipt["cumulativeGasUsed"], 16) == gas
    for receipt in receipts:
        preconfirmation = receipt["preconfirmation"]
        assert preconfirmation["sessionId"] == session.id and preconfirmation["blockHash"] == receipt["blockHash"]
        message = {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Preconfirmation": [
                    {"name": "sessionId", "type": "uint64"},
                    {"name": "number", "type": "uint64"},
                    {"name": "blockHash", "type": "bytes32"},
                ],
            },
            "primaryType": "Preconfirmation",
            "domain": {
                "name": "Exclave",
                "version": "1",
                "chainId": 31337,
                "verifyingContract": "0x5fbdb2315678afecb367f032d93f642f64180aa3",
            },
            "message": {name: preconfirmation[name] for name in ["sessionId", "number", "blockHash"]},
        }
        signer = Account.recover_message(
            encode_typed_data(full_message=message), signature=preconfirmation["signature"]
        )
        assert signer == Account.from_key(OPERATOR_KEY).address


def test_accounts_at_every_block(session: Session) -> None:
    client = session.client
    before = client("eth_blockNumber")
    session.send("set(uint256,uint256)", 1, 0x1234)
    slot = "0x" + keccak256((1).to_bytes(32, "big") + (1).to_bytes(32, "big")).hex()
    assert client("eth_getStorageAt", session.probe, slot, "latest") == "0x" + "1234".zfill(64)
    assert client("eth_getStorageAt", session.probe, slot, before) == ZERO_WORD
    assert client("eth_getStorageAt", session.probe, "0x0", {"blockNumber": before}) == ZERO_WORD
    block_hash = client("eth_getBlockByNumber", before, False)["hash"]
    assert (
        client("eth_getStorageAt", session.probe, slot, {"blockHash": block_hash, "requireCanonical": True})
        == ZERO_WORD
    )
    assert client("eth_getTransactionCount", session.player.address, before) == hex(session.nonce - 1)
    assert client("eth_getTransactionCount", session.player.address, block_hash) == hex(session.nonce - 1)
    assert client("eth_getTransactionCount", session.player.address, "latest") == hex(session.nonce)
    assert client("eth_getCode", session.probe, "earliest") == "0x"
    assert client("eth_getCode", session.probe)[2:] in probe_code()
    assert (
        client("eth_getBalance", session.player.address) == hex(10**18)
        and client("eth_getBalance", NOBODY, "latest") == "0x0"
    )
    for unknown in ["0xffff", {"blockHash": ZERO_WORD}]:
        failure = client.failure("eth_getBalance", NOBODY, unknown)
        assert failure.code == -32000 and "not found" in failure.message


def test_pending_nonce_counts_what_is_queued(session: Session) -> None:
    gap = session.sign(nonce=session.nonce + 2)
    failure = session.client.failure("eth_sendRawTransaction", gap)
    assert (failure.code, failure.message.split(":")[0]) == (-32000, "nonce too high")
    assert session.client("eth_getTransactionCount", session.player.address, "pending") == hex(session.nonce)


def nibbles(key: bytes) -> list[int]:
    return [nibble for byte in key for nibble in (byte >> 4, byte & 15)]


def prove(root: str, key: bytes, proof: list[str]) -> bytes | None:
    """The value that a Merkle-Patricia proof shows under `keccak256(key)`; None for absence (yellow paper, D)."""
    path, expected, nodes = (
        nibbles(keccak256(key)),
        bytes.fromhex(root[2:]),
        [bytes.fromhex(node[2:]) for node in proof],
    )
    if not nodes:
        assert root == EMPTY_ROOT
        return None
    while True:
        encoded = nodes.pop(0)
        assert keccak256(encoded) == expected
        node = rlp.decode(encoded)
        while True:
            if len(node) == 17:
                child = node[path.pop(0)]
            else:
                flag, rest = node[0][0] >> 4, nibbles(node[0])
                rest = rest[1:] if flag & 1 else rest[2:]
                if path[: len(rest)] != rest:
                    assert not nodes
                    return None
                path = path[len(rest) :]
                if flag & 2:
                    assert not nodes and not path
                    return bytes(node[1])
                child = node[1]
            if isinstance(child, list):
                node = child
                continue
            if child == b"":
                assert not nodes
                return None
            expected = child
            break


def test_proofs_hold_against_the_state_root(session: Session) -> None:
    session.send("setMany(uint256,uint256,uint256)", 0, 40, 5, gas=5_000_000)
    keys = [keccak256(index.to_bytes(32, "big") + (1).to_bytes(32, "big")) for index in [0, 1, 39, 40, 1000]]
    for block in ["latest", "0x1"]:
        root = session.client("eth_getBlockByNumber", block, False)["stateRoot"]
        for address in [session.probe, session.player.address, NOBODY, "0x" + COUNTER.hex()]:
            answer = session.client("eth_getProof", address, ["0x" + key.hex() for key in keys] + ["0x0"], block)
            assert answer["address"] == address.lower()
            value = prove(root, bytes.fromhex(address[2:]), answer["accountProof"])
            shown = [int(answer["nonce"], 16), int(answer["balance"], 16), answer["storageHash"], answer["codeHash"]]
            if value is None:
                assert shown == [0, 0, EMPTY_ROOT, EMPTY_CODE]
            else:
                nonce, balance, storage, code = rlp.decode(value)
                assert shown == [
                    int.from_bytes(nonce),
                    int.from_bytes(balance),
                    "0x" + storage.hex(),
                    "0x" + code.hex(),
                ]
            assert answer["storageProof"][-1]["key"] == "0x0"
            for key, item in zip([*keys, bytes(32)], answer["storageProof"], strict=True):
                stored = prove(answer["storageHash"], key, item["proof"])
                assert int(item["value"], 16) == (0 if stored is None else int.from_bytes(rlp.decode(stored)))
    values = [
        item["value"]
        for item in session.client("eth_getProof", session.probe, ["0x" + key.hex() for key in keys])["storageProof"]
    ]
    assert values == ["0x5", "0x5", "0x5", "0x0", "0x0"]
    failure = session.client.failure("eth_getProof", session.probe, ["0x0"] * 1025, "latest")
    assert failure.code == -32602 and "too many keys" in failure.message


def test_fee_history_tells_what_was_paid(session: Session) -> None:
    """As geth: of the block's gas, by what was paid for it, the one at each percentile."""
    session.node.store.gate = lambda blocks: time.sleep(0.2)
    try:
        # The first is alone in its block; those that come while it is stored share the next one.
        batch = [
            {
                "jsonrpc": "2.0",
                "id": index,
                "method": "eth_sendRawTransaction",
                "params": [
                    session.sign(signer=PLAYERS[index], nonce=0, to=PLAYERS[9].address, gas=21_000, **fees),
                ],
            }
            for index, fees in enumerate(
                [
                    {},
                    {"maxFeePerGas": 100, "maxPriorityFeePerGas": 7},
                    {"maxFeePerGas": 5, "maxPriorityFeePerGas": 5},
                    {"maxFeePerGas": None, "maxPriorityFeePerGas": None, "gasPrice": 3},
                ],
                1,
            )
        ]
        answers = session.client.post(batch)
    finally:
        session.node.store.gate = lambda blocks: None
    receipts = [session.client("eth_getTransactionReceipt", answer["result"]) for answer in answers]
    percentiles = [0, 20, 50, 60, 90, 100]
    for number in sorted({receipt["blockNumber"] for receipt in receipts}):
        prices = sorted(int(one["effectiveGasPrice"], 16) for one in receipts if one["blockNumber"] == number)
        expected = [hex(prices[max(math.ceil(len(prices) * share / 100) - 1, 0)]) for share in percentiles]
        assert session.client("eth_feeHistory", "0x1", number, percentiles)["reward"] == [expected]
    assert max(int(receipt["effectiveGasPrice"], 16) for receipt in receipts) == 7


def test_fee_history_is_free(session: Session) -> None:
    client = session.client
    for _ in range(3):
        session.send()
    head = int(client("eth_blockNumber"), 16)
    history = client("eth_feeHistory", "0x2", "latest", [25, 75])
    assert history["oldestBlock"] == hex(head - 1) and history["baseFeePerGas"] == ["0x0"] * 3
    assert history["reward"] == [["0x0", "0x0"]] * 2 and len(history["gasUsedRatio"]) == 2
    assert history["baseFeePerBlobGas"] == ["0x1"] * 3 and history["blobGasUsedRatio"] == [0.0, 0.0]
    everything = client("eth_feeHistory", 1000, "latest")
    assert (
        everything["oldestBlock"] == "0x0"
        and len(everything["gasUsedRatio"]) == head + 1
        and "reward" not in everything
    )
    assert client.failure("eth_feeHistory", "0x1", "0xffff", []).code == -32000


@pytest.fixture
def chain(anvil: Callable[..., Anvil], session: Session) -> Anvil:
    """A real node with the same contract and transactions."""
    node = anvil()
    for nonce, data in enumerate([probe_code(), call_data("note(uint256,bytes)", 1, b"abc")]):
        transaction = {
            "chainId": 31337,
            "nonce": nonce,
            "gas": 5_000_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 0,
            "value": 0,
            "data": data,
        }
        if nonce > 0:
            transaction["to"] = contract_address(node)
        node.rpc("eth_sendRawTransaction", account(0).sign_transaction(transaction).raw_transaction.to_0x_hex())
        if node.block_number() == nonce:
            node.mine()
    session.send("note(uint256,bytes)", 1, b"abc")
    return node


def contract_address(node: Anvil) -> str:
    address = node.rpc("eth_getBlockReceipts", "0x1")[0]["contractAddress"]
    return to_checksum_address(address)


def shape(value: Any) -> Any:
    """Names and kinds of members; of lists the first."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str) and value.startswith("0x"):
        return "0x"
    return type(value).__name__


def test_shapes_are_those_of_a_real_node(chain: Anvil, session: Session) -> None:
    """Every member that anvil answers with is there and of the same kind. What there is besides is listed."""
    probe = contract_address(chain)
    ours_only = {"preconfirmation", "blockTimestamp", "requestsHash"}
    # What geth does not answer with.
    theirs_only = {"totalDifficulty", "blobGasPrice", "blockTimestamp"}
    requests: list[tuple[str, Callable[[Any, str], list[Any]]]] = [
        ("eth_getBlockByNumber", lambda rpc, _: ["latest", False]),
        ("eth_getBlockByNumber", lambda rpc, _: ["latest", True]),
        ("eth_getTransactionByHash", lambda rpc, _: [rpc("eth_getBlockByNumber", "latest", False)["transactions"][0]]),
        ("eth_getTransactionReceipt", lambda rpc, _: [rpc("eth_getBlockByNumber", "latest", False)["transactions"][0]]),
        ("eth_getBlockReceipts", lambda rpc, _: ["latest"]),
        ("eth_getLogs", lambda rpc, probe: [{"fromBlock": "earliest", "address": probe}]),
        ("eth_getProof", lambda rpc, probe: [probe, [ZERO_WORD], "latest"]),
        ("eth_feeHistory", lambda rpc, _: ["0x2", "latest", [50]]),
        ("eth_createAccessList", lambda rpc, probe: [{"to": probe, "input": call_data("counter()")}, "latest"]),
    ]

    def compare(method: str, ours: Any, theirs: Any, path: str) -> None:
        if isinstance(theirs, dict):
            assert set(theirs) - set(ours) <= theirs_only, path
            assert set(ours) - set(theirs) <= ours_only, path
            for name in set(ours) & set(theirs):
                compare(method, ours[name], theirs[name], f"{path}.{name}")
        elif isinstance(theirs, list) and theirs and isinstance(ours, list) and ours:
            compare(method, ours[0], theirs[0], f"{path}[]")
        else:
            assert shape(ours) == shape(theirs), path

    for method, parameters in requests:
        ours = session.client(method, *parameters(session.client, session.probe))
        theirs = chain.rpc(method, *parameters(chain.rpc, probe))
        compare(method, ours, theirs, method)
