"""eth_sendRawTransaction: what is refused, with the codes and words that wallets know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.anvil import Anvil, RpcFailure, account
from support.engine import PAUPER, PLAYERS, end_transaction, wait_until
from support.rpc import Session, call_data, probe_code

from exclave.protocol import Message, keccak256
from exclave.protocol.constants import PREDEPLOY, SYSTEM_ADDRESS

NO_FEES = {"maxFeePerGas": None, "maxPriorityFeePerGas": None}


def refuse(session: Session, raw: str) -> tuple[int, str]:
    """The refusal, which has changed nothing."""
    before = (
        session.client("eth_blockNumber"),
        session.client("eth_getTransactionCount", session.player.address, "pending"),
    )
    failure = session.client.failure("eth_sendRawTransaction", raw)
    assert before == (
        session.client("eth_blockNumber"),
        session.client("eth_getTransactionCount", session.player.address, "pending"),
    )
    return failure.code, failure.message


def test_acknowledged_transactions_are_stored(session: Session) -> None:
    raw = session.sign(data=call_data("note(uint256,bytes)", 1, b""))
    answer = session.client("eth_sendRawTransaction", raw)
    assert answer == "0x" + keccak256(bytes.fromhex(raw[2:])).hex()
    assert bytes.fromhex(answer[2:]) in session.node.store.transaction_hashes(session.id)
    assert session.client("eth_getTransactionReceipt", answer)["status"] == "0x1"


def test_sync_answers_with_the_receipt(session: Session) -> None:
    receipt = session.client(
        "eth_sendRawTransactionSync", session.sign(data=call_data("note(uint256,bytes)", 1, b"")), hex(5000)
    )
    assert receipt == session.client("eth_getTransactionReceipt", receipt["transactionHash"])
    failure = session.client.failure("eth_sendRawTransactionSync", session.sign(nonce=50), hex(50))
    assert failure.code == 4


def test_failing_transactions_have_receipts_too(session: Session) -> None:
    receipt = session.send("failText()")
    assert receipt["status"] == "0x0" and receipt["logs"] == []


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"chainId": 1}, -32000, "invalid chain id for signer: have 1"),
        ({"nonce": 0}, -32000, "nonce too low"),
        ({"nonce": 5}, -32000, "nonce too high"),
        ({"gas": 20_000}, -32000, "intrinsic gas too low"),
        ({"gas": 16_777_217}, -32000, ""),
        ({"gas": 40_000_000}, -32000, ""),
        ({"value": 10**19}, -32000, "insufficient funds for gas * price + value"),
        ({"maxFeePerGas": 10**18}, -32000, "insufficient funds for gas * price + value"),
        (
            {"maxFeePerGas": 1, "maxPriorityFeePerGas": 2},
            -32000,
            "max priority fee per gas higher than max fee per gas",
        ),
        ({"signer": PAUPER, "nonce": 0, "value": 1}, -32000, "insufficient funds for gas * price + value"),
        (
            {**NO_FEES, "gasPrice": 0, "chainId": None},
            -32000,
            "only replay-protected (EIP-155) transactions allowed over RPC",
        ),
        ({"data": "0x" + "00" * 140_000, "gas": 16_000_000}, -32000, "oversized data"),
        ({"to": None, "data": "0x" + "00" * 50_000, "gas": 16_000_000}, -32000, "max initcode size exceeded"),
    ],
)
def test_refusals(session: Session, fields: dict[str, Any], code: int, message: str) -> None:
    answer = refuse(session, session.sign(**fields))
    assert answer[0] == code and answer[1].startswith(message), answer


@pytest.mark.parametrize("raw", ["0x", "0x00", "0x02", "0x02c0", "0xc0", "0x03" + "00" * 50, "0x7f", "0x" + "ff" * 100])
def test_nonsense_is_refused(session: Session, raw: str) -> None:
    assert refuse(session, raw)[0] == -32000


def test_changed_bytes_never_pass(session: Session) -> None:
    raw = bytes.fromhex(session.sign()[2:])
    for index in range(0, len(raw), 7):
        changed = raw[:index] + bytes([raw[index] ^ 1]) + raw[index + 1 :]
        try:
            answer = session.client("eth_sendRawTransaction", "0x" + changed.hex())
        except Exception:
            continue
        # Another signer's, who has nothing.
        assert session.client("eth_getTransactionByHash", answer)["from"] != session.player.address.lower()


def test_system_transactions_come_from_l1_only(session: Session) -> None:
    raw = Message(session.chain_id, 0, SYSTEM_ADDRESS, PREDEPLOY, 1_000_000, 0, b"").encode_transaction()
    assert refuse(session, "0x" + raw.hex())[0] == -32000


def test_a_transaction_is_executed_once(session: Session) -> None:
    raw = session.sign()
    session.client("eth_sendRawTransaction", raw)
    session.nonce += 1
    assert refuse(session, raw) == (-32000, "already known")
    assert refuse(session, session.sign(nonce=session.nonce - 1, value=1))[1].startswith(
        "nonce too low: next nonce 2, tx nonce 1"
    )


def test_transactions_of_another_session_are_refused(session: Session, open_session: Callable[[], Session]) -> None:
    code, message = refuse(session, open_session().sign())
    assert code == -32000 and message.startswith("invalid chain id for signer")


def test_gapped_transactions_wait_for_their_predecessors(session: Session) -> None:
    batch = [
        {
            "jsonrpc": "2.0",
            "id": index,
            "method": "eth_sendRawTransaction",
            "params": [session.sign(nonce=session.nonce + index)],
        }
        for index in [2, 1, 0]
    ]
    answers = session.client.post(batch)
    assert all("result" in answer for answer in answers)


def test_ended_session_takes_no_transactions_but_answers(session: Session) -> None:
    session.send()
    session.node.submit(session.id, end_transaction(session.id, PLAYERS[1], 0, b"result"))
    assert refuse(session, session.sign()) == (-32003, "session has ended")
    assert session.call("counter()") == "0x" + "01".zfill(64)


def test_refusals_are_those_of_a_real_node(anvil: Callable[..., Anvil], session: Session) -> None:
    """Libraries tell errors apart by words: each refusal shares its first words with a real node's."""
    chain = anvil()
    player = account(0)
    send = {
        "to": player.address,
        "value": 0,
        "gas": 21_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 0,
        "chainId": 31337,
    }
    contract = {**send, "nonce": 1, "data": probe_code(), "gas": 5_000_000}
    del contract["to"]
    for transaction in [{**send, "nonce": 0}, contract]:
        transaction_hash = chain.rpc(
            "eth_sendRawTransaction", player.sign_transaction(transaction).raw_transaction.to_0x_hex()
        )
        wait_until(
            lambda transaction_hash=transaction_hash: (
                chain.rpc("eth_getTransactionReceipt", transaction_hash) is not None
            )
        )
    deployed = chain.rpc("eth_getTransactionReceipt", transaction_hash)["contractAddress"]

    def theirs(method: str, *params: Any) -> tuple[int, str]:
        with pytest.raises(RpcFailure) as caught:
            chain.rpc(method, *params)
        return caught.value.error["code"], caught.value.error["message"].lower()

    def ours(method: str, *params: Any) -> tuple[int, str]:
        failure = session.client.failure(method, *params)
        return failure.code, failure.message.lower()

    def both(fields: dict[str, Any], words: str) -> None:
        raw = player.sign_transaction({**send, "nonce": 2, **fields}).raw_transaction.to_0x_hex()
        assert words in theirs("eth_sendRawTransaction", raw)[1]
        values = {name: value for name, value in fields.items() if name != "chainId"}
        assert words in ours("eth_sendRawTransaction", session.sign(**{"nonce": session.nonce, **values}))[1]

    both({"nonce": 0}, "nonce too low")
    both({"value": 10**30}, "insufficient funds for gas * price + value")
    both({"gas": 10_000}, "intrinsic gas too low")
    revert = {"to": deployed, "input": call_data("failText()")}
    assert (
        theirs("eth_call", revert, "latest")[0] == ours("eth_call", {**revert, "to": session.probe}, "latest")[0] == 3
    )
    for method, params in [("eth_none", []), ("eth_getBalance", ["0x12", "latest"])]:
        assert theirs(method, *params)[0] == ours(method, *params)[0]
