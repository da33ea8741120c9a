"""eth_getLogs and polling filters."""

from __future__ import annotations

from eth_utils import to_checksum_address
from support.engine import COUNTER, forced_transaction, wait_until
from support.rpc import Session

from exclave.protocol import keccak256

NOTED = "0x" + keccak256(b"Noted(address,uint256,bytes)").hex()
PLAIN = "0x" + keccak256(b"Plain(uint256)").hex()


def word(number: int) -> str:
    return "0x" + hex(number)[2:].zfill(64)


def log_ids(logs: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(log["blockNumber"], log["logIndex"]) for log in logs]


def test_logs_by_address_topics_and_range(session: Session) -> None:
    receipts = [session.send("note(uint256,bytes)", key, b"") for key in range(5)]
    everything = [log for receipt in receipts for log in receipt["logs"]]
    session.client("eth_sendRawTransaction", session.sign(to=to_checksum_address(COUNTER)))
    session.nonce += 1
    client, probe = session.client, session.probe

    def logs(**query: object) -> list[dict[str, str]]:
        return list(client("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest", **query}))

    assert logs(address=probe) == everything
    assert len(logs()) == len(logs(address=[probe, "0x" + COUNTER.hex()])) == len(everything) + 1
    assert logs(address="0x" + "12" * 20) == [] and len(logs(address=[])) == len(everything) + 1
    assert logs(topics=[PLAIN]) == everything[1::2] and logs(topics=[NOTED]) == everything[::2]
    assert logs(topics=[[PLAIN, NOTED]]) == everything
    # A position without alternatives must still be there, as in geth.
    assert logs(topics=[[NOTED, PLAIN], []]) == everything[::2]
    by = word(int(session.player.address, 16))
    assert logs(topics=[NOTED, by, [word(1), word(3)]]) == [everything[2], everything[6]]
    assert logs(topics=[None, by]) == everything[::2] and logs(topics=[None, None, word(2)]) == [everything[4]]
    assert logs(topics=[None, None, None, None]) == [] and logs(topics=[PLAIN, by]) == []
    second, third = receipts[1]["blockNumber"], receipts[2]["blockNumber"]
    assert logs(address=probe, fromBlock=second, toBlock=third) == everything[2:6]
    assert logs(address=probe, fromBlock=third) == everything[4:]
    assert client("eth_getLogs", {"address": probe, "fromBlock": third}) == everything[4:]
    assert client("eth_getLogs", {"blockHash": receipts[1]["blockHash"]}) == everything[2:4]
    # Without a range it is the latest block.
    assert len(client("eth_getLogs", {})) == 1


def test_ranges_beyond_the_head_are_cut(session: Session) -> None:
    receipt = session.send()
    head = int(receipt["blockNumber"], 16)
    query = {"address": session.probe, "fromBlock": hex(head), "toBlock": hex(head + 50)}
    assert session.client("eth_getLogs", query) == receipt["logs"]
    assert session.client("eth_getLogs", {**query, "fromBlock": hex(head + 1)}) == []
    assert session.client.failure("eth_getLogs", {"blockHash": word(1)}).message == "unknown block"
    failure = session.client.failure("eth_getLogs", {"fromBlock": "0x5", "toBlock": "0x4"})
    assert (failure.code, failure.message) == (-32602, "invalid block range params")
    assert session.client("eth_getLogs", {"fromBlock": hex(head + 9), "toBlock": "latest"}) == []


def test_too_many_results_are_refused_in_words_that_clients_know(session: Session) -> None:
    first = session.send("notes(uint256)", 6000, gas=16_000_000)
    second = session.send("notes(uint256)", 6000, gas=16_000_000)
    query = {"fromBlock": first["blockNumber"], "toBlock": second["blockNumber"]}
    failure = session.client.failure("eth_getLogs", query)
    assert (failure.code, failure.message) == (-32005, "query exceeds max results 10000")
    for receipt in [first, second]:
        logs = session.client("eth_getLogs", {"fromBlock": receipt["blockNumber"], "toBlock": receipt["blockNumber"]})
        assert logs == receipt["logs"]


def test_no_flood_of_logs_in_one_block_blinds_those_who_follow(session: Session) -> None:
    """However many logs a block has, they can be had: a client that halves its range must reach an end."""
    filter_id = session.client("eth_newFilter", {"address": session.probe})
    before = session.send()
    flood = session.send("notes(uint256)", 14_000, gas=16_700_000)
    assert flood["status"] == "0x1" and len(flood["logs"]) == 14_000
    after = session.send()
    logs = session.client("eth_getLogs", {"blockHash": flood["blockHash"]})
    assert logs == flood["logs"]
    polled = [session.client("eth_getFilterChanges", filter_id) for _ in range(4)]
    assert log_ids([log for logs in polled for log in logs]) == log_ids(before["logs"] + flood["logs"] + after["logs"])


def test_filters_tell_what_is_new(session: Session) -> None:
    client = session.client
    blocks, transactions = client("eth_newBlockFilter"), client("eth_newPendingTransactionFilter")
    logs = client("eth_newFilter", {"address": session.probe, "topics": [PLAIN]})
    assert len({blocks, transactions, logs}) == 3 and all(
        int(filter_id, 16) for filter_id in [blocks, transactions, logs]
    )
    for filter_id in [blocks, transactions, logs]:
        assert client("eth_getFilterChanges", filter_id) == []
    receipts = [session.send() for _ in range(3)]
    assert client("eth_getFilterChanges", blocks) == [receipt["blockHash"] for receipt in receipts]
    assert client("eth_getFilterChanges", transactions) == [receipt["transactionHash"] for receipt in receipts]
    assert client("eth_getFilterChanges", logs) == [receipt["logs"][1] for receipt in receipts]
    for filter_id in [blocks, transactions, logs]:
        assert client("eth_getFilterChanges", filter_id) == []
    assert client("eth_getFilterLogs", logs) == [receipts[-1]["logs"][1]]
    assert client.failure("eth_getFilterLogs", blocks).message == "filter not found"
    assert client("eth_uninstallFilter", logs) is True and client("eth_uninstallFilter", logs) is False
    assert client.failure("eth_getFilterChanges", logs).message == "filter not found"


def test_log_filters_keep_to_their_range(session: Session) -> None:
    head = int(session.client("eth_blockNumber"), 16)
    filter_id = session.client("eth_newFilter", {"fromBlock": hex(head + 2), "toBlock": hex(head + 2)})
    receipts = [session.send() for _ in range(3)]
    assert session.client("eth_getFilterChanges", filter_id) == receipts[1]["logs"]


def test_filters_of_a_session_are_bounded_and_its_own(session: Session, open_session: object) -> None:
    other: Session = open_session()  # type: ignore[operator]
    filter_id = session.client("eth_newBlockFilter")
    assert other.client.failure("eth_getFilterChanges", filter_id).message == "filter not found"
    batch = [{"jsonrpc": "2.0", "id": index, "method": "eth_newBlockFilter"} for index in range(1000)]
    answers = session.client.post(batch)
    assert [answer.get("error", {}).get("code") for answer in answers] == [None] * 999 + [-32005]
    assert session.client("eth_getFilterChanges", filter_id) == []
    assert other.client("eth_newBlockFilter")


def test_system_transactions_are_not_pending_ones(session: Session) -> None:
    client = session.client
    blocks, transactions = client("eth_newBlockFilter"), client("eth_newPendingTransactionFilter")
    session.node.engine.enqueue_messages(session.id, [forced_transaction(session.id, 0)])
    wait_until(lambda: client("eth_getFilterChanges", blocks) != [])
    assert client("eth_getFilterChanges", transactions) == []
