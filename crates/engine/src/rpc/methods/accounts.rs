//! Accounts: balance, nonce, code, storage, proofs.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{hex, Address, Bytes, B256, KECCAK256_EMPTY, U256};
use serde::{Deserialize, Deserializer, Serialize};

use super::{to_json, Snapshot};
use crate::rpc::error::RpcError;
use crate::rpc::limits::PROOF_KEYS;
use crate::rpc::params::Params;
use crate::rpc::view::Quantity;

pub fn balance(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let address: Address = params.required(0)?;
    let account = snapshot.block(params.block(1)?)?.sealed.state.account(&address)?;
    to_json(&account.map_or(U256::ZERO, |account| account.balance))
}

pub fn transaction_count(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let address: Address = params.required(0)?;
    let block = params.block(1)?;
    if block == BlockId::Number(BlockNumberOrTag::Pending) {
        return to_json(&Quantity(snapshot.session.pending_nonce(&address)));
    }
    let account = snapshot.block(block)?.sealed.state.account(&address)?;
    to_json(&Quantity(account.map_or(0, |account| account.nonce)))
}

pub fn code(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let address: Address = params.required(0)?;
    let state = &snapshot.block(params.block(1)?)?.sealed.state;
    match state.account(&address)? {
        Some(account) if account.code_hash != KECCAK256_EMPTY => {
            to_json(&state.code(&account.code_hash)?.original_bytes())
        }
        _ => Ok("\"0x\"".into()),
    }
}

pub fn storage_at(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let address: Address = params.required(0)?;
    let key: StorageKey = params.required(1)?;
    let value = snapshot.block(params.block(2)?)?.sealed.state.storage(&address, &key.slot)?;
    to_json(&B256::from(value))
}

/// A storage slot, as a number or as 32 bytes; answers repeat the form.
struct StorageKey {
    slot: U256,
    is_word: bool,
}

impl<'de> Deserialize<'de> for StorageKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(&text);
        if digits.len() > 64 {
            return Err(D::Error::custom(format!(
                "storage key too long (want at most 32 bytes): {} digits",
                digits.len()
            )));
        }
        let mut word = [b'0'; 64];
        word[64 - digits.len()..].copy_from_slice(digits.as_bytes());
        let mut bytes = [0; 32];
        hex::decode_to_slice(word, &mut bytes).map_err(|_| D::Error::custom("invalid hex in storage key"))?;
        Ok(Self { slot: U256::from_be_bytes(bytes), is_word: digits.len() == 64 })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProofView {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    nonce: Quantity,
    storage_hash: B256,
    storage_proof: Vec<StorageProofView>,
}

#[derive(Serialize)]
struct StorageProofView {
    key: String,
    value: U256,
    proof: Vec<Bytes>,
}

/// EIP-1186.
pub fn proof(snapshot: &Snapshot, params: &Params<'_>) -> Result<String, RpcError> {
    let address: Address = params.required(0)?;
    let keys: Vec<StorageKey> = params.optional(1)?.unwrap_or_default();
    if keys.len() > PROOF_KEYS {
        return Err(RpcError::invalid_params(format!("too many keys (max {PROOF_KEYS})")));
    }
    let slots: Vec<U256> = keys.iter().map(|key| key.slot).collect();
    let proof = snapshot.block(params.block(2)?)?.sealed.state.proof(&address, &slots)?;
    let storage = keys.iter().zip(proof.storage).map(|(key, proof)| StorageProofView {
        key: match key.is_word {
            true => B256::from(key.slot).to_string(),
            false => format!("{:#x}", key.slot),
        },
        value: proof.value,
        proof: proof.nodes,
    });
    let account = proof.account;
    to_json(&ProofView {
        address,
        account_proof: proof.nodes,
        balance: account.map_or(U256::ZERO, |account| account.balance),
        code_hash: account.map_or(KECCAK256_EMPTY, |account| account.code_hash),
        nonce: Quantity(account.map_or(0, |account| account.nonce)),
        storage_hash: account.map_or(stf::EMPTY_ROOT, |account| account.storage_root),
        storage_proof: storage.collect(),
    })
}
