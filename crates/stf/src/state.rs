//! A session's state: accounts, their storage and code.

use crate::error::{StateError, TrieError, WitnessError};
use crate::trie::{NodeStream, Trie, Value};
use crate::witness::Witness;
use alloc::vec::Vec;
use alloy_primitives::{keccak256, Address, Bytes, B256, KECCAK256_EMPTY, U256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};
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

/// An account's leaf in the trie of accounts, with its storage.
#[derive(Clone, Debug)]
pub(crate) struct AccountLeaf {
    pub nonce: u64,
    pub balance: U256,
    pub code_hash: B256,
    pub storage: Trie<U256>,
}

impl AccountLeaf {
    pub fn new() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY, storage: Trie::default() }
    }

    /// Whether it counts as absent (EIP-161).
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK256_EMPTY
    }

    fn account(&self) -> Account {
        Account {
            nonce: self.nonce,
            balance: self.balance,
            storage_root: self.storage.hash(),
            code_hash: self.code_hash,
        }
    }
}

impl Value for AccountLeaf {
    fn seal(&mut self) {
        self.storage.root();
    }

    fn encode_value(&self, out: &mut Vec<u8>) {
        let account = self.account();
        let payload_length = account.nonce.length()
            + account.balance.length()
            + account.storage_root.length()
            + account.code_hash.length();
        RlpHeader { list: true, payload_length }.encode(out);
        account.nonce.encode(out);
        account.balance.encode(out);
        account.storage_root.encode(out);
        account.code_hash.encode(out);
    }

    fn decode_value(encoded: &[u8], nodes: &mut NodeStream<'_>) -> Result<Self, TrieError> {
        let malformed = |_| TrieError::Malformed;
        let mut rest = encoded;
        let mut payload = RlpHeader::decode_bytes(&mut rest, true).map_err(malformed)?;
        let nonce = Decodable::decode(&mut payload).map_err(malformed)?;
        let balance = Decodable::decode(&mut payload).map_err(malformed)?;
        let storage_root = Decodable::decode(&mut payload).map_err(malformed)?;
        let code_hash = Decodable::decode(&mut payload).map_err(malformed)?;
        if !rest.is_empty() || !payload.is_empty() {
            return Err(TrieError::Malformed);
        }
        Ok(Self { nonce, balance, code_hash, storage: Trie::from_stream(storage_root, nodes)? })
    }
}

impl Value for U256 {
    fn seal(&mut self) {}

    fn encode_value(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn decode_value(encoded: &[u8], _nodes: &mut NodeStream<'_>) -> Result<Self, TrieError> {
        let mut rest = encoded;
        let value: Self = Decodable::decode(&mut rest).map_err(|_| TrieError::Malformed)?;
        if rest.is_empty() && !value.is_zero() {
            Ok(value)
        } else {
            Err(TrieError::Malformed)
        }
    }
}

/// The key of a storage slot in its account's trie.
pub(crate) fn hash_slot(slot: &U256) -> B256 {
    keccak256(slot.to_be_bytes::<32>())
}

/// A persistent state. Cloning takes constant time; clones share what they have in common.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) accounts: Trie<AccountLeaf>,
    /// Codes by their hashes. Only grows: another version of the state may need what this one doesn't.
    pub(crate) codes: Trie<Bytecode>,
}

impl State {
    /// Without accounts.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The part of the state with this root that a witness shows.
    #[inline(never)]
    pub fn from_witness(root: B256, witness: &Witness) -> Result<Self, WitnessError> {
        let mut nodes = NodeStream::new(&witness.nodes);
        let accounts = Trie::from_stream(root, &mut nodes).map_err(WitnessError::Node)?;
        if let Some(index) = nodes.unused() {
            return Err(WitnessError::UnusedNode { index });
        }
        let mut state = Self { accounts, codes: Trie::default() };
        for (index, code) in witness.codes.iter().enumerate() {
            let bytecode = Bytecode::new_raw_checked(code.clone()).map_err(|_| WitnessError::InvalidCode { index })?;
            state.insert_code(keccak256(code), bytecode);
        }
        Ok(state)
    }

    /// The state root; hashes only what changed since the last call.
    pub fn root(&mut self) -> B256 {
        self.accounts.root()
    }

    /// The account at an address.
    pub fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        Ok(self.leaf(&keccak256(address))?.map(AccountLeaf::account))
    }

    /// The value of a storage slot; zero if it isn't set.
    pub fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        let hashed_address = keccak256(address);
        match self.leaf(&hashed_address)? {
            None => Ok(U256::ZERO),
            Some(leaf) => read_slot(&leaf.storage, &hashed_address, &hash_slot(slot)),
        }
    }

    /// The code with this hash, analysed.
    pub fn code(&self, hash: &B256) -> Result<Bytecode, StateError> {
        if *hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        match self.codes.get(hash) {
            Ok(Some(code)) => Ok(code.clone()),
            _ => Err(StateError::MissingCode(*hash)),
        }
    }

    /// Proves an account and storage slots. Best on a state whose [`root`](Self::root) was computed.
    pub fn proof(&self, address: &Address, slots: &[U256]) -> Result<AccountProof, StateError> {
        let hashed_address = keccak256(address);
        let leaf = self.leaf(&hashed_address)?;
        let nodes = self.accounts.proof(&hashed_address).map_err(StateError::AccountTrie)?;
        let mut storage = Vec::with_capacity(slots.len());
        for slot in slots {
            let key = hash_slot(slot);
            storage.push(match leaf {
                None => StorageProof { slot: *slot, value: U256::ZERO, nodes: Vec::new() },
                Some(leaf) => StorageProof {
                    slot: *slot,
                    value: read_slot(&leaf.storage, &hashed_address, &key)?,
                    nodes: leaf
                        .storage
                        .proof(&key)
                        .map_err(|error| StateError::StorageTrie { hashed_address, error })?,
                },
            });
        }
        Ok(AccountProof { address: *address, account: leaf.map(AccountLeaf::account), nodes, storage })
    }

    /// Sets an account's nonce. Like the other setters it is for simulated calls, and to make a state by hand.
    pub fn set_nonce(&mut self, address: &Address, nonce: u64) -> Result<(), StateError> {
        self.update(address, |leaf| leaf.nonce = nonce)
    }

    /// Sets an account's balance, in wei.
    pub fn set_balance(&mut self, address: &Address, balance: U256) -> Result<(), StateError> {
        self.update(address, |leaf| leaf.balance = balance)
    }

    /// Sets an account's code.
    pub fn set_code(&mut self, address: &Address, code: Bytecode) -> Result<(), StateError> {
        let hash = code.hash_slow();
        self.update(address, |leaf| leaf.code_hash = hash)?;
        self.insert_code(hash, code);
        Ok(())
    }

    /// Sets a storage slot; zero deletes it. Needs an account with nonce, balance or code.
    pub fn set_storage(&mut self, address: &Address, slot: U256, value: U256) -> Result<(), StateError> {
        let hashed_address = keccak256(address);
        let Some(mut leaf) = self.leaf(&hashed_address)?.cloned() else {
            return Ok(());
        };
        write_slot(&mut leaf.storage, &hash_slot(&slot), value, &mut |_| {})
            .map_err(|error| StateError::StorageTrie { hashed_address, error })?;
        self.accounts.insert(&hashed_address, leaf).map_err(StateError::AccountTrie)
    }

    /// Deletes all of an account's storage.
    pub fn clear_storage(&mut self, address: &Address) -> Result<(), StateError> {
        self.update(address, |leaf| leaf.storage = Trie::default())
    }

    pub(crate) fn leaf(&self, hashed_address: &B256) -> Result<Option<&AccountLeaf>, StateError> {
        self.accounts.get(hashed_address).map_err(StateError::AccountTrie)
    }

    pub(crate) fn insert_code(&mut self, hash: B256, code: Bytecode) {
        if hash != KECCAK256_EMPTY && !matches!(self.codes.get(&hash), Ok(Some(_))) {
            // The trie of codes is always whole, so that nothing can be missing.
            let _ = self.codes.insert(&hash, code);
        }
    }

    fn update(&mut self, address: &Address, change: impl FnOnce(&mut AccountLeaf)) -> Result<(), StateError> {
        let hashed_address = keccak256(address);
        let mut leaf = self.leaf(&hashed_address)?.cloned().unwrap_or_else(AccountLeaf::new);
        change(&mut leaf);
        if leaf.is_empty() {
            self.accounts.delete(&hashed_address, &mut |_| {})
        } else {
            self.accounts.insert(&hashed_address, leaf)
        }
        .map_err(StateError::AccountTrie)
    }
}

/// The value at a hashed slot.
pub(crate) fn read_slot(storage: &Trie<U256>, hashed_address: &B256, key: &B256) -> Result<U256, StateError> {
    storage
        .get(key)
        .map(|value| value.copied().unwrap_or_default())
        .map_err(|error| StateError::StorageTrie { hashed_address: *hashed_address, error })
}

/// Sets the value at a hashed slot; zero deletes it.
pub(crate) fn write_slot(
    storage: &mut Trie<U256>,
    key: &B256,
    value: U256,
    collapsed: &mut dyn FnMut(Vec<u8>),
) -> Result<(), TrieError> {
    if value.is_zero() {
        storage.delete(key, collapsed)
    } else {
        storage.insert(key, value)
    }
}

const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<State>();
};
