//! Verifies proofs, as the contract on L1 does.

use crate::circuits::Circuits;
use crate::encoding::decode;
use crate::error::ProverError;
use crate::keccak::{Digest, KeccakEngine};
use crate::machine::{Program, VerifyingKey};
use crate::recursion::{last_parameters, verify, Identity};
use openvm_stark_backend::StarkEngine;
use std::sync::Arc;

/// Verifies proofs of one program.
pub struct Verifier {
    engine: KeccakEngine,
    key: Arc<VerifyingKey>,
    identity: Identity<Digest>,
}

impl Verifier {
    pub fn new(circuits: &Circuits, program: &Program) -> Self {
        let (_, identity) = circuits.commit(program);
        Self { engine: KeccakEngine::new(last_parameters()), key: circuits.last.vk().clone(), identity }
    }

    /// What the program made public.
    ///
    /// # Errors
    /// [`ProverError::Encoding`] if the bytes aren't a proof, [`ProverError::Recursion`] if it is invalid or of another
    /// program.
    pub fn verify(&self, proof: &[u8]) -> Result<Vec<u8>, ProverError> {
        let proof = decode(&self.key, proof)?;
        Ok(verify(&self.engine, &self.key, &self.identity, &proof)?)
    }
}
