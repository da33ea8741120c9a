//! The methods themselves: from parameters and a snapshot of the chain to JSON. None of them waits for anything.

mod accounts;
mod blocks;
mod filters;
mod node;
mod simulation;
mod transactions;

use std::sync::atomic::AtomicBool;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_eips::{BlockId, BlockNumberOrTag};
use serde::Serialize;

use super::dispatch::SessionState;
use super::error::RpcError;
use super::limits::LIGHT_PARAMS_BYTES;
use super::method::Method;
use super::params::Params;
use crate::chain::{Chain, CommittedBlock};
use crate::session::Session;

pub use filters::{random_id, FilterTable};
pub use node::client_version;
pub use transactions::{has_many_logs, receipt};

/// What a method works on.
pub struct Snapshot {
    pub session: Arc<Session>,
    pub chain: Arc<Chain>,
    pub state: Arc<SessionState>,
    /// Set when nobody waits for the answer any more.
    pub stop: Arc<AtomicBool>,
}

impl Snapshot {
    /// The block with this number or tag; `pending` is the latest one.
    fn block_by_number(&self, number: BlockNumberOrTag) -> Option<&Arc<CommittedBlock>> {
        match number {
            BlockNumberOrTag::Number(number) => self.chain.block(number),
            BlockNumberOrTag::Earliest => self.chain.block(0),
            // A block that is visible is final: sessions have no reorgs.
            BlockNumberOrTag::Latest
            | BlockNumberOrTag::Pending
            | BlockNumberOrTag::Safe
            | BlockNumberOrTag::Finalized => Some(self.chain.head()),
        }
    }

    /// The block whose state is asked for.
    fn block(&self, id: BlockId) -> Result<&Arc<CommittedBlock>, RpcError> {
        match id {
            BlockId::Number(number) => self.block_by_number(number).ok_or_else(|| RpcError::server("header not found")),
            BlockId::Hash(hash) => {
                self.chain.block_by_hash(&hash.block_hash).ok_or_else(|| RpcError::server("header for hash not found"))
            }
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, RpcError> {
    serde_json::to_string(value).map_err(|error| RpcError::internal(error.to_string()))
}

/// Whether a light method is heavy this time: its parameters or its answer are large.
pub fn is_large(snapshot: &Snapshot, method: Method, params: Option<&str>) -> bool {
    params.is_some_and(|params| params.len() > LIGHT_PARAMS_BYTES)
        || (method == Method::EthGetTransactionReceipt && transactions::has_large_receipt(snapshot, params))
}

/// Answers a method of a session. `params` is the JSON text of the request's parameters.
pub fn answer(snapshot: &Snapshot, method: Method, params: Option<&str>) -> Result<String, RpcError> {
    use Method::*;
    let params = |most: usize| Params::new(params, most);
    match method {
        EthChainId => node::chain_id(snapshot),
        EthBlockNumber => blocks::block_number(snapshot),
        EthSyncing | EthMining => Ok("false".into()),
        EthAccounts => Ok("[]".into()),
        EthGasPrice | EthMaxPriorityFeePerGas => Ok("\"0x0\"".into()),
        EthBlobBaseFee => Ok("\"0x1\"".into()),
        EthFeeHistory => blocks::fee_history(snapshot, &params(3)?),
        NetVersion => node::net_version(snapshot),
        NetListening => Ok("true".into()),
        NetPeerCount => Ok("\"0x0\"".into()),
        Web3ClientVersion => to_json(&client_version()),
        Web3Sha3 => node::sha3(&params(1)?),

        EthGetBalance => accounts::balance(snapshot, &params(2)?),
        EthGetCode => accounts::code(snapshot, &params(2)?),
        EthGetStorageAt => accounts::storage_at(snapshot, &params(3)?),
        EthGetTransactionCount => accounts::transaction_count(snapshot, &params(2)?),
        EthGetProof => accounts::proof(snapshot, &params(3)?),

        EthGetBlockByNumber => blocks::by_number(snapshot, &params(2)?),
        EthGetBlockByHash => blocks::by_hash(snapshot, &params(2)?),
        EthGetHeaderByNumber => blocks::header_by_number(snapshot, &params(1)?),
        EthGetHeaderByHash => blocks::header_by_hash(snapshot, &params(1)?),
        EthGetBlockReceipts => blocks::receipts(snapshot, &params(1)?),
        EthGetBlockTransactionCountByNumber => blocks::transaction_count_by_number(snapshot, &params(1)?),
        EthGetBlockTransactionCountByHash => blocks::transaction_count_by_hash(snapshot, &params(1)?),
        EthGetUncleCountByBlockNumber => blocks::uncle_count_by_number(snapshot, &params(1)?),
        EthGetUncleCountByBlockHash => blocks::uncle_count_by_hash(snapshot, &params(1)?),
        EthGetUncleByBlockNumberAndIndex => blocks::uncle_by_number(&params(2)?),
        EthGetUncleByBlockHashAndIndex => blocks::uncle_by_hash(&params(2)?),

        EthGetTransactionByHash => transactions::by_hash(snapshot, &params(1)?),
        EthGetTransactionByBlockHashAndIndex => transactions::by_block_hash(snapshot, &params(2)?),
        EthGetTransactionByBlockNumberAndIndex => transactions::by_block_number(snapshot, &params(2)?),
        EthGetRawTransactionByHash => transactions::raw_by_hash(snapshot, &params(1)?),
        EthGetRawTransactionByBlockHashAndIndex => transactions::raw_by_block_hash(snapshot, &params(2)?),
        EthGetRawTransactionByBlockNumberAndIndex => transactions::raw_by_block_number(snapshot, &params(2)?),
        EthGetTransactionReceipt => transactions::receipt_by_hash(snapshot, &params(1)?),

        EthCall => simulation::call(snapshot, &params(4)?),
        EthEstimateGas => simulation::estimate_gas(snapshot, &params(4)?),
        EthCreateAccessList => simulation::create_access_list(snapshot, &params(3)?),

        EthGetLogs => filters::logs(snapshot, &params(1)?),
        EthNewFilter => filters::new_log_filter(snapshot, &params(1)?),
        EthNewBlockFilter => filters::new_block_filter(snapshot, &params(0)?),
        EthNewPendingTransactionFilter => filters::new_transaction_filter(snapshot, &params(1)?),
        EthGetFilterChanges => filters::changes(snapshot, &params(1)?),
        EthGetFilterLogs => filters::filter_logs(snapshot, &params(1)?),
        EthUninstallFilter => filters::uninstall(snapshot, &params(1)?),

        EthSendRawTransaction | EthSendRawTransactionSync | EthSubscribe | EthUnsubscribe | Host | Unknown => {
            Err(RpcError::method_not_found(method.label()))
        }
    }
}
