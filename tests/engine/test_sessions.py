"""Opening sessions and what their first blocks are."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from support.engine import (
    COUNTER,
    L1_CHAIN_ID,
    OPENED_AT,
    OPERATOR_KEY,
    PLAYERS,
    RECIPIENT,
    TEMPLATE,
    ZK_RELAYER,
    Node,
    address,
    chain_id,
    config_hash,
    init_transaction,
    seed,
    sign,
)

from exclave import _engine
from exclave.protocol import (
    Header,
    Message,
    address_of,
    genesis_header,
    keccak256,
    preconfirmation_digest,
    recover_signer,
    template_id,
)
from exclave.protocol.constants import SYSTEM_ADDRESS


def test_a_template_is_identified_by_its_state_and_its_file(node: Node) -> None:
    template = node.engine.add_template(TEMPLATE)
    assert template.data_hash == keccak256(TEMPLATE)
    assert template.template_id == template_id(template.state_root, template.data_hash)


@pytest.mark.parametrize("data", [b"", b"\xc0", b"not a template", TEMPLATE[:-1], TEMPLATE + b"\x00"])
def test_a_malformed_template_is_refused(node: Node, data: bytes) -> None:
    with pytest.raises(_engine.TemplateError):
        node.engine.add_template(data)


def test_block_0_follows_from_the_configuration(node: Node) -> None:
    block_hash = node.open_only(1)
    message = Message.decode_transaction(init_transaction(1))
    header = genesis_header(node.template.state_root, config_hash(1), seed(1), OPENED_AT, message.hash())
    assert block_hash == header.hash() == node.info(1).hash
    assert node.info(1).number == 0
    assert not node.info(1).active
    assert node.store.groups == []


def test_the_init_message_is_the_first_transaction_of_block_1(node: Node) -> None:
    node.open(1)
    block = node.store.blocks[1, 1]
    [transaction] = block.transactions
    raw = init_transaction(1)
    assert transaction[:7] == (0, keccak256(raw), 0x7E, SYSTEM_ADDRESS, 0, Message.decode_transaction(raw).to, raw)
    assert transaction[7] is True
    assert (block.inbox_count, block.inbox_hash, block.result) == (0, bytes(32), None)


def test_no_user_transaction_is_executed_before_init(node: Node) -> None:
    node.store.add_session(1)
    node.open_only(1)
    waiting = node.submit_later(1, sign(1, PLAYERS[0], 0))
    time.sleep(0.05)
    assert not waiting.done()
    node.engine.activate(1)
    [transaction_hash] = waiting.result(30)
    assert node.store.transaction_hashes(1) == [keccak256(init_transaction(1)), transaction_hash]


def test_a_template_building_session_has_no_init_message(node: Node) -> None:
    local = 2**31
    node.open(local, init=False)
    node.submit(local, sign(local, PLAYERS[0], 0))
    assert [row[2] for row in node.store.blocks[local, 1].transactions] == [2]


def test_headers_chain_and_state_is_the_header_s(node: Node) -> None:
    node.open(1)
    before = int(time.time())
    node.submit(1, sign(1, PLAYERS[0], 0, value=5))
    node.submit(1, sign(1, PLAYERS[0], 1, COUNTER))
    blocks = [node.store.blocks[1, number] for number in (1, 2, 3)]
    headers = [Header.decode(block.header) for block in blocks]
    for block, header in zip(blocks, headers, strict=True):
        assert header.hash() == block.hash
        assert (header.number, header.timestamp, header.parent_hash) == (
            block.number,
            block.timestamp,
            block.parent_hash,
        )
        assert (header.state_root, header.gas_used, header.extra_data) == (
            block.state_root,
            block.gas_used,
            config_hash(1),
        )
    for parent, child in pairwise(headers):
        assert child.parent_hash == parent.hash()
        assert child.prev_randao == keccak256(parent.prev_randao)
        assert child.timestamp >= parent.timestamp
    assert before <= headers[-1].timestamp <= int(time.time())


def test_a_block_carries_its_transactions_and_logs(node: Node) -> None:
    node.open(1)
    player = PLAYERS[3]
    raw = sign(1, player, 0, COUNTER)
    [transaction_hash] = node.submit(1, raw)
    block = node.store.blocks[1, 2]
    [(index, row_hash, kind, sender, nonce, to, row_raw, status, gas, cumulative, created)] = block.transactions
    assert (index, row_hash, kind, sender, nonce, to, row_raw) == (
        0,
        transaction_hash,
        2,
        address(player),
        0,
        COUNTER,
        raw,
    )
    assert status is True and gas == cumulative == block.gas_used and created is None
    assert block.logs == [(0, 0, COUNTER, None, None, None, None, (1).to_bytes(32, "big"))]


def test_a_created_contract_s_address_is_reported(node: Node) -> None:
    node.open(1)
    node.submit(1, sign(1, PLAYERS[0], 0, to=b"", data=bytes.fromhex("5f5ff3")))
    row = node.store.blocks[1, 2].transactions[0]
    assert row[5] is None and row[10] is not None and len(row[10]) == 20


def test_preconfirmations_are_signed_by_the_operator(node: Node) -> None:
    node.open(7)
    node.submit(7, sign(7, PLAYERS[0], 0))
    for number in (1, 2):
        block = node.store.blocks[7, number]
        digest = preconfirmation_digest(L1_CHAIN_ID, ZK_RELAYER, 7, number, block.hash)
        assert recover_signer(digest, block.preconfirmation) == address_of(OPERATOR_KEY)


def test_without_a_key_there_is_no_preconfirmation(start: Callable[..., Node]) -> None:
    node = start(preconfirmation_key=None)
    node.open(7)
    assert node.store.blocks[7, 1].preconfirmation == b""


def test_a_session_s_state_can_become_a_template(node: Node) -> None:
    node.open(1)
    node.submit(1, sign(1, PLAYERS[0], 0, value=5))
    template = node.engine.add_template(node.engine.export_template(1))
    assert template.state_root == node.store.blocks[1, 2].state_root != node.template.state_root


def test_the_witness_of_a_block_is_always_the_same_bytes(node: Node) -> None:
    node.open(1)
    node.submit(1, sign(1, PLAYERS[0], 0, COUNTER))
    witness = node.engine.witness(1, 2)
    assert len(witness) > 500
    assert node.engine.witness(1, 2) == witness
    for number in (0, 3):
        with pytest.raises(_engine.EngineError, match="has no block"):
            node.engine.witness(1, number)


def test_errors_in_opening_are_typed(node: Node) -> None:
    with pytest.raises(_engine.EngineError, match="unknown template"):
        node.engine.open_session(1, chain_id(1), b"\x01" * 32, config_hash(1), seed(1), OPENED_AT, None)
    with pytest.raises(ValueError, match="seed must have 32 bytes"):
        node.engine.open_session(1, chain_id(1), node.template.state_root, config_hash(1), b"\x01", OPENED_AT, None)
    with pytest.raises(_engine.EngineError, match="invalid message"):
        node.engine.open_session(
            1, chain_id(1), node.template.state_root, config_hash(1), seed(1), OPENED_AT, init_transaction(2)
        )
    node.open(1)
    with pytest.raises(_engine.EngineError, match="already open"):
        node.open_only(1)
    with pytest.raises(_engine.EngineError, match="already active"):
        node.engine.activate(1)
    with pytest.raises(_engine.EngineError, match="unknown session"):
        node.engine.activate(2)


def test_errors_in_construction_are_typed() -> None:
    def build(**options: object) -> None:
        values: dict[str, object] = {
            "persist": print,
            "wake": print,
            "call": print,
            "preconfirmation_key": OPERATOR_KEY,
            "l1_chain_id": 1,
            "zk_relayer": ZK_RELAYER,
            **options,
        }
        _engine.Engine(**values)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="limit 'colour'"):
        build(limits={"colour": 3})
    with pytest.raises(ValueError, match="can't be 0"):
        build(limits={"builder_threads": 0})
    with pytest.raises(ValueError, match="zk_relayer must have 20 bytes"):
        build(zk_relayer=b"\x01")
    with pytest.raises(_engine.EngineError, match="not a valid secp256k1 key"):
        build(preconfirmation_key=bytes(32))


def test_sessions_in_memory_are_listed(node: Node) -> None:
    node.open(3, 1, 2)
    assert node.engine.session_ids() == [1, 2, 3]
    assert node.engine.drop_session(2) is True
    assert node.engine.drop_session(2) is False
    assert node.engine.session_ids() == [1, 3]
    assert node.engine.session_info(2) is None


def test_session_info_is_the_latest_durable_block(node: Node) -> None:
    node.open(1)
    node.submit(1, sign(1, PLAYERS[0], 0, RECIPIENT, value=1))
    block, info = node.store.blocks[1, 2], node.info(1)
    assert (info.session_id, info.chain_id, info.number, info.hash) == (1, chain_id(1), 2, block.hash)
    assert (info.timestamp, info.ended, info.result, info.active) == (block.timestamp, False, None, True)
    assert (info.inbox_count, info.inbox_hash) == (0, bytes(32))
