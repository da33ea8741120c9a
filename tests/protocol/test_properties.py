"""Round trips, and garbage that must end in a typed error and nothing else."""

from __future__ import annotations

import contextlib
import zlib

import pytest
import rlp
from hypothesis import given, settings
from hypothesis import strategies as st

from exclave.protocol import (
    BlockData,
    DataMode,
    DataTooLarge,
    DecodeError,
    GenesisAccount,
    Header,
    InvalidSignature,
    Message,
    ProtocolError,
    SessionClaim,
    SessionConfig,
    SessionData,
    TemplateAccount,
    Terms,
    base_template,
    decode_batch_data,
    decode_template,
    encode_batch_data,
    encode_template,
    merkle_proof,
    merkle_root,
    recover_signer,
    verify_merkle_proof,
)


def uint(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


hashes = st.binary(min_size=32, max_size=32)
addresses = st.binary(min_size=20, max_size=20)

terms = st.builds(
    Terms,
    addresses,
    addresses,
    addresses,
    hashes,
    uint(96),
    uint(32),
    uint(32),
    uint(32),
    uint(32),
    st.sampled_from(DataMode),
)
configs = st.builds(SessionConfig, uint(64), uint(64), uint(64), uint(64), addresses, hashes, hashes, hashes, hashes)
messages = st.builds(Message, uint(64), uint(64), addresses, addresses, uint(64), uint(64), st.binary(max_size=300))
ranges = st.tuples(uint(64), uint(64)).map(sorted)
claims = st.builds(
    lambda session, config, seed, numbers, *rest: SessionClaim(session, config, seed, numbers[0], numbers[1], *rest),
    *(uint(64), hashes, hashes, ranges, uint(64), hashes, hashes, hashes, uint(64), hashes),
)
blocks = st.builds(BlockData, uint(64), st.lists(st.binary(max_size=100), min_size=1, max_size=4).map(tuple))
session_data = st.builds(SessionData, uint(64), uint(64), st.lists(blocks, max_size=4).map(tuple))
accounts = st.builds(
    GenesisAccount,
    addresses,
    nonce=st.integers(1, 2**64 - 1),
    balance=uint(256),
    code=st.binary(max_size=64),
    storage=st.dictionaries(uint(256), uint(256), max_size=5),
)


@given(terms, configs, claims)
def test_structs_round_trip(terms: Terms, config: SessionConfig, claim: SessionClaim) -> None:
    assert Terms.decode(terms.encode()) == terms
    assert SessionConfig.decode(config.encode()) == config
    assert SessionClaim.decode(claim.encode()) == claim


@given(messages)
def test_system_transactions_round_trip(message: Message) -> None:
    assert Message.decode_transaction(message.encode_transaction()) == message


@given(st.lists(session_data, max_size=4))
def test_batch_data_round_trips(sessions: list[SessionData]) -> None:
    assert decode_batch_data(encode_batch_data(sessions)) == tuple(sessions)


@given(st.lists(accounts, max_size=6, unique_by=lambda account: account.address))
def test_templates_round_trip(genesis: list[GenesisAccount]) -> None:
    hashed = [TemplateAccount.from_account(account) for account in genesis]
    data = encode_template(hashed)
    assert set(decode_template(data)) == set(hashed)
    assert encode_template(decode_template(data)) == data


@given(st.binary(max_size=700), st.booleans())
@settings(max_examples=500)
def test_garbage_is_a_typed_error(data: bytes, compress: bool) -> None:
    for decode in (
        Terms.decode,
        SessionConfig.decode,
        SessionClaim.decode,
        Header.decode,
        decode_template,
        lambda raw: Message.decode_transaction(b"\x7e" + raw),
        lambda raw: decode_batch_data(zlib.compress(raw) if compress else raw),
    ):
        with pytest.raises(DecodeError):
            decode(data)


nested = st.recursive(st.binary(max_size=40), lambda children: st.lists(children, max_size=6), max_leaves=30)


@given(nested)
@settings(max_examples=300)
def test_well_formed_rlp_of_another_shape_is_a_typed_error(value: object) -> None:
    data = rlp.encode(value)
    for decode in (
        Header.decode,
        decode_template,
        lambda raw: Message.decode_transaction(b"\x7e" + raw),
        lambda raw: decode_batch_data(zlib.compress(raw)),
    ):
        with contextlib.suppress(ProtocolError):
            decode(data)


@given(st.lists(session_data, min_size=1, max_size=2), st.data())
@settings(max_examples=300)
def test_damaged_batch_data_is_a_typed_error(sessions: list[SessionData], data: st.DataObject) -> None:
    plain = bytearray(zlib.decompress(encode_batch_data(sessions)))
    position = data.draw(st.integers(0, len(plain) - 1))
    plain[position] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(DecodeError):
        decode_batch_data(zlib.compress(bytes(plain)))


def test_nesting_that_exhausts_the_stack_is_a_typed_error() -> None:
    data = b""
    for _ in range(20_000):
        data = rlp.codec.length_prefix(len(data), 192) + data
    with pytest.raises(DecodeError):
        decode_batch_data(zlib.compress(data))
    with pytest.raises(DecodeError):
        decode_template(data)


def test_decompression_is_bounded() -> None:
    bomb = zlib.compress(bytes(10_000_000))
    with pytest.raises(DataTooLarge):
        decode_batch_data(bomb, max_bytes=1_000_000)


def test_truncated_and_prolonged_streams_are_refused() -> None:
    data = encode_batch_data([SessionData(1, 0, (BlockData(5, (b"x",)),))])
    with pytest.raises(DecodeError, match="middle"):
        decode_batch_data(data[:-1])
    with pytest.raises(DecodeError, match="follow"):
        decode_batch_data(data + b"\0")


@given(st.lists(hashes, min_size=1, max_size=40), st.data())
def test_merkle_proofs_hold_for_their_place_only(leaves: list[bytes], data: st.DataObject) -> None:
    root = merkle_root(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle_proof(leaves, index)
    assert verify_merkle_proof(root, leaves[index], index, len(leaves), proof)
    assert verify_merkle_proof(root, leaves[index], other, len(leaves), proof) == (
        index == other or (merkle_proof(leaves, other) == proof and leaves[other] == leaves[index])
    )
    assert not verify_merkle_proof(root, leaves[index], index, len(leaves), [*proof, bytes(32)])
    assert not verify_merkle_proof(root, leaves[index], len(leaves), len(leaves), proof)
    if proof:
        assert not verify_merkle_proof(root, leaves[index], index, len(leaves), proof[:-1])


def test_a_tree_of_one_leaf_is_the_leaf() -> None:
    assert merkle_root([b"\x01" * 32]) == b"\x01" * 32
    assert merkle_proof([b"\x01" * 32], 0) == []


@given(hashes, st.binary(min_size=60, max_size=70))
def test_garbage_signatures_are_typed_errors(digest: bytes, signature: bytes) -> None:
    with contextlib.suppress(InvalidSignature):
        assert len(recover_signer(digest, signature)) == 20


def test_base_template_holds_predeploy_and_deployer() -> None:
    accounts = decode_template(base_template(b"\xfe", [GenesisAccount(b"\x01" * 20, balance=10**18)]))
    assert len(accounts) == 3
    with pytest.raises(ProtocolError, match="twice"):
        base_template(b"\xfe", [GenesisAccount(b"\x01" * 20, balance=1)] * 2)
    with pytest.raises(ProtocolError, match="empty"):
        base_template(b"\xfe", [GenesisAccount(b"\x01" * 20)])


def test_unordered_template_is_refused() -> None:
    accounts = decode_template(base_template(b"\xfe"))
    rows = [[a.address_hash, a.nonce, a.balance, a.code, []] for a in reversed(accounts)]
    with pytest.raises(DecodeError, match="ascending"):
        decode_template(rlp.encode([1, rows]))
