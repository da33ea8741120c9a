"""A contract that counts its calls: how often an effect happened on L1."""

from __future__ import annotations

from eth_utils import keccak
from support.anvil import Anvil

INCREMENT = b"\x01"
ONLY_FIRST = b"\xfe"  # increments zero, reverts after that
REVERT = b"\xff"  # reverts with the bytes that follow
TOPIC = (1).to_bytes(32, "big")

_OPCODES = {
    "STOP": 0x00, "ADD": 0x01, "SUB": 0x03, "EQ": 0x14, "BYTE": 0x1A, "CALLDATALOAD": 0x35, "CALLDATASIZE": 0x36,
    "CALLDATACOPY": 0x37, "CODECOPY": 0x39, "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55, "JUMPI": 0x57,
    "JUMPDEST": 0x5B, "DUP1": 0x80, "LOG1": 0xA1, "RETURN": 0xF3, "REVERT": 0xFD,
}  # fmt: skip

_RUNTIME = """
CALLDATASIZE @change JUMPI  0 SLOAD 0 MSTORE 32 0 RETURN
change: 0 CALLDATALOAD 0 BYTE 255 EQ @revert JUMPI
        0 CALLDATALOAD 0 BYTE 254 EQ @first JUMPI
add:    1 0 SLOAD ADD 0 SSTORE  1 0 0 LOG1 STOP
first:  0 SLOAD @twice JUMPI  1 0 SSTORE STOP
twice:  0 0 REVERT
revert: 1 CALLDATASIZE SUB DUP1 1 0 CALLDATACOPY 0 REVERT
"""


def _assemble(source: str) -> bytes:
    code, labels, places = bytearray(), {}, []
    for word in source.split():
        if word.endswith(":"):
            labels[word[:-1]] = len(code)
            code.append(_OPCODES["JUMPDEST"])
        elif word.startswith("@"):
            places.append((len(code) + 1, word[1:]))
            code += b"\x60\x00"
        elif word.isdigit():
            code += bytes([0x60, int(word)])
        else:
            code.append(_OPCODES[word])
    for place, label in places:
        code[place] = labels[label]
    return bytes(code)


RUNTIME = _assemble(_RUNTIME)
CREATION = _assemble(f"{len(RUNTIME)} DUP1 12 0 CODECOPY 0 RETURN").ljust(12, b"\0") + RUNTIME


def error_string(text: str) -> bytes:
    """`Error(string)` revert data of a text of at most 32 bytes."""
    selector = keccak(b"Error(string)")[:4]
    return selector + (32).to_bytes(32, "big") + len(text).to_bytes(32, "big") + text.encode().ljust(32, b"\0")


class Counter:
    """The contract on a running anvil."""

    def __init__(self, node: Anvil) -> None:
        self._node = node
        self.address = bytes.fromhex(node.deploy("0x" + CREATION.hex())[2:])

    def value(self) -> int:
        return int(self._node.rpc("eth_getStorageAt", "0x" + self.address.hex(), "0x0", "latest"), 16)
