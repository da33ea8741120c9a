//! Everything that can be wrong with a template, a state, a transaction or a block.

use alloc::boxed::Box;
use alloc::vec::Vec;
use alloy_primitives::B256;
use core::fmt;
use revm::context::result::InvalidTransaction;
use revm::database_interface::DBErrorMarker;

/// A lookup in a trie that could not be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrieError {
    /// The node at `path` (nibbles from the root) is known by its hash only.
    Missing { hash: B256, path: Vec<u8> },
    /// A node's or value's encoding isn't canonical.
    Malformed,
}

impl fmt::Display for TrieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { hash, path } => {
                write!(f, "trie node {hash} at depth {} is missing", path.len())
            }
            Self::Malformed => f.write_str("malformed trie node"),
        }
    }
}

impl core::error::Error for TrieError {}

/// A state that lacks something that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// In the trie of accounts.
    AccountTrie(TrieError),
    /// In the storage trie of the account with this hashed address.
    StorageTrie { hashed_address: B256, error: TrieError },
    /// The code with this hash is unknown.
    MissingCode(B256),
    /// The hash of the block with this number is needed (BLOCKHASH) and unknown.
    MissingBlockHash(u64),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountTrie(error) => write!(f, "accounts: {error}"),
            Self::StorageTrie { hashed_address, error } => write!(f, "storage of {hashed_address}: {error}"),
            Self::MissingCode(hash) => write!(f, "code {hash} is missing"),
            Self::MissingBlockHash(number) => write!(f, "hash of block {number} is missing"),
        }
    }
}

impl core::error::Error for StateError {}
impl DBErrorMarker for StateError {}

/// Why a file isn't a template (`docs/protocol.md`, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// Not canonical RLP of the documented shape, or bytes follow it.
    Malformed,
    /// A format version that this program doesn't know.
    Version(u64),
    /// Accounts or slots not in strictly ascending order of their hashes.
    Order,
    /// An account without nonce, balance and code (EIP-161).
    EmptyAccount(B256),
    /// A storage slot with value zero.
    ZeroSlot { account: B256, slot: B256 },
    /// Storage in an account that has neither nonce nor code, which no transaction could have made (EIP-7610).
    StorageWithoutCode(B256),
    /// Code that starts with 0xef (EIP-3541) and isn't a delegation (EIP-7702).
    InvalidCode(B256),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("template isn't canonical RLP of [version, accounts]"),
            Self::Version(version) => write!(f, "template has unknown version {version}"),
            Self::Order => f.write_str("template's accounts or slots aren't in ascending order"),
            Self::EmptyAccount(account) => write!(f, "template's account {account} is empty"),
            Self::ZeroSlot { account, slot } => {
                write!(f, "template's slot {slot} of {account} is zero")
            }
            Self::StorageWithoutCode(account) => {
                write!(f, "template's account {account} has storage but neither nonce nor code")
            }
            Self::InvalidCode(account) => {
                write!(f, "template's account {account} has invalid code")
            }
        }
    }
}

impl core::error::Error for TemplateError {}

/// Why bytes aren't a transaction that a session can have, whatever its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MalformedTransaction {
    /// Not the canonical EIP-2718 encoding of a transaction, or bytes follow it.
    Encoding,
    /// A type that sessions don't have: 3 (blobs) or an unknown one.
    UnsupportedType(u8),
    /// A legacy transaction without EIP-155 replay protection.
    Unprotected,
    /// The signature is invalid or has a high s (EIP-2).
    Signature,
}

impl fmt::Display for MalformedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("malformed transaction encoding"),
            Self::UnsupportedType(kind) => write!(f, "transaction type {kind} is not supported"),
            Self::Unprotected => f.write_str("only replay-protected (EIP-155) transactions allowed"),
            Self::Signature => f.write_str("invalid transaction signature"),
        }
    }
}

impl core::error::Error for MalformedTransaction {}

/// Why a transaction can't be the next one of a block. The block is as before.
#[derive(Clone, Debug, PartialEq)]
pub enum PushError {
    /// Invalid under the rules of Ethereum in the current state.
    Invalid(InvalidTransaction),
    /// The transaction or message is for the chain `actual`.
    ChainId { expected: u64, actual: u64 },
    /// The gas limit exceeds what is left in the block; the transaction may fit into a later one.
    BlockFull { gas_limit: u64, gas_left: u64 },
    /// The transaction has more bytes than are left in the block; it may fit into a later one.
    BlockData { bytes: usize, bytes_left: usize },
    /// The block has read so much of the state that it takes no further transaction; a later one does.
    BlockLoad { load: u64 },
    /// The session has ended.
    Ended,
    /// Block 1 must start with the init message to which block 0 commits.
    InitMessage,
    /// A forced message after a user's transaction.
    MessageAfterUserTransaction,
    /// A forced message out of order.
    MessageIndex { expected: u64, actual: u64 },
    /// A forced message that had to be in the session before: the parent block is later than the message's time.
    MessageOverdue { index: u64, due_at: u64, parent: u64 },
    /// The state can't be read.
    State(StateError),
}

impl PushError {
    /// Whether there is no room in the block for a transaction that a later block may have.
    pub fn is_block_full(&self) -> bool {
        matches!(self, Self::BlockFull { .. } | Self::BlockData { .. } | Self::BlockLoad { .. })
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => write!(f, "{error}"),
            Self::ChainId { expected, actual } => {
                write!(f, "invalid chain id {actual}, expected {expected}")
            }
            Self::BlockFull { gas_limit, gas_left } => {
                write!(f, "gas limit {gas_limit} exceeds the {gas_left} left in the block")
            }
            Self::BlockData { bytes, bytes_left } => {
                write!(f, "transaction of {bytes} bytes exceeds the {bytes_left} left in the block")
            }
            Self::BlockLoad { load } => write!(f, "the block has read {load} bytes of the state and is full"),
            Self::Ended => f.write_str("the session has ended"),
            Self::InitMessage => f.write_str("block 1 must start with the session's init message"),
            Self::MessageAfterUserTransaction => f.write_str("message from L1 after a user's transaction"),
            Self::MessageIndex { expected, actual } => {
                write!(f, "message {actual} from L1, expected {expected}")
            }
            Self::MessageOverdue { index, due_at, parent } => {
                write!(f, "message {index} from L1 was due at {due_at}, the parent block is of {parent}")
            }
            Self::State(error) => write!(f, "state: {error}"),
        }
    }
}

impl core::error::Error for PushError {}

impl From<StateError> for PushError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Why a block isn't a valid child of its parent (`docs/protocol.md`, section 5).
#[derive(Clone, Debug, PartialEq)]
pub enum BlockError {
    /// Not canonical RLP of `[header, transactions, [], []]`.
    Malformed,
    /// A header field differs from what the parent or the protocol demands.
    HeaderField { name: &'static str },
    /// Timestamp before the parent's, in seconds.
    Timestamp { parent: u64, actual: u64 },
    /// The parent is the last block of its session.
    SessionEnded,
    /// A block without transactions.
    NoTransactions,
    /// As many senders as transactions are needed. Says nothing about the block.
    Senders { transactions: usize, senders: usize },
    /// The transactions aren't those of the header. Says nothing about the block with this header.
    Transactions,
    /// The transaction isn't one.
    MalformedTransaction { index: usize, error: MalformedTransaction },
    /// The transaction can't be at its place.
    Transaction { index: usize, error: Box<PushError> },
    /// A root or sum in the header differs from the execution's.
    Mismatch { name: &'static str },
    /// The state can't be read. Says nothing about the block.
    State(StateError),
}

impl BlockError {
    /// Whether the block with this header isn't a valid child of its parent. If not, what else was needed to judge it
    /// (state, transactions, senders) was wrong or incomplete.
    pub fn is_verdict(&self) -> bool {
        !matches!(self, Self::State(_) | Self::Transactions | Self::Senders { .. })
    }

    /// Whether the state or witness was insufficient, so that the block was not judged.
    pub fn is_state(&self) -> Option<&StateError> {
        match self {
            Self::State(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed block encoding"),
            Self::HeaderField { name } => write!(f, "invalid header field {name}"),
            Self::Timestamp { parent, actual } => {
                write!(f, "timestamp {actual} is before the parent's {parent}")
            }
            Self::SessionEnded => f.write_str("the session ended with the parent block"),
            Self::NoTransactions => f.write_str("the block has no transactions"),
            Self::Senders { transactions, senders } => write!(f, "{senders} senders for {transactions} transactions"),
            Self::Transactions => f.write_str("the transactions don't have the header's transactionsRoot"),
            Self::MalformedTransaction { index, error } => {
                write!(f, "transaction {index}: {error}")
            }
            Self::Transaction { index, error } => write!(f, "transaction {index}: {error}"),
            Self::Mismatch { name } => write!(f, "{name} differs from the execution's"),
            Self::State(error) => write!(f, "state: {error}"),
        }
    }
}

impl core::error::Error for BlockError {}

impl From<StateError> for BlockError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// Why a witness can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WitnessError {
    /// Not the documented encoding.
    Malformed,
    /// A trie node isn't canonical.
    Node(TrieError),
    /// A node that the ones before don't refer to.
    UnusedNode { index: usize },
    /// Code that starts with 0xef and isn't a delegation.
    InvalidCode { index: usize },
    /// An ancestor's header isn't the parent of the one before.
    Ancestor { index: usize },
}

impl fmt::Display for WitnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("malformed witness encoding"),
            Self::Node(error) => write!(f, "witness: {error}"),
            Self::UnusedNode { index } => write!(f, "witness node {index} isn't referred to"),
            Self::InvalidCode { index } => write!(f, "witness code {index} is invalid"),
            Self::Ancestor { index } => write!(f, "ancestor header {index} doesn't connect"),
        }
    }
}

impl core::error::Error for WitnessError {}

/// Why the guest makes no statement.
#[derive(Clone, Debug, PartialEq)]
pub enum GuestError {
    /// The input isn't in the documented encoding.
    Input,
    /// The first block's parent isn't in the canonical encoding of a header.
    From,
    /// The parent isn't a block of the session.
    Config {
        expected: B256,
        actual: B256,
    },
    Witness(WitnessError),
    /// The block can't be judged with what the input has.
    Block {
        index: usize,
        error: BlockError,
    },
    /// A block of a range isn't valid, of which a proof must be about the block alone.
    InvalidInRange {
        index: usize,
        error: BlockError,
    },
    /// More answers for signatures than were asked for.
    UnusedRecoveries,
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("malformed guest input"),
            Self::Config { expected, actual } => {
                write!(f, "parent has configuration {actual}, expected {expected}")
            }
            Self::From => f.write_str("the parent isn't a header"),
            Self::Witness(error) => write!(f, "{error}"),
            Self::Block { index, error } => write!(f, "block {index} can't be judged: {error}"),
            Self::InvalidInRange { index, error } => write!(f, "block {index} of a range isn't valid: {error}"),
            Self::UnusedRecoveries => f.write_str("more recoveries than were asked for"),
        }
    }
}

impl core::error::Error for GuestError {}

impl From<WitnessError> for GuestError {
    fn from(error: WitnessError) -> Self {
        Self::Witness(error)
    }
}
