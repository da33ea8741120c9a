"""Typed errors of the L1 side, and the one table from the texts of L1 nodes to them.

JSON-RPC gives nodes hardly any codes for what matters to a sender of transactions, so their texts decide. The table
knows those of geth, reth, nethermind, erigon, besu and anvil, and of common hosted endpoints.
"""

from __future__ import annotations

import re
from typing import Any, Final

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

ERROR_STRING_SELECTOR: Final = bytes.fromhex("08c379a0")  # Error(string)
PANIC_SELECTOR: Final = bytes.fromhex("4e487b71")  # Panic(uint256)


class L1Error(Exception):
    """Anything that goes wrong between the node and L1."""


# What endpoints do wrong


class L1Unavailable(L1Error):
    """No endpoint gave a usable answer. `reasons` says why of each (by its redacted name).

    A transaction that was being sent may have been accepted all the same.
    """

    def __init__(self, method: str, reasons: dict[str, str]) -> None:
        self.method = method
        self.reasons = dict(reasons)
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "none is configured"
        super().__init__(f"no L1 endpoint answered {method} ({told})")


class EndpointFault(L1Error):
    """One endpoint's answer can't be used; the client asks another one."""


class EndpointTimeout(EndpointFault):
    """No answer in time. The request may have had its effect."""


class EndpointUnreachable(EndpointFault):
    """No connection, or it broke."""


class MalformedResponse(EndpointFault):
    """The answer isn't JSON-RPC, or a field isn't what the API says."""


class WrongChain(EndpointFault):
    """The endpoint serves another chain."""


class EndpointBehind(EndpointFault):
    """The endpoint doesn't know a block that the question is about."""


class EndpointLies(EndpointFault):
    """The endpoint contradicts itself: a block's hash isn't that of its header, a log's block isn't on its chain, its
    logs aren't those that the block commits to, its head fell back further than a reorg can.
    """


class HeaderUnverifiable(EndpointFault):
    """A header has fields that this version doesn't know, and its hash can't be recomputed. It may be a new fork's."""


# What nodes answer


class NodeError(L1Error):
    """A JSON-RPC error. `code` and `message` are the node's own words."""

    def __init__(self, message: str, code: int = -32000, data: Any = None) -> None:
        self.code = code
        self.message = message
        self.data = data
        super().__init__(message)


class TransactionRejected(NodeError):
    """A node didn't take a transaction. Others may have."""


class NonceTooLow(TransactionRejected):
    """The nonce was used by a mined transaction."""


class NonceTooHigh(TransactionRejected):
    """The nonce leaves a gap that the pool doesn't allow."""


class AlreadyKnown(TransactionRejected):
    """The node has this very transaction."""


class ReplacementUnderpriced(TransactionRejected):
    """The pool has a transaction of this nonce, and this one doesn't pay enough more."""


class Underpriced(TransactionRejected):
    """The fees are below what the pool takes at all."""


class FeeCapTooLow(TransactionRejected):
    """`maxFeePerGas` is below the block's base fee."""


class BlobFeeCapTooLow(TransactionRejected):
    """`maxFeePerBlobGas` is below the block's blob base fee, or the pool's least."""


class TipAboveFeeCap(TransactionRejected):
    """`maxPriorityFeePerGas` exceeds `maxFeePerGas`."""


class FeeExceedsNodeCap(TransactionRejected):
    """The node refuses fees above a limit of its own (geth's `--rpc.txfeecap`)."""


class InsufficientFunds(TransactionRejected):
    """The sender's balance doesn't cover value and largest fees of this and its pending transactions."""


class IntrinsicGasTooLow(TransactionRejected):
    """The gas limit is below the intrinsic gas, or the calldata floor of EIP-7623."""


class GasLimitExceeded(TransactionRejected):
    """The gas limit is above the cap for one transaction (EIP-7825: 16,777,216 gas)."""


class ExceedsBlockGasLimit(TransactionRejected):
    """The gas limit is above the block's."""


class TransactionTooLarge(TransactionRejected):
    """The pool doesn't take transactions of that size (geth: 131,072 bytes without blobs), or the init code is too
    large (EIP-3860).
    """


class TxPoolFull(TransactionRejected):
    """The pool, or the sender's share of it, is full."""


class BlobLimits(TransactionRejected):
    """Too many or no blobs, or the sidecar doesn't fit them."""


class BlobPoolReserved(TransactionRejected):
    """The sender has pending transactions of the other kind: pools keep blob transactions and others of one sender
    apart.
    """


class InvalidTransaction(TransactionRejected):
    """The transaction itself is at fault: signature, chain id, type, sender with code."""


class ExecutionReverted(NodeError):
    """`eth_call` or `eth_estimateGas` reverted. `revert_data` is what the contract gave; `reason` is its text for
    `Error(string)` and `Panic(uint256)`, else None.
    """

    def __init__(self, message: str, code: int = 3, data: Any = None) -> None:
        super().__init__(message, code, data)
        self.revert_data = _revert_bytes(data)
        self.reason = revert_reason(self.revert_data)


class CallFailed(NodeError):
    """`eth_call` or `eth_estimateGas` failed without a revert: out of gas, invalid opcode."""


class RateLimited(NodeError):
    """The endpoint wants fewer requests."""


class ResultTooLarge(NodeError):
    """`eth_getLogs` over too many blocks or results: ask for a smaller range."""


class UnexpectedResult(NodeError):
    """`eth_call` gave something that its caller can't read: the endpoint is at fault, or another contract is there."""


class StateUnavailable(NodeError):
    """The endpoint lacks that block or its state (not there yet, or pruned)."""


class MethodUnavailable(NodeError):
    """The endpoint doesn't serve that method."""


class NodeFault(NodeError):
    """The node had a problem of its own; another one may answer."""


FAILOVER: Final = (RateLimited, StateUnavailable, MethodUnavailable, NodeFault, UnexpectedResult)
"""Errors that are about the endpoint rather than the question: another endpoint is asked."""


# First match wins; texts are compared in lower case. Sources: geth core/error.go, core/txpool/errors.go,
# core/txpool/validation.go; reth rpc-eth-types and transaction-pool errors; nethermind AcceptTxResult (names until
# 2025, then geth's texts); erigon txpoolcfg; besu RpcErrorType and TransactionInvalidReason; anvil eth/error.rs.
TABLE: Final[tuple[tuple[type[NodeError], str], ...]] = (
    # Authorities of EIP-7702 have texts of their own that contain others' words.
    (InvalidTransaction, r"authority nonce too low"),
    (BlobPoolReserved, r"address already reserved|authority already reserved|transaction type \d+ conflicts with"),
    (BlobPoolReserved, r"pendingtxsofconflictingtype|can't replace blob-txn with a non-blob-txn"),
    (BlobPoolReserved, r"pending transactions? of (a )?conflicting type|transaction type conflict"),
    (ReplacementUnderpriced, r"replacement transaction underpriced|replacementnotallowed"),
    (ReplacementUnderpriced, r"insufficient gas price to replace existing transaction|could not replace existing tx"),
    (ReplacementUnderpriced, r"future transaction tries to replace pending|replacement not allowed"),
    (AlreadyKnown, r"already known|alreadyknown|known transaction|already imported|existing tx[n]? with same hash"),
    (AlreadyKnown, r"transaction already exists|already in (the )?(mem)?pool|ownnoncealreadyused"),
    (NonceTooLow, r"nonce too low|oldnonce|invalid transaction nonce|nonce is below|nonce has already been used"),
    (NonceTooHigh, r"nonce too high|noncegap|noncetoofarinfuture|nonce is too distant|nonce too far in (the )?future"),
    (NonceTooHigh, r"an invalid transaction with a lower nonce exists|gapped-nonce|nonce gap"),
    (BlobFeeCapTooLow, r"max ?fee ?per ?blob ?gas.* (less than|below|lower than)|blob fee cap .*minimum needed"),
    (BlobFeeCapTooLow, r"`?blob_gas_price`? is greater than|blob gas price below current blob base fee"),
    (FeeCapTooLow, r"max fee per gas less than block base fee|gas price below current base fee"),
    (FeeCapTooLow, r"gasprice is less than the current basefee|fee cap less than block base fee"),
    (TipAboveFeeCap, r"max priority fee per gas (higher than|exceeds) max fee per gas|`?max_priority_fee_per_gas`? gr"),
    (FeeExceedsNodeCap, r"exceeds the configured cap|transaction fee cap exceeded"),
    (Underpriced, r"transaction underpriced|feetoolow|fee too low|gas price below configured minimum"),
    (Underpriced, r"gas price below minimum|feecap \d+ below chain minimum|^(internal_error: )?underpriced"),
    (Underpriced, r"tip cap .*minimum needed|priority fee .*below"),
    (InsufficientFunds, r"insufficient ?funds|upfront cost exceeds account balance|overdraws from account"),
    (InsufficientFunds, r"insufficient balance|lack of funds"),
    (ExceedsBlockGasLimit, r"tx\.gas_limit > env\.block\.gas_limit"),
    (GasLimitExceeded, r"transaction gas limit too high|gas limit is too high|exceeds maximum transaction gas limit"),
    (GasLimitExceeded, r"greater than the cap|intrinsic gas too high|tx gas limit.*exceeds.*cap|max tx gas limit"),
    (ExceedsBlockGasLimit, r"exceeds block('s)? gas limit|gaslimitexceeded|gas limit reached"),
    (ExceedsBlockGasLimit, r"greater than the block gas limit"),
    (IntrinsicGasTooLow, r"intrinsic ?gas too low|intrinsicgas|intrinsic gas exceeds gas limit|floor data gas"),
    (IntrinsicGasTooLow, r"gas floor .*(exceeds|more than)|gas limit below intrinsic"),
    (TransactionTooLarge, r"oversized data|maxtxsizeexceeded|rlptoolong|input data too large|max_?initcode"),
    (TransactionTooLarge, r"max ?init ?code ?size|max_init_code_size|initcode too large|transaction too large"),
    (
        TxPoolFull,
        r"(tx|transaction )pool is full|sub-pool is full|blobs limit in txpool is full|limit exceeded: pooled",
    ),
    (TxPoolFull, r"account limit exceeded|in-flight transaction limit|identified as a spammer|pool size constraints"),
    (BlobLimits, r"too many blobs|blob limit exceeded|max number of blobs exceeded|total blob gas too high|no blobs"),
    (BlobLimits, r"at least (one|1) blob|blobless|missing blob hashes|missing sidecar|sidecar|invalid blob"),
    (BlobLimits, r"kzg|blob_hashes. are required|blobs? compared to \d+ blob hashes|incomplete blob data"),
    (InvalidTransaction, r"invalid sender|invalid signature|senderiscontract|sender not an eoa|invalid chain ?id"),
    (InvalidTransaction, r"wrong chainid|transaction type not supported|unsupported transaction type"),
    (InvalidTransaction, r"failedtoresolvesender|invalid transaction type|rlp: |typed transaction too short"),
    (InvalidTransaction, r"failed to decode signed transaction"),
    (InvalidTransaction, r"signed for another chain|negative value|signer account has bytecode|nonce has max value"),
    (ResultTooLarge, r"query returned more than|block range|max(imum)? results|range limit"),
    (ResultTooLarge, r"results? (is |are )?too large|range is too|range too large"),
    (ResultTooLarge, r"response (size )?(is )?too (big|large)|response size (should|exceed)"),
    (ResultTooLarge, r"log response size|exceeds? max(imum)? (block )?range|more than \d+ (results|logs|blocks)"),
    (RateLimited, r"rate.?limit|too many requests|request limit|capacity exceeded|requests? per second|quota"),
    (RateLimited, r"compute units|limit exceeded|throttl"),
    (CallFailed, r"gas required exceeds allowance|out ?of ?gas|invalid opcode|stack (over|under)flow"),
    (CallFailed, r"invalid jump|vm execution error|bad instruction|opcode .* not defined|evm error"),
    (ExecutionReverted, r"revert"),
    (StateUnavailable, r"header not found|unknown block|block not found|missing trie node|state .*not available"),
    (StateUnavailable, r"state (is )?unavailable|pruned|header for hash not found|resource not found|blockoutofrange"),
    (StateUnavailable, r"state not found|no state available|data unavailable|not synced|after last accepted block"),
    (MethodUnavailable, r"method .*(not found|not (supported|available|enabled|whitelisted)|does not exist)"),
    (NodeFault, r"timeout|timed out|internal (server )?error|sync(ing|hronizing)|temporarily unavailable|overloaded"),
    (NodeFault, r"transaction pool not enabled|initial sync is still in progress|execution aborted|unavailable"),
)

_COMPILED: Final = tuple((kind, re.compile(pattern)) for kind, pattern in TABLE)

_REVERT_CODE: Final = 3
_METHOD_NOT_FOUND: Final = -32601
_LIMIT_EXCEEDED: Final = -32005  # EIP-1474; besu also uses it for the block gas limit, which its text tells first
_INTERNAL_ERROR: Final = -32603


def node_error(code: int, message: str, data: Any = None) -> NodeError:
    """The typed error for a JSON-RPC error object."""
    if code == _REVERT_CODE:
        return ExecutionReverted(message, code, data)
    # A contract chooses its revert text, so what follows "reverted" must not be searched.
    text = message.lower()
    if text.startswith(("execution reverted", "vm exception while processing transaction: revert")):
        return ExecutionReverted(message, code, data)
    for kind, pattern in _COMPILED:
        if pattern.search(text):
            return kind(message, code, data)
    if code == _METHOD_NOT_FOUND:
        return MethodUnavailable(message, code, data)
    if code == _LIMIT_EXCEEDED:
        return RateLimited(message, code, data)
    if code == _INTERNAL_ERROR:
        return NodeFault(message, code, data)
    return NodeError(message, code, data)


def revert_reason(data: bytes) -> str | None:
    """The text of `Error(string)` or `Panic(uint256)` revert data, None for anything else."""
    try:
        if data[:4] == ERROR_STRING_SELECTOR:
            return str(decode(["string"], data[4:])[0])
        if data[:4] == PANIC_SELECTOR:
            return f"panic 0x{decode(['uint256'], data[4:])[0]:02x}"
    except (DecodingError, ValueError, OverflowError):
        return None
    return None


def _revert_bytes(data: Any) -> bytes:
    """Revert data out of an error's `data`: hex in most nodes, "Reverted 0x..." in some, an object in others."""
    if isinstance(data, dict):
        data = data.get("data", data.get("result"))
    if not isinstance(data, str):
        return b""
    found = re.search(r"0x([0-9a-fA-F]*)", data)
    if found is None or len(found[1]) % 2:
        return b""
    return bytes.fromhex(found[1])
