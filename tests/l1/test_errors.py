"""The texts of L1 nodes, as their sources and answers have them, and what they become."""

from __future__ import annotations

import pytest
from l1.counter import error_string

from exclave.l1 import errors
from exclave.l1.errors import node_error, revert_reason

TEXTS: list[tuple[str, str, int, str]] = [
    # geth: core/error.go, core/txpool, internal/ethapi
    ("geth", "nonce too low: next nonce 5, tx nonce 4", -32000, "NonceTooLow"),
    ("geth", "nonce too low: address 0xd8dA6BF26964aF9D7eEd9e03E53415D37aA9604, tx: 0 state: 1", -32000, "NonceTooLow"),
    ("geth", "nonce too high: tx nonce 3, gapped nonce 1", -32000, "NonceTooHigh"),
    ("geth", "already known", -32000, "AlreadyKnown"),
    ("geth", "replacement transaction underpriced", -32000, "ReplacementUnderpriced"),
    ("geth", "replacement transaction underpriced: new tx gas fee cap 1 <= 2 queued", -32000, "ReplacementUnderpriced"),
    ("geth", "future transaction tries to replace pending", -32000, "ReplacementUnderpriced"),
    ("geth", "transaction underpriced", -32000, "Underpriced"),
    ("geth", "transaction underpriced: gas tip cap 1, minimum needed 1000000", -32000, "Underpriced"),
    ("geth", "transaction gas price below minimum: gas tip cap 1, minimum needed 1000000", -32000, "Underpriced"),
    ("geth", "insufficient funds for gas * price + value: balance 0, tx cost 21000, overshot 21000", -32000,
     "InsufficientFunds"),
    ("geth", "insufficient funds for transfer", -32000, "InsufficientFunds"),
    ("geth", "intrinsic gas too low: gas 20000, minimum needed 21000", -32000, "IntrinsicGasTooLow"),
    ("geth", "insufficient gas for floor data gas cost: gas 1, minimum needed 2", -32000, "IntrinsicGasTooLow"),
    ("geth", "max fee per gas less than block base fee: address 0xd8dA6BF26964aF9D7eEd9e03E53415D37aA9604, "
     "maxFeePerGas: 1, baseFee: 7", -32000, "FeeCapTooLow"),
    ("geth", "max fee per blob gas less than block blob gas fee: address 0x47C63d1E391FcB3dCdC40C4d7fA58ADb172f8c38 "
     "blobGasFeeCap: 1875810596, blobBaseFee: 1962046498 (supplied gas 1000000)", -32000, "BlobFeeCapTooLow"),
    ("geth", "transaction gas price below minimum: blob fee cap 0, minimum needed 1", -32000, "BlobFeeCapTooLow"),
    ("geth", "max priority fee per gas higher than max fee per gas: address 0xd8dA6BF26964aF9D7eEd9e03E53415D37aA9604, "
     "maxPriorityFeePerGas: 2, maxFeePerGas: 1", -32000, "TipAboveFeeCap"),
    ("geth", "exceeds block gas limit", -32000, "ExceedsBlockGasLimit"),
    ("geth", "transaction gas limit too high (cap: 16777216, tx: 17000000)", -32000, "GasLimitExceeded"),
    ("geth", "oversized data: transaction size 200123, limit 131072", -32000, "TransactionTooLarge"),
    ("geth", "max initcode size exceeded: code size 50000, limit 49152", -32000, "TransactionTooLarge"),
    ("geth", "txpool is full", -32000, "TxPoolFull"),
    ("geth", "account limit exceeded: pooled 64 txs", -32000, "TxPoolFull"),
    ("geth", "address already reserved", -32000, "BlobPoolReserved"),
    ("geth", "too many blobs in transaction: have 7, permitted 6", -32000, "BlobLimits"),
    ("geth", "missing sidecar in blob transaction", -32000, "BlobLimits"),
    ("geth", "unexpected sidecar version, want: 1, got: 0", -32000, "BlobLimits"),
    ("geth", "invalid sender: invalid chain id for signer: have 1 want 31337", -32000, "InvalidTransaction"),
    ("geth", "tx fee (1.05 ether) exceeds the configured cap (1.00 ether)", -32000, "FeeExceedsNodeCap"),
    ("geth", "gas required exceeds allowance (30000000)", -32000, "CallFailed"),
    ("geth", "execution reverted", 3, "ExecutionReverted"),
    ("geth", "execution reverted: nonce too low", 3, "ExecutionReverted"),  # a contract may say what it wants
    ("geth", "execution reverted: insufficient funds", -32000, "ExecutionReverted"),
    ("geth", "header not found", -32000, "StateUnavailable"),
    ("geth", "missing trie node 5ab1 (path ) state 0x5ab1 is not available, not found", -32000, "StateUnavailable"),
    ("geth", "the method eth_foo does not exist/is not available", -32601, "MethodUnavailable"),
    # reth
    ("reth", "already known", -32000, "AlreadyKnown"),
    ("reth", "[0xabc]: already imported", -32000, "AlreadyKnown"),
    ("reth", "insufficient gas price to replace existing transaction", -32000, "ReplacementUnderpriced"),
    ("reth", "transaction feeCap 3 below chain minimum", -32000, "Underpriced"),
    ("reth", "transaction overdraws from account", -32000, "InsufficientFunds"),
    ("reth", "transaction's gas limit 40000000 exceeds block's gas limit 30000000", -32000, "ExceedsBlockGasLimit"),
    ("reth", "transaction's size 50000 exceeds max_init_code_size 49152", -32000, "TransactionTooLarge"),
    ("reth", "input data too large", -32000, "TransactionTooLarge"),
    ("reth", "transaction discarded outright due to pool size constraints", -32000, "TxPoolFull"),
    ("reth", "rejected due to 0xd8da6bf26964af9d7eed9e03e53415d37aa96045 being identified as a spammer", -32000,
     "TxPoolFull"),
    ("reth", "transaction type 3 conflicts with existing transaction for 0xd8da6bf26964af9d7eed9e03e53415d37aa96045",
     -32000, "BlobPoolReserved"),
    ("reth", "blobless blob transaction", -32000, "BlobLimits"),
    ("reth", "block not found: 0x999", -32001, "StateUnavailable"),
    ("reth", "pruned history unavailable", 4444, "StateUnavailable"),
    ("reth", "query exceeds max results 20000, retry with the range 1-2", -32602, "ResultTooLarge"),
    ("reth", "query exceeds max block range 100000", -32602, "ResultTooLarge"),
    # nethermind: names until 2025, then geth's texts
    ("nethermind", "OldNonce, Current nonce: 5, nonce of rejected tx: 4", -32010, "NonceTooLow"),
    ("nethermind", "NonceGap, Future nonce. Expected nonce: 5", -32010, "NonceTooHigh"),
    ("nethermind", "NonceTooFarInFuture", -32010, "NonceTooHigh"),
    ("nethermind", "AlreadyKnown", -32010, "AlreadyKnown"),
    ("nethermind", "OwnNonceAlreadyUsed", -32010, "AlreadyKnown"),
    ("nethermind", "ReplacementNotAllowed", -32010, "ReplacementUnderpriced"),
    ("nethermind", "FeeTooLow, FeePerGas needs to be higher than 1 to be added", -32010, "Underpriced"),
    ("nethermind", "FeeTooLowToCompete", -32010, "Underpriced"),
    ("nethermind", "InsufficientFunds, Account balance: 0, cumulative cost: 21000", -32010, "InsufficientFunds"),
    ("nethermind", "GasLimitExceeded, Gas limit: 30000000, gas limit of rejected tx: 40000000", -32010,
     "ExceedsBlockGasLimit"),
    ("nethermind", "MaxTxSizeExceeded", -32010, "TransactionTooLarge"),
    ("nethermind", "PendingTxsOfConflictingType", -32010, "BlobPoolReserved"),
    ("nethermind", "SenderIsContract", -32010, "InvalidTransaction"),
    # erigon: txpoolcfg
    ("erigon", "nonce too low", -32000, "NonceTooLow"),
    ("erigon", "existing txn with same hash", -32000, "AlreadyKnown"),
    ("erigon", "could not replace existing tx", -32000, "ReplacementUnderpriced"),
    ("erigon", "underpriced", -32000, "Underpriced"),
    ("erigon", "fee too low", -32000, "Underpriced"),
    ("erigon", "insufficient funds", -32000, "InsufficientFunds"),
    ("erigon", "IntrinsicGas", -32000, "IntrinsicGasTooLow"),
    ("erigon", "RLPTooLong", -32000, "TransactionTooLarge"),
    ("erigon", "initcode too large", -32000, "TransactionTooLarge"),
    ("erigon", "gas limit is too high", -32000, "GasLimitExceeded"),
    ("erigon", "pending sub-pool is full", -32000, "TxPoolFull"),
    ("erigon", "blobs limit in txpool is full", -32000, "TxPoolFull"),
    ("erigon", "max number of blobs exceeded", -32000, "BlobLimits"),
    ("erigon", "blob transactions must have at least one blob", -32000, "BlobLimits"),
    ("erigon", "can't replace blob-txn with a non-blob-txn", -32000, "BlobPoolReserved"),
    # besu: RpcErrorType
    ("besu", "Nonce too low", -32001, "NonceTooLow"),
    ("besu", "Nonce too high", -32006, "NonceTooHigh"),
    ("besu", "Transaction nonce is too distant from current sender nonce", -32000, "NonceTooHigh"),
    ("besu", "An invalid transaction with a lower nonce exists", -32000, "NonceTooHigh"),
    ("besu", "Known transaction", -32000, "AlreadyKnown"),
    ("besu", "Replacement transaction underpriced", -32000, "ReplacementUnderpriced"),
    ("besu", "Gas price below configured minimum gas price", -32009, "Underpriced"),
    ("besu", "Gas price below current base fee", -32009, "FeeCapTooLow"),
    ("besu", "blob gas price below current blob base fee", -32009, "BlobFeeCapTooLow"),
    ("besu", "Upfront cost exceeds account balance", -32004, "InsufficientFunds"),
    ("besu", "Intrinsic gas exceeds gas limit", -32003, "IntrinsicGasTooLow"),
    ("besu", "Transaction gas limit exceeds block gas limit", -32005, "ExceedsBlockGasLimit"),
    ("besu", "Max priority fee per gas exceeds max fee per gas", -32000, "TipAboveFeeCap"),
    ("besu", "Transaction fee cap exceeded", -32000, "FeeExceedsNodeCap"),
    ("besu", "Total blob gas too high", -32000, "BlobLimits"),
    ("besu", "Wrong chainId", -32000, "InvalidTransaction"),
    ("besu", "Invalid signature", -32002, "InvalidTransaction"),
    ("besu", "Execution reverted", -32000, "ExecutionReverted"),
    ("besu", "World state unavailable", -32000, "StateUnavailable"),
    ("besu", "Requested range exceeds maximum RPC range limit", -32005, "ResultTooLarge"),
    ("besu", "Initial sync is still in progress", -32008, "NodeFault"),
    # anvil 1.7.1, as it answered
    ("anvil", "nonce too low", -32003, "NonceTooLow"),
    ("anvil", "transaction already imported", -32003, "AlreadyKnown"),
    ("anvil", "replacement transaction underpriced", -32003, "ReplacementUnderpriced"),
    ("anvil", "Insufficient funds for gas * price + value", -32003, "InsufficientFunds"),
    ("anvil", "max fee per gas less than block base fee", -32003, "FeeCapTooLow"),
    ("anvil", "max priority fee per gas higher than max fee per gas", -32003, "TipAboveFeeCap"),
    ("anvil", "intrinsic gas too low", -32000, "IntrinsicGasTooLow"),
    ("anvil", "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit", -32000, "ExceedsBlockGasLimit"),
    ("anvil", "intrinsic gas too high -- tx.gas_limit > env.cfg.tx_gas_limit_cap", -32000, "GasLimitExceeded"),
    ("anvil", "invalid chain id for signer", -32003, "InvalidTransaction"),
    ("anvil", "Block `blob_gas_price` is greater than tx-specified `max_fee_per_blob_gas`", -32003, "BlobFeeCapTooLow"),
    ("anvil", "Out of gas: gas required exceeds allowance: 30000000", -32003, "CallFailed"),
    ("anvil", "EVM error InvalidFEOpcode", -32603, "CallFailed"),
    ("anvil", "Resource not found", -32001, "StateUnavailable"),
    ("anvil", "BlockOutOfRangeError: block height is 1 but requested was 2457", -32602, "StateUnavailable"),
    # hosted endpoints
    ("hosted", "query returned more than 10000 results", -32005, "ResultTooLarge"),
    ("hosted", "block range is too large", -32000, "ResultTooLarge"),
    ("hosted", "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range", -32602,
     "ResultTooLarge"),
    ("hosted", "Your app has exceeded its compute units per second capacity", 429, "RateLimited"),
    ("hosted", "daily request count exceeded, request rate limited", -32005, "RateLimited"),
    ("hosted", "25/second request limit reached", -32007, "RateLimited"),
    ("hosted", "anything", -32005, "RateLimited"),
    ("hosted", "anything", -32601, "MethodUnavailable"),
    ("hosted", "anything", -32603, "NodeFault"),
    ("hosted", "anything", -32000, "NodeError"),
]  # fmt: skip


@pytest.mark.parametrize(("node", "text", "code", "expected"), TEXTS)
def test_each_text_has_its_type(node: str, text: str, code: int, expected: str) -> None:
    error = node_error(code, text)
    assert type(error) is getattr(errors, expected)
    assert (error.code, error.message) == (code, text)


def test_every_type_of_the_table_is_tested() -> None:
    assert {kind.__name__ for kind, _ in errors.TABLE} <= {expected for *_, expected in TEXTS}


def test_revert_data_is_found_wherever_nodes_put_it() -> None:
    data = error_string("too late")
    for given in ("0x" + data.hex(), {"data": "0x" + data.hex()}, "Reverted 0x" + data.hex()):
        error = node_error(3, "execution reverted", given)
        assert isinstance(error, errors.ExecutionReverted)
        assert (error.revert_data, error.reason) == (data, "too late")
    for nothing in (None, "", "0x", "Reverted", 5, [], {"x": 1}):
        error = node_error(3, "execution reverted", nothing)
        assert isinstance(error, errors.ExecutionReverted)
        assert (error.revert_data, error.reason) == (b"", None)


def test_revert_reasons() -> None:
    assert revert_reason(bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big")) == "panic 0x11"
    assert revert_reason(bytes.fromhex("08c379a0") + b"\xff" * 64) is None
    assert revert_reason(b"\x12\x34\x56\x78") is None
