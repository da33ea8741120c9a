//! Witnesses: the part of a state that the execution of a block touches.

use crate::block::{header_from_rlp, header_to_rlp, Block};
use crate::builder::SealedBlock;
use crate::error::{BlockError, GuestError, StateError, WitnessError};
use crate::execution::{BlockHashes, Touched};
use crate::recovery::ComputedRecoveries;
use crate::state::State;
use crate::trie::key_path;
use crate::verification::{verify_block, Verification};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use alloy_consensus::Header;
use alloy_primitives::{keccak256, Address, Bytes, B256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};

/// The part of a parent's state that a block touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// For each reference by hash that a depth-first walk through the trie of accounts meets (an account's storage
    /// trie follows its leaf): the node's RLP, or nothing if the block doesn't touch it.
    pub nodes: Vec<Bytes>,
    /// Codes, in ascending order of their hashes.
    pub codes: Vec<Bytes>,
    /// RLP of the headers of ancestors from the parent's parent backwards, as far as BLOCKHASH needs them.
    pub ancestors: Vec<Bytes>,
}

impl Witness {
    /// `rlp([[node...], [code...], [header...]])`, nodes, codes and headers being byte strings.
    pub fn encoded(&self) -> Bytes {
        let payload_length = self.nodes.length() + self.codes.length() + self.ancestors.length();
        let mut out = Vec::with_capacity(payload_length + 10);
        RlpHeader { list: true, payload_length }.encode(&mut out);
        self.nodes.encode(&mut out);
        self.codes.encode(&mut out);
        self.ancestors.encode(&mut out);
        out.into()
    }

    /// Reads the canonical encoding; nothing may follow it.
    pub fn decode(encoded: &[u8]) -> Result<Self, WitnessError> {
        let malformed = |_| WitnessError::Malformed;
        let mut rest = encoded;
        let mut payload = RlpHeader::decode_bytes(&mut rest, true).map_err(malformed)?;
        let witness = Self {
            nodes: Decodable::decode(&mut payload).map_err(malformed)?,
            codes: Decodable::decode(&mut payload).map_err(malformed)?,
            ancestors: Decodable::decode(&mut payload).map_err(malformed)?,
        };
        if rest.is_empty() && payload.is_empty() {
            Ok(witness)
        } else {
            Err(WitnessError::Malformed)
        }
    }
}

/// Hashes of ancestors, proven by their headers.
#[derive(Clone, Debug)]
pub struct AncestorHeaders {
    parent_number: u64,
    /// Of the parent's parent and on backwards.
    hashes: Vec<B256>,
}

impl AncestorHeaders {
    /// Checks that `ancestors` is the chain of headers before `parent`.
    pub fn new(parent: &Header, ancestors: &[Bytes]) -> Result<Self, WitnessError> {
        let mut hashes = Vec::with_capacity(ancestors.len() + 1);
        let mut next = parent.parent_hash;
        hashes.push(next);
        for (index, encoded) in ancestors.iter().enumerate() {
            if keccak256(encoded) != next {
                return Err(WitnessError::Ancestor { index });
            }
            next = header_from_rlp(encoded).map_err(|_| WitnessError::Ancestor { index })?.parent_hash;
            hashes.push(next);
        }
        Ok(Self { parent_number: parent.number, hashes })
    }
}

impl BlockHashes for AncestorHeaders {
    fn block_hash(&self, number: u64) -> Option<B256> {
        let back = self.parent_number.checked_sub(number)?.checked_sub(1)?;
        self.hashes.get(usize::try_from(back).ok()?).copied()
    }
}

/// Hashes of ancestors from a function that gives headers.
pub(crate) struct HeaderSource<'a> {
    pub parent: &'a Header,
    pub header: &'a dyn Fn(u64) -> Option<Header>,
}

impl BlockHashes for HeaderSource<'_> {
    fn block_hash(&self, number: u64) -> Option<B256> {
        let child = number.checked_add(1)?;
        if child == self.parent.number {
            return Some(self.parent.parent_hash);
        }
        (self.header)(child).map(|header| header.parent_hash)
    }
}

/// Verifies a block on its parent's full state and records what its execution touches. `header` gives the header of
/// an ancestor by its number.
pub fn record_witness(
    parent: &Header,
    parent_state: &State,
    block: &Block,
    senders: Option<&[Address]>,
    chain_id: u64,
    header: &dyn Fn(u64) -> Option<Header>,
) -> Result<Witness, BlockError> {
    let ancestors = &HeaderSource { parent, header };
    let parent_hash = parent.hash_slow();
    let verification =
        Verification { parent, parent_hash, chain_id, senders, ancestors, recoveries: &ComputedRecoveries };
    let (verified, touched) =
        verification.run(parent_state.clone(), &block.header, block.header.hash_slow(), &block.transactions);
    verified?;
    let mut recorder = WitnessRecorder::default();
    recorder.add(touched);
    Ok(recorder.finish(parent, parent_state, header)?)
}

/// Collects what one or several blocks in a row touch of the state before the first.
#[derive(Default)]
pub(crate) struct WitnessRecorder {
    /// Paths in the trie of accounts, in nibbles.
    accounts: Vec<Vec<u8>>,
    /// Paths in storage tries, by hashed address.
    storage: BTreeMap<B256, Vec<Vec<u8>>>,
    codes: BTreeSet<B256>,
    oldest_ancestor: Option<u64>,
}

impl WitnessRecorder {
    /// Adds what the next block touched.
    pub fn add(&mut self, touched: Touched) {
        self.accounts.extend(touched.collapsed.accounts);
        for (hashed_address, paths) in touched.collapsed.storage {
            self.storage.entry(hashed_address).or_default().extend(paths);
        }
        for account in touched.loaded.values() {
            self.accounts.push(key_path(&account.hashed_address));
            let slots = account.slots.values().map(|(key, _)| key_path(key));
            self.storage.entry(account.hashed_address).or_default().extend(slots);
        }
        self.codes.extend(touched.codes);
        self.oldest_ancestor = self.oldest_ancestor.into_iter().chain(touched.oldest_ancestor).min();
    }

    /// The witness for a state and header, those of the first block's parent.
    pub fn finish(
        mut self,
        parent: &Header,
        parent_state: &State,
        header: &dyn Fn(u64) -> Option<Header>,
    ) -> Result<Witness, StateError> {
        let mut ancestors = Vec::new();
        if let Some(oldest) = self.oldest_ancestor {
            // The header of block n has the hash of block n - 1.
            for number in (oldest.saturating_add(1)..parent.number).rev() {
                let header = header(number).ok_or(StateError::MissingBlockHash(number))?;
                ancestors.push(header_to_rlp(&header).into());
            }
        }
        let mut codes = Vec::new();
        for hash in &self.codes {
            // Code that the blocks themselves made isn't in the parent's state.
            if let Ok(code) = parent_state.code(hash) {
                codes.push(code.original_bytes());
            }
        }
        self.accounts.sort_unstable();
        self.storage.values_mut().for_each(|paths| paths.sort_unstable());
        let mut nodes = Vec::new();
        let storage = &self.storage;
        parent_state
            .accounts
            .collect(&self.accounts, &mut nodes, &mut |key, leaf, nodes| {
                let paths = storage.get(key).map(Vec::as_slice).unwrap_or_default();
                leaf.storage.collect(paths, nodes, &mut |_, _, _| Ok(()))
            })
            .map_err(StateError::AccountTrie)?;
        Ok(Witness { nodes, codes, ancestors })
    }
}

/// [`verify_block`] on the state that a witness shows.
pub fn verify_block_with_witness(
    parent: &Header,
    block: &Block,
    witness: &Witness,
    senders: Option<&[Address]>,
    chain_id: u64,
) -> Result<SealedBlock, GuestError> {
    let state = State::from_witness(parent.state_root, witness)?;
    let ancestors = AncestorHeaders::new(parent, &witness.ancestors)?;
    verify_block(parent, state, block, senders, chain_id, &ancestors)
        .map_err(|error| GuestError::Block { index: 0, error })
}
