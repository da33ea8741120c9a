//! Keccak-256 of many messages of one length, as many at a time as the processor's vectors have lanes.

use super::Digest;
use p3_keccak::{KeccakF, VECTOR_LEN};
use p3_symmetric::Permutation;
use rayon::prelude::*;

/// Bytes that one permutation absorbs.
pub(super) const RATE: usize = 136;
const WORD: usize = 8;
/// Messages that one task hashes: enough for what a task costs not to count.
const TASK: usize = 64 * VECTOR_LEN;

/// The hashes of `count` messages of `length` bytes; `write` writes the message of an index.
pub fn hash_all(count: usize, length: usize, write: impl Fn(usize, &mut [u8]) + Sync) -> Vec<Digest> {
    let stride = (length / RATE + 1) * RATE;
    let mut digests = vec![Digest::default(); count];
    digests.par_chunks_mut(TASK).enumerate().for_each(|(task, digests)| {
        // A message's padding stays as it is: Keccak's, not SHA-3's.
        let mut messages = vec![0; VECTOR_LEN * stride];
        for message in messages.chunks_exact_mut(stride) {
            message[length] ^= 0x01;
            message[stride - 1] ^= 0x80;
        }
        for (group, digests) in digests.chunks_mut(VECTOR_LEN).enumerate() {
            let first = task * TASK + group * VECTOR_LEN;
            for (lane, message) in messages.chunks_exact_mut(stride).take(digests.len()).enumerate() {
                write(first + lane, &mut message[..length]);
            }
            let state = absorb(&messages, stride);
            for (lane, digest) in digests.iter_mut().enumerate() {
                for (bytes, word) in digest.chunks_exact_mut(WORD).zip(&state) {
                    bytes.copy_from_slice(&word[lane].to_le_bytes());
                }
            }
        }
    });
    digests
}

/// The sponges' states after padded messages that lie `stride` bytes apart.
fn absorb(messages: &[u8], stride: usize) -> [[u64; VECTOR_LEN]; 25] {
    let mut state = [[0; VECTOR_LEN]; 25];
    for block in (0..stride).step_by(RATE) {
        for (index, word) in state.iter_mut().take(RATE / WORD).enumerate() {
            for (lane, value) in word.iter_mut().enumerate() {
                let start = lane * stride + block + index * WORD;
                let bytes = messages[start..start + WORD].try_into().expect("eight bytes");
                *value ^= u64::from_le_bytes(bytes);
            }
        }
        KeccakF.permute_mut(&mut state);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha3::{Digest as _, Keccak256};

    #[test]
    fn hashes_are_those_of_one_message_at_a_time() {
        for length in [0, 1, 31, 65, 134, 135, 136, 137, 161, 271, 272, 500] {
            for count in [0, 1, VECTOR_LEN, VECTOR_LEN + 1, TASK + 3] {
                let byte = |index: usize, place: usize| (index * 31 + place * 7) as u8;
                let digests = hash_all(count, length, |index, message| {
                    message.iter_mut().enumerate().for_each(|(place, value)| *value = byte(index, place));
                });
                assert_eq!(digests.len(), count);
                for (index, digest) in digests.iter().enumerate() {
                    let message: Vec<u8> = (0..length).map(|place| byte(index, place)).collect();
                    assert_eq!(*digest, <Digest>::from(Keccak256::digest(&message)), "{index} of length {length}");
                }
            }
        }
    }
}
