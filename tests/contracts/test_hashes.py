"""The node's hashes and the contracts' are the same (docs/protocol.md, sections 1 to 8)."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_abi import encode
from support.anvil import CHAIN_ID, Anvil, run_anvil

from exclave import contracts
from exclave.protocol import (
    DataMode,
    Message,
    SessionClaim,
    SessionConfig,
    Settlement,
    Terms,
    block_hash_leaf,
    chain_id_base,
    claim_digest,
    keccak256,
    merkle_proof,
    merkle_root,
    players_hash,
    session_chain_id,
    session_result_digest,
    template_id,
)
from exclave.protocol.claims import CLAIMED_CHAIN_ABI, SESSION_CLAIM_ABI, SETTLEMENT_ABI
from exclave.protocol.session import SESSION_CONFIG_ABI
from exclave.protocol.signatures import domain_separator
from exclave.protocol.terms import TERMS_ABI

CONTRACTS = Path(__file__).parents[2] / "contracts"
FORGE = CONTRACTS.parent / "toolchain" / "bin" / "forge"
HASHES = CONTRACTS / "out" / "ProtocolHashes.sol" / "ProtocolHashes.json"
ROUNDS = 20

Call = Callable[..., bytes]


@pytest.fixture(scope="module")
def l1() -> Iterator[Anvil]:
    with run_anvil() as anvil:
        yield anvil


def caller(l1: Anvil, address: str) -> Call:
    """Calls a function of the contract that returns one word."""

    def call(signature: str, *values: Any) -> bytes:
        types = _split(signature[signature.index("(") + 1 : -1])
        data = keccak256(signature.encode())[:4] + encode(types, values)
        return bytes.fromhex(l1.rpc("eth_call", {"to": address, "data": "0x" + data.hex()}, "latest")[2:])

    return call


def _split(types: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, character in enumerate(types):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(types[start:position])
            start = position + 1
    return [*parts, types[start:]] if types else []


@pytest.fixture(scope="module")
def hashes_address(l1: Anvil) -> bytes:
    subprocess.run([FORGE, "build", "--root", CONTRACTS, "--quiet"], check=True, cwd=CONTRACTS)
    return bytes.fromhex(l1.deploy(json.loads(HASHES.read_text())["bytecode"]["object"])[2:])


@pytest.fixture(scope="module")
def hashes(l1: Anvil, hashes_address: bytes) -> Call:
    return caller(l1, "0x" + hashes_address.hex())


@pytest.fixture(scope="module")
def zk_relayer(l1: Anvil) -> bytes:
    code = contracts.load("ZkRelayer").bytecode + encode(["uint32"], [60])
    return bytes.fromhex(l1.deploy("0x" + code.hex())[2:])


def terms(random_: random.Random) -> Terms:
    return Terms(
        operator=random_.randbytes(20),
        dispute_game=random_.randbytes(20),
        verifier=random_.randbytes(20),
        program_id=random_.randbytes(32),
        claim_bond=random_.getrandbits(96),
        challenge_window=random_.getrandbits(32),
        inclusion_delay=random_.getrandbits(32),
        abort_delay=random_.getrandbits(32),
        callback_gas=random_.getrandbits(32),
        data_mode=random_.choice(list(DataMode)),
    )


def config(random_: random.Random) -> SessionConfig:
    return SessionConfig(
        session_id=random_.getrandbits(31),
        opened_at=random_.getrandbits(64),
        opened_block=random_.getrandbits(64),
        deadline=random_.getrandbits(64),
        game=random_.randbytes(20),
        template_id=random_.randbytes(32),
        players_hash=random_.randbytes(32),
        init_data_hash=random_.randbytes(32),
        terms_hash=random_.randbytes(32),
    )


def claim(random_: random.Random, config_hash: bytes, session_id: int, result: bytes) -> SessionClaim:
    first, last = sorted((random_.getrandbits(64), random_.getrandbits(64)))
    return SessionClaim(
        session_id=session_id,
        config_hash=config_hash,
        seed=random_.randbytes(32),
        first_number=first,
        last_number=last,
        last_timestamp=random_.getrandbits(64),
        last_hash=random_.randbytes(32),
        block_hashes_root=random_.randbytes(32),
        result_hash=keccak256(result),
        inbox_count=random_.getrandbits(64),
        inbox_hash=random_.randbytes(32),
    )


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_sessions_and_claims(hashes: Call, hashes_address: bytes, round_: int) -> None:
    random_ = random.Random(round_)
    state_root, data_hash = random_.randbytes(32), random_.randbytes(32)
    assert hashes("template(bytes32,bytes32)", state_root, data_hash) == template_id(state_root, data_hash)

    some_terms = terms(random_)
    assert hashes(f"terms({TERMS_ABI})", some_terms.as_abi_tuple()) == some_terms.hash()

    players = [random_.randbytes(20) for _ in range(random_.randint(1, 16))]
    assert hashes("players(address[])", players) == players_hash(players)

    some_config = config(random_)
    config_hash = some_config.hash(CHAIN_ID, hashes_address)
    chain_id = session_chain_id(CHAIN_ID, hashes_address, some_config.session_id)
    assert hashes(f"config(uint64,{SESSION_CONFIG_ABI})", chain_id, some_config.as_abi_tuple()) == config_hash

    result = random_.randbytes(random_.randint(0, 200))
    leaf = claim(random_, config_hash, some_config.session_id, result)
    assert hashes(f"leaf({SESSION_CLAIM_ABI})", leaf.as_abi_tuple()) == leaf.leaf()

    item = Settlement(some_config, leaf, result).as_abi_tuple()
    assert hashes(f"chain({CLAIMED_CHAIN_ABI})", leaf.chain_as_abi_tuple()) == leaf.chain_hash()
    of_item = hashes(f"leafOf({SETTLEMENT_ABI},bytes32,bytes32)", item, config_hash, leaf.inbox_hash)
    assert of_item == leaf.leaf()
    of_item = hashes(f"configOf(uint64,{SETTLEMENT_ABI},bytes32)", chain_id, item, some_config.terms_hash)
    assert of_item == config_hash
    other = replace(some_config, opened_block=some_config.opened_block ^ 1)
    assert other.hash(CHAIN_ID, hashes_address) != config_hash


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_messages(hashes: Call, round_: int) -> None:
    random_ = random.Random(round_)
    message = Message(
        chain_id=random_.getrandbits(51),
        index=random_.getrandbits(64),
        sender=random_.randbytes(20),
        to=random_.randbytes(20),
        gas_limit=random_.getrandbits(64),
        due_at=random_.getrandbits(64),
        data=random_.randbytes(random_.randint(0, 300)),
    )
    on_l1 = hashes(
        "message(uint64,uint64,address,address,uint64,uint64,bytes)",
        message.chain_id,
        message.index,
        message.sender,
        message.to,
        message.gas_limit,
        message.due_at,
        message.data,
    )
    assert on_l1 == message.hash()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 100])
def test_merkle_trees(hashes: Call, count: int) -> None:
    random_ = random.Random(count)
    leaves = [block_hash_leaf(random_.randbytes(32)) for _ in range(count)]
    root = merkle_root(leaves)
    assert hashes("root(bytes32[])", leaves) == root
    for index in {0, count // 2, count - 1}:
        proof = merkle_proof(leaves, index)
        assert hashes("rootFromProof(bytes32,uint256,uint256,bytes32[])", leaves[index], index, count, proof) == root


def test_block_hash_leaves(hashes: Call) -> None:
    assert hashes("blockHashLeaf(bytes32)", b"\x07" * 32) == block_hash_leaf(b"\x07" * 32)


def test_what_the_deployed_relayer_says(l1: Anvil, zk_relayer: bytes) -> None:
    call = caller(l1, "0x" + zk_relayer.hex())
    assert int.from_bytes(call("chainIdBase()")) == chain_id_base(CHAIN_ID, zk_relayer)
    some_config = config(random.Random(1))
    on_l1 = call(f"configHash({SESSION_CONFIG_ABI})", some_config.as_abi_tuple())
    assert on_l1 == some_config.hash(CHAIN_ID, zk_relayer)
    separator = call("domainSeparator()")
    assert separator == domain_separator(CHAIN_ID, zk_relayer)
    root, terms_hash = keccak256(b"root"), keccak256(b"terms")
    type_hash = keccak256(b"Claim(address claimant,bytes32 root,uint32 count,bytes32 termsHash)")
    assert call("CLAIM_TYPEHASH()") == type_hash
    struct = keccak256(type_hash + bytes(12) + zk_relayer + root + (7).to_bytes(32, "big") + terms_hash)
    assert keccak256(b"\x19\x01" + separator + struct) == claim_digest(
        CHAIN_ID, zk_relayer, zk_relayer, root, 7, terms_hash
    )
    type_hash = keccak256(b"SessionResult(bytes32 configHash,bytes32 resultHash,uint64 validUntil)")
    assert call("SESSION_RESULT_TYPEHASH()") == type_hash
    struct = keccak256(type_hash + on_l1 + keccak256(b"result") + (99).to_bytes(32, "big"))
    assert keccak256(b"\x19\x01" + separator + struct) == session_result_digest(
        CHAIN_ID, zk_relayer, on_l1, keccak256(b"result"), 99
    )
