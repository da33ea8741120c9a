//! Simulated calls on a state (eth_call, eth_estimateGas, eth_createAccessList).

use crate::error::StateError;
use crate::execution::BlockHashes;
use crate::state::State;
use alloc::string::String;
use alloc::vec::Vec;
use alloy_consensus::Header;
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, Bytes, Log, TxKind, B256, U256};
use revm::context::result::InvalidTransaction;

/// The block in which a call is simulated. Fields can be overridden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockEnvironment {
    pub chain_id: u64,
    pub number: u64,
    /// In seconds since 1970.
    pub timestamp: u64,
    /// In gas.
    pub gas_limit: u64,
    pub beneficiary: Address,
    pub prev_randao: B256,
    /// In wei.
    pub base_fee: u64,
}

impl BlockEnvironment {
    /// The environment inside the block with this header.
    pub fn of(header: &Header, chain_id: u64) -> Self {
        Self {
            chain_id,
            number: header.number,
            timestamp: header.timestamp,
            gas_limit: header.gas_limit,
            beneficiary: header.beneficiary,
            prev_randao: header.mix_hash,
            base_fee: header.base_fee_per_gas.unwrap_or_default(),
        }
    }

    /// The environment in the next block after the one with this header, at `timestamp` seconds since 1970.
    pub fn after(_header: &Header, _chain_id: u64, _timestamp: u64) -> Self {
        unimplemented!()
    }
}

/// A call to simulate. Nonce, balance for fees, base fee and sender's code aren't checked.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CallRequest {
    pub from: Address,
    /// `TxKind::Create` executes `data` as init code.
    pub to: TxKind,
    /// In gas, intrinsic gas included; the caller of this function caps it.
    pub gas_limit: u64,
    /// In wei; what GASPRICE gives.
    pub gas_price: u128,
    /// In wei; the sender must have it.
    pub value: U256,
    pub data: Bytes,
    /// The sender's nonce in the state if `None`.
    pub nonce: Option<u64>,
    pub access_list: AccessList,
    pub authorization_list: Vec<SignedAuthorization>,
}

/// How a simulated call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallStatus {
    Success,
    Revert,
    /// An exceptional halt, in words.
    Halt(String),
}

/// What a simulated call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallOutcome {
    pub status: CallStatus,
    /// Gas used, after refunds.
    pub gas_used: u64,
    /// Returned data, or the data of the revert.
    pub output: Bytes,
    pub logs: Vec<Log>,
    pub contract_address: Option<Address>,
}

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    /// Invalid even under relaxed checks, such as less gas than the intrinsic or less balance than the value.
    Invalid(InvalidTransaction),
    /// The state can't be read.
    State(StateError),
}

/// Executes a call on a state, which stays as it is.
pub fn call(
    _state: &State,
    _environment: &BlockEnvironment,
    _request: &CallRequest,
    _ancestors: &dyn BlockHashes,
) -> Result<CallOutcome, CallError> {
    unimplemented!()
}

/// Like [`call`]; also lists the accounts and storage slots that were accessed, but for the sender, the
/// precompiles, and the called account if none of its slots were (EIP-2930).
pub fn call_with_access_list(
    _state: &State,
    _environment: &BlockEnvironment,
    _request: &CallRequest,
    _ancestors: &dyn BlockHashes,
) -> Result<(CallOutcome, AccessList), CallError> {
    unimplemented!()
}
