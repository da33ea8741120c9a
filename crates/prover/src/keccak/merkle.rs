//! Hashing of Merkle trees.

use super::{element_bytes, Digest, Val};
use openvm_stark_backend::hasher::MerkleHasher;
use sha3::{Digest as _, Keccak256};

/// Last byte of what is hashed for a row of field elements.
const LEAF_TAG: u8 = 0;
/// Last byte of what is hashed for a pair of hashes.
const NODE_TAG: u8 = 1;

/// Rows are `keccak256(elements || 0x00)`, pairs `keccak256(left || right || 0x01)`.
///
/// The tag keeps a row of sixteen elements, 64 bytes, from passing for a pair, and a pair for a row. It comes last, so
/// that the EVM can keep it in place behind its scratch space.
#[derive(Clone, Debug)]
pub struct KeccakMerkleHasher;

impl MerkleHasher for KeccakMerkleHasher {
    type F = Val;
    type Digest = Digest;

    fn hash_slice(&self, values: &[Val]) -> Digest {
        let mut bytes = vec![0; 4 * values.len() + 1];
        write_row(values, &mut bytes);
        Keccak256::digest(&bytes).into()
    }

    fn compress(&self, left: Digest, right: Digest) -> Digest {
        let mut bytes = [0; PAIR_BYTES];
        write_pair(&left, &right, &mut bytes);
        Keccak256::digest(bytes).into()
    }
}

/// What is hashed for a row: four bytes for each value, and the tag.
pub(super) fn write_row(values: &[Val], message: &mut [u8]) {
    for (bytes, value) in message.chunks_exact_mut(4).zip(values) {
        bytes.copy_from_slice(&element_bytes(*value));
    }
    message[4 * values.len()] = LEAF_TAG;
}

/// Bytes that are hashed for a pair.
pub(super) const PAIR_BYTES: usize = 65;

/// What is hashed for a pair.
pub(super) fn write_pair(left: &Digest, right: &Digest, message: &mut [u8]) {
    message[..32].copy_from_slice(left);
    message[32..64].copy_from_slice(right);
    message[64] = NODE_TAG;
}

#[cfg(test)]
mod tests {
    use super::*;
    use p3_field::PrimeCharacteristicRing;

    #[test]
    fn row_of_sixteen_elements_is_not_a_pair() {
        let elements: Vec<Val> = (1..=16).map(Val::from_u32).collect();
        let bytes: Vec<u8> = elements.iter().flat_map(|element| element_bytes(*element)).collect();
        let (left, right) = (bytes[..32].try_into().unwrap(), bytes[32..].try_into().unwrap());
        let hasher = KeccakMerkleHasher;
        assert_ne!(hasher.hash_slice(&elements), hasher.compress(left, right));
    }

    #[test]
    fn hashes_are_keccak_of_tagged_bytes() {
        let hasher = KeccakMerkleHasher;
        assert_eq!(hasher.hash_slice(&[]), <Digest>::from(Keccak256::digest([0])));
        let row = hasher.hash_slice(&[Val::from_u32(0x0102_0304)]);
        assert_eq!(row, <Digest>::from(Keccak256::digest([1, 2, 3, 4, 0])));
        let pair = [[7; 64].as_slice(), &[1]].concat();
        assert_eq!(hasher.compress([7; 32], [7; 32]), <Digest>::from(Keccak256::digest(pair)));
    }
}
