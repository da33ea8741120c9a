//! Writes what follows from the circuits: the generated part of the verifier contract, what its tests compare it with, and
//! the native verifier's key. `generate-verifier ROOT`, the repository's.

use exclave_prover::circuits::Circuits;
use exclave_prover::evaluation::evaluations;
use exclave_prover::solidity::generate;
use exclave_prover::verifier::key_file;
use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::args().nth(1).ok_or("usage: generate-verifier ROOT")?;
    let contracts = Path::new(&root).join("contracts");
    let circuits = Circuits::new(1 << 30)?;
    let key = circuits.last.vk();
    let folder = contracts.join("src/verifier/generated");
    fs::create_dir_all(&folder)?;
    for (name, content) in generate(key)? {
        fs::write(folder.join(name), content)?;
    }
    fs::write(contracts.join("test/fixtures/evaluations.json"), evaluations(key))?;
    fs::write(Path::new(&root).join("crates/prover/verifying-key.bin"), key_file(&circuits)?)?;
    Ok(())
}
