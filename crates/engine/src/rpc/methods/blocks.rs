//! Blocks, headers, their receipts, fee history.

use std::sync::Arc;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{keccak256, B256, U64};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{now, to_json, Snapshot};
use crate::chain::CommittedBlock;
use crate::rpc::error::RpcError;
use crate::rpc::limits::FEE_HISTORY_BLOCKS;
use crate::rpc::params::Params;
use crate::rpc::view::{paid_per_gas, BlockView, Quantity, ReceiptView, Wei};

const NULL: &str = "null";

pub fn block_number(snapshot: &Snapshot) -> Result<String, RpcError> {
    to_json(&Quantity(snapshot.chain.number()))
}

/// What is known of the next block's header.
pub fn pending_header(snapshot: &Snapshot) -> stf::Header {
    let parent = snapshot.chain.head();
    stf::Header {
        parent_hash: parent.hash(),
        number: parent.number() + 1,
        timestamp: now().max(parent.header().timestamp),
        mix_hash: keccak256(parent.header().mix_hash),
        gas_used: 0,
        transactions_root: stf::EMPTY_ROOT,
        receipts_root: stf::EMPTY_ROOT,
        ..parent.header().clone()
    }
}

pub fn by_number(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let number = params.block_number(0)?;
    let full = params.optional(1)?.unwrap_or(false);
    if number == BlockNumberOrTag::Pending {
        return to_json(&BlockView::of_pending(&pending_header(snapshot)));
    }
    to_json(&snapshot.block_by_number(number).map(|block| BlockView::of_block(block, full)))
}

pub fn by_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let hash: B256 = params.required(0)?;
    let full = params.optional(1)?.unwrap_or(false);
    to_json(&snapshot.chain.block_by_hash(&hash).map(|block| BlockView::of_block(block, full)))
}

pub fn header_by_number(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    header(snapshot.block_by_number(params.block_number(0)?))
}

pub fn header_by_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    header(snapshot.chain.block_by_hash(&params.required(0)?))
}

fn header(block: Option<&Arc<CommittedBlock>>) -> Result<String, RpcError> {
    to_json(&block.map(|block| BlockView::of_header(block.header(), block.hash())))
}

pub fn receipts(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let block = match params.required(0)? {
        BlockId::Number(number) => snapshot.block_by_number(number),
        BlockId::Hash(hash) => snapshot.chain.block_by_hash(&hash.block_hash),
    };
    to_json(&block.map(|block| ReceiptView::of_block(block)))
}

fn count_transactions(block: Option<&Arc<CommittedBlock>>) -> Result<String, RpcError> {
    to_json(&block.map(|block| Quantity(block.sealed.transactions.len() as u64)))
}

pub fn transaction_count_by_number(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    match params.block_number(0)? {
        BlockNumberOrTag::Pending => to_json(&Quantity(0)),
        number => count_transactions(snapshot.block_by_number(number)),
    }
}

pub fn transaction_count_by_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    count_transactions(snapshot.chain.block_by_hash(&params.required(0)?))
}

fn count_uncles(block: Option<&Arc<CommittedBlock>>) -> Result<String, RpcError> {
    to_json(&block.map(|_| Quantity(0)))
}

pub fn uncle_count_by_number(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    count_uncles(snapshot.block_by_number(params.block_number(0)?))
}

pub fn uncle_count_by_hash(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    count_uncles(snapshot.chain.block_by_hash(&params.required(0)?))
}

pub fn uncle_by_number(params: &Params<'_>) -> Result<String, RpcError> {
    params.block_number(0)?;
    params.quantity(1)?;
    Ok(NULL.into())
}

pub fn uncle_by_hash(params: &Params<'_>) -> Result<String, RpcError> {
    params.required::<B256>(0)?;
    params.quantity(1)?;
    Ok(NULL.into())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FeeHistory {
    oldest_block: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<Vec<Vec<Wei>>>,
    base_fee_per_gas: Vec<Wei>,
    gas_used_ratio: Vec<f64>,
    base_fee_per_blob_gas: Vec<Wei>,
    blob_gas_used_ratio: Vec<f64>,
}

/// The base fee is zero, so that a reward is what a transaction pays of its own will; blob gas has its least price (EIP-4844), though
/// there are no blobs.
pub fn fee_history(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let count = block_count(params)?.min(FEE_HISTORY_BLOCKS);
    let newest = params.block_number(1)?;
    let percentiles: Option<Vec<f64>> = params.optional(2)?;
    if let Some(percentiles) = &percentiles {
        if percentiles.len() > 100 {
            return Err(RpcError::invalid_params("over the query limit 100 of reward percentiles"));
        }
        if let Some(wrong) = percentiles.iter().find(|percentile| !(0.0..=100.0).contains(*percentile)) {
            return Err(RpcError::invalid_params(format!("invalid reward percentile: {wrong}")));
        }
        if percentiles.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(RpcError::invalid_params("invalid reward percentile: they must ascend"));
        }
    }
    let newest = match snapshot.block_by_number(newest) {
        Some(block) => block.number(),
        None => return Err(RpcError::server(format!("request beyond head block: head {}", snapshot.chain.number()))),
    };
    let count = count.min(newest + 1);
    let oldest = if count == 0 { 0 } else { newest + 1 - count };
    let blocks = || (oldest..oldest + count).filter_map(|number| snapshot.chain.block(number));
    let gas_used_ratio: Vec<f64> =
        blocks().map(|block| block.header().gas_used as f64 / block.header().gas_limit as f64).collect();
    let length = gas_used_ratio.len();
    let prices = if length == 0 { 0 } else { length + 1 };
    to_json(&FeeHistory {
        oldest_block: Quantity(oldest),
        reward: percentiles
            .filter(|_| length > 0)
            .map(|percentiles| blocks().map(|block| rewards(block, &percentiles)).collect()),
        base_fee_per_gas: vec![Wei(0); prices],
        gas_used_ratio,
        base_fee_per_blob_gas: vec![Wei(1); prices],
        blob_gas_used_ratio: vec![0.0; length],
    })
}

/// What was paid per gas by the transaction at each percentile of the block's gas, the cheapest first.
fn rewards(block: &CommittedBlock, percentiles: &[f64]) -> Vec<Wei> {
    let paid = block.sealed.transactions.iter().zip(&block.sealed.receipts);
    let mut paid: Vec<(u128, u64)> =
        paid.map(|(transaction, receipt)| (paid_per_gas(&transaction.transaction), receipt.gas_used)).collect();
    paid.sort_unstable();
    let mut paid = paid.into_iter();
    let Some((mut price, mut gas)) = paid.next() else { return vec![Wei(0); percentiles.len()] };
    let gas_used = block.header().gas_used as f64;
    percentiles
        .iter()
        .map(|percentile| {
            let threshold = (gas_used * percentile / 100.0) as u64;
            while gas < threshold {
                let Some((next, used)) = paid.next() else { break };
                (price, gas) = (next, gas + used);
            }
            Wei(price)
        })
        .collect()
}

/// Some clients send a plain number here.
fn block_count(params: &Params<'_>) -> Result<u64, RpcError> {
    let raw: &RawValue = params.required(0)?;
    if let Ok(count) = raw.get().parse() {
        return Ok(count);
    }
    Ok(params.required::<U64>(0)?.to())
}
