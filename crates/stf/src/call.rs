//! Simulated calls on a state (eth_call, eth_estimateGas, eth_createAccessList).

use crate::builder::child_header;
use crate::error::StateError;
use crate::execution::{session_context, BlockHashes, Environment, ExecutionError, StateReader};
use crate::precompiles::SessionPrecompiles;
use crate::recovery::ComputedRecoveries;
use crate::state::State;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloy_consensus::Header;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::map::AddressSet;
use alloy_primitives::{Address, Bytes, Log, TxKind, B256, U256};
use core::sync::atomic::{AtomicBool, Ordering};
use revm::bytecode::opcode::JUMPDEST;
use revm::context::result::{ExecutionResult, InvalidTransaction, Output};
use revm::context::{BlockEnv, CfgEnv, Context, Journal, TxEnv};
use revm::context_interface::either::Either;
use revm::handler::PrecompileProvider;
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::{CallInputs, Instruction, InstructionContext, InstructionResult, InterpreterResult};
use revm::precompile::Precompiles;
use revm::primitives::hardfork::SpecId;
use revm::state::EvmState;
use revm::{ExecuteEvm, MainBuilder};

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
    pub fn after(header: &Header, chain_id: u64, timestamp: u64) -> Self {
        Self::of(&child_header(header, B256::ZERO, timestamp), chain_id)
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
    /// The caller's `stop` was set before the call ended.
    Stopped,
}

impl core::fmt::Display for CallError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Invalid(error) => write!(f, "{error}"),
            Self::State(error) => write!(f, "state: {error}"),
            Self::Stopped => f.write_str("execution was stopped"),
        }
    }
}

impl core::error::Error for CallError {}

type CallContext<'a> = Context<BlockEnv, TxEnv, CfgEnv, StateReader<'a>, Journal<StateReader<'a>>, &'a AtomicBool>;

/// JUMPDEST that ends the frame once the call is stopped. No loop goes without one, and what has none is bounded by its length.
fn stoppable_jumpdest<'a>(
    context: InstructionContext<'_, CallContext<'a>, EthInterpreter>,
) -> Result<(), InstructionResult> {
    match context.host.chain.load(Ordering::Relaxed) {
        true => Err(InstructionResult::OutOfGas),
        false => Ok(()),
    }
}

/// Precompiles that refuse once the call is stopped: thousands of slow ones fit into a code without loops.
struct StoppablePrecompiles<'r>(SessionPrecompiles<'r>);

impl<'a> PrecompileProvider<CallContext<'a>> for StoppablePrecompiles<'_> {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: SpecId) -> bool {
        PrecompileProvider::<CallContext<'a>>::set_spec(&mut self.0, spec)
    }

    fn run(&mut self, context: &mut CallContext<'a>, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let is_precompile = PrecompileProvider::<CallContext<'a>>::contains(&self.0, &inputs.bytecode_address);
        if is_precompile && context.chain.load(Ordering::Relaxed) {
            return Err(CallError::Stopped.to_string());
        }
        self.0.run(context, inputs)
    }

    fn warm_addresses(&self) -> &AddressSet {
        PrecompileProvider::<CallContext<'a>>::warm_addresses(&self.0)
    }
}

/// Executes a call on a state, which stays as it is. It ends soon after another thread has set `stop`.
pub fn call(
    state: &State,
    environment: &BlockEnvironment,
    request: &CallRequest,
    ancestors: &dyn BlockHashes,
    stop: &AtomicBool,
) -> Result<CallOutcome, CallError> {
    execute_call(state, environment, request, ancestors, stop).map(|(outcome, _)| outcome)
}

/// Like [`call`]; also lists the accounts and storage slots that were accessed, but for those that are warm anyway:
/// the sender, the called account and the precompiles, unless slots of theirs were accessed (EIP-2930).
pub fn call_with_access_list(
    state: &State,
    environment: &BlockEnvironment,
    request: &CallRequest,
    ancestors: &dyn BlockHashes,
    stop: &AtomicBool,
) -> Result<(CallOutcome, AccessList), CallError> {
    let (outcome, accessed) = execute_call(state, environment, request, ancestors, stop)?;
    let precompiles = Precompiles::osaka().addresses_set();
    let mut items = Vec::new();
    for (address, account) in accessed {
        let is_warm = address == request.from
            || request.to.to() == Some(&address)
            || outcome.contract_address == Some(address)
            || address == environment.beneficiary
            || precompiles.contains(&address);
        if is_warm && account.storage.is_empty() {
            continue;
        }
        let mut storage_keys: Vec<B256> = account.storage.keys().map(|slot| (*slot).into()).collect();
        storage_keys.sort_unstable();
        items.push(AccessListItem { address, storage_keys });
    }
    items.sort_unstable_by_key(|item| item.address);
    Ok((outcome, AccessList(items)))
}

/// The block of a call may have any number: blocks before it that there aren't have hash zero.
struct SimulatedHashes<'a>(&'a dyn BlockHashes);

impl BlockHashes for SimulatedHashes<'_> {
    fn block_hash(&self, number: u64) -> Option<B256> {
        Some(self.0.block_hash(number).unwrap_or_default())
    }
}

fn execute_call(
    state: &State,
    environment: &BlockEnvironment,
    request: &CallRequest,
    ancestors: &dyn BlockHashes,
    stop: &AtomicBool,
) -> Result<(CallOutcome, EvmState), CallError> {
    let nonce = match request.nonce {
        Some(nonce) => nonce,
        None => state.account(&request.from).map_err(CallError::State)?.map_or(0, |account| account.nonce),
    };
    let ancestors = SimulatedHashes(ancestors);
    let parent = environment.number.saturating_sub(1);
    let parent_hash = ancestors.block_hash(parent).unwrap_or_default();
    let reader = StateReader::new(state.clone(), (parent, parent_hash), &ancestors);
    let block = Environment {
        number: environment.number,
        timestamp: environment.timestamp,
        gas_limit: environment.gas_limit,
        beneficiary: environment.beneficiary,
        prev_randao: environment.prev_randao,
        base_fee: environment.base_fee,
    };
    let context = session_context(reader, &block, environment.chain_id, |configuration| {
        configuration.disable_nonce_check = true;
        configuration.disable_block_gas_limit = true;
        configuration.disable_eip3607 = true;
        configuration.disable_base_fee = true;
        // No fee is charged, so only the value must be there.
        configuration.disable_fee_charge = true;
        configuration.tx_gas_limit_cap = Some(u64::MAX);
    });
    let mut evm = context.with_chain(stop).build_mainnet();
    evm.instruction.insert_instruction(JUMPDEST, Instruction::new(stoppable_jumpdest), 1);
    let mut evm = evm.with_precompiles(StoppablePrecompiles(SessionPrecompiles::new(&ComputedRecoveries)));
    let tx_type = match (request.authorization_list.is_empty(), request.access_list.is_empty()) {
        (false, _) => 4,
        (true, false) => 1,
        (true, true) => 0,
    };
    let authorization_list = request.authorization_list.iter().cloned().map(Either::Left).collect();
    let result = evm.transact_one(TxEnv {
        tx_type,
        caller: request.from,
        gas_limit: request.gas_limit,
        gas_price: request.gas_price,
        kind: request.to,
        value: request.value,
        data: request.data.clone(),
        nonce,
        chain_id: Some(environment.chain_id),
        access_list: request.access_list.clone(),
        gas_priority_fee: (tx_type == 4).then_some(request.gas_price),
        authorization_list,
        ..TxEnv::default()
    });
    if stop.load(Ordering::Relaxed) {
        return Err(CallError::Stopped);
    }
    let result = result.map_err(|error| match ExecutionError::from(error) {
        ExecutionError::Invalid(error) => CallError::Invalid(error),
        ExecutionError::State(error) => CallError::State(error),
    })?;
    let gas_used = result.tx_gas_used();
    let (status, output, logs, contract_address) = match result {
        ExecutionResult::Success { logs, output: Output::Call(output), .. } => {
            (CallStatus::Success, output, logs, None)
        }
        ExecutionResult::Success { logs, output: Output::Create(output, address), .. } => {
            (CallStatus::Success, output, logs, address)
        }
        ExecutionResult::Revert { output, .. } => (CallStatus::Revert, output, Vec::new(), None),
        ExecutionResult::Halt { reason, .. } => (CallStatus::Halt(reason.to_string()), Bytes::new(), Vec::new(), None),
    };
    Ok((CallOutcome { status, gas_used, output, logs, contract_address }, evm.finalize()))
}
