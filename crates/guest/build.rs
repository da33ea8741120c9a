//! Passes the memory layout to the linker.

fn main() {
    // Not through RUSTFLAGS, which would put the checkout's path into the hashes of symbols and so make the binary depend
    // on it.
    let directory = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo:rustc-link-arg-bins=-T{directory}/link.ld");
    println!("cargo:rerun-if-changed=link.ld");
}
