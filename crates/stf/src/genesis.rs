//! Block 0 of a session (`docs/protocol.md`, section 5).

use crate::constants::{BLOCK_GAS_LIMIT, EMPTY_OMMERS_HASH, EMPTY_REQUESTS_HASH, EMPTY_ROOT};
use alloy_consensus::Header;
use alloy_primitives::B256;

/// All that makes a session's block 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// State root of the template.
    pub state_root: B256,
    /// Hash of the session's configuration.
    pub config_hash: B256,
    /// Seed of the session's randomness.
    pub seed: B256,
    /// When the session was opened on L1, in seconds since 1970.
    pub timestamp: u64,
    /// Message hash of the init message; zero for a template-building session, which has none.
    pub init_message_hash: B256,
}

impl Genesis {
    /// The header of block 0.
    pub fn header(&self) -> Header {
        Header {
            ommers_hash: EMPTY_OMMERS_HASH,
            state_root: self.state_root,
            transactions_root: EMPTY_ROOT,
            receipts_root: EMPTY_ROOT,
            gas_limit: BLOCK_GAS_LIMIT,
            timestamp: self.timestamp,
            extra_data: self.config_hash.into(),
            mix_hash: self.seed,
            base_fee_per_gas: Some(0),
            withdrawals_root: Some(EMPTY_ROOT),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(self.init_message_hash),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        }
    }
}
