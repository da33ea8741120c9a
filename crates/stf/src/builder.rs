//! Building of blocks. Verification builds the block again and compares, so that both have one executor.

use crate::block::{encoded_length, ordered_trie_root, Block};
use crate::constants::{
    BLOCK_DATA_LIMIT, BLOCK_LOAD_LIMIT, EMPTY_OMMERS_HASH, EMPTY_REQUESTS_HASH, EMPTY_ROOT, PREDEPLOY,
    TRANSACTION_GAS_LIMIT_CAP,
};
use crate::error::{PushError, StateError};
use crate::execution::{
    execute, make_receipt, session_evm, BlockHashes, Collapsed, Environment, ExecutionError, SessionEvm, StateReader,
    Touched,
};
use crate::receipt::{receipts_root, Receipt};
use crate::recovery::{ComputedRecoveries, Recoveries};
use crate::state::State;
use crate::transaction::{fold_inbox, RecoveredTransaction, SystemTransaction, Transaction};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloy_consensus::Header;
use alloy_primitives::{keccak256, Address, Bloom, Bytes, B256, U256};
use revm::context::result::InvalidTransaction;
use revm::context_interface::journaled_state::JournalTr;
use revm::Database;

/// A block that was built or verified, with its effects.
#[derive(Clone, Debug)]
pub struct SealedBlock {
    pub header: Header,
    /// Hash of the header.
    pub hash: B256,
    pub transactions: Vec<Arc<RecoveredTransaction>>,
    pub receipts: Vec<Receipt>,
    /// The state after the block.
    pub state: State,
    /// Zero, or `keccak256(result)` if the session has ended.
    pub result_hash: B256,
}

impl SealedBlock {
    /// The block without its effects.
    pub fn block(&self) -> Block {
        Block {
            header: self.header.clone(),
            transactions: self.transactions.iter().map(|transaction| transaction.raw.clone()).collect(),
        }
    }

    /// `rlp([header, transactions, [], []])`.
    pub fn encoded(&self) -> Bytes {
        self.block().encoded()
    }

    /// Length of [`encoded`](Self::encoded), which isn't made for it.
    pub fn encoded_length(&self) -> usize {
        encoded_length(&self.header, self.transactions.iter().map(|transaction| &transaction.raw))
    }
}

/// The header of a block's child before execution: all fields that follow from the parent and the timestamp.
pub(crate) fn child_header(parent: &Header, parent_hash: B256, timestamp: u64) -> Header {
    Header {
        parent_hash,
        ommers_hash: EMPTY_OMMERS_HASH,
        beneficiary: Address::ZERO,
        number: parent.number.saturating_add(1),
        gas_limit: parent.gas_limit,
        timestamp: timestamp.max(parent.timestamp),
        extra_data: parent.extra_data.clone(),
        mix_hash: keccak256(parent.mix_hash),
        base_fee_per_gas: Some(0),
        withdrawals_root: Some(EMPTY_ROOT),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: parent.parent_beacon_block_root,
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}

/// Builds one block on top of a parent, transaction by transaction.
pub struct BlockBuilder<'a> {
    evm: SessionEvm<'a>,
    recoveries: &'a dyn Recoveries,
    header: Header,
    chain_id: u64,
    /// The parent's, in seconds since 1970.
    parent_timestamp: u64,
    transactions: Vec<Arc<RecoveredTransaction>>,
    /// Bytes of the transactions.
    data_length: usize,
    receipts: Vec<Receipt>,
    /// Hash of the init message with which the block must start.
    init_message_hash: Option<B256>,
    /// Accumulator of the forced messages so far.
    inbox_hash: B256,
    /// Index of the next forced message, where it is known.
    next_message: Option<u64>,
    has_user_transaction: bool,
    has_ended: bool,
}

impl<'a> BlockBuilder<'a> {
    /// Starts the child of `parent`, whose hash is `parent_hash` and whose state is `state`. A `timestamp` (seconds
    /// since 1970) before the parent's is raised to it. `ancestors` gives the hashes of blocks before the parent.
    pub fn new(
        parent: &Header,
        parent_hash: B256,
        state: State,
        chain_id: u64,
        timestamp: u64,
        ancestors: &'a dyn BlockHashes,
    ) -> Result<Self, StateError> {
        let header = child_header(parent, parent_hash, timestamp);
        let mut builder = Self::start(parent, header, state, chain_id, ancestors, &ComputedRecoveries);
        builder.read_end()?;
        Ok(builder)
    }

    /// Starts a block with a header as [`child_header`] makes it. [`read_end`](Self::read_end) comes next.
    pub(crate) fn start(
        parent: &Header,
        header: Header,
        state: State,
        chain_id: u64,
        ancestors: &'a dyn BlockHashes,
        recoveries: &'a dyn Recoveries,
    ) -> Self {
        let root = parent.parent_beacon_block_root.unwrap_or_default();
        // Block 0 commits to the init message where later blocks have the inbox's accumulator.
        let (init_message_hash, inbox_hash) = match parent.number {
            0 => ((!root.is_zero()).then_some(root), B256::ZERO),
            _ => (None, root),
        };
        let reader = StateReader::new(state, (parent.number, header.parent_hash), ancestors);
        let environment = Environment {
            number: header.number,
            timestamp: header.timestamp,
            gas_limit: header.gas_limit,
            beneficiary: header.beneficiary,
            prev_randao: header.mix_hash,
            base_fee: 0,
        };
        Self {
            evm: session_evm(reader, &environment, chain_id, recoveries),
            recoveries,
            header,
            chain_id,
            parent_timestamp: parent.timestamp,
            transactions: Vec::new(),
            data_length: 0,
            receipts: Vec::new(),
            init_message_hash,
            inbox_hash,
            next_message: inbox_hash.is_zero().then_some(0),
            has_user_transaction: false,
            has_ended: false,
        }
    }

    /// Looks whether the session has ended in the parent's state.
    pub(crate) fn read_end(&mut self) -> Result<bool, StateError> {
        let reader = &mut self.evm.ctx.journaled_state.database;
        self.has_ended = !reader.storage(PREDEPLOY, U256::ZERO)?.is_zero();
        Ok(self.has_ended)
    }

    /// Executes a transaction as the block's next. One that can't be leaves the builder as it was.
    pub fn push(&mut self, transaction: Arc<RecoveredTransaction>) -> Result<&Receipt, PushError> {
        if self.has_ended {
            return Err(PushError::Ended);
        }
        let chain_id = transaction.transaction.chain_id().unwrap_or_default();
        if chain_id != self.chain_id {
            return Err(PushError::ChainId { expected: self.chain_id, actual: chain_id });
        }
        let must_be_init = self.transactions.is_empty() && self.init_message_hash.is_some();
        let gas_limit = transaction.transaction.gas_limit();
        match &transaction.transaction {
            Transaction::System(message) if must_be_init => self.check_init(message)?,
            Transaction::System(message) => self.check_forced(message)?,
            Transaction::User(_) if must_be_init => return Err(PushError::InitMessage),
            Transaction::User(envelope) if envelope.is_eip4844() => {
                return Err(PushError::Invalid(InvalidTransaction::Eip4844NotSupported));
            }
            Transaction::User(_) => {}
        }
        // Such a transaction fits into no block, while others may fit into a later one.
        if gas_limit > TRANSACTION_GAS_LIMIT_CAP {
            let cap = TRANSACTION_GAS_LIMIT_CAP;
            return Err(PushError::Invalid(InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit, cap }));
        }
        let (bytes, bytes_left) = (transaction.raw.len(), BLOCK_DATA_LIMIT - self.data_length);
        if bytes > bytes_left {
            return Err(PushError::BlockData { bytes, bytes_left });
        }
        let load = self.evm.ctx.journaled_state.database.load;
        if load > BLOCK_LOAD_LIMIT && !self.transactions.is_empty() {
            return Err(PushError::BlockLoad { load });
        }
        let gas_left = self.gas_left();
        if gas_limit > gas_left {
            return Err(PushError::BlockFull { gas_limit, gas_left });
        }
        let result =
            execute(&mut self.evm, &transaction, self.chain_id, self.recoveries).map_err(|error| match error {
                ExecutionError::Invalid(error) => PushError::Invalid(error),
                ExecutionError::State(error) => PushError::State(error),
            })?;
        match &transaction.transaction {
            Transaction::System(_) if must_be_init => {}
            Transaction::System(message) => {
                self.inbox_hash = fold_inbox(self.inbox_hash, message.message_hash());
                self.next_message = message.index.checked_add(1);
            }
            Transaction::User(_) => self.has_user_transaction = true,
        }
        self.has_ended = self.is_result_set();
        self.data_length += bytes;
        self.receipts.push(make_receipt(&transaction, result, self.header.gas_limit - gas_left));
        self.transactions.push(transaction);
        Ok(&self.receipts[self.receipts.len() - 1])
    }

    fn check_init(&self, message: &SystemTransaction) -> Result<(), PushError> {
        if self.init_message_hash == Some(message.message_hash()) {
            Ok(())
        } else {
            Err(PushError::InitMessage)
        }
    }

    /// Messages come in order of their indices. Where a block starts among them the header doesn't tell; the
    /// accumulator, which covers the indices, is compared with L1's when the session is settled.
    fn check_forced(&self, message: &SystemTransaction) -> Result<(), PushError> {
        if self.has_user_transaction {
            return Err(PushError::MessageAfterUserTransaction);
        }
        let index = message.index;
        match self.next_message {
            Some(expected) if expected != index => return Err(PushError::MessageIndex { expected, actual: index }),
            _ => {}
        }
        // INVARIANT I4: no block later than the time until which a message must be included comes before it.
        let (due_at, parent) = (message.due_at, self.parent_timestamp);
        if parent > due_at {
            return Err(PushError::MessageOverdue { index, due_at, parent });
        }
        Ok(())
    }

    /// Whether the execution so far has set slot 0 of the session contract. It was zero before.
    fn is_result_set(&self) -> bool {
        let state = &self.evm.ctx.journaled_state.inner.state;
        state.get(&PREDEPLOY).is_some_and(|account| {
            !account.is_selfdestructed_locally()
                && account.storage.get(&U256::ZERO).is_some_and(|slot| !slot.present_value.is_zero())
        })
    }

    /// Whether the session has ended, so that no transaction can follow.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Gas that is left in the block.
    pub fn gas_left(&self) -> u64 {
        let used = self.receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used);
        self.header.gas_limit.saturating_sub(used)
    }

    /// Number of transactions so far. A block without any isn't valid.
    pub fn transaction_count(&self) -> usize {
        self.transactions.len()
    }

    /// Finishes the block: applies its changes to the state and makes the header.
    pub fn seal(self) -> Result<SealedBlock, StateError> {
        let (executed, _) = self.execute_changes();
        let mut block = executed?;
        let raw: Vec<Bytes> = block.transactions.iter().map(|transaction| transaction.raw.clone()).collect();
        block.header.transactions_root = ordered_trie_root(&raw);
        block.hash = block.header.hash_slow();
        Ok(block)
    }

    /// Finishes the block but for `transactionsRoot` and the hash, which a verification knows. Tells what was read, also
    /// when that was not enough.
    #[inline(never)]
    pub(crate) fn execute_changes(self) -> (Result<SealedBlock, StateError>, Touched) {
        let Self { evm, header, transactions, receipts, inbox_hash, .. } = self;
        let mut journal = evm.ctx.journaled_state;
        let changes = journal.finalize();
        let mut reader = journal.database;
        let (applied, collapsed) = match reader.apply(changes) {
            Ok(collapsed) => (Ok(()), collapsed),
            Err(error) => (Err(error), Collapsed::default()),
        };
        let block = applied.and_then(|()| {
            let result_hash = reader.current_value(PREDEPLOY, U256::ZERO)?.into();
            let header = Header {
                state_root: reader.state.root(),
                receipts_root: receipts_root(&receipts),
                logs_bloom: receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom),
                gas_used: receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used),
                parent_beacon_block_root: Some(inbox_hash),
                ..header
            };
            let state = reader.state.clone();
            Ok(SealedBlock { header, hash: B256::ZERO, transactions, receipts, state, result_hash })
        });
        (block, Touched { collapsed, ..reader.into_touched() })
    }

    /// Gives the block up; tells what was read.
    pub(crate) fn into_touched(self) -> Touched {
        self.evm.ctx.journaled_state.database.into_touched()
    }
}
