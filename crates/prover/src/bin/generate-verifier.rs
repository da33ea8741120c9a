//! Writes the generated part of the verifier contract: `generate-verifier FOLDER`.

use exclave_prover::circuits::Circuits;
use exclave_prover::solidity::generate;
use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: generate-verifier FOLDER")?;
    let circuits = Circuits::new(6 << 30)?;
    let files = generate(circuits.last.vk())?;
    fs::create_dir_all(&folder)?;
    for (name, content) in files {
        println!("{name}: {} bytes", content.len());
        fs::write(Path::new(&folder).join(name), content)?;
    }
    Ok(())
}
