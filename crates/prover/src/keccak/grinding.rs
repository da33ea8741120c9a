//! Search for proofs of work, several hashes at a time.

use super::lanes::RATE;
use super::Digest;
use p3_keccak::{KeccakF, VECTOR_LEN};
use p3_symmetric::Permutation;
use rayon::prelude::*;
use sha3::{Digest as _, Keccak256};

/// Bytes of a candidate.
const CANDIDATE: usize = 4;

/// Finds a number below `end` such that `keccak256(prefix || number)`, the number in four bytes, big-endian, begins with
/// `bits` zero bits; `None` if there is none.
pub fn find(prefix: &[u8], bits: usize, end: u32) -> Option<u32> {
    let rest = &prefix[prefix.len() - prefix.len() % RATE..];
    if rest.len() + CANDIDATE < RATE {
        let state = absorbed(&prefix[..prefix.len() - rest.len()]);
        find_in_last_block(&state, rest, bits, end)
    } else {
        find_one_by_one(prefix, bits, end)
    }
}

pub fn begins_with_zeros(digest: &Digest, bits: usize) -> bool {
    let [a, b, c, d, ..] = *digest;
    u32::from_be_bytes([a, b, c, d]).leading_zeros() as usize >= bits
}

/// For candidates that lie across two blocks.
fn find_one_by_one(prefix: &[u8], bits: usize, end: u32) -> Option<u32> {
    let prefix = Keccak256::new_with_prefix(prefix);
    (0..end).into_par_iter().find_any(|number| {
        let digest = prefix.clone().chain_update(number.to_be_bytes()).finalize().into();
        begins_with_zeros(&digest, bits)
    })
}

/// The sponge's state after whole blocks.
fn absorbed(blocks: &[u8]) -> [u64; 25] {
    let mut state = [0; 25];
    for block in blocks.chunks_exact(RATE) {
        absorb(&mut state, block);
        KeccakF.permute_mut(&mut state);
    }
    state
}

fn absorb(state: &mut [u64; 25], block: &[u8]) {
    for (index, byte) in block.iter().enumerate() {
        state[index / 8] ^= u64::from(*byte) << (8 * (index % 8));
    }
}

/// All candidates end in the block that begins with `rest`: only its words that hold the candidate differ.
fn find_in_last_block(state: &[u64; 25], rest: &[u8], bits: usize, end: u32) -> Option<u32> {
    let lanes = VECTOR_LEN as u32;
    let with_candidate = |number: u32| {
        let mut block = [0; RATE];
        block[..rest.len()].copy_from_slice(rest);
        block[rest.len()..rest.len() + CANDIDATE].copy_from_slice(&number.to_be_bytes());
        // Keccak's padding, not SHA-3's.
        block[rest.len() + CANDIDATE] ^= 0x01;
        block[RATE - 1] ^= 0x80;
        let mut state = *state;
        absorb(&mut state, &block);
        state
    };
    let first = with_candidate(0);
    let changed = rest.len() / 8..(rest.len() + CANDIDATE).div_ceil(8);
    (0..end.div_ceil(lanes)).into_par_iter().find_map_any(|group| {
        let mut states = first.map(|word| [word; VECTOR_LEN]);
        for (lane, number) in (group * lanes..).take(VECTOR_LEN).enumerate() {
            let mut words = [0u8; 16];
            let at = rest.len() % 8;
            words[at..at + CANDIDATE].copy_from_slice(&number.to_be_bytes());
            for (bytes, state) in words.chunks_exact(8).zip(&mut states[changed.clone()]) {
                state[lane] ^= u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            }
        }
        KeccakF.permute_mut(&mut states);
        let found = states[0].iter().position(|word| leading_zeros(*word) as usize >= bits)?;
        Some(group * lanes + found as u32).filter(|number| *number < end)
    })
}

/// Zero bits that a word's bytes, which lie little-endian in the hash, begin with.
fn leading_zeros(word: u64) -> u32 {
    word.swap_bytes().leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_numbers_that_hash_to_zeros_behind_prefixes_of_every_length() {
        for length in 0..300 {
            let prefix: Vec<u8> = (0..length).map(|index| (index * 7) as u8).collect();
            let number = find(&prefix, 8, 1 << 20).expect("one number in 256 does");
            let digest: Digest = Keccak256::digest([&prefix[..], &number.to_be_bytes()].concat()).into();
            assert!(begins_with_zeros(&digest, 8), "length {length}");
        }
    }

    #[test]
    fn finds_nothing_where_there_is_nothing() {
        let first = (0..).find(|number: &u32| {
            begins_with_zeros(&Keccak256::digest([&[5][..], &number.to_be_bytes()].concat()).into(), 10)
        });
        assert_eq!(find(&[5], 10, first.unwrap()), None);
        assert_eq!(find(&[5], 10, first.unwrap() + 1), first);
    }
}
