//! Transactions and receipts.

use std::sync::Arc;

use alloy_primitives::B256;

use super::{to_json, Snapshot};
use crate::chain::{Chain, CommittedBlock};
use crate::rpc::error::RpcError;
use crate::rpc::limits::{LIGHT_LOGS, LIGHT_LOG_BYTES};
use crate::rpc::params::Params;
use crate::rpc::view::{ReceiptView, TransactionView};

fn view(found: Option<(&Arc<CommittedBlock>, usize)>) -> Result<String, RpcError> {
    to_json(&found.and_then(|(block, index)| TransactionView::of(block, index)))
}

fn raw(found: Option<(&Arc<CommittedBlock>, usize)>) -> Result<String, RpcError> {
    match found.and_then(|(block, index)| block.sealed.transactions.get(index)) {
        Some(transaction) => to_json(&transaction.raw),
        None => Ok("null".into()),
    }
}

fn at(block: Option<&Arc<CommittedBlock>>, index: u64) -> Option<(&Arc<CommittedBlock>, usize)> {
    Some((block?, usize::try_from(index).ok()?))
}

pub fn by_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    view(snapshot.chain.transaction(&params.required(0)?))
}

pub fn by_block_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    view(at(snapshot.chain.block_by_hash(&params.required(0)?), params.quantity(1)?))
}

pub fn by_block_number(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    view(at(snapshot.block_by_number(params.block_number(0)?), params.quantity(1)?))
}

pub fn raw_by_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    raw(snapshot.chain.transaction(&params.required(0)?))
}

pub fn raw_by_block_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    raw(at(snapshot.chain.block_by_hash(&params.required(0)?), params.quantity(1)?))
}

pub fn raw_by_block_number(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    raw(at(snapshot.block_by_number(params.block_number(0)?), params.quantity(1)?))
}

pub fn receipt_by_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    receipt(&snapshot.chain, &params.required(0)?)
}

/// JSON of the receipt; null if the transaction isn't in the chain.
pub fn receipt(chain: &Chain, hash: &B256) -> Result<String, RpcError> {
    to_json(&chain.transaction(hash).and_then(|(block, index)| ReceiptView::of_transaction(block, index)))
}

/// Whether the transaction's receipt takes long to write.
pub fn has_many_logs(chain: &Chain, hash: &B256) -> bool {
    let receipt = chain.transaction(hash).and_then(|(block, index)| block.sealed.receipts.get(index));
    receipt.is_some_and(|receipt| {
        receipt.logs.len() > LIGHT_LOGS
            || receipt.logs.iter().map(|log| log.data.data.len()).sum::<usize>() > LIGHT_LOG_BYTES
    })
}

pub fn has_large_receipt(snapshot: &Snapshot, params: Option<&str>) -> bool {
    // Wrong parameters are told by the method itself.
    let hash = Params::new(params, 1).and_then(|params| params.required(0));
    hash.is_ok_and(|hash| has_many_logs(&snapshot.chain, &hash))
}
