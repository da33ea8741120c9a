//! Writes the generated part of the verifier contract, and what its tests compare it with:
//! `generate-verifier CONTRACTS`, the folder with `src` and `test`.

use exclave_prover::circuits::Circuits;
use exclave_prover::evaluation::evaluations;
use exclave_prover::solidity::generate;
use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let contracts = std::env::args().nth(1).ok_or("usage: generate-verifier CONTRACTS")?;
    let circuits = Circuits::new(1 << 30)?;
    let key = circuits.last.vk();
    let folder = Path::new(&contracts).join("src/verifier/generated");
    fs::create_dir_all(&folder)?;
    for (name, content) in generate(key)? {
        fs::write(folder.join(name), content)?;
    }
    fs::write(Path::new(&contracts).join("test/fixtures/evaluations.json"), evaluations(key))?;
    Ok(())
}
