"""Fixed values of the protocol (docs/protocol.md, sections 1, 4, 5)."""

from __future__ import annotations

from typing import Final

ZERO_HASH: Final = bytes(32)
ZERO_ADDRESS: Final = bytes(20)

PREDEPLOY: Final = bytes.fromhex("4578636c61766500000000000000000000000001")
"""Address of the session contract that every template contains ("Exclave" in ASCII)."""

SYSTEM_ADDRESS: Final = bytes.fromhex("fffffffffffffffffffffffffffffffffffffffe")
"""Sender of the init message; EIP-4788's caller."""

CREATE2_DEPLOYER: Final = bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c")
"""The deterministic deployment proxy, which `mud deploy` and forge expect on every chain."""

CREATE2_DEPLOYER_CODE: Final = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
)
"""Its runtime code."""

ALIAS_OFFSET: Final = 0x1111000000000000000000000000000000001111
"""Added (mod 2^160) to the address of an L1 contract that forces a transaction."""

FIRST_LOCAL_SESSION: Final = 2**31
"""Session ids from here up are local to a node (template-building sessions) and unknown to L1."""

INIT_GAS_LIMIT: Final = 10_000_000
"""Gas of the init message."""

MAX_MESSAGE_GAS: Final = 500_000
"""Greatest gas of a forced message, which ZkRelayer takes."""

BLOCK_GAS_LIMIT: Final = 30_000_000
"""Gas limit of every session block."""

SYSTEM_TRANSACTION_TYPE: Final = 0x7E
"""EIP-2718 type of messages from L1."""

EMPTY_OMMERS_HASH: Final = bytes.fromhex("1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347")
"""keccak256(rlp([]))."""

EMPTY_TRIE_ROOT: Final = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
"""keccak256(rlp(b""))."""

EMPTY_REQUESTS_HASH: Final = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"""sha256(b""), EIP-7685."""
