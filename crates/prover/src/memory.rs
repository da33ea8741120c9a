//! Memory between the steps of a proof.
//!
//! The allocator keeps what is freed (`exclave.prover.local` tells it so), because a page that was given back to the
//! system takes long to get again. What it keeps is scattered, though, so that every step takes some more: forty segments
//! and their layers came to 24 GB, of which less than half was in use.

use std::ffi::c_char;
use std::fs;
use std::ptr::null_mut;

/// Bytes of the process from which on freed memory is given back between two steps. A step takes up to about 6 GB more.
const KEPT: u64 = 13 << 30;

/// What stands for all arenas in jemalloc's control names (`MALLCTL_ARENAS_ALL`).
const PURGE_ALL: &[u8] = b"arena.4096.purge\0";

/// Gives freed memory back to the system if the process has much.
pub fn give_back() {
    if resident() > KEPT {
        purge();
    }
}

/// Gives all freed memory back; tells whether the allocator did.
fn purge() -> bool {
    // SAFETY: the name ends with a zero byte, and this control neither reads nor writes a value.
    let error = unsafe {
        tikv_jemalloc_sys::mallctl(PURGE_ALL.as_ptr().cast::<c_char>(), null_mut(), null_mut(), null_mut(), 0)
    };
    error == 0
}

/// Bytes of this process in memory; 0 where the system doesn't tell.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_memory_is_given_back() {
        assert!(resident() > 1 << 20);
        let pages: Vec<u8> = vec![1; 64 << 20];
        let before = resident();
        drop(std::hint::black_box(pages));
        assert!(purge());
        assert!(resident() + (60 << 20) < before);
    }
}
