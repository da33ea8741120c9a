//! Makes the proof that the contract's tests verify: `proof-fixture PROGRAM.elf NUMBER FOLDER` executes a program on one
//! little-endian word of input, proves its first segment, and writes `proof.bin` and `trace.json`.

use exclave_prover::encoding::{decode, encode};
use exclave_prover::keccak::Val;
use exclave_prover::machine::{machine, program, Instance};
use exclave_prover::trace::trace;
use openvm_stark_backend::StarkEngine;
use p3_field::PrimeCharacteristicRing;
use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [elf, number, folder] = arguments.as_slice() else { return Err("usage: PROGRAM.elf NUMBER FOLDER".into()) };
    let number: u32 = number.parse()?;
    let program = program(&fs::read(elf)?)?;
    let (machine, key) = machine()?;
    let key = key.get_vk();
    let committed = machine.commit_program_on_device(&program.program);
    let mut instance = Instance::new(machine, program, committed)?;
    let input: Vec<Val> = number.to_le_bytes().into_iter().map(Val::from_u8).collect();
    let proofs = instance.prove_continuations(vec![input], |_, _| {})?;
    let proof = &proofs.per_segment[0];
    instance.vm.engine.verify(&key, proof)?;
    let encoded = encode(&key, proof)?;
    let bytes = &encoded.bytes;
    if decode(&key, bytes)? != *proof {
        return Err("decoding gives another proof".into());
    }
    let phases: Vec<String> = trace(&key, proof)?
        .into_iter()
        .map(|(phase, state)| {
            let hex: String = state.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("    \"{phase}\": \"0x{hex}\"")
        })
        .collect();
    fs::create_dir_all(folder)?;
    fs::write(Path::new(folder).join("proof.bin"), bytes)?;
    fs::write(
        Path::new(folder).join("trace.json"),
        format!("{{\n  \"parts\": {:?},\n  \"states\": {{\n{}\n  }}\n}}\n", encoded.parts, phases.join(",\n")),
    )?;
    println!("{} segments; the first one's proof has {} bytes", proofs.per_segment.len(), bytes.len());
    Ok(())
}
