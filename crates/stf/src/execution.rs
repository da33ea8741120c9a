//! Execution of transactions over a state: what building, verification and simulated calls have in common.

use crate::constants::ITEM_LOAD;
use crate::error::{StateError, TrieError};
use crate::precompiles::SessionPrecompiles;
use crate::receipt::{logs_bloom, Receipt};
use crate::recovery::{recover_authority, Recoveries};
use crate::state::{hash_slot, read_slot, write_slot, AccountLeaf, State};
use crate::transaction::{RecoveredTransaction, SystemTransaction, Transaction};
use crate::trie::Trie;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;
use alloy_consensus::Transaction as _;
use alloy_eips::eip7702::{RecoveredAuthority, RecoveredAuthorization, SignedAuthorization};
use alloy_primitives::{keccak256, map::HashMap, Address, TxKind, B256, KECCAK256_EMPTY, U256};
use revm::context::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction};
use revm::context::{BlockEnv, CfgEnv, ContextSetters, ContextTr, Evm, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::either::Either;
use revm::context_interface::journaled_state::JournalTr;
use revm::handler::instructions::EthInstructions;
use revm::handler::{post_execution::build_result_gas, EthFrame, EvmTr, Handler, MainnetContext, MainnetHandler};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::InitialAndFloorGas;
use revm::primitives::{eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE, hardfork::SpecId};
use revm::state::{Account as JournaledAccount, AccountInfo, Bytecode, EvmState};
use revm::{Context, Database, ExecuteEvm, MainContext};

/// Hashes of a block's ancestors, for BLOCKHASH.
pub trait BlockHashes {
    /// Hash of the ancestor with this number; `None` if it isn't known. Asked for the last 256 only.
    fn block_hash(&self, number: u64) -> Option<B256>;
}

/// No ancestor is known.
pub struct NoBlockHashes;

impl BlockHashes for NoBlockHashes {
    fn block_hash(&self, _number: u64) -> Option<B256> {
        None
    }
}

/// An account that was read, and those of its slots that were.
#[derive(Debug)]
pub(crate) struct LoadedAccount {
    pub hashed_address: B256,
    pub leaf: Option<AccountLeaf>,
    /// Hash and value of each slot.
    pub slots: HashMap<U256, (B256, U256)>,
}

pub(crate) type LoadedAccounts = HashMap<Address, LoadedAccount>;

/// Reads of the EVM from a state. Each account and slot is read once: the EVM's journal keeps it.
pub(crate) struct StateReader<'a> {
    pub state: State,
    ancestors: &'a dyn BlockHashes,
    /// Number and hash of the parent block.
    parent: (u64, B256),
    pub loaded: LoadedAccounts,
    pub codes: BTreeSet<B256>,
    /// The oldest ancestor whose hash was read.
    pub oldest_ancestor: Option<u64>,
    /// [`ITEM_LOAD`] for each account and slot that was read, and the bytes of each code.
    pub load: u64,
}

impl<'a> StateReader<'a> {
    pub fn new(state: State, parent: (u64, B256), ancestors: &'a dyn BlockHashes) -> Self {
        let (loaded, codes) = (HashMap::default(), BTreeSet::new());
        Self { state, ancestors, parent, loaded, codes, oldest_ancestor: None, load: 0 }
    }

    fn load(&mut self, address: Address) -> Result<&mut LoadedAccount, StateError> {
        use alloy_primitives::map::Entry;
        match self.loaded.entry(address) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let hashed_address = keccak256(address);
                let leaf = self.state.leaf(&hashed_address)?.cloned();
                self.load += ITEM_LOAD;
                Ok(entry.insert(LoadedAccount { hashed_address, leaf, slots: HashMap::default() }))
            }
        }
    }
}

/// What the execution of a block read of its parent's state, and what applying its changes needed besides.
#[derive(Default)]
pub(crate) struct Touched {
    pub loaded: LoadedAccounts,
    pub codes: BTreeSet<B256>,
    pub oldest_ancestor: Option<u64>,
    pub collapsed: Collapsed,
}

impl StateReader<'_> {
    pub fn into_touched(self) -> Touched {
        let Self { loaded, codes, oldest_ancestor, .. } = self;
        Touched { loaded, codes, oldest_ancestor, collapsed: Collapsed::default() }
    }

    /// The value of a slot after [`apply`](Self::apply).
    pub fn current_value(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let loaded = self.load(address)?;
        let hashed_address = loaded.hashed_address;
        let key = loaded.slots.get(&slot).map_or_else(|| hash_slot(&slot), |(key, _)| *key);
        match self.state.leaf(&hashed_address)? {
            None => Ok(U256::ZERO),
            Some(leaf) => read_slot(&leaf.storage, &hashed_address, &key),
        }
    }
}

impl Database for StateReader<'_> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        Ok(self.load(address)?.leaf.as_ref().map(|leaf| AccountInfo {
            balance: leaf.balance,
            nonce: leaf.nonce,
            code_hash: leaf.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, StateError> {
        let code = self.state.code(&hash);
        if hash != KECCAK256_EMPTY && self.codes.insert(hash) {
            self.load += code.as_ref().map_or(0, |code| code.len() as u64);
        }
        code
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        let account = self.load(address)?;
        let key = hash_slot(&slot);
        let value = match &account.leaf {
            None => U256::ZERO,
            Some(leaf) => read_slot(&leaf.storage, &account.hashed_address, &key)?,
        };
        account.slots.insert(slot, (key, value));
        self.load += ITEM_LOAD;
        Ok(value)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        let oldest = self.oldest_ancestor.unwrap_or(number).min(number);
        self.oldest_ancestor = Some(oldest);
        if number == self.parent.0 {
            return Ok(self.parent.1);
        }
        self.ancestors.block_hash(number).ok_or(StateError::MissingBlockHash(number))
    }
}

/// What a block's changes needed of the state beyond what was read: for each trie the paths of nodes that moved up
/// when a sibling was deleted. Storage tries go by their hashed address.
#[derive(Debug, Default)]
pub(crate) struct Collapsed {
    pub accounts: Vec<Vec<u8>>,
    pub storage: BTreeMap<B256, Vec<Vec<u8>>>,
}

impl StateReader<'_> {
    /// Writes what the EVM's journal holds after a block into the state.
    ///
    /// The journal spans many transactions, so its own notion of what changed (which is per transaction) doesn't
    /// serve: values are compared with those read from the parent's state. Insertions go before deletions, and
    /// deletions in order of keys, so that all executions of a block need the same nodes.
    pub fn apply(&mut self, changes: EvmState) -> Result<Collapsed, StateError> {
        let mut collapsed = Collapsed::default();
        let mut deletions = BTreeSet::new();
        for (address, account) in &changes {
            if !account.is_touched() {
                continue;
            }
            self.load(*address)?;
            let (state, Some(loaded)) = (&mut self.state, self.loaded.get(address)) else {
                continue;
            };
            let hashed_address = loaded.hashed_address;
            let before = loaded.leaf.as_ref();
            // An account that was destroyed in the last transaction that touched it is still there (EIP-6780).
            if account.is_selfdestructed_locally() || account.info.is_empty() {
                if before.is_some() {
                    deletions.insert(hashed_address);
                }
                continue;
            }
            // Created or destroyed somewhere in the block: its storage starts empty, whatever was there.
            let is_fresh = account.is_created() || account.is_selfdestructed();
            let mut storage = match before {
                Some(leaf) if !is_fresh => leaf.storage.clone(),
                _ => Trie::default(),
            };
            let old_slots = if is_fresh { None } else { Some(&loaded.slots) };
            let is_storage_changed = write_storage(&mut storage, account, old_slots, &mut |path| {
                collapsed.storage.entry(hashed_address).or_default().push(path);
            })
            .map_err(|error| StateError::StorageTrie { hashed_address, error })?;
            let AccountInfo { nonce, balance, code_hash, ref code, .. } = account.info;
            let is_unchanged = before.is_some_and(|leaf| {
                !is_fresh
                    && !is_storage_changed
                    && (leaf.nonce, leaf.balance, leaf.code_hash) == (nonce, balance, code_hash)
            });
            if is_unchanged {
                continue;
            }
            if let Some(code) = code {
                state.insert_code(code_hash, code.clone());
            }
            let leaf = AccountLeaf { nonce, balance, code_hash, storage };
            state.accounts.insert(&hashed_address, leaf).map_err(StateError::AccountTrie)?;
        }
        for hashed_address in deletions {
            self.state
                .accounts
                .delete(&hashed_address, &mut |path| collapsed.accounts.push(path))
                .map_err(StateError::AccountTrie)?;
        }
        Ok(collapsed)
    }
}

/// Writes an account's changed slots; tells whether there were any.
fn write_storage(
    storage: &mut Trie<U256>,
    account: &JournaledAccount,
    old: Option<&HashMap<U256, (B256, U256)>>,
    collapsed: &mut dyn FnMut(Vec<u8>),
) -> Result<bool, TrieError> {
    let mut is_changed = false;
    let mut deletions = BTreeSet::new();
    for (slot, journaled) in &account.storage {
        let value = journaled.present_value;
        let (key, before) = match old.and_then(|slots| slots.get(slot)) {
            Some((key, before)) => (*key, *before),
            None if value.is_zero() => continue,
            None => (hash_slot(slot), U256::ZERO),
        };
        if value == before {
            continue;
        }
        is_changed = true;
        if value.is_zero() {
            deletions.insert(key);
        } else {
            write_slot(storage, &key, value, collapsed)?;
        }
    }
    for key in deletions {
        write_slot(storage, &key, U256::ZERO, collapsed)?;
    }
    Ok(is_changed)
}

type SessionContext<'a> = MainnetContext<StateReader<'a>>;

pub(crate) type SessionEvm<'a> = Evm<
    SessionContext<'a>,
    (),
    EthInstructions<EthInterpreter, SessionContext<'a>>,
    SessionPrecompiles<'a>,
    EthFrame<EthInterpreter>,
>;

/// The block that transactions see.
pub(crate) struct Environment {
    pub number: u64,
    /// In seconds since 1970.
    pub timestamp: u64,
    pub gas_limit: u64,
    pub beneficiary: Address,
    pub prev_randao: B256,
    /// In wei.
    pub base_fee: u64,
}

/// An EVM under Osaka rules.
pub(crate) fn session_evm<'a>(
    reader: StateReader<'a>,
    environment: &Environment,
    chain_id: u64,
    recoveries: &'a dyn Recoveries,
) -> SessionEvm<'a> {
    let context = session_context(reader, environment, chain_id, |_| {});
    Evm::new(context, EthInstructions::new_mainnet_with_spec(SpecId::OSAKA), SessionPrecompiles::new(recoveries))
}

/// What an EVM is made of; `adjust` may relax checks.
pub(crate) fn session_context<'a>(
    reader: StateReader<'a>,
    environment: &Environment,
    chain_id: u64,
    adjust: impl FnOnce(&mut CfgEnv),
) -> MainnetContext<StateReader<'a>> {
    let mut configuration = CfgEnv::new_with_spec(SpecId::OSAKA);
    configuration.chain_id = chain_id;
    adjust(&mut configuration);
    let block = BlockEnv {
        number: U256::from(environment.number),
        beneficiary: environment.beneficiary,
        timestamp: U256::from(environment.timestamp),
        gas_limit: environment.gas_limit,
        basefee: environment.base_fee,
        difficulty: U256::ZERO,
        prevrandao: Some(environment.prev_randao),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(0, BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE)),
        slot_num: 0,
    };
    Context::mainnet().with_db(reader).with_block(block).with_cfg(configuration)
}

/// Why a transaction was not executed.
pub(crate) enum ExecutionError {
    Invalid(InvalidTransaction),
    State(StateError),
}

impl From<EVMError<StateError>> for ExecutionError {
    fn from(error: EVMError<StateError>) -> Self {
        match error {
            EVMError::Database(error) => Self::State(error),
            EVMError::Transaction(error) => Self::Invalid(error),
            // Not reached: headers are made by the caller, and no custom errors are raised.
            error => Self::Invalid(InvalidTransaction::Str(error.to_string().into())),
        }
    }
}

/// Executes a transaction in the EVM's journal.
pub(crate) fn execute(
    evm: &mut SessionEvm<'_>,
    transaction: &RecoveredTransaction,
    chain_id: u64,
    recoveries: &dyn Recoveries,
) -> Result<ExecutionResult, ExecutionError> {
    match &transaction.transaction {
        Transaction::System(message) => execute_message(evm, message),
        Transaction::User(envelope) => {
            let authorizations = envelope.authorization_list().unwrap_or_default().iter();
            let authorization_list =
                authorizations.map(|signed| Either::Right(authority_of(signed, chain_id, recoveries))).collect();
            if envelope.authorization_list().is_some() {
                forget_empty_accounts(evm);
            }
            Ok(evm.transact_one(TxEnv {
                tx_type: envelope.tx_type() as u8,
                caller: transaction.sender,
                gas_limit: envelope.gas_limit(),
                gas_price: envelope.max_fee_per_gas(),
                gas_priority_fee: envelope.max_priority_fee_per_gas(),
                kind: envelope.kind(),
                value: envelope.value(),
                data: envelope.input().clone(),
                nonce: envelope.nonce(),
                chain_id: envelope.chain_id(),
                access_list: envelope.access_list().cloned().unwrap_or_default(),
                authorization_list,
                ..TxEnv::default()
            })?)
        }
    }
}

/// An authorization with who signed it, for which is only asked where it matters (EIP-7702, behaviour, steps 1 to 3).
fn authority_of(signed: &SignedAuthorization, chain_id: u64, recoveries: &dyn Recoveries) -> RecoveredAuthorization {
    let is_ours = signed.chain_id.is_zero() || signed.chain_id == U256::from(chain_id);
    let authority = if is_ours && signed.nonce != u64::MAX { recover_authority(recoveries, signed) } else { None };
    let authority = authority.map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
    RecoveredAuthorization::new_unchecked(signed.inner().clone(), authority)
}

/// Accounts that earlier transactions of the block touched and left empty don't exist any more (EIP-161). The journal
/// spans the block and takes them for existing, for which an authority would be refunded (EIP-7702).
fn forget_empty_accounts(evm: &mut SessionEvm<'_>) {
    for account in evm.ctx.journal_mut().evm_state_mut().values_mut() {
        if account.is_loaded_as_not_existing() && account.info.is_empty() {
            account.unmark_touch();
        }
    }
}

/// Executes a message from L1: a call without intrinsic gas, nonce, value and fee (`docs/protocol.md`, section 4).
/// Warm are the same addresses as in a user's transaction.
fn execute_message(evm: &mut SessionEvm<'_>, message: &SystemTransaction) -> Result<ExecutionResult, ExecutionError> {
    evm.ctx.set_tx(TxEnv {
        tx_type: 0,
        caller: message.from,
        gas_limit: message.gas_limit,
        gas_price: 0,
        kind: TxKind::Call(message.to),
        data: message.data.clone(),
        ..TxEnv::default()
    });
    let mut handler = MainnetHandler::<SessionEvm<'_>, EVMError<StateError>, EthFrame<EthInterpreter>>::default();
    let result = run_message(&mut handler, evm, message.from);
    result.or_else(|error| handler.catch_error(evm, error)).map_err(ExecutionError::from)
}

fn run_message<'a>(
    handler: &mut MainnetHandler<SessionEvm<'a>, EVMError<StateError>, EthFrame<EthInterpreter>>,
    evm: &mut SessionEvm<'a>,
    from: Address,
) -> Result<ExecutionResult, EVMError<StateError>> {
    handler.load_accounts(evm)?;
    evm.ctx().journal_mut().load_account(from)?;
    let intrinsic = InitialAndFloorGas::new(0, 0);
    let mut gas = handler.tx_gas(evm, &intrinsic);
    let checkpoint = evm.ctx().journal_mut().checkpoint();
    let mut result = match handler.execution(evm, checkpoint, &mut gas)? {
        Some(result) => result,
        None => handler.runtime_oog_result(evm, &intrinsic, &mut gas)?,
    };
    handler.refund(evm, &mut result, 0)?;
    let result_gas = build_result_gas(false, result.gas(), intrinsic);
    handler.execution_result(evm, result, result_gas)
}

/// The receipt of an executed transaction, before which `gas_used_before` gas was used in its block. What the
/// transaction returned or reverted with is dropped: it can be megabytes, and blocks are kept in memory.
pub(crate) fn make_receipt(
    transaction: &RecoveredTransaction,
    result: ExecutionResult<HaltReason>,
    gas_used_before: u64,
) -> Receipt {
    let gas_used = result.tx_gas_used();
    let (status, logs) = match result {
        ExecutionResult::Success { logs, .. } => (true, logs),
        ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => (false, Vec::new()),
    };
    Receipt {
        transaction_type: transaction.transaction.transaction_type(),
        status,
        cumulative_gas_used: gas_used_before.saturating_add(gas_used),
        gas_used,
        bloom: logs_bloom(&logs),
        logs,
        contract_address: transaction.created_address(),
    }
}
