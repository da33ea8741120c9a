//! Template files: `rlp([version = 1, [account...]])` (`docs/protocol.md`, section 2).

use crate::constants::TEMPLATE_VERSION;
use crate::error::{StateError, TemplateError};
use crate::state::{AccountLeaf, State};
use crate::trie::Trie;
use alloc::vec::Vec;
use alloy_primitives::{keccak256, Bytes, B256, KECCAK256_EMPTY, U256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};
use revm::state::Bytecode;

impl State {
    /// Reads a template file, which must be canonical; also gives its data hash.
    pub fn from_template(bytes: &[u8]) -> Result<(Self, B256), TemplateError> {
        let mut rest = bytes;
        let mut file = decode_list(&mut rest)?;
        let version = decode(&mut file)?;
        if version != TEMPLATE_VERSION {
            return Err(TemplateError::Version(version));
        }
        let mut accounts = decode_list(&mut file)?;
        if !file.is_empty() || !rest.is_empty() {
            return Err(TemplateError::Malformed);
        }
        let mut state = Self::empty();
        let mut last = None;
        while !accounts.is_empty() {
            let (key, leaf, code) = decode_account(&mut accounts)?;
            if last >= Some(key) {
                return Err(TemplateError::Order);
            }
            last = Some(key);
            if !code.is_empty() {
                let bytecode = Bytecode::new_raw_checked(code).map_err(|_| TemplateError::InvalidCode(key))?;
                state.insert_code(leaf.code_hash, bytecode);
            }
            state.accounts.insert(&key, leaf).map_err(|_| TemplateError::Malformed)?;
        }
        Ok((state, keccak256(bytes)))
    }

    /// The template file with this state.
    pub fn to_template(&self) -> Result<Vec<u8>, StateError> {
        let mut accounts = Vec::new();
        for (key, leaf) in self.accounts.entries().map_err(StateError::AccountTrie)? {
            encode_account(&key, leaf, &self.code(&leaf.code_hash)?, &mut accounts)?;
        }
        let mut payload = Vec::with_capacity(accounts.len() + 10);
        TEMPLATE_VERSION.encode(&mut payload);
        encode_list(&accounts, &mut payload);
        let mut file = Vec::with_capacity(payload.len() + 10);
        encode_list(&payload, &mut file);
        Ok(file)
    }
}

/// `[keccak256(address), nonce, balance, code, [[keccak256(slot), value]...]]`
fn decode_account(accounts: &mut &[u8]) -> Result<(B256, AccountLeaf, Bytes), TemplateError> {
    let mut account = decode_list(accounts)?;
    let key: B256 = decode(&mut account)?;
    let nonce = decode(&mut account)?;
    let balance = decode(&mut account)?;
    let code: Bytes = decode(&mut account)?;
    let mut slots = decode_list(&mut account)?;
    if !account.is_empty() {
        return Err(TemplateError::Malformed);
    }
    let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
    if code.first() == Some(&0xef) && Bytecode::new_eip7702_raw(code.clone()).is_err() {
        return Err(TemplateError::InvalidCode(key));
    }
    let mut leaf = AccountLeaf { nonce, balance, code_hash, storage: Trie::default() };
    if leaf.is_empty() {
        return Err(TemplateError::EmptyAccount(key));
    }
    if !slots.is_empty() && nonce == 0 && code.is_empty() {
        return Err(TemplateError::StorageWithoutCode(key));
    }
    let mut last = None;
    while !slots.is_empty() {
        let mut entry = decode_list(&mut slots)?;
        let slot: B256 = decode(&mut entry)?;
        let value: U256 = decode(&mut entry)?;
        if !entry.is_empty() {
            return Err(TemplateError::Malformed);
        }
        if last >= Some(slot) {
            return Err(TemplateError::Order);
        }
        last = Some(slot);
        if value.is_zero() {
            return Err(TemplateError::ZeroSlot { account: key, slot });
        }
        leaf.storage.insert(&slot, value).map_err(|_| TemplateError::Malformed)?;
    }
    Ok((key, leaf, code))
}

fn encode_account(key: &B256, leaf: &AccountLeaf, code: &Bytecode, out: &mut Vec<u8>) -> Result<(), StateError> {
    let mut slots = Vec::new();
    let entries = leaf.storage.entries().map_err(|error| StateError::StorageTrie { hashed_address: *key, error })?;
    for (slot, value) in entries {
        let mut entry = Vec::with_capacity(66);
        slot.encode(&mut entry);
        value.encode(&mut entry);
        encode_list(&entry, &mut slots);
    }
    let mut payload = Vec::with_capacity(slots.len() + code.len() + 90);
    key.encode(&mut payload);
    leaf.nonce.encode(&mut payload);
    leaf.balance.encode(&mut payload);
    code.original_byte_slice().encode(&mut payload);
    encode_list(&slots, &mut payload);
    encode_list(&payload, out);
    Ok(())
}

fn decode<T: Decodable>(buffer: &mut &[u8]) -> Result<T, TemplateError> {
    T::decode(buffer).map_err(|_| TemplateError::Malformed)
}

fn decode_list<'a>(buffer: &mut &'a [u8]) -> Result<&'a [u8], TemplateError> {
    RlpHeader::decode_bytes(buffer, true).map_err(|_| TemplateError::Malformed)
}

fn encode_list(payload: &[u8], out: &mut Vec<u8>) {
    RlpHeader { list: true, payload_length: payload.len() }.encode(out);
    out.extend_from_slice(payload);
}
