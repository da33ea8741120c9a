//! Verification of blocks: every rule of `docs/protocol.md`, section 5.

use crate::block::{ordered_trie_root, Block};
use crate::builder::{child_header, BlockBuilder, SealedBlock, Touched};
use crate::error::{BlockError, PushError};
use crate::execution::BlockHashes;
use crate::state::State;
use crate::transaction::RecoveredTransaction;
use alloc::boxed::Box;
use alloy_consensus::Header;
use alloy_primitives::Address;

/// Verifies a block by executing it on its parent's state. With `senders` signatures aren't checked: they must come
/// from an earlier check of the same transactions. `ancestors` gives the hashes of blocks before the parent.
///
/// Every block, however malformed, is accepted or refused; [`BlockError::State`] alone leaves that open.
pub fn verify_block(
    parent: &Header,
    state: State,
    block: &Block,
    senders: Option<&[Address]>,
    chain_id: u64,
    ancestors: &dyn BlockHashes,
) -> Result<SealedBlock, BlockError> {
    verify_recording(parent, state, block, senders, chain_id, ancestors).map(|(block, _)| block)
}

pub(crate) fn verify_recording(
    parent: &Header,
    state: State,
    block: &Block,
    senders: Option<&[Address]>,
    chain_id: u64,
    ancestors: &dyn BlockHashes,
) -> Result<(SealedBlock, Touched), BlockError> {
    let header = &block.header;
    let parent_hash = parent.hash_slow();
    if header.timestamp < parent.timestamp {
        return Err(BlockError::Timestamp { parent: parent.timestamp, actual: header.timestamp });
    }
    check_fields(header, &child_header(parent, parent_hash, header.timestamp))?;
    if parent.number == u64::MAX {
        return Err(BlockError::HeaderField { name: "number" });
    }
    if block.transactions.is_empty() {
        return Err(BlockError::NoTransactions);
    }
    if let Some(senders) = senders {
        if senders.len() != block.transactions.len() {
            return Err(BlockError::Senders { transactions: block.transactions.len(), senders: senders.len() });
        }
    }
    if header.transactions_root != ordered_trie_root(&block.transactions) {
        return Err(BlockError::Mismatch { name: "transactionsRoot" });
    }
    let mut builder = BlockBuilder::new(parent, parent_hash, state, chain_id, header.timestamp, ancestors)?;
    if builder.has_ended() {
        return Err(BlockError::SessionEnded);
    }
    for (index, raw) in block.transactions.iter().enumerate() {
        let transaction = match senders.and_then(|senders| senders.get(index)) {
            None => RecoveredTransaction::decode(raw.clone()),
            Some(sender) => RecoveredTransaction::decode_with_sender(raw.clone(), *sender),
        }
        .map_err(|error| BlockError::MalformedTransaction { index, error })?;
        builder.push(transaction.into()).map_err(|error| match error {
            PushError::State(error) => BlockError::State(error),
            error => BlockError::Transaction { index, error: Box::new(error) },
        })?;
    }
    let (sealed, touched) = builder.seal_recording()?;
    check_results(header, &sealed.header)?;
    Ok((sealed, touched))
}

/// The fields that follow from the parent.
fn check_fields(header: &Header, expected: &Header) -> Result<(), BlockError> {
    let fields = [
        ("parentHash", header.parent_hash == expected.parent_hash),
        ("ommersHash", header.ommers_hash == expected.ommers_hash),
        ("beneficiary", header.beneficiary == expected.beneficiary),
        ("difficulty", header.difficulty == expected.difficulty),
        ("number", header.number == expected.number),
        ("gasLimit", header.gas_limit == expected.gas_limit),
        ("timestamp", header.timestamp == expected.timestamp),
        ("extraData", header.extra_data == expected.extra_data),
        ("mixHash", header.mix_hash == expected.mix_hash),
        ("nonce", header.nonce == expected.nonce),
        ("baseFeePerGas", header.base_fee_per_gas == expected.base_fee_per_gas),
        ("withdrawalsRoot", header.withdrawals_root == expected.withdrawals_root),
        ("blobGasUsed", header.blob_gas_used == expected.blob_gas_used),
        ("excessBlobGas", header.excess_blob_gas == expected.excess_blob_gas),
        ("requestsHash", header.requests_hash == expected.requests_hash),
        ("blockAccessListHash", header.block_access_list_hash == expected.block_access_list_hash),
        ("slotNumber", header.slot_number == expected.slot_number),
    ];
    match fields.into_iter().find(|(_, is_equal)| !is_equal) {
        None => Ok(()),
        Some((name, _)) => Err(BlockError::HeaderField { name }),
    }
}

/// The fields that execution gives. With [`check_fields`] these are all.
fn check_results(header: &Header, executed: &Header) -> Result<(), BlockError> {
    let fields = [
        ("parentBeaconBlockRoot", header.parent_beacon_block_root == executed.parent_beacon_block_root),
        ("gasUsed", header.gas_used == executed.gas_used),
        ("receiptsRoot", header.receipts_root == executed.receipts_root),
        ("logsBloom", header.logs_bloom == executed.logs_bloom),
        ("stateRoot", header.state_root == executed.state_root),
        ("header", header == executed),
    ];
    match fields.into_iter().find(|(_, is_equal)| !is_equal) {
        None => Ok(()),
        Some((name, _)) => Err(BlockError::Mismatch { name }),
    }
}
