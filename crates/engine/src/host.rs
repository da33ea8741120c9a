//! What the engine asks of the program that it runs in. In production that is Python (`python.rs`).

use std::sync::Arc;

use crate::chain::CommittedBlock;
use crate::error::{CallError, PersistError};

/// What became of a session that was to be brought into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Woken {
    Here,
    /// There is no such session.
    Unknown,
    /// Another process of this deployment has it, or is to have it: the URL of its JSON-RPC for its peers.
    Elsewhere(String),
}

/// The engine calls these from threads of its own, never with a lock held.
pub trait Host: Send + Sync + 'static {
    /// Makes the blocks of many sessions durable, all or none. A session has one block in it at most.
    fn persist(&self, blocks: &[Arc<CommittedBlock>]) -> Result<(), PersistError>;
    /// Opens and restores a session that isn't in memory. An error says why it could not be rebuilt.
    fn wake(&self, session_id: u64) -> Result<Woken, String>;
    /// Answers a JSON-RPC method that the engine doesn't serve itself; parameters and result are JSON texts.
    fn call(&self, method: &str, params: &str) -> Result<String, CallError>;
    /// Reports what an operator should know.
    fn warn(&self, message: &str);
}
