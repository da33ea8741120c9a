"""What L1 nodes answer, as typed values: hashes, addresses and data as raw bytes, quantities as integers.

Every reader raises `MalformedResponse` for anything but what the execution API specification says.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from exclave._engine import ordered_trie_root
from exclave.l1.errors import EndpointLies, HeaderUnverifiable, MalformedResponse
from exclave.protocol.errors import InvalidSignature
from exclave.protocol.fields import encode_rlp, keccak256
from exclave.protocol.signatures import recover_signer

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
    receipts_root: bytes
    logs_bloom: bytes = field(repr=False)
    rlp: bytes = field(repr=False)
    """The header's encoding; its keccak256 is `hash`."""

    def may_have_logs(self, addresses: Sequence[bytes], topics: Sequence[Sequence[bytes] | None]) -> bool:
        """False when the block's bloom filter rules out logs that such a filter of `eth_getLogs` lets through."""
        alternatives = [options for options in (addresses, *topics) if options]
        return all(any(self._in_bloom(item) for item in options) for options in alternatives)

    def _in_bloom(self, item: bytes) -> bool:
        bloom, digest = int.from_bytes(self.logs_bloom, "big"), keccak256(item)
        return all(bloom >> (int.from_bytes(digest[i : i + 2], "big") & 2047) & 1 for i in (0, 2, 4))


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
_NOT_HEADER: Final = frozenset({"hash", "size", "totalDifficulty", "transactions", "uncles", "withdrawals"})
_MOST_UNKNOWN: Final = 3


def read_header(value: Any, *, check_hash: bool = True) -> L1Header:
    """A block's header. Raises `EndpointLies` when the block's hash isn't the hash of what the answer says.

    Forks append fields to headers: fields of names that aren't known here are tried at the end. Where that doesn't give
    the hash either, it can't be checked, which is no lie: `HeaderUnverifiable`. `check_hash=False` is for chains whose
    headers have other fields than Ethereum's.
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
        encoded = _with_unknown_fields(block, items, block_hash)
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
        receipts_root=read_data(block["receiptsRoot"], "receiptsRoot", 32),
        logs_bloom=read_data(block["logsBloom"], "logsBloom", 256),
        rlp=encoded,
    )


def _with_unknown_fields(block: Mapping[str, Any], items: list[bytes | int], block_hash: bytes) -> bytes:
    """The header's encoding with those fields of a later fork that make it have the block's hash."""
    known = {name for name, _ in _HEADER_FIELDS} | _NOT_HEADER
    unknown = {name: text for name, text in block.items() if name not in known and isinstance(text, str)}
    candidates = {name: _readings(text) for name, text in unknown.items() if len(text) <= 66 and _readings(text)}
    for count in range(1, min(len(candidates), _MOST_UNKNOWN) + 1):
        for names in itertools.permutations(candidates, count):
            for values in itertools.product(*(candidates[name] for name in names)):
                encoded = encode_rlp([*items, *values])
                if keccak256(encoded) == block_hash:
                    return encoded
        if len(candidates) > 2 * _MOST_UNKNOWN:
            break  # no fork adds so many, and trying them all takes long
    if candidates:
        raise HeaderUnverifiable(
            f"block {items[8]!r} has fields that this version doesn't know ({', '.join(sorted(candidates))[:200]}), so "
            "its hash can't be checked: if L1 had a fork, upgrade Exclave, or set check_headers = false in [l1] until "
            "you can"
        )
    raise EndpointLies(f"block {items[8]!r} has the hash {to_hex(block_hash)}, which its header doesn't give")


def _readings(text: str) -> list[bytes | int]:
    """What a hex string of unknown type can stand for in a header."""
    readings: list[bytes | int] = []
    if _QUANTITY.fullmatch(text) and len(text) < 66:
        readings.append(int(text, 16))
    if _DATA.fullmatch(text) and (data := bytes.fromhex(text[2:])) not in readings:
        readings.append(data)
    return readings


# What each type of transaction signs, in order, without its type and the signature (EIP-155, 2930, 1559, 4844, 7702).
_SIGNED_FIELDS: Final[dict[int, tuple[str, ...]]] = {
    0: ("nonce", "gasPrice", "gas", "to", "value", "input"),
    1: ("chainId", "nonce", "gasPrice", "gas", "to", "value", "input", "accessList"),
    2: ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value", "input", "accessList"),
}
_SIGNED_FIELDS[3] = (*_SIGNED_FIELDS[2], "maxFeePerBlobGas", "blobVersionedHashes")
_SIGNED_FIELDS[4] = (*_SIGNED_FIELDS[2], "authorizationList")


def find_transaction(block: Any, sender: bytes, nonce: int) -> bytes | None:
    """The hash of the transaction in a block (with full transactions) that used up a sender's nonce.

    No endpoint can make one up: it counts only with the sender's signature. Raises `EndpointLies` for one without.
    """
    for item in read_list(read_object(block, "block").get("transactions"), "transactions"):
        transaction = read_object(item, "transaction")
        if read_data(transaction.get("from"), "from", 20) != sender:
            continue
        if read_quantity(transaction.get("nonce"), "nonce") == nonce:
            return _signed_hash(transaction, sender)
    return None


def _signed_hash(transaction: Mapping[str, Any], sender: bytes) -> bytes:
    """The hash of a transaction, computed from its fields, after its signature was found to be `sender`'s."""
    kind = read_quantity(transaction.get("type", "0x0"), "type", 8)
    if kind not in _SIGNED_FIELDS:
        raise MalformedResponse(f"a transaction of type {kind}, whose signature can't be checked")
    fields = [_transaction_field(transaction, name) for name in _SIGNED_FIELDS[kind]]
    prefix = bytes([kind]) if kind else b""
    r, s, v = (read_quantity(transaction.get(name), name, 256) for name in ("r", "s", "v"))
    if kind:
        parity = read_quantity(transaction.get("yParity", transaction.get("v")), "yParity", 1)
        unsigned, signature = fields, [parity, r, s]
    else:
        parity = (v - 35) % 2 if v >= 35 else v - 27
        unsigned, signature = ([*fields, (v - 35) // 2, 0, 0] if v >= 35 else fields), [v, r, s]
    computed = keccak256(prefix + encode_rlp([*fields, *signature]))
    try:
        signature_bytes = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + parity])
        signer = recover_signer(keccak256(prefix + encode_rlp(unsigned)), signature_bytes)
    except (InvalidSignature, ValueError):
        signer = b""
    if signer != sender or computed != read_data(transaction.get("hash"), "hash", 32):
        raise EndpointLies(f"it answered with a transaction that {to_hex(sender)} didn't sign")
    return computed


def _transaction_field(transaction: Mapping[str, Any], name: str) -> Any:
    value = transaction.get(name)
    if name == "to":
        return b"" if value is None else read_data(value, "to", 20)
    if name == "input":
        return read_data(value, "input")
    if name == "blobVersionedHashes":
        return [read_data(item, name, 32) for item in read_list(value, name)]
    if name == "accessList":
        entries = [read_object(item, name) for item in read_list(value, name)]
        return [
            [
                read_data(entry.get("address"), "address", 20),
                [read_data(key, "storage key", 32) for key in read_list(entry.get("storageKeys"), "storage keys")],
            ]
            for entry in entries
        ]
    if name == "authorizationList":
        signed = (("chainId", 256), ("address", 0), ("nonce", 64), ("yParity", 8), ("r", 256), ("s", 256))
        return [
            [
                read_quantity(entry.get(part), part, bits) if bits else read_data(entry.get(part), part, 20)
                for part, bits in signed
            ]
            for entry in (read_object(item, name) for item in read_list(value, name))
        ]
    return read_quantity(value, name, 256)


def read_block_logs(receipts: Any, header: L1Header) -> list[L1Log]:
    """All logs of a block, from its receipts, which must be those that the header commits to: that is to all of a log
    but its transaction's hash. Raises `EndpointLies` when they aren't.
    """
    encoded: list[bytes] = []
    logs: list[L1Log] = []
    for index, item in enumerate(read_list(receipts, "receipts")):
        receipt = read_receipt(item)
        kind = read_quantity(read_object(item, "receipt").get("type", "0x0"), "type", 7)
        body = [
            int(receipt.success),
            read_quantity(item.get("cumulativeGasUsed"), "cumulativeGasUsed"),
            read_data(item.get("logsBloom"), "logsBloom", 256),
            [[entry.address, list(entry.topics), entry.data] for entry in receipt.logs],
        ]
        encoded.append((bytes([kind]) if kind else b"") + encode_rlp(body))
        for entry in receipt.logs:
            logs.append(
                replace(
                    entry,
                    block_number=header.number,
                    block_hash=header.hash,
                    transaction_index=index,
                    log_index=len(logs),
                )
            )
    if ordered_trie_root(encoded) != header.receipts_root:
        raise EndpointLies(f"its receipts of block {header.number} aren't those of the block's header")
    return logs


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
