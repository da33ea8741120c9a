//! A session's state: accounts, their storage and code.

use crate::error::{StateError, TemplateError, WitnessError};
use crate::witness::Witness;
use alloc::vec::Vec;
use alloy_primitives::{Address, Bytes, B256, U256};
use revm::state::Bytecode;

/// An account, as in the trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub nonce: u64,
    /// In wei.
    pub balance: U256,
    pub storage_root: B256,
    pub code_hash: B256,
}

/// A Merkle proof of an account and some of its storage (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    pub address: Address,
    /// `None` proves absence.
    pub account: Option<Account>,
    /// RLP of the nodes from the root down.
    pub nodes: Vec<Bytes>,
    pub storage: Vec<StorageProof>,
}

/// A Merkle proof of a storage slot (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    pub slot: U256,
    pub value: U256,
    /// RLP of the nodes from the root down.
    pub nodes: Vec<Bytes>,
}

/// A persistent state. Cloning takes constant time; clones share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct State {}

impl State {
    /// Without accounts.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads a template file; also gives its data hash.
    pub fn from_template(_bytes: &[u8]) -> Result<(Self, B256), TemplateError> {
        unimplemented!()
    }

    /// The template file with this state.
    pub fn to_template(&self) -> Result<Vec<u8>, StateError> {
        unimplemented!()
    }

    /// The part of the state with this root that a witness shows.
    pub fn from_witness(_root: B256, _witness: &Witness) -> Result<Self, WitnessError> {
        unimplemented!()
    }

    /// The state root; hashes only what changed.
    pub fn root(&mut self) -> B256 {
        unimplemented!()
    }

    /// The account at an address.
    pub fn account(&self, _address: &Address) -> Result<Option<Account>, StateError> {
        unimplemented!()
    }

    /// The value of a storage slot; zero if it isn't set.
    pub fn storage(&self, _address: &Address, _slot: &U256) -> Result<U256, StateError> {
        unimplemented!()
    }

    /// The code with this hash, analysed.
    pub fn code(&self, _hash: &B256) -> Result<Bytecode, StateError> {
        unimplemented!()
    }

    /// Proves an account and storage slots.
    pub fn proof(&self, _address: &Address, _slots: &[U256]) -> Result<AccountProof, StateError> {
        unimplemented!()
    }

    /// Sets an account's nonce (for overrides in simulated calls, and to make a state by hand).
    pub fn set_nonce(&mut self, _address: &Address, _nonce: u64) -> Result<(), StateError> {
        unimplemented!()
    }

    /// Sets an account's balance, in wei.
    pub fn set_balance(&mut self, _address: &Address, _balance: U256) -> Result<(), StateError> {
        unimplemented!()
    }

    /// Sets an account's code.
    pub fn set_code(&mut self, _address: &Address, _code: Bytecode) -> Result<(), StateError> {
        unimplemented!()
    }

    /// Sets a storage slot; zero deletes it.
    pub fn set_storage(&mut self, _address: &Address, _slot: U256, _value: U256) -> Result<(), StateError> {
        unimplemented!()
    }

    /// Deletes all of an account's storage.
    pub fn clear_storage(&mut self, _address: &Address) -> Result<(), StateError> {
        unimplemented!()
    }
}
