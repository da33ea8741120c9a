//! What can go wrong, in types that the JSON-RPC server and the Python bindings map one to one.

use std::sync::Arc;

use alloy_primitives::U256;
use thiserror::Error;

/// Why a transaction was not accepted. The messages are those that Ethereum nodes answer with, which wallets know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SubmitError {
    #[error("transaction could not be decoded: {0}")]
    Malformed(String),
    #[error("oversized data: transaction size {size}, limit {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("transaction type not supported")]
    UnsupportedType,
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    #[error("invalid chain id for signer: have {have} want {want}")]
    InvalidChainId { have: u64, want: u64 },
    #[error("invalid transaction v, r, s values")]
    InvalidSignature,
    #[error("already known")]
    AlreadyKnown,
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow { next: u64, nonce: u64 },
    #[error("nonce too high: next nonce {next}, tx nonce {nonce}")]
    NonceTooHigh { next: u64, nonce: u64 },
    #[error("replacement transaction underpriced: nonce {nonce} is already queued")]
    NonceQueued { nonce: u64 },
    #[error("insufficient funds for gas * price + value: have {have} want {want}")]
    InsufficientFunds { have: U256, want: U256 },
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas { have: u64, want: u64 },
    #[error("exceeds block gas limit: have {have}, limit {limit}")]
    GasLimitTooHigh { have: u64, limit: u64 },
    /// Any other rule of Ethereum that the transaction breaks; the text says which.
    #[error("{0}")]
    Invalid(String),
    #[error("txpool is full: {queued} transactions wait in this session")]
    SessionQueueFull { queued: usize },
    #[error("session is full: its history has {bytes} bytes, limit {limit}; it takes no more but stop()")]
    SessionFull { bytes: usize, limit: usize },
    #[error("account limit exceeded: sender has {limit} queued transactions")]
    SenderQueueFull { limit: usize },
    #[error("session has ended")]
    SessionEnded,
    #[error("unknown session {0}")]
    UnknownSession(u64),
    /// The session left this process's memory (its lease was lost, it was dropped or it crashed) before the transaction was durable.
    #[error("session {0} is no longer served here; send the transaction again")]
    SessionDropped(u64),
    /// A forced message of L1 that isn't known here may be due: no user's transaction may overtake it (INVARIANT I4).
    #[error("L1 is not followed (last L1 time seen: {followed_until}); send the transaction again later")]
    L1NotFollowed { followed_until: u64 },
    /// The store did not take the block; the transaction was not executed.
    #[error("store unavailable: {0}")]
    StoreUnavailable(String),
    #[error("node is shutting down")]
    ShuttingDown,
    #[error("internal error: {0}")]
    Internal(String),
}

impl SubmitError {
    /// The stable name that Python sees as `SubmitError.kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "Malformed",
            Self::TooLarge { .. } => "TooLarge",
            Self::UnsupportedType => "UnsupportedType",
            Self::Unprotected => "Unprotected",
            Self::InvalidChainId { .. } => "InvalidChainId",
            Self::InvalidSignature => "InvalidSignature",
            Self::AlreadyKnown => "AlreadyKnown",
            Self::NonceTooLow { .. } => "NonceTooLow",
            Self::NonceTooHigh { .. } => "NonceTooHigh",
            Self::NonceQueued { .. } => "NonceQueued",
            Self::InsufficientFunds { .. } => "InsufficientFunds",
            Self::IntrinsicGas { .. } => "IntrinsicGas",
            Self::GasLimitTooHigh { .. } => "GasLimitTooHigh",
            Self::Invalid(_) => "Invalid",
            Self::SessionQueueFull { .. } => "SessionQueueFull",
            Self::SessionFull { .. } => "SessionFull",
            Self::SenderQueueFull { .. } => "SenderQueueFull",
            Self::SessionEnded => "SessionEnded",
            Self::UnknownSession(_) => "UnknownSession",
            Self::SessionDropped(_) => "SessionDropped",
            Self::L1NotFollowed { .. } => "L1NotFollowed",
            Self::StoreUnavailable(_) => "StoreUnavailable",
            Self::ShuttingDown => "ShuttingDown",
            Self::Internal(_) => "Internal",
        }
    }
}

/// Why a session could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    #[error("unknown session {0}")]
    Unknown(u64),
    /// The session exists but could not be rebuilt; the text is that of the exception in Python.
    #[error("session {id} could not be loaded: {reason}")]
    Wake { id: u64, reason: String },
    /// `url`: of the process that has it, for its peers only.
    #[error("session {id} runs in another process; try again")]
    Elsewhere { id: u64, url: Arc<str> },
    #[error("too many sessions are being loaded; try again")]
    Busy,
    #[error("node is shutting down")]
    ShuttingDown,
}

/// Why a session could not be opened, fed or changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EngineError {
    #[error("unknown session {0}")]
    UnknownSession(u64),
    #[error("session {0} is already open")]
    AlreadyOpen(u64),
    #[error("unknown template: no template with state root {0} was added")]
    UnknownTemplate(alloy_primitives::B256),
    #[error("session {0} is already active")]
    AlreadyActive(u64),
    #[error("session {0} is not active yet")]
    NotActive(u64),
    #[error("session {id} has no block {number}")]
    UnknownBlock { id: u64, number: u64 },
    #[error("invalid message from L1: {0}")]
    InvalidMessage(String),
    #[error("{0}")]
    State(String),
    #[error("node is shutting down")]
    ShuttingDown,
}

/// Why a stored block was refused. The session is dropped: what follows a wrong block can't be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RestoreError {
    #[error("unknown session {0}")]
    UnknownSession(u64),
    #[error("session {0} is already active")]
    AlreadyActive(u64),
    #[error("session {id}, block {number}: {reason}")]
    InvalidBlock { id: u64, number: u64, reason: String },
    #[error("session {id}: a stored block could not be decoded: {reason}")]
    Malformed { id: u64, reason: String },
}

/// Why the host (Python) did not make a group of blocks durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersistError {
    /// Nothing was written; these sessions are not this process's any more.
    SessionsRefused(Vec<u64>),
    /// Nothing was written.
    Unavailable(String),
}

/// The error of a JSON-RPC method that Python serves.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CallError {
    pub code: i32,
    pub message: String,
    /// JSON text.
    pub data: Option<String>,
}
