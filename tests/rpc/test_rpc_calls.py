"""eth_call, eth_estimateGas, eth_createAccessList: contexts, overrides, reverts, gas."""

from __future__ import annotations

import time

import pytest
from eth_utils import to_checksum_address
from support.engine import PLAYERS, end_transaction, seed
from support.rpc import Session, call_data, words

from exclave.protocol import keccak256
from exclave.protocol.constants import PREDEPLOY

CAP = 16_777_216
ENVIRONMENT = "uint256,uint256,uint256,address,uint256,uint256,uint256"


def environment(session: Session, *more: object) -> tuple[object, ...]:
    request = {"to": session.probe, "input": call_data("environment()")}
    return tuple(words(ENVIRONMENT, session.client("eth_call", request, *more)))


def test_context_is_the_block_that_is_named(session: Session) -> None:
    first = session.send()
    session.send()
    block = session.client("eth_getBlockByNumber", first["blockNumber"], False)
    number, timestamp, chain_id, _, base_fee, random, gas_limit = environment(session, first["blockNumber"])
    assert (number, timestamp) == (int(block["number"], 16), int(block["timestamp"], 16))
    assert (chain_id, base_fee, gas_limit) == (session.chain_id, 0, 30_000_000)
    assert random == int(block["mixHash"], 16)
    assert environment(session, {"blockHash": first["blockHash"]})[0] == number


def test_latest_is_the_latest_block_at_the_present_time(session: Session) -> None:
    """Sessions make blocks only when there is work: what depends on time must not stand still in between."""
    head = session.client("eth_getBlockByNumber", "latest", False)
    number, timestamp, *_ = environment(session, "latest")
    assert number == int(head["number"], 16) and abs(int(str(timestamp)) - time.time()) < 60
    assert environment(session)[:1] == (number,)
    pending = environment(session, "pending")
    assert pending[0] == int(str(number)) + 1
    assert pending[5] == int.from_bytes(keccak256(bytes.fromhex(head["mixHash"][2:])))


def test_time_stands_still_in_an_ended_session(session: Session) -> None:
    session.node.submit(session.id, end_transaction(session.id, PLAYERS[2], 0, b"done"))
    head = session.client("eth_getBlockByNumber", "latest", False)
    assert environment(session, "latest")[1] == int(head["timestamp"], 16)


def test_block_hashes(session: Session) -> None:
    receipt = session.send()
    number = int(receipt["blockNumber"], 16)
    session.send()
    assert session.call("hashOf(uint256)", number) == receipt["blockHash"]
    assert session.call("hashOf(uint256)", number + 1) == "0x" + "00" * 32
    assert session.call("hashOf(uint256)", number + 1, block="pending") != "0x" + "00" * 32


def test_block_overrides(session: Session) -> None:
    overrides = {
        "number": hex(1000),
        "time": hex(123456),
        "gasLimit": hex(40_000_000),
        "feeRecipient": "0x" + "99" * 20,
        "prevRandao": "0x" + "88" * 32,
        "baseFeePerGas": "0x7",
        "blockHash": {hex(999): "0x" + "66" * 32},
    }
    answer = environment(session, "latest", {}, overrides)
    assert answer == (1000, 123456, session.chain_id, "0x" + "99" * 20, 7, int("88" * 32, 16), 40_000_000)
    request = {"to": session.probe, "input": call_data("hashOf(uint256)", 999)}
    assert session.client("eth_call", request, "latest", {}, overrides) == "0x" + "66" * 32


def test_state_overrides(session: Session) -> None:
    client, probe = session.client, session.probe
    session.send("set(uint256,uint256)", 1, 11)
    slot = "0x" + keccak256((1).to_bytes(32, "big") + (1).to_bytes(32, "big")).hex()
    value = {"to": probe, "input": call_data("values(uint256)", 1)}
    counter = {"to": probe, "input": call_data("counter()")}
    session.send()

    def answer(request: dict[str, str], override: dict[str, object]) -> int:
        return int(client("eth_call", request, "latest", {probe: override}), 16)

    assert answer(value, {"stateDiff": {slot: "0x" + "05".zfill(64)}}) == 5
    assert answer(counter, {"stateDiff": {slot: "0x" + "05".zfill(64)}}) == 1
    assert answer(counter, {"state": {slot: "0x" + "05".zfill(64)}}) == 0
    assert answer(value, {"state": {slot: "0x" + "05".zfill(64)}}) == 5
    sender = {"from": "0x" + "55" * 20, "to": probe, "input": call_data("sender()"), "gasPrice": "0x3"}
    rich = client("eth_call", sender, "latest", {"0x" + "55" * 20: {"balance": hex(10**20)}})
    assert words("address,uint256,uint256", rich) == ("0x" + "55" * 20, 10**20, 3)
    # PUSH1 2a PUSH0 MSTORE PUSH1 20 PUSH0 RETURN
    code = {"0x" + "44" * 20: {"code": "0x602a5f5260205ff3", "nonce": "0x7"}}
    assert client("eth_call", {"to": "0x" + "44" * 20}, "latest", code) == "0x" + "2a".zfill(64)
    assert client("eth_call", {"to": "0x" + "44" * 20}, "latest") == "0x"
    for override in [
        {"state": {}, "stateDiff": {}},
        {"movePrecompileToAddress": "0x" + "01" * 20},
        {"code": "0xef0100"},
    ]:
        assert client.failure("eth_call", value, "latest", {probe: override}).code == -32602
    assert int(client("eth_call", value, "latest"), 16) == 11


def test_reverts_have_code_3_and_their_data(session: Session) -> None:
    cases = [
        ("failText()", (), "execution reverted: no luck", "0x08c379a0"),
        ("failPanic(uint256)", (0,), "execution reverted: division or modulo by zero", "0x4e487b71"),
        ("failCustom()", (), "execution reverted", "0x" + keccak256(b"Custom(uint256)")[:4].hex()),
        ("nothingOfTheKind()", (), "execution reverted", "0x"),
    ]
    for signature, arguments, message, data in cases:
        request = {"to": session.probe, "input": call_data(signature, *arguments)}
        for method in ["eth_call", "eth_estimateGas"]:
            failure = session.client.failure(method, request)
            assert (failure.code, failure.message) == (3, message)
            assert failure.data.startswith(data)


def test_calls_that_cannot_be(session: Session) -> None:
    request = {"to": session.probe, "input": call_data("burn()")}
    assert session.client.failure("eth_call", request).message == "out of gas"
    failure = session.client.failure("eth_call", {**request, "gas": hex(20_000)})
    assert failure.code == -32000 and failure.message.startswith("intrinsic gas too low")
    failure = session.client.failure("eth_call", {"from": "0x" + "55" * 20, "to": session.probe, "value": "0x1"})
    assert failure.code == -32000 and failure.message.startswith("insufficient funds")
    failure = session.client.failure("eth_call", {"to": session.probe, "chainId": "0x1"})
    assert failure.code == -32000 and "chainId" in failure.message
    failure = session.client.failure("eth_call", {"to": session.probe}, "0xffff")
    assert failure.code == -32000 and failure.message == "header not found"
    assert session.client.failure("eth_call", {"data": "0xfe"}).code == -32000


def test_calls_may_use_more_gas_than_a_transaction(session: Session) -> None:
    assert session.call("nested(uint256,uint256)", 0, 45_000_000) == "0x"
    with pytest.raises(Exception, match="too little gas"):
        session.call("nested(uint256,uint256)", 0, 51_000_000)


def test_calls_change_nothing(session: Session) -> None:
    root = session.client("eth_getBlockByNumber", "latest", False)["stateRoot"]
    session.call("note(uint256,bytes)", 1, b"")
    assert session.call("counter()") == "0x" + "00" * 32
    assert session.client("eth_getBlockByNumber", "latest", False)["stateRoot"] == root


@pytest.mark.parametrize(
    ("signature", "arguments"),
    [
        ("note(uint256,bytes)", (1, b"abc" * 100)),
        ("set(uint256,uint256)", (5, 7)),
        ("setMany(uint256,uint256,uint256)", (0, 30, 1)),
        ("setMany(uint256,uint256,uint256)", (100, 30, 0)),
        ("nested(uint256,uint256)", (20, 50_000)),
        ("nested(uint256,uint256)", (60, 200_000)),
        ("make()", ()),
    ],
)
def test_estimates_suffice_and_little_less_does_not(
    session: Session, signature: str, arguments: tuple[int, ...]
) -> None:
    session.send("setMany(uint256,uint256,uint256)", 100, 30, 9, gas=5_000_000)
    request = {"from": session.player.address, "to": session.probe, "input": call_data(signature, *arguments)}
    gas = int(session.client("eth_estimateGas", request), 16)
    receipt = session.send(signature, *arguments, gas=gas)
    assert receipt["status"] == "0x1" and int(receipt["gasUsed"], 16) <= gas
    # Again from the state of before, with 2 % less.
    before = hex(int(receipt["blockNumber"], 16) - 1)
    failure = session.client.failure("eth_call", {**request, "gas": hex(gas * 98 // 100)}, before)
    assert failure.code in (3, -32000)


def test_estimate_of_a_transfer_is_exact(session: Session) -> None:
    recipient = to_checksum_address("0x" + "a1" * 20)
    request = {"from": session.player.address, "to": recipient, "value": "0x5"}
    assert session.client("eth_estimateGas", request) == hex(21_000)
    receipt = session.client("eth_sendRawTransactionSync", session.sign(to=recipient, value=5, gas=21_000))
    assert receipt["status"] == "0x1"


def test_estimates_see_the_time_of_the_next_block(session: Session) -> None:
    soon = int(time.time()) - 5
    assert int(session.client("eth_getBlockByNumber", "0x0", False)["timestamp"], 16) < soon
    request = {"to": session.probe, "input": call_data("after_(uint256)", soon)}
    assert int(session.client("eth_estimateGas", request), 16) > 21_000
    failure = session.client.failure(
        "eth_estimateGas", {**request, "input": call_data("after_(uint256)", soon + 10_000)}
    )
    assert (failure.code, failure.message) == (3, "execution reverted: too early")


def test_estimates_that_cannot_be(session: Session) -> None:
    burn = {"to": session.probe, "input": call_data("burn()")}
    assert session.client.failure("eth_estimateGas", burn).message == f"gas required exceeds allowance ({CAP})"
    low = {"to": session.probe, "input": call_data("note(uint256,bytes)", 1, b""), "gas": hex(30_000)}
    assert session.client.failure("eth_estimateGas", low).message == "gas required exceeds allowance (30000)"
    poor = {"from": "0x" + "55" * 20, "to": session.probe, "value": "0x1"}
    assert session.client.failure("eth_estimateGas", poor).message.startswith("insufficient funds")
    priced = {**low, "gas": hex(CAP), "from": PLAYERS[3].address, "gasPrice": hex(10**18 // 25_000)}
    assert session.client.failure("eth_estimateGas", priced).message == "gas required exceeds allowance (25000)"


def test_estimates_use_overrides(session: Session) -> None:
    request = {"to": "0x" + "44" * 20, "input": "0x01"}
    code = {"0x" + "44" * 20: {"code": "0x5f5ffd"}}
    assert session.client.failure("eth_estimateGas", request, "latest", code).code == 3
    assert int(session.client("eth_estimateGas", request, "latest"), 16) >= 21_016


def test_access_list_names_what_is_touched(session: Session) -> None:
    answer = session.client("eth_createAccessList", {"to": session.probe, "input": call_data("values(uint256)", 1)})
    slot = "0x" + keccak256((1).to_bytes(32, "big") + (1).to_bytes(32, "big")).hex()
    assert answer["accessList"] == [{"address": session.probe, "storageKeys": [slot]}]
    assert int(answer["gasUsed"], 16) > 21_000 and "error" not in answer
    failed = session.client("eth_createAccessList", {"to": session.probe, "input": call_data("failText()")})
    assert failed["error"] == "execution reverted: no luck" and failed["accessList"] == []
    plain = session.client("eth_createAccessList", {"to": "0x" + PREDEPLOY.hex()}, "latest")
    assert {item["address"] for item in plain["accessList"]} == {"0x" + PREDEPLOY.hex()}


def test_seed_is_visible_in_block_zero(session: Session) -> None:
    # PREVRANDAO PUSH0 MSTORE PUSH1 20 PUSH0 RETURN
    code = {"0x" + "44" * 20: {"code": "0x445f5260205ff3"}}
    assert session.client("eth_call", {"to": "0x" + "44" * 20}, "0x0", code) == "0x" + seed(session.id).hex()
