//! Writes what the contract's tests verify: `proof-fixture PROOF FOLDER` takes a proof that `exclave-prover prove` made, and
//! writes `proof.bin` and `trace.json`, the transcript's states after each part.

use exclave_prover::encoding::{decode, encode};
use exclave_prover::trace::trace;
use exclave_prover::verifier::verifying_key;
use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [proof, folder] = arguments.as_slice() else { return Err("usage: PROOF FOLDER".into()) };
    let key = verifying_key();
    let proof = decode(key, &fs::read(proof)?)?;
    let encoded = encode(key, &proof)?;
    let phases: Vec<String> = trace(key, &proof)?
        .into_iter()
        .map(|(phase, state)| {
            let hex: String = state.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("    \"{phase}\": \"0x{hex}\"")
        })
        .collect();
    fs::create_dir_all(folder)?;
    fs::write(Path::new(folder).join("proof.bin"), &encoded.bytes)?;
    fs::write(
        Path::new(folder).join("trace.json"),
        format!(
            "{{\n  \"head\": {},\n  \"parts\": {:?},\n  \"states\": {{\n{}\n  }}\n}}\n",
            encoded.head,
            encoded.parts,
            phases.join(",\n")
        ),
    )?;
    println!("{} bytes", encoded.bytes.len());
    Ok(())
}
