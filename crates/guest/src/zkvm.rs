//! The calling convention of OpenVM's rv32im machine: instructions in the custom-0 opcode space.
//!
//! Everything read through hints is the prover's choice until it has been checked.

use alloc::vec::Vec;
use core::arch::{asm, global_asm};

// The stack grows down from below the program; see link.ld.
global_asm!(
    ".section .text._start",
    ".globl _start",
    "_start:",
    ".option push",
    ".option norelax",
    "la gp, __global_pointer$",
    ".option pop",
    "li sp, 0x00200400",
    "call guest_main",
    "1: j 1b",
);

/// The machine refuses to hint more words in one instruction.
const HINT_WORDS: usize = 512;

/// Reads the next input: a word with its length in bytes, then the bytes, padded to words. It stays for good.
#[inline(never)]
pub fn read_input() -> &'static [u8] {
    let mut length = 0u32;
    // SAFETY: the instructions write only the words that they are given, which are owned by this function.
    unsafe {
        asm!(".insn i 0x0b, 3, x0, x0, 0");
        asm!(".insn i 0x0b, 1, {0}, x0, 0", in(reg) &mut length);
    }
    let length = length as usize;
    let count = length.div_ceil(4);
    let mut words: Vec<u32> = Vec::with_capacity(count);
    for start in (0..count).step_by(HINT_WORDS) {
        let chunk = HINT_WORDS.min(count - start);
        // SAFETY: as above; the words lie within the vector's capacity.
        unsafe { asm!(".insn i 0x0b, 1, {0}, {1}, 1", in(reg) words.as_mut_ptr().add(start), in(reg) chunk) }
    }
    // SAFETY: all words were written, the length in bytes is not more, and the memory is never freed.
    unsafe {
        words.set_len(count);
        core::slice::from_raw_parts(words.leak().as_ptr().cast(), length)
    }
}

/// Makes 32 bytes the proof's public values.
pub fn reveal(hash: &[u8; 32]) {
    for (index, word) in hash.chunks_exact(4).enumerate() {
        let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        // SAFETY: writes to the public values only.
        unsafe { asm!(".insn i 0x0b, 2, {0}, {1}, 0", in(reg) 4 * index, in(reg) value) }
    }
}

pub fn exit_success() -> ! {
    // SAFETY: ends the program.
    unsafe { asm!(".insn i 0x0b, 0, x0, x0, 0", options(noreturn)) }
}

pub fn exit_failure() -> ! {
    // SAFETY: ends the program.
    unsafe { asm!(".insn i 0x0b, 0, x0, x0, 1", options(noreturn)) }
}
