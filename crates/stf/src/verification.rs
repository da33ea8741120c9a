//! Verification of blocks.

use crate::block::Block;
use crate::builder::SealedBlock;
use crate::error::BlockError;
use crate::execution::BlockHashes;
use crate::state::State;
use alloy_consensus::Header;
use alloy_primitives::Address;

/// Checks every rule of `docs/protocol.md`, section 5, by executing the block on its parent's state. With `senders`
/// signatures aren't checked: they must come from an earlier check of the same transactions.
pub fn verify_block(
    _parent: &Header,
    _state: State,
    _block: &Block,
    _senders: Option<&[Address]>,
    _chain_id: u64,
    _ancestors: &dyn BlockHashes,
) -> Result<SealedBlock, BlockError> {
    unimplemented!()
}
