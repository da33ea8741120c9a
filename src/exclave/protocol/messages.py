"""Messages from L1 and the inbox that accumulates them (docs/protocol.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exclave.protocol.constants import (
    ALIAS_OFFSET,
    INIT_GAS_LIMIT,
    PREDEPLOY,
    SYSTEM_ADDRESS,
    SYSTEM_TRANSACTION_TYPE,
    ZERO_HASH,
)
from exclave.protocol.errors import DecodeError, InvalidField
from exclave.protocol.fields import (
    decode_rlp,
    encode_abi,
    encode_rlp,
    keccak256,
    read_bytes,
    read_list,
    read_unsigned,
    require_bytes,
    require_unsigned,
)

INIT_SELECTOR = keccak256(b"init(bytes32,uint64,uint64,bytes32,address[],bytes)")[:4]


@dataclass(frozen=True, slots=True)
class Message:
    """A call from L1 into a session. `gas_limit` is execution gas.

    `due_at`: no block takes a forced message whose parent's timestamp is later (INVARIANT I4); 0 in the init message.
    """

    chain_id: int
    index: int
    sender: bytes
    to: bytes
    gas_limit: int
    due_at: int
    data: bytes

    def __post_init__(self) -> None:
        for name in ("chain_id", "index", "gas_limit", "due_at"):
            require_unsigned(name, getattr(self, name), 64)
        require_bytes("sender", self.sender, 20)
        require_bytes("to", self.to, 20)
        require_bytes("data", self.data)

    def hash(self) -> bytes:
        """`messageHash`."""
        return keccak256(
            encode_abi(
                ["uint64", "uint64", "address", "address", "uint64", "uint64", "bytes32"],
                [self.chain_id, self.index, self.sender, self.to, self.gas_limit, self.due_at, keccak256(self.data)],
            )
        )

    def encode_transaction(self) -> bytes:
        """The system transaction, `0x7e || rlp([...])` (EIP-2718 envelope)."""
        fields = [self.chain_id, self.index, self.sender, self.to, self.gas_limit, self.due_at, self.data]
        return bytes([SYSTEM_TRANSACTION_TYPE]) + encode_rlp(fields)

    def transaction_hash(self) -> bytes:
        """The hash that the message has as a transaction of its session."""
        return keccak256(self.encode_transaction())

    @classmethod
    def decode_transaction(cls, raw: bytes) -> Message:
        """Inverse of `encode_transaction`. Raises `DecodeError` on anything but the canonical encoding."""
        if raw[:1] != bytes([SYSTEM_TRANSACTION_TYPE]):
            raise DecodeError("not a system transaction: its type is not 0x7e")
        fields = read_list(decode_rlp(raw[1:], "system transaction"), "system transaction", 7)
        return cls(
            chain_id=read_unsigned(fields[0], "chainId", 64),
            index=read_unsigned(fields[1], "index", 64),
            sender=read_bytes(fields[2], "from", 20),
            to=read_bytes(fields[3], "to", 20),
            gas_limit=read_unsigned(fields[4], "gasLimit", 64),
            due_at=read_unsigned(fields[5], "dueAt", 64),
            data=read_bytes(fields[6], "data"),
        )


def init_message(
    chain_id: int,
    config_hash: bytes,
    session_id: int,
    deadline: int,
    seed: bytes,
    players: Sequence[bytes],
    init_data: bytes,
) -> Message:
    """The first transaction of block 1: `PREDEPLOY.init(...)` by `SYSTEM_ADDRESS`."""
    require_bytes("config_hash", config_hash, 32)
    require_unsigned("session_id", session_id, 64)
    require_unsigned("deadline", deadline, 64)
    require_bytes("seed", seed, 32)
    require_bytes("init_data", init_data)
    for player in players:
        require_bytes("player", player, 20)
    arguments = encode_abi(
        ["bytes32", "uint64", "uint64", "bytes32", "address[]", "bytes"],
        [config_hash, session_id, deadline, seed, list(players), init_data],
    )
    return Message(chain_id, 0, SYSTEM_ADDRESS, PREDEPLOY, INIT_GAS_LIMIT, 0, INIT_SELECTOR + arguments)


def accumulate_inbox(messages: Iterable[Message], inbox_hash: bytes = ZERO_HASH) -> bytes:
    """The inbox hash after `messages`, starting from `inbox_hash`."""
    require_bytes("inbox_hash", inbox_hash, 32)
    for message in messages:
        inbox_hash = next_inbox_hash(inbox_hash, message.hash())
    return inbox_hash


def next_inbox_hash(inbox_hash: bytes, message_hash: bytes) -> bytes:
    """`keccak256(abi.encode(inboxHash, messageHash))`."""
    require_bytes("inbox_hash", inbox_hash, 32)
    require_bytes("message_hash", message_hash, 32)
    return keccak256(inbox_hash + message_hash)


def alias_address(l1_contract: bytes) -> bytes:
    """The sender that an L1 contract's forced transactions have in sessions."""
    require_bytes("l1_contract", l1_contract, 20)
    return ((int.from_bytes(l1_contract, "big") + ALIAS_OFFSET) % 2**160).to_bytes(20, "big")


def require_in_order(messages: Sequence[Message], first_index: int) -> None:
    """Raises `InvalidField` unless the messages' indices count from `first_index` without gaps."""
    for expected, message in enumerate(messages, first_index):
        if message.index != expected:
            raise InvalidField(f"message {message.index} where {expected} was expected")
