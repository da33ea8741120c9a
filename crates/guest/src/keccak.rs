//! Keccak-256 (the sponge of FIPS 202, section 4, with the padding of the original Keccak), over the permutation that the
//! build script writes.

use core::arch::global_asm;
use core::mem::MaybeUninit;

global_asm!(include_str!(concat!(env!("OUT_DIR"), "/keccak.s")));

extern "C" {
    /// Permutes the state in place. Nothing else in the program knows how.
    fn keccak_f(buffer: *mut Buffer);
}

/// Words of a state.
const STATE: usize = 50;

/// Words of input for one permutation.
const RATE: usize = 34;

/// A state, and as much memory for the permutation.
#[repr(C, align(8))]
struct Buffer {
    state: [u32; STATE],
    scratch: MaybeUninit<[u32; STATE]>,
}

impl Buffer {
    /// Xors words into the state.
    #[inline(always)]
    fn absorb(&mut self, words: impl Iterator<Item = u32>) {
        for (word, input) in self.state.iter_mut().zip(words) {
            *word ^= input;
        }
    }

    #[inline(always)]
    fn permute(&mut self) {
        // SAFETY: the function writes to the buffer only, and leaves a state in the state.
        unsafe { keccak_f(self) }
    }
}

/// The hash of `length` bytes at `bytes`, written to the 32 bytes at `output`. alloy-primitives calls it.
///
/// # Safety
/// The input can be read, the output be written.
#[no_mangle]
#[inline(never)]
unsafe extern "C" fn native_keccak256(bytes: *const u8, length: usize, output: *mut u8) {
    // SAFETY: by the contract.
    let input = unsafe { core::slice::from_raw_parts(bytes, length) };
    let mut buffer = Buffer { state: [0; STATE], scratch: MaybeUninit::uninit() };
    let mut blocks = input.chunks_exact(4 * RATE);
    if bytes.cast::<u32>().is_aligned() {
        for block in blocks.by_ref() {
            let words: *const u32 = block.as_ptr().cast();
            // SAFETY: a block has as many words, and is aligned as the input is.
            buffer.absorb((0..RATE).map(|index| unsafe { *words.add(index) }));
            buffer.permute();
        }
    } else {
        for block in blocks.by_ref() {
            buffer.absorb(words(block));
            buffer.permute();
        }
    }
    let rest = blocks.remainder();
    buffer.absorb(words(rest));
    let (whole, last) = rest.split_at(rest.len() & !3);
    let mut end = [0; 4];
    end[..last.len()].copy_from_slice(last);
    end[last.len()] = 0x01;
    buffer.state[whole.len() / 4] ^= u32::from_le_bytes(end);
    buffer.state[RATE - 1] ^= 0x8000_0000;
    buffer.permute();
    for (index, word) in buffer.state[..8].iter().enumerate() {
        // SAFETY: 32 bytes by the contract.
        unsafe { output.cast::<[u8; 4]>().add(index).write(word.to_le_bytes()) }
    }
}

/// The whole words of bytes that need not be aligned.
#[inline(always)]
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}
