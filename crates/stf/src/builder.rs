//! Building of blocks.

use crate::error::{PushError, StateError};
use crate::execution::BlockHashes;
use crate::receipt::Receipt;
use crate::state::State;
use crate::transaction::RecoveredTransaction;
use alloc::vec::Vec;
use alloy_consensus::Header;
use alloy_primitives::{Bytes, B256};

/// A block that was built or verified, with its effects.
#[derive(Clone, Debug)]
pub struct SealedBlock {
    pub header: Header,
    /// Hash of the header.
    pub hash: B256,
    pub transactions: Vec<RecoveredTransaction>,
    pub receipts: Vec<Receipt>,
    /// The state after the block.
    pub state: State,
    /// Zero, or `keccak256(result)` if the session has ended.
    pub result_hash: B256,
}

impl SealedBlock {
    /// `rlp([header, transactions, [], []])`.
    pub fn encoded(&self) -> Bytes {
        unimplemented!()
    }
}

/// Builds one block on top of a parent, transaction by transaction.
pub struct BlockBuilder<'a> {
    _ancestors: &'a dyn BlockHashes,
}

impl<'a> BlockBuilder<'a> {
    /// Starts the child of `parent`, whose hash is `parent_hash` and whose state is `state`. A `timestamp` (seconds
    /// since 1970) before the parent's is raised to it. `ancestors` gives the hashes of blocks before the parent.
    pub fn new(
        _parent: &Header,
        _parent_hash: B256,
        _state: State,
        _chain_id: u64,
        _timestamp: u64,
        _ancestors: &'a dyn BlockHashes,
    ) -> Result<Self, StateError> {
        unimplemented!()
    }

    /// Executes a transaction as the block's next. One that can't be leaves the builder as it was.
    pub fn push(&mut self, _transaction: &RecoveredTransaction) -> Result<&Receipt, PushError> {
        unimplemented!()
    }

    /// Whether the session has ended, so that no transaction can follow.
    pub fn has_ended(&self) -> bool {
        unimplemented!()
    }

    /// Gas that is left in the block.
    pub fn gas_left(&self) -> u64 {
        unimplemented!()
    }

    /// Number of transactions so far. A block without any isn't valid.
    pub fn transaction_count(&self) -> usize {
        unimplemented!()
    }

    /// Finishes the block: applies its changes to the state and makes the header.
    pub fn seal(self) -> Result<SealedBlock, StateError> {
        unimplemented!()
    }
}
