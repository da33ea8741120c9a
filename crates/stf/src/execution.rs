//! Execution of transactions over a state.

use alloy_primitives::B256;

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
