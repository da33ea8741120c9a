//! The calling convention of OpenVM's rv32im machine: instructions in the custom-0 opcode space.
//!
//! Everything read through hints is the prover's choice until it has been checked.

use alloc::vec;
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

/// Reads the next input: a word with its length in bytes, then the bytes, padded to words.
pub fn read_input() -> Vec<u8> {
    let mut length = 0u32;
    // SAFETY: the instructions write only the words that they are given, which are owned by this function.
    unsafe {
        asm!(".insn i 0x0b, 3, x0, x0, 0");
        asm!(".insn i 0x0b, 1, {0}, x0, 0", in(reg) &mut length);
        let mut words = vec![0u32; (length as usize).div_ceil(4)];
        for chunk in words.chunks_mut(HINT_WORDS) {
            asm!(".insn i 0x0b, 1, {0}, {1}, 1", in(reg) chunk.as_mut_ptr(), in(reg) chunk.len());
        }
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.truncate(length as usize);
        bytes
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
