//! Verifies proofs, as the contract on L1 does.

use crate::circuits::Circuits;
use crate::encoding::{decode, encode, Encoded};
use crate::error::ProverError;
use crate::keccak::KeccakEngine;
use crate::machine::{Proof, VerifyingKey};
use crate::recursion::{last_parameters, verify as verify_last};
use openvm_stark_backend::StarkEngine;
use std::sync::LazyLock;

/// What a verified proof proves: a program ended with success and made these bytes public. Whoever relies on it compares
/// the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// As `Identity::program_id`.
    pub program_id: [u8; 32],
    pub public: Vec<u8>,
}

/// The verifying key of the last circuit as it is committed; `generate-verifier` writes it, a test compares it.
static VERIFYING_KEY: LazyLock<VerifyingKey> = LazyLock::new(|| {
    bitcode::deserialize(include_bytes!("../verifying-key.bin")).expect("the committed key is one, which a test checks")
});

/// The verifying key that proofs are verified with. It takes no circuits to have it.
pub fn verifying_key() -> &'static VerifyingKey {
    &VERIFYING_KEY
}

/// The content of the file with the verifying key.
///
/// # Errors
/// [`ProverError::Machine`] if it can't be written.
pub fn key_file(circuits: &Circuits) -> Result<Vec<u8>, ProverError> {
    bitcode::serialize(&**circuits.last.vk()).map_err(|error| ProverError::Machine(error.to_string()))
}

/// Verifies an encoded proof; gives what it proves, and where it can be cut for L1.
///
/// # Errors
/// [`ProverError::Encoding`] if the bytes aren't a proof, [`ProverError::Recursion`] if it is invalid.
pub fn verify_encoded(bytes: &[u8]) -> Result<(Proven, Encoded), ProverError> {
    let proof = decode(verifying_key(), bytes)?;
    let proven = verify(verifying_key(), &proof)?;
    Ok((proven, encode(verifying_key(), &proof)?))
}

pub(crate) fn verify(key: &VerifyingKey, proof: &Proof) -> Result<Proven, ProverError> {
    let (identity, public) = verify_last(&KeccakEngine::new(last_parameters()), key, proof)?;
    Ok(Proven { program_id: identity.program_id(), public })
}
