//! Passes the memory layout to the linker, and writes the assembly of Keccak-f.

mod keccak;

use std::path::Path;

fn main() {
    // Not through RUSTFLAGS, which would put the checkout's path into the hashes of symbols and so make the binary depend
    // on it.
    let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo:rustc-link-arg-bins=-T{directory}/link.ld");
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rerun-if-changed=build");
    let output = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&output).join("keccak.s"), keccak::assembly()).expect("OUT_DIR can be written");
}
