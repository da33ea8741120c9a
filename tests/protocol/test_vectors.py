"""The hashes and encodings of the protocol against values computed by other means."""

from __future__ import annotations

import hashlib

import pytest
import rlp
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data

from exclave.protocol import (
    DataMode,
    Header,
    InvalidField,
    InvalidSignature,
    Message,
    SessionClaim,
    SessionConfig,
    Terms,
    accumulate_inbox,
    address_of,
    alias_address,
    block_hash_leaf,
    chain_id_base,
    genesis_header,
    init_message,
    keccak256,
    players_hash,
    preconfirmation_digest,
    recover_signer,
    session_chain_id,
    session_result_digest,
    session_seed,
    sign_digest,
    template_id,
)
from exclave.protocol.constants import (
    EMPTY_OMMERS_HASH,
    EMPTY_REQUESTS_HASH,
    EMPTY_TRIE_ROOT,
    PREDEPLOY,
    SYSTEM_ADDRESS,
)

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
RELAYER = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")

CONFIG = SessionConfig(
    session_id=7,
    opened_at=1_700_000_000,
    opened_block=42,
    deadline=1_700_003_600,
    game=bytes.fromhex("e7f1725e7734ce288f8367e1bb143e90bb3f0512"),
    template_id=b"\x01" * 32,
    players_hash=b"\x02" * 32,
    init_data_hash=b"\x03" * 32,
    terms_hash=b"\x04" * 32,
)
TERMS = Terms(b"\x01" * 20, b"\x02" * 20, b"\x03" * 20, b"\x04" * 32, 5, 6, 7, 8, 9, DataMode.CALLDATA)
CLAIM = SessionClaim(1, b"\x02" * 32, b"\x03" * 32, 4, 5, 6, b"\x07" * 32, b"\x08" * 32, b"\x09" * 32, 10, b"\x0b" * 32)


def test_empty_hashes() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"\xc0") == EMPTY_OMMERS_HASH
    assert keccak256(b"\x80") == EMPTY_TRIE_ROOT
    assert hashlib.sha256(b"").digest() == EMPTY_REQUESTS_HASH


def test_predeploy_spells_the_name() -> None:
    assert PREDEPLOY[:7] == b"Exclave"


def test_chain_id_fits_wallets() -> None:
    base = chain_id_base(31337, RELAYER)
    digest = keccak256(encode(["uint256", "address"], [31337, RELAYER]))
    assert base == (int.from_bytes(digest, "big") & 0x7FFFF) << 32
    assert session_chain_id(31337, RELAYER, 2**32 - 1) < 2**51
    assert session_chain_id(31337, RELAYER, 7) == base + 7


def test_config_hash() -> None:
    expected = keccak256(
        encode(["uint256", "address", "uint64"], [31337, RELAYER, session_chain_id(31337, RELAYER, 7)])
        + CONFIG.encode()
    )
    assert CONFIG.hash(31337, RELAYER) == expected
    assert CONFIG.hash(1, RELAYER) != expected


def test_static_structs_are_their_members_words() -> None:
    assert len(TERMS.encode()) == 10 * 32
    assert TERMS.encode()[-1] == 1
    assert len(CONFIG.encode()) == 9 * 32
    assert len(CLAIM.encode()) == 11 * 32
    assert TERMS.hash() == keccak256(TERMS.encode())
    assert CLAIM.leaf() == keccak256(keccak256(CLAIM.encode()))
    assert block_hash_leaf(b"\x05" * 32) == keccak256(keccak256(encode(["bytes32"], [b"\x05" * 32])))


def test_template_id_and_players_hash_and_seed() -> None:
    assert template_id(b"\x01" * 32, b"\x02" * 32) == keccak256(
        encode(["bytes32", "bytes32"], [b"\x01" * 32, b"\x02" * 32])
    )
    players = [b"\x0a" * 20, b"\x0b" * 20]
    assert players_hash(players) == keccak256(encode(["address[]"], [players]))
    assert session_seed(b"\x09" * 32, 3) == keccak256(b"\x09" * 32 + (3).to_bytes(32, "big"))


def test_init_message_is_the_predeploys_call() -> None:
    players = [b"\x0a" * 20, b"\x0b" * 20]
    message = init_message(99, b"\x01" * 32, 7, 1234, b"\x02" * 32, players, b"hello")
    assert (message.sender, message.to, message.gas_limit) == (SYSTEM_ADDRESS, PREDEPLOY, 10_000_000)
    assert (message.index, message.due_at) == (0, 0)
    assert message.data[:4] == keccak256(b"init(bytes32,uint64,uint64,bytes32,address[],bytes)")[:4]
    assert message.data[4:] == encode(
        ["bytes32", "uint64", "uint64", "bytes32", "address[]", "bytes"],
        [b"\x01" * 32, 7, 1234, b"\x02" * 32, players, b"hello"],
    )


def test_system_transaction_bytes() -> None:
    message = Message(99, 0, SYSTEM_ADDRESS, PREDEPLOY, 21000, 1_800_000_000, b"\x01\x02")
    fields = [99, 0, SYSTEM_ADDRESS, PREDEPLOY, 21000, 1_800_000_000, b"\x01\x02"]
    assert message.encode_transaction() == b"\x7e" + rlp.encode(fields)
    assert message.transaction_hash() == keccak256(message.encode_transaction())


def test_inbox_accumulates() -> None:
    messages = [Message(99, index, b"\x01" * 20, b"\x02" * 20, 1, 2, bytes([index])) for index in range(3)]
    folded = bytes(32)
    for message in messages:
        folded = keccak256(encode(["bytes32", "bytes32"], [folded, message.hash()]))
    assert accumulate_inbox(messages) == folded
    assert accumulate_inbox([]) == bytes(32)


def test_alias_wraps() -> None:
    assert alias_address(bytes(20)).hex() == "1111000000000000000000000000000000001111"
    assert alias_address(b"\xff" * 20).hex() == "1111000000000000000000000000000000001110"


def test_genesis_header_round_trip_and_fields() -> None:
    header = genesis_header(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, 1_700_000_000, b"\x04" * 32)
    assert Header.decode(header.encode()) == header
    assert header.hash() == keccak256(header.encode())
    assert header.extra_data == b"\x02" * 32
    assert header.prev_randao == b"\x03" * 32
    assert header.parent_beacon_block_root == b"\x04" * 32
    assert header.gas_limit == 30_000_000


def test_header_hash_agrees_with_eels() -> None:
    from ethereum.forks.osaka.blocks import Header as EelsHeader
    from ethereum_rlp import rlp as eels_rlp
    from ethereum_types.numeric import U64, U256, Uint

    header = genesis_header(b"\x01" * 32, b"\x02" * 32, b"\x03" * 32, 1_700_000_000, b"\x04" * 32)
    eels = EelsHeader(
        parent_hash=header.parent_hash,
        ommers_hash=header.ommers_hash,
        coinbase=header.beneficiary,
        state_root=header.state_root,
        transactions_root=header.transactions_root,
        receipt_root=header.receipts_root,
        bloom=header.logs_bloom,
        difficulty=Uint(header.difficulty),
        number=Uint(header.number),
        gas_limit=Uint(header.gas_limit),
        gas_used=Uint(header.gas_used),
        timestamp=U256(header.timestamp),
        extra_data=header.extra_data,
        prev_randao=header.prev_randao,
        nonce=header.nonce,
        base_fee_per_gas=Uint(header.base_fee_per_gas),
        withdrawals_root=header.withdrawals_root,
        blob_gas_used=U64(header.blob_gas_used),
        excess_blob_gas=U64(header.excess_blob_gas),
        parent_beacon_block_root=header.parent_beacon_block_root,
        requests_hash=header.requests_hash,
    )
    assert keccak256(eels_rlp.encode(eels)) == header.hash()


DOMAIN = {"name": "Exclave", "version": "1", "chainId": 31337, "verifyingContract": "0x" + RELAYER.hex()}


def test_preconfirmation_is_eip712() -> None:
    message = {"sessionId": 7, "number": 3, "blockHash": b"\x05" * 32}
    types = {
        "Preconfirmation": [
            {"name": "sessionId", "type": "uint64"},
            {"name": "number", "type": "uint64"},
            {"name": "blockHash", "type": "bytes32"},
        ]
    }
    signable = encode_typed_data(DOMAIN, types, message)
    signature = sign_digest(preconfirmation_digest(31337, RELAYER, 7, 3, b"\x05" * 32), KEY)
    assert bytes(Account.sign_message(signable, KEY).signature) == signature
    assert recover_signer(preconfirmation_digest(31337, RELAYER, 7, 3, b"\x05" * 32), signature) == address_of(KEY)
    assert address_of(KEY).hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"


def test_session_result_is_eip712() -> None:
    types = {"SessionResult": [{"name": "configHash", "type": "bytes32"}, {"name": "resultHash", "type": "bytes32"}]}
    signable = encode_typed_data(DOMAIN, types, {"configHash": b"\x01" * 32, "resultHash": b"\x02" * 32})
    signature = sign_digest(session_result_digest(31337, RELAYER, b"\x01" * 32, b"\x02" * 32), KEY)
    assert bytes(Account.sign_message(signable, KEY).signature) == signature


def test_malleable_signature_is_refused() -> None:
    digest = b"\x05" * 32
    signature = sign_digest(digest, KEY)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high_s = (order - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    twin = signature[:32] + high_s + bytes([55 - signature[64]])
    with pytest.raises(InvalidSignature, match="range"):
        recover_signer(digest, twin)


def test_a_bad_key_does_not_show_in_the_error() -> None:
    secret = b"\xff" * 32
    with pytest.raises(InvalidSignature) as caught:
        sign_digest(b"\x05" * 32, secret)
    assert "ff" * 8 not in str(caught.value)


def test_fields_out_of_range() -> None:
    with pytest.raises(InvalidField, match="chain_id"):
        Message(2**64, 0, SYSTEM_ADDRESS, PREDEPLOY, 1, 0, b"")
    with pytest.raises(InvalidField, match="20 bytes"):
        Message(1, 0, b"", PREDEPLOY, 1, 0, b"")
    with pytest.raises(InvalidField, match="blocks 2 to 1"):
        SessionClaim(1, bytes(32), bytes(32), 2, 1, 0, bytes(32), bytes(32), bytes(32), 0, bytes(32))
