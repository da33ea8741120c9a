//! Calls that change nothing: eth_call, eth_estimateGas, eth_createAccessList.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use alloy_eips::eip2930::AccessList;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use serde::Serialize;
use stf::revm::context::result::InvalidTransaction;
use stf::revm::state::Bytecode;
use stf::{
    BlockEnvironment, BlockHashes, CallError, CallOutcome, CallRequest, CallStatus, State, TRANSACTION_GAS_LIMIT_CAP,
};

use super::blocks::pending_header;
use super::{now, to_json, Snapshot};
use crate::chain::Chain;
use crate::rpc::error::RpcError;
use crate::rpc::limits::{CALL_GAS, HEAVY_TIME};
use crate::rpc::params::{BlockOverride, Params, StateOverride, TransactionRequest};
use crate::rpc::view::Quantity;

/// Where a call is simulated.
struct Stage<'a> {
    state: State,
    environment: BlockEnvironment,
    hashes: Hashes<'a>,
    /// Ends what is executed here.
    stop: &'a AtomicBool,
}

/// The chain's block hashes and those that the caller put in their place.
struct Hashes<'a> {
    chain: &'a Chain,
    overrides: HashMap<u64, B256>,
}

impl BlockHashes for Hashes<'_> {
    fn block_hash(&self, number: u64) -> Option<B256> {
        self.overrides.get(&number).copied().or_else(|| self.chain.block_hash(number))
    }
}

impl<'a> Stage<'a> {
    /// The state after a block, seen from within that block. Two tags have the present time instead of the block's, because
    /// a session makes blocks only when there is work: `latest` is the latest block now, `pending` the block to come.
    fn new(snapshot: &'a Snapshot, id: BlockId) -> Result<Self, RpcError> {
        let block = snapshot.block(id)?;
        let chain_id = snapshot.session.chain_id;
        let environment = match id {
            BlockId::Number(BlockNumberOrTag::Pending) => BlockEnvironment::of(&pending_header(snapshot), chain_id),
            BlockId::Number(BlockNumberOrTag::Latest) if !snapshot.chain.has_ended() => BlockEnvironment {
                timestamp: now().max(block.header().timestamp),
                ..BlockEnvironment::of(block.header(), chain_id)
            },
            _ => BlockEnvironment::of(block.header(), chain_id),
        };
        let hashes = Hashes { chain: &snapshot.chain, overrides: HashMap::new() };
        Ok(Self { state: block.sealed.state.clone(), environment, hashes, stop: &snapshot.stop })
    }

    fn override_state(&mut self, overrides: StateOverride) -> Result<(), RpcError> {
        let state = &mut self.state;
        for (address, account) in overrides {
            if account.move_precompile_to_address.is_some() {
                return Err(RpcError::invalid_params("movePrecompileToAddress is not supported"));
            }
            if account.state.is_some() && account.state_diff.is_some() {
                return Err(RpcError::invalid_params(format!("account {address} has both 'state' and 'stateDiff'")));
            }
            if let Some(nonce) = account.nonce {
                state.set_nonce(&address, nonce.to())?;
            }
            if let Some(balance) = account.balance {
                state.set_balance(&address, balance)?;
            }
            if let Some(code) = account.code {
                let code = Bytecode::new_raw_checked(code)
                    .map_err(|error| RpcError::invalid_params(format!("code of account {address}: {error}")))?;
                state.set_code(&address, code)?;
            }
            if account.state.is_some() {
                state.clear_storage(&address)?;
            }
            for (slot, value) in account.state.or(account.state_diff).into_iter().flatten() {
                state.set_storage(&address, slot.into(), value.into())?;
            }
        }
        Ok(())
    }

    fn override_block(&mut self, overrides: BlockOverride) {
        let environment = &mut self.environment;
        if let Some(number) = overrides.number {
            environment.number = number.to();
        }
        if let Some(time) = overrides.time {
            environment.timestamp = time.to();
        }
        if let Some(gas_limit) = overrides.gas_limit {
            environment.gas_limit = gas_limit.to();
        }
        if let Some(beneficiary) = overrides.fee_recipient {
            environment.beneficiary = beneficiary;
        }
        if let Some(prev_randao) = overrides.prev_randao {
            environment.prev_randao = prev_randao;
        }
        if let Some(base_fee) = overrides.base_fee_per_gas {
            environment.base_fee = base_fee.to();
        }
        self.hashes.overrides =
            overrides.block_hash.into_iter().flatten().map(|(number, hash)| (number.to(), hash)).collect();
    }

    fn call(&self, request: &CallRequest) -> Result<CallOutcome, CallError> {
        stf::call(&self.state, &self.environment, request, &self.hashes, self.stop)
    }

    fn call_with_access_list(&self, request: &CallRequest) -> Result<(CallOutcome, AccessList), CallError> {
        stf::call_with_access_list(&self.state, &self.environment, request, &self.hashes, self.stop)
    }

    fn balance(&self, address: &Address) -> Result<U256, RpcError> {
        Ok(self.state.account(address)?.map_or(U256::ZERO, |account| account.balance))
    }

    fn has_code(&self, address: &Address) -> Result<bool, RpcError> {
        Ok(self.state.account(address)?.is_some_and(|account| account.code_hash != KECCAK256_EMPTY))
    }
}

/// The stage with all that the parameters say, from the one at `index` on: block, state overrides, block overrides.
fn stage<'a>(
    snapshot: &'a Snapshot,
    params: &Params<'_>,
    index: usize,
    default: BlockNumberOrTag,
) -> Result<Stage<'a>, RpcError> {
    let id = params.optional(index)?.unwrap_or(BlockId::Number(default));
    let mut stage = Stage::new(snapshot, id)?;
    if let Some(overrides) = params.optional(index + 1)? {
        stage.override_state(overrides)?;
    }
    if let Some(overrides) = params.optional(index + 2)? {
        stage.override_block(overrides);
    }
    Ok(stage)
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::State(error) => error.into(),
            // Geth's words. Who has gone doesn't read them.
            CallError::Stopped => Self::server(format!("execution aborted (timeout = {}s)", HEAVY_TIME.as_secs())),
            CallError::Invalid(InvalidTransaction::LackOfFundForMaxFee { fee, balance }) => {
                Self::server(format!("insufficient funds for gas * price + value: have {balance} want {fee}"))
            }
            CallError::Invalid(
                InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas: want, gas_limit: have }
                | InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor: want, gas_limit: have },
            ) => Self::server(format!("intrinsic gas too low: have {have}, want {want}")),
            CallError::Invalid(error) => Self::server(error.to_string()),
        }
    }
}

/// A halt in geth's words where they differ from revm's.
fn halt_message(reason: &str) -> String {
    match reason {
        "opcode not found" | "invalid 0xFE opcode" => "invalid opcode".into(),
        "stack overflow" => "stack limit reached 1024".into(),
        "out of funds" => "insufficient funds for transfer".into(),
        "create collision" => "contract address collision".into(),
        "create contract size limit" => "max code size exceeded".into(),
        "create contract starting with 0xEF" => "invalid code: must not begin with 0xef".into(),
        "state change during static call" | "call not allowed inside static call" => "write protection".into(),
        _ => reason.to_owned(),
    }
}

fn is_out_of_gas(reason: &str) -> bool {
    reason.starts_with("out of gas")
}

fn into_output(outcome: CallOutcome) -> Result<alloy_primitives::Bytes, RpcError> {
    match outcome.status {
        CallStatus::Success => Ok(outcome.output),
        CallStatus::Revert => Err(RpcError::reverted(&outcome.output)),
        CallStatus::Halt(reason) => Err(RpcError::server(halt_message(&reason))),
    }
}

pub fn call(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let request = params.required::<TransactionRequest>(0)?.into_call(snapshot.session.chain_id, CALL_GAS)?;
    let stage = stage(snapshot, params, 1, BlockNumberOrTag::Latest)?;
    to_json(&into_output(stage.call(&request)?)?)
}

/// The least gas limit (to 1.5 %, as geth) with which the transaction succeeds. Gas that is used may be less than what must be
/// given: refunds come at the end (EIP-3529), and a call gets at most 63/64 of what is left (EIP-150).
pub fn estimate_gas(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let request: TransactionRequest = params.required(0)?;
    // The question is about a transaction that will be in the next block.
    let stage = stage(snapshot, params, 1, BlockNumberOrTag::Pending)?;
    let cap = stage.environment.gas_limit.min(TRANSACTION_GAS_LIMIT_CAP);
    let mut request = request.into_call(snapshot.session.chain_id, cap)?;
    if request.gas_limit < 21_000 {
        request.gas_limit = cap;
    }
    to_json(&Quantity(search_gas(&stage, request)?))
}

fn search_gas(stage: &Stage<'_>, mut request: CallRequest) -> Result<u64, RpcError> {
    let mut high = request.gas_limit;
    if request.gas_price > 0 {
        let balance = stage.balance(&request.from)?;
        let available = balance.checked_sub(request.value).ok_or_else(|| {
            RpcError::server(format!(
                "insufficient funds for gas * price + value: have {balance} want {}",
                request.value
            ))
        })?;
        let affordable = available / U256::from(request.gas_price);
        high = high.min(affordable.try_into().unwrap_or(u64::MAX));
    }
    let limit = high;
    let too_little = || RpcError::server(format!("gas required exceeds allowance ({limit})"));

    // A plain transfer needs exactly this much.
    let plain = request.data.is_empty() && request.access_list.is_empty() && request.authorization_list.is_empty();
    if let (true, Some(to)) = (plain, request.to.to()) {
        if high >= 21_000 && !stage.has_code(to)? {
            request.gas_limit = 21_000;
            if matches!(stage.call(&request), Ok(outcome) if outcome.status == CallStatus::Success) {
                return Ok(21_000);
            }
        }
    }

    request.gas_limit = high;
    let outcome = match stage.call(&request) {
        Ok(outcome) => outcome,
        Err(error) if is_too_little_gas(&error) => return Err(too_little()),
        Err(error) => return Err(error.into()),
    };
    let used = match &outcome.status {
        CallStatus::Success => outcome.gas_used,
        CallStatus::Halt(reason) if is_out_of_gas(reason) => return Err(too_little()),
        _ => return into_output(outcome).map(|_| 0),
    };
    let mut succeeds = |gas: u64| -> Result<bool, RpcError> {
        request.gas_limit = gas;
        match stage.call(&request) {
            Ok(outcome) => Ok(outcome.status == CallStatus::Success),
            Err(error) if is_too_little_gas(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    };

    let mut low = used.saturating_sub(1);
    // Mostly enough: what was used with the greatest refund (a fifth) put back, a stipend, and 64/63 of that.
    let likely = (used.saturating_add(used / 4).saturating_add(2_300)).saturating_mul(64) / 63;
    if likely < high {
        match succeeds(likely)? {
            true => high = likely,
            false => low = likely,
        }
    }
    while low + 1 < high {
        if (high - low) as f64 / (high as f64) < 0.015 {
            break;
        }
        // Most need little more than they use, so that the answer is nearer to `low`.
        let middle = low.midpoint(high).min(low.saturating_mul(2).max(1));
        match succeeds(middle)? {
            true => high = middle,
            false => low = middle,
        }
    }
    Ok(high)
}

fn is_too_little_gas(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Invalid(
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
                | InvalidTransaction::GasFloorMoreThanGasLimit { .. }
        )
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessListResult {
    access_list: AccessList,
    gas_used: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Rounds until a list accesses nothing that isn't on it. More than a few means that the call depends on its own gas.
const ACCESS_LIST_ROUNDS: usize = 8;

pub fn create_access_list(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let request: TransactionRequest = params.required(0)?;
    let stage = stage(snapshot, params, 1, BlockNumberOrTag::Pending)?;
    let cap = stage.environment.gas_limit.min(TRANSACTION_GAS_LIMIT_CAP);
    let mut request = request.into_call(snapshot.session.chain_id, cap)?;
    for _ in 0..ACCESS_LIST_ROUNDS {
        let (outcome, access_list) = stage.call_with_access_list(&request)?;
        if access_list == request.access_list {
            let gas_used = Quantity(outcome.gas_used);
            let error = into_output(outcome).err().map(|error| error.message.into_owned());
            return to_json(&AccessListResult { access_list, gas_used, error });
        }
        request.access_list = access_list;
    }
    Err(RpcError::server("the accessed state changes with the access list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stf::revm::context::result::{HaltReason, OutOfGasError};

    #[test]
    fn halts_are_told_in_words_that_clients_know() {
        assert!(is_out_of_gas(&HaltReason::OutOfGas(OutOfGasError::Basic).to_string()));
        assert!(is_out_of_gas(&HaltReason::OutOfGas(OutOfGasError::Memory).to_string()));
        for (reason, message) in [
            (HaltReason::InvalidFEOpcode, "invalid opcode"),
            (HaltReason::OpcodeNotFound, "invalid opcode"),
            (HaltReason::InvalidJump, "invalid jump destination"),
            (HaltReason::StackOverflow, "stack limit reached 1024"),
            (HaltReason::OutOfFunds, "insufficient funds for transfer"),
            (HaltReason::StateChangeDuringStaticCall, "write protection"),
            (HaltReason::CreateContractSizeLimit, "max code size exceeded"),
        ] {
            assert_eq!(halt_message(&reason.to_string()), message);
        }
    }
}
