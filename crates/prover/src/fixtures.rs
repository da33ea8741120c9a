//! The files of the repository that follow from the circuits, and from a proof.

use crate::circuits::Circuits;
use crate::encoding::{decode, encode};
use crate::error::ProverError;
use crate::evaluation::evaluations;
use crate::solidity::generate;
use crate::trace::trace;
use crate::verifier::{key_file, verifying_key};

/// A file's path in the repository, and its content.
pub type File = (String, Vec<u8>);

/// What the circuits alone give: the native verifier's key, the generated part of the verifier contract, and what its
/// tests compare it with.
///
/// # Errors
/// [`ProverError::Machine`] if the library refuses the circuits.
pub fn of_circuits(circuits: &Circuits) -> Result<Vec<File>, ProverError> {
    let key = circuits.last.vk();
    let contracts = generate(key).map_err(|error| ProverError::Machine(error.to_string()))?;
    let mut files: Vec<File> = contracts
        .into_iter()
        .map(|(name, content)| (format!("{GENERATED_CONTRACTS}/{name}"), content.into_bytes()))
        .collect();
    files.push(("contracts/test/fixtures/evaluations.json".to_owned(), evaluations(key).into_bytes()));
    files.push(("crates/prover/verifying-key.bin".to_owned(), key_file(circuits)?));
    Ok(files)
}

/// Where the generated contracts are.
pub const GENERATED_CONTRACTS: &str = "contracts/src/verifier/generated";

/// What the contract's tests verify: a proof, and the transcript's states after each of its parts.
///
/// # Errors
/// [`ProverError::Encoding`] if the bytes aren't a proof.
pub fn of_proof(bytes: &[u8]) -> Result<Vec<File>, ProverError> {
    let key = verifying_key();
    let proof = decode(key, bytes)?;
    let encoded = encode(key, &proof)?;
    let states: Vec<String> = trace(key, &proof)?
        .into_iter()
        .map(|(phase, state)| {
            let hex: String = state.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("    \"{phase}\": \"0x{hex}\"")
        })
        .collect();
    let trace = format!(
        "{{\n  \"head\": {},\n  \"parts\": {:?},\n  \"states\": {{\n{}\n  }}\n}}\n",
        encoded.head,
        encoded.parts,
        states.join(",\n")
    );
    let folder = "contracts/test/fixtures/proof";
    Ok(vec![(format!("{folder}/proof.bin"), encoded.bytes), (format!("{folder}/trace.json"), trace.into_bytes())])
}
