//! Witnesses: the part of a state that the execution of a block touches.

use crate::block::Block;
use crate::builder::SealedBlock;
use crate::error::{BlockError, GuestError, WitnessError};
use crate::execution::BlockHashes;
use crate::state::State;
use alloc::vec::Vec;
use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, B256};

/// The part of a parent's state that a block touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// RLP of trie nodes, in the order in which a depth-first walk meets them.
    pub nodes: Vec<Bytes>,
    /// Codes, in ascending order of their hashes.
    pub codes: Vec<Bytes>,
    /// RLP of the headers of ancestors from the parent's parent backwards, as far as BLOCKHASH needs them.
    pub ancestors: Vec<Bytes>,
}

impl Witness {
    /// `rlp([[node...], [code...], [header...]])`, nodes, codes and headers being byte strings.
    pub fn encoded(&self) -> Bytes {
        unimplemented!()
    }

    /// Reads the canonical encoding.
    pub fn decode(_encoded: &[u8]) -> Result<Self, WitnessError> {
        unimplemented!()
    }
}

/// Hashes of ancestors, proven by their headers.
#[derive(Clone, Debug, Default)]
pub struct AncestorHeaders {}

impl BlockHashes for AncestorHeaders {
    fn block_hash(&self, _number: u64) -> Option<B256> {
        unimplemented!()
    }
}

/// Verifies a block on its parent's full state and records what its execution touches. `header` gives the header of
/// an ancestor by its number.
pub fn record_witness(
    _parent: &Header,
    _parent_state: &State,
    _block: &Block,
    _senders: Option<&[Address]>,
    _chain_id: u64,
    _header: &dyn Fn(u64) -> Option<Header>,
) -> Result<Witness, BlockError> {
    unimplemented!()
}

/// [`verify_block`](crate::verify_block) on the state that a witness shows.
pub fn verify_block_with_witness(
    _parent: &Header,
    _block: &Block,
    _witness: &Witness,
    _senders: Option<&[Address]>,
    _chain_id: u64,
) -> Result<SealedBlock, GuestError> {
    unimplemented!()
}
