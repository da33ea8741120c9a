//! The checks that make a valid last proof a proof of one program's successful execution.
//!
//! The verifying key of the last layer fixes the verifier of the recursive layer, but neither the program nor the
//! virtual machine: those are public values, which a verifier must compare. A contract does the same comparisons.

use openvm_circuit::arch::MemoryConfig;
use openvm_circuit::system::program::trace::compute_exe_commit_from_mem_config;
use openvm_continuations::circuit::root::USER_PVS_COMMIT_AIR_ID;
use openvm_instructions::exe::VmExe;
use openvm_recursion_circuit::utils::poseidon2_hash_slice_with_states;
use openvm_stark_backend::StarkEngine;
use openvm_stark_sdk::config::baby_bear_poseidon2::{Digest, DIGEST_SIZE, F};
use openvm_verify_stark_host::pvs::{CONSTRAINT_EVAL_AIR_ID, CONSTRAINT_EVAL_CACHED_INDEX, VERIFIER_PVS_AIR_ID};
use p3_field::PrimeField32;
use sha3::{Digest as _, Keccak256};

use crate::keccak::{self, KeccakEngine};
use crate::machine::{Proof, VerifyingKey};

use super::error::RecursionError;
use super::layers::Layers;

/// What a verifier of last proofs pins besides the verifying key: two digests of eight field elements and a commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The program: its code, its initial memory and its first program counter (`compute_exe_commit` in
    /// `openvm-circuit`, `system/program/trace.rs`).
    pub program: Digest,
    /// The virtual machine and the two layers above it: a hash of the commitments to the constraints and of the
    /// verifying keys' hashes of app, leaf and internal layer (`RootVerifierPvs::app_vm_commit`).
    pub machine: Digest,
    /// Commitment, under the last layer's configuration, to the constraints of the recursive layer that the last circuit
    /// evaluates. Without this comparison a prover could have any other constraints checked: the verifying key of the
    /// last layer depends on their shape alone.
    pub constraints: keccak::Digest,
}

impl Identity {
    /// The identity of a program on the virtual machine of `layers`.
    ///
    /// `program` is what [`program_identity`] gives, `constraints` from [`super::LastLayer::constraints_commit`].
    pub fn new(layers: &Layers, program: Digest, constraints: keccak::Digest) -> Self {
        let commits = layers.vk_commits().map(|commit| [commit.cached_commit, commit.vk_pre_hash]);
        let (machine, _, _) = poseidon2_hash_slice_with_states(commits.as_flattened().as_flattened());
        Self { program, machine, constraints }
    }

    /// What sessions pin on L1: keccak256 of the commitment to the recursive layer's constraints, and of the program's and
    /// the machine's digests (`contracts/src/ZkVerifier.sol`).
    pub fn program_id(&self) -> [u8; 32] {
        let mut hasher = Keccak256::new_with_prefix(self.constraints);
        for element in self.program.iter().chain(&self.machine) {
            hasher.update(element.as_canonical_u32().to_be_bytes());
        }
        hasher.finalize().into()
    }
}

/// The identity of a program whose code has the commitment `program_commit`, of its initial memory and of the program
/// counter that it starts with (`compute_exe_commit_from_mem_config` in `openvm-circuit`, `system/program/trace.rs`).
pub fn program_identity(program_commit: &Digest, program: &VmExe<F>, memory: &MemoryConfig) -> Digest {
    compute_exe_commit_from_mem_config(program_commit, program, memory)
}

/// Checks a last proof and returns whose it is, and the user public values, which are bytes. Whoever relies on them must
/// compare the identity: a proof of any program on any machine of the same shape is valid.
///
/// # Errors
/// [`RecursionError::Rejected`] if the proof is invalid, [`RecursionError::Shape`] if it proves no execution.
pub fn verify(engine: &KeccakEngine, vk: &VerifyingKey, proof: &Proof) -> Result<(Identity, Vec<u8>), RecursionError> {
    engine.verify(vk, proof).map_err(|reason| RecursionError::Rejected(format!("{reason:?}")))?;
    // Every AIR of the circuit takes part in the argument: one that is left out would check nothing.
    if proof.trace_vdata.len() != vk.inner.per_air.len() || proof.trace_vdata.iter().any(Option::is_none) {
        return Err(RecursionError::Shape("an AIR is missing"));
    }
    let values = |air: usize| proof.public_values.get(air).map(Vec::as_slice).unwrap_or_default();
    let (program, machine) = values(VERIFIER_PVS_AIR_ID).split_at_checked(DIGEST_SIZE).unwrap_or_default();
    let digest = |values: &[F]| Digest::try_from(values).map_err(|_| RecursionError::Shape("a digest is missing"));
    let constraints = *constraints_of(proof).ok_or(RecursionError::Shape("the recursive layer is missing"))?;
    let identity = Identity { program: digest(program)?, machine: digest(machine)?, constraints };
    let bytes = values(USER_PVS_COMMIT_AIR_ID).iter().map(|value| u8::try_from(value.as_canonical_u32()));
    let public = bytes.collect::<Result<_, _>>().map_err(|_| RecursionError::Shape("a public value is no byte"))?;
    Ok((identity, public))
}

/// The commitment to its child's constraints that a proof shows.
fn constraints_of(proof: &Proof) -> Option<&keccak::Digest> {
    proof.trace_vdata.get(CONSTRAINT_EVAL_AIR_ID)?.as_ref()?.cached_commitments.get(CONSTRAINT_EVAL_CACHED_INDEX)
}
