//! What the zkVM guest does, apart from its input and output.

use crate::block::{header_from_rlp, Block};
use crate::error::GuestError;
use crate::witness::{verify_block_with_witness, Witness};
use alloc::vec::Vec;
use alloy_primitives::{keccak256, Bytes, B256};

/// Length of the preimage of `configHash`: eight words, of which `chainId` is the third.
const CONFIGURATION_LENGTH: usize = 8 * 32;

/// Input of the guest. Encoded, each field is a length (4 bytes, little-endian) and as many bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInput {
    /// The preimage of the session's `configHash` (`docs/protocol.md`, section 3), which binds the chain id.
    pub configuration: Bytes,
    /// RLP of the parent's header.
    pub parent: Bytes,
    /// RLP of the block.
    pub block: Bytes,
    /// The witness, encoded.
    pub witness: Bytes,
}

impl GuestInput {
    pub fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in [&self.configuration, &self.parent, &self.block, &self.witness] {
            // Fields of 4 GiB don't occur; one would be refused when it is read.
            out.extend_from_slice(&(field.len() as u32).to_le_bytes());
            out.extend_from_slice(field);
        }
        out
    }

    pub fn decode(encoded: &[u8]) -> Result<Self, GuestError> {
        let mut rest = encoded;
        let mut field = || -> Result<Bytes, GuestError> {
            let (length, after) = rest.split_first_chunk::<4>().ok_or(GuestError::Input)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| GuestError::Input)?;
            let bytes = after.get(..length).ok_or(GuestError::Input)?;
            rest = &after[length..];
            Ok(Bytes::copy_from_slice(bytes))
        };
        let input = Self { configuration: field()?, parent: field()?, block: field()?, witness: field()? };
        if rest.is_empty() {
            Ok(input)
        } else {
            Err(GuestError::Input)
        }
    }

    /// The session's chain id: the third word of the configuration.
    fn chain_id(&self) -> Result<u64, GuestError> {
        if self.configuration.len() != CONFIGURATION_LENGTH {
            return Err(GuestError::Input);
        }
        let (padding, number) = self.configuration[64..96].split_at(24);
        match <[u8; 8]>::try_from(number) {
            Ok(number) if padding.iter().all(|byte| *byte == 0) => Ok(u64::from_be_bytes(number)),
            _ => Err(GuestError::Input),
        }
    }
}

/// `keccak256(configHash || fromHash || toHash || resultHash || inboxHash)`: the block with hash `to_hash` is a valid
/// child of the one with hash `from_hash`.
pub fn statement_hash(config_hash: B256, from_hash: B256, to_hash: B256, result_hash: B256, inbox_hash: B256) -> B256 {
    keccak256([config_hash.0, from_hash.0, to_hash.0, result_hash.0, inbox_hash.0].concat())
}

/// Verifies the block in an encoded [`GuestInput`]; gives the hash of the statement that holds.
pub fn guest_entry(input: &[u8]) -> Result<B256, GuestError> {
    let input = GuestInput::decode(input)?;
    let chain_id = input.chain_id()?;
    let config_hash = keccak256(&input.configuration);
    let parent = header_from_rlp(&input.parent)?;
    if parent.extra_data[..] != config_hash[..] {
        let actual = B256::try_from(&parent.extra_data[..]).unwrap_or_default();
        return Err(GuestError::Config { expected: config_hash, actual });
    }
    let block = Block::decode(&input.block)?;
    let witness = Witness::decode(&input.witness)?;
    let sealed = verify_block_with_witness(&parent, &block, &witness, None, chain_id)?;
    let inbox_hash = sealed.header.parent_beacon_block_root.unwrap_or_default();
    Ok(statement_hash(config_hash, keccak256(&input.parent), sealed.hash, sealed.result_hash, inbox_hash))
}
