//! Keccak-256 (the sponge of FIPS 202, section 4, with the padding of the original Keccak), over the machine's instruction
//! for the permutation.

use core::arch::global_asm;

// A function of its own, so that a profile can count its calls.
global_asm!(
    ".section .text.keccak_f, \"ax\", @progbits",
    ".globl keccak_f",
    ".type keccak_f, @function",
    "keccak_f:",
    ".insn r 0x0b, 4, 0, a0, x0, x0",
    "ret",
    ".size keccak_f, . - keccak_f",
);

extern "C" {
    /// Permutes the state in place. Nothing else in the program knows how.
    fn keccak_f(state: *mut State);
}

/// Words of a state.
const WORDS: usize = 50;

/// Words of input for one permutation.
const RATE: usize = 34;

/// A state of the sponge, as words: of its 64-bit lanes the lower half comes first.
#[repr(C, align(8))]
struct State([u32; WORDS]);

impl State {
    /// Xors words into the state.
    #[inline(always)]
    fn absorb(&mut self, words: impl Iterator<Item = u32>) {
        for (word, input) in self.0.iter_mut().zip(words) {
            *word ^= input;
        }
    }

    #[inline(always)]
    fn permute(&mut self) {
        // SAFETY: the instruction reads and writes the 200 bytes of the state, which are aligned.
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
    let mut state = State([0; WORDS]);
    let mut blocks = input.chunks_exact(4 * RATE);
    if bytes.cast::<u32>().is_aligned() {
        for block in blocks.by_ref() {
            let words: *const u32 = block.as_ptr().cast();
            // SAFETY: a block has as many words, and is aligned as the input is.
            state.absorb((0..RATE).map(|index| unsafe { *words.add(index) }));
            state.permute();
        }
    } else {
        for block in blocks.by_ref() {
            state.absorb(words(block));
            state.permute();
        }
    }
    let rest = blocks.remainder();
    state.absorb(words(rest));
    let (whole, last) = rest.split_at(rest.len() & !3);
    let mut end = [0; 4];
    end[..last.len()].copy_from_slice(last);
    end[last.len()] = 0x01;
    state.0[whole.len() / 4] ^= u32::from_le_bytes(end);
    state.0[RATE - 1] ^= 0x8000_0000;
    state.permute();
    for (index, word) in state.0[..8].iter().enumerate() {
        // SAFETY: 32 bytes by the contract.
        unsafe { output.cast::<[u8; 4]>().add(index).write(word.to_le_bytes()) }
    }
}

/// The whole words of bytes that need not be aligned.
#[inline(always)]
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
}
