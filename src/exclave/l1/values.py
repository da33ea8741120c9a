"""What L1 nodes answer, as typed values: hashes, addresses and data as raw bytes, quantities as integers.

Every reader raises `MalformedResponse` for anything but what the execution API specification says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from exclave.l1.errors import EndpointLies, MalformedResponse
from exclave.protocol.fields import encode_rlp, keccak256

BlockTag = Literal["latest", "pending", "safe", "finalized", "earliest"]
BlockId = int | bytes | BlockTag
"""A number, a hash (sent as EIP-1898 object), or a tag."""

_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")


def to_hex(data: bytes) -> str:
    return "0x" + data.hex()


def block_parameter(block: BlockId) -> Any:
    """A block identifier as JSON-RPC parameter of state queries."""
    if isinstance(block, bytes):
        return {"blockHash": to_hex(block)}
    return hex(block) if isinstance(block, int) else block


def read_data(value: Any, what: str, length: int | None = None) -> bytes:
    """A hex byte string (of exactly `length` bytes)."""
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise MalformedResponse(f"{what} is not hex data")
    data = bytes.fromhex(value[2:])
    if length is not None and len(data) != length:
        raise MalformedResponse(f"{what} has {len(data)} bytes, not {length}")
    return data


def read_quantity(value: Any, what: str, bits: int = 64) -> int:
    """A hex quantity of at most `bits` bits."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise MalformedResponse(f"{what} is not a hex quantity")
    number = int(value, 16)
    if number.bit_length() > bits:
        raise MalformedResponse(f"{what} exceeds {bits} bits")
    return number


def read_object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedResponse(f"{what} is not an object")
    return value


def read_list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise MalformedResponse(f"{what} is not a list")
    return value


@dataclass(frozen=True, slots=True)
class L1Header:
    """A block of L1. Fees are in wei; `blob_gas_used` and `excess_blob_gas` are None before Cancun."""

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    prev_randao: bytes
    gas_limit: int
    gas_used: int
    base_fee_per_gas: int
    blob_gas_used: int | None
    excess_blob_gas: int | None
    logs_bloom: bytes = field(repr=False)
    rlp: bytes = field(repr=False)
    """The header's encoding; its keccak256 is `hash`."""


@dataclass(frozen=True, slots=True)
class L1Transaction:
    """What a block's list of transactions tells about one."""

    hash: bytes
    sender: bytes
    nonce: int


@dataclass(frozen=True, slots=True)
class L1Block:
    header: L1Header
    transactions: tuple[L1Transaction, ...]


@dataclass(frozen=True, slots=True)
class L1Log:
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    transaction_index: int
    log_index: int


@dataclass(frozen=True, slots=True)
class L1Receipt:
    """`effective_gas_price` is in wei a gas; `blob_gas_price` in wei a blob gas, None without blobs."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    transaction_index: int
    success: bool
    gas_used: int
    effective_gas_price: int
    blob_gas_used: int | None
    blob_gas_price: int | None
    contract_address: bytes | None
    logs: tuple[L1Log, ...]


# Name in JSON, and length in bytes (0: any) or, negative, bits of a quantity; in the header's order. Those after the
# first fifteen came with later forks and end where a block's fork ends (EIP-1559, 4895, 4844, 4788, 7685).
_HEADER_FIELDS: Final[tuple[tuple[str, int], ...]] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", -256),
    ("number", -64),
    ("gasLimit", -64),
    ("gasUsed", -64),
    ("timestamp", -64),
    ("extraData", 0),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", -256),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", -64),
    ("excessBlobGas", -64),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
_MANDATORY: Final = 15


def read_header(value: Any, *, check_hash: bool = True) -> L1Header:
    """A block's header. Raises `EndpointLies` when the block's hash isn't the hash of what the answer says.

    `check_hash=False` is for chains whose headers have other fields than Ethereum's.
    """
    block = read_object(value, "block")
    items: list[bytes | int] = []
    for position, (name, kind) in enumerate(_HEADER_FIELDS):
        if block.get(name) is None:
            if position < _MANDATORY:
                raise MalformedResponse(f"a block without {name}")
            break
        items.append(
            read_data(block[name], name, kind or None) if kind >= 0 else read_quantity(block[name], name, -kind)
        )
    encoded = encode_rlp(items)
    block_hash = read_data(block.get("hash"), "hash", 32)
    if check_hash and keccak256(encoded) != block_hash:
        raise EndpointLies(f"block {items[8]!r} has the hash {to_hex(block_hash)}, which its header doesn't give")
    optional = {
        name: None if block.get(name) is None else read_quantity(block[name], name)
        for name in ("blobGasUsed", "excessBlobGas")
    }
    return L1Header(
        number=read_quantity(block["number"], "number"),
        hash=block_hash,
        parent_hash=read_data(block["parentHash"], "parentHash", 32),
        timestamp=read_quantity(block["timestamp"], "timestamp"),
        prev_randao=read_data(block["mixHash"], "mixHash", 32),
        gas_limit=read_quantity(block["gasLimit"], "gasLimit"),
        gas_used=read_quantity(block["gasUsed"], "gasUsed"),
        base_fee_per_gas=read_quantity(block.get("baseFeePerGas", "0x0"), "baseFeePerGas", 256),
        blob_gas_used=optional["blobGasUsed"],
        excess_blob_gas=optional["excessBlobGas"],
        logs_bloom=read_data(block["logsBloom"], "logsBloom", 256),
        rlp=encoded,
    )


def read_block(value: Any, *, check_hash: bool = True) -> L1Block:
    """A block with its full transactions."""
    header = read_header(value, check_hash=check_hash)
    transactions = []
    for item in read_list(value.get("transactions"), "transactions"):
        transaction = read_object(item, "transaction")
        transactions.append(
            L1Transaction(
                hash=read_data(transaction.get("hash"), "hash", 32),
                sender=read_data(transaction.get("from"), "from", 20),
                nonce=read_quantity(transaction.get("nonce"), "nonce"),
            )
        )
    return L1Block(header, tuple(transactions))


def read_log(value: Any) -> L1Log:
    log = read_object(value, "log")
    topics = tuple(read_data(topic, "topic", 32) for topic in read_list(log.get("topics"), "topics"))
    if len(topics) > 4:
        raise MalformedResponse("a log with more than four topics")
    return L1Log(
        address=read_data(log.get("address"), "address", 20),
        topics=topics,
        data=read_data(log.get("data"), "data"),
        block_number=read_quantity(log.get("blockNumber"), "blockNumber"),
        block_hash=read_data(log.get("blockHash"), "blockHash", 32),
        transaction_hash=read_data(log.get("transactionHash"), "transactionHash", 32),
        transaction_index=read_quantity(log.get("transactionIndex"), "transactionIndex"),
        log_index=read_quantity(log.get("logIndex"), "logIndex"),
    )


def read_receipt(value: Any) -> L1Receipt:
    receipt = read_object(value, "receipt")
    created = receipt.get("contractAddress")
    return L1Receipt(
        transaction_hash=read_data(receipt.get("transactionHash"), "transactionHash", 32),
        block_number=read_quantity(receipt.get("blockNumber"), "blockNumber"),
        block_hash=read_data(receipt.get("blockHash"), "blockHash", 32),
        transaction_index=read_quantity(receipt.get("transactionIndex"), "transactionIndex"),
        success=read_quantity(receipt.get("status"), "status", 1) == 1,
        gas_used=read_quantity(receipt.get("gasUsed"), "gasUsed"),
        effective_gas_price=read_quantity(receipt.get("effectiveGasPrice"), "effectiveGasPrice", 256),
        blob_gas_used=_optional_quantity(receipt, "blobGasUsed"),
        blob_gas_price=_optional_quantity(receipt, "blobGasPrice"),
        contract_address=None if created is None else read_data(created, "contractAddress", 20),
        logs=tuple(read_log(log) for log in read_list(receipt.get("logs"), "logs")),
    )


def _optional_quantity(value: Mapping[str, Any], name: str) -> int | None:
    return None if value.get(name) is None else read_quantity(value[name], name, 256)
