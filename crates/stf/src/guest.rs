//! What the zkVM guest does, apart from its input and output.

use crate::error::GuestError;
use alloc::vec::Vec;
use alloy_primitives::{Bytes, B256};

/// Input of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInput {
    /// Hash of the session's configuration.
    pub config_hash: B256,
    pub chain_id: u64,
    /// RLP of the parent's header.
    pub parent: Bytes,
    /// RLP of the block.
    pub block: Bytes,
    /// Encoded witness.
    pub witness: Bytes,
}

impl GuestInput {
    pub fn encoded(&self) -> Vec<u8> {
        unimplemented!()
    }

    pub fn decode(_encoded: &[u8]) -> Result<Self, GuestError> {
        unimplemented!()
    }
}

/// Hash of the statement that the guest makes.
pub fn statement_hash(
    _config_hash: B256,
    _from_hash: B256,
    _to_hash: B256,
    _result_hash: B256,
    _inbox_hash: B256,
) -> B256 {
    unimplemented!()
}

/// Verifies the block in the encoded input; gives the hash of the statement that holds.
pub fn guest_entry(_input: &[u8]) -> Result<B256, GuestError> {
    unimplemented!()
}
