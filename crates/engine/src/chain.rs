//! What is committed of a session: an immutable value that is replaced as a whole by each block.

use std::sync::Arc;

use alloy_primitives::{Bytes, B256};
use imbl::{HashMap, Vector};
use stf::{Header, SealedBlock, State};

/// A block that is on disk (block 0, which follows from the session's configuration, always is).
#[derive(Clone, Debug)]
pub struct CommittedBlock {
    pub session_id: u64,
    /// Header, transactions, receipts and the state after the block.
    pub sealed: SealedBlock,
    /// The operator's EIP-712 signature (docs/protocol.md 7): r, s, v with v 27 or 28. None on a node without a preconfirmation key.
    pub preconfirmation: Option<[u8; 65]>,
    /// Length of the block's RLP in bytes.
    pub size: usize,
    /// Forced messages consumed up to and including this block.
    pub inbox_count: u64,
    /// The result, in the block that ends the session.
    pub result: Option<Bytes>,
}

/// Bytes in memory of an empty block, and of a transaction in one besides what is counted: indices, allocations.
const BLOCK_MEMORY: usize = 1024;
const TRANSACTION_MEMORY: usize = 1536;
const LOG_MEMORY: usize = 256;
/// A new storage slot costs 22,100 gas and copies about as many bytes of trie nodes as this makes of it.
const GAS_PER_STATE_BYTE: u64 = 16;

impl CommittedBlock {
    /// Bytes that the block takes in its session's memory, its part of the state included, as an estimate that errs upwards.
    pub fn memory(&self) -> usize {
        let logs = self.sealed.receipts.iter().flat_map(|receipt| &receipt.logs);
        let logs: usize = logs.map(|log| LOG_MEMORY + log.data.data.len()).sum();
        let state = usize::try_from(self.sealed.header.gas_used / GAS_PER_STATE_BYTE).unwrap_or(usize::MAX);
        BLOCK_MEMORY + self.size + TRANSACTION_MEMORY * self.sealed.transactions.len() + logs + state
    }

    pub fn number(&self) -> u64 {
        self.sealed.header.number
    }

    pub fn hash(&self) -> B256 {
        self.sealed.hash
    }

    pub fn header(&self) -> &Header {
        &self.sealed.header
    }

    /// Whether the session has ended in or before this block.
    pub fn has_ended(&self) -> bool {
        !self.sealed.result_hash.is_zero()
    }

    /// The accumulator over the forced messages consumed so far (docs/protocol.md 4).
    pub fn inbox_hash(&self) -> B256 {
        if self.number() == 0 {
            B256::ZERO
        } else {
            self.sealed.header.parent_beacon_block_root.unwrap_or_default()
        }
    }
}

/// Snapshot of a session's committed blocks. Cloning and appending share structure, so that old snapshots stay valid and cheap.
#[derive(Clone)]
pub struct Chain {
    blocks: Vector<Arc<CommittedBlock>>,
    head: Arc<CommittedBlock>,
    numbers: HashMap<B256, u64>,
    transactions: HashMap<B256, (u64, u32)>,
    /// Transaction hashes of the forced messages, by index.
    inbox: Vector<B256>,
    /// Bytes, see `CommittedBlock::memory`.
    memory: usize,
}

impl Chain {
    pub fn new(genesis: Arc<CommittedBlock>) -> Self {
        Self {
            blocks: Vector::unit(genesis.clone()),
            numbers: HashMap::unit(genesis.hash(), 0),
            memory: genesis.memory(),
            head: genesis,
            transactions: HashMap::new(),
            inbox: Vector::new(),
        }
    }

    /// The latest block; block 0 in a session without transactions.
    pub fn head(&self) -> &Arc<CommittedBlock> {
        &self.head
    }

    /// Number of the latest block.
    pub fn number(&self) -> u64 {
        self.head.number()
    }

    pub fn block(&self, number: u64) -> Option<&Arc<CommittedBlock>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    pub fn block_by_hash(&self, hash: &B256) -> Option<&Arc<CommittedBlock>> {
        self.block(*self.numbers.get(hash)?)
    }

    /// The block of an included transaction and its index therein.
    pub fn transaction(&self, hash: &B256) -> Option<(&Arc<CommittedBlock>, usize)> {
        let (number, index) = self.transactions.get(hash)?;
        Some((self.block(*number)?, *index as usize))
    }

    /// All blocks in order of their numbers, from block 0.
    pub fn blocks(&self) -> impl DoubleEndedIterator<Item = &Arc<CommittedBlock>> {
        self.blocks.iter()
    }

    /// The state after the latest block.
    pub fn state(&self) -> &State {
        &self.head.sealed.state
    }

    pub fn has_ended(&self) -> bool {
        self.head.has_ended()
    }

    /// Whether block 1 starts with an init message (all but template-building sessions; docs/protocol.md 5).
    pub fn has_init(&self) -> bool {
        self.blocks[0].header().parent_beacon_block_root.is_some_and(|hash| !hash.is_zero())
    }

    /// Bytes that the session takes, as an estimate that errs upwards. What it shares with its template isn't counted.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Transaction hash of a forced message that is in the chain.
    pub fn inbox_message(&self, index: u64) -> Option<&B256> {
        self.inbox.get(usize::try_from(index).ok()?)
    }

    /// This chain and one more block.
    pub(crate) fn with_block(&self, block: Arc<CommittedBlock>) -> Self {
        let mut next = self.clone();
        let number = block.number();
        next.numbers.insert(block.hash(), number);
        let init_index = (number == 1 && self.has_init()).then_some(0);
        for (index, transaction) in block.sealed.transactions.iter().enumerate() {
            next.transactions.insert(transaction.hash, (number, index as u32));
            let is_message = matches!(transaction.transaction, stf::Transaction::System(_));
            if is_message && Some(index) != init_index {
                next.inbox.push_back(transaction.hash);
            }
        }
        next.memory = next.memory.saturating_add(block.memory());
        next.blocks.push_back(block.clone());
        next.head = block;
        next
    }
}
