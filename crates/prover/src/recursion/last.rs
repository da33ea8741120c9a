//! The last layer: one proof of the internal proof, under the Keccak-256 configuration.
//!
//! The circuit is OpenVM's root circuit (`openvm-continuations`, `circuit::root`). It verifies one proof of the recursive
//! layer, demands that the execution ended with exit code 0, and opens the user public values in the final memory root.
//! `openvm-continuations::prover::RootProver` proves it under a BN254 configuration only; the circuit and its traces
//! are generic, so this module wires them to the engine that hashes with Keccak-256.

use std::sync::Arc;

use openvm_circuit::system::memory::dimensions::MemoryDimensions;
use openvm_circuit::system::memory::merkle::public_values::UserPublicValuesProof;
use openvm_continuations::circuit::root::{commit, memory, verifier, RootCircuit};
use openvm_continuations::circuit::{Circuit, SingleAirTraceData};
use openvm_continuations::VkCommitBytes;
use openvm_cpu_backend::CpuBackend;
use openvm_recursion_circuit::system::{
    CachedTraceCtx, VerifierConfig, VerifierExternalData, VerifierSubCircuit, VerifierTraceGen,
};
use openvm_stark_backend::keygen::types::{MultiStarkProvingKey, MultiStarkVerifyingKey};
use openvm_stark_backend::keygen::MultiStarkKeygenBuilder;
use openvm_stark_backend::proof::Proof;
use openvm_stark_backend::prover::{CommittedTraceData, DeviceDataTransporter, ProvingContext};
use openvm_stark_backend::StarkEngine;
use openvm_stark_sdk::config::baby_bear_poseidon2::{default_duplex_sponge_recorder, Digest, DIGEST_SIZE, F};

use crate::keccak::{self, KeccakConfig, KeccakEngine};
use crate::machine::{Proof as LastProof, VerifyingKey};

use super::error::RecursionError;
use super::layers::{Layers, Native, NativeEngine};

/// What the last circuit is built from, apart from its engine's parameters.
#[derive(Clone)]
pub struct LastCircuit {
    /// Verifying key of the recursive layer.
    pub child_vk: Arc<MultiStarkVerifyingKey<Native>>,
    /// Commitment to the constraints of the recursive layer.
    pub child_commit: Digest,
    /// Shape of the virtual machine's memory.
    pub memory_dimensions: MemoryDimensions,
    /// Number of user public values, one byte each: eight times a power of two.
    pub user_public_values: usize,
}

impl LastCircuit {
    /// The last circuit on top of `layers`.
    pub fn new(layers: &Layers, memory_dimensions: MemoryDimensions, user_public_values: usize) -> Self {
        Self { child_vk: layers.vk(), child_commit: layers.recursive_commit(), memory_dimensions, user_public_values }
    }

    fn sub_circuit(&self) -> VerifierSubCircuit<1> {
        // The child's constraints are a committed trace of their own. Hashed to public values in the common trace, they
        // would take 280 more columns and nearly half of all cells.
        let config = VerifierConfig { continuations_enabled: true, ..Default::default() };
        VerifierSubCircuit::new_with_options(self.child_vk.clone(), config)
    }
}

/// Prover of the last layer.
pub struct LastLayer {
    engine: KeccakEngine,
    parts: LastCircuit,
    circuit: RootCircuit<VerifierSubCircuit<1>>,
    child_constraints: CommittedTraceData<CpuBackend<KeccakConfig>>,
    pk: MultiStarkProvingKey<KeccakConfig>,
    vk: Arc<VerifyingKey>,
}

impl LastLayer {
    /// Generates the key. All AIRs of the circuit are required: one that a proof leaves out would check nothing.
    ///
    /// # Errors
    /// [`RecursionError::Prover`] if the library refuses the circuit.
    pub fn new(engine: KeccakEngine, parts: LastCircuit) -> Result<Self, RecursionError> {
        let circuit = circuit(&parts);
        let mut keys = MultiStarkKeygenBuilder::new(engine.config().clone());
        for air in circuit.airs() {
            keys.add_required_air(air);
        }
        let pk = keys.generate_pk().map_err(|reason| RecursionError::prover("last", reason))?;
        let vk = Arc::new(pk.get_vk());
        let child_constraints = circuit.verifier_circuit.commit_child_vk(&engine, &parts.child_vk);
        Ok(Self { engine, parts, circuit, child_constraints, pk, vk })
    }

    /// The engine.
    pub fn engine(&self) -> &KeccakEngine {
        &self.engine
    }

    /// The verifying key.
    pub fn vk(&self) -> &Arc<VerifyingKey> {
        &self.vk
    }

    /// Commitment to the recursive layer's constraints that every valid proof shows; see [`super::verify::Identity`].
    pub fn constraints_commit(&self) -> keccak::Digest {
        self.child_constraints.commitment
    }

    /// Proves that `child` is valid and that `user` are the public values in its final memory.
    ///
    /// # Errors
    /// [`RecursionError::UserPublicValues`], [`RecursionError::Child`] or [`RecursionError::Prover`].
    pub fn prove(
        &self,
        child: &Proof<Native>,
        user: &UserPublicValuesProof<DIGEST_SIZE, F>,
    ) -> Result<LastProof, RecursionError> {
        let context = self.context(child, user)?;
        let device_pk = self.engine.device().transport_pk_to_device(&self.pk);
        self.engine.prove(&device_pk, context).map_err(|reason| RecursionError::prover("last", format!("{reason:?}")))
    }

    /// The traces of a proof.
    ///
    /// # Errors
    /// As [`LastLayer::prove`].
    pub fn context(
        &self,
        child: &Proof<Native>,
        user: &UserPublicValuesProof<DIGEST_SIZE, F>,
    ) -> Result<ProvingContext<CpuBackend<KeccakConfig>>, RecursionError> {
        if user.public_values.len() != self.parts.user_public_values {
            return Err(RecursionError::UserPublicValues {
                expected: self.parts.user_public_values,
                actual: user.public_values.len(),
            });
        }
        NativeEngine::new(self.parts.child_vk.inner.params.clone())
            .verify(&self.parts.child_vk, child)
            .map_err(|reason| RecursionError::Child { layer: "last", index: 0, reason: reason.to_string() })?;

        let SingleAirTraceData {
            air_proving_ctx: verifier_context,
            mut poseidon2_compress_inputs,
            poseidon2_permute_inputs,
            range_check_inputs,
        } = verifier::generate_proving_ctx::<KeccakConfig>(child, false);
        let (commit_context, commit_inputs) = commit::generate_proving_ctx::<KeccakConfig>(user.public_values.clone());
        let (memory_context, memory_inputs) = memory::generate_proving_input::<KeccakConfig>(
            user.public_values_commit,
            &user.proof,
            self.parts.memory_dimensions,
            user.public_values.len(),
        );
        poseidon2_compress_inputs.extend(commit_inputs);
        poseidon2_compress_inputs.extend(memory_inputs);

        let own = [verifier_context, commit_context, memory_context];
        let power_check_inputs = Vec::new();
        let mut external = VerifierExternalData {
            poseidon2_compress_inputs: &poseidon2_compress_inputs,
            poseidon2_permute_inputs: &poseidon2_permute_inputs,
            range_check_inputs: &range_check_inputs,
            power_check_inputs: &power_check_inputs,
            required_heights: None,
            final_transcript_state: None,
        };
        let verifier_contexts = self
            .circuit
            .verifier_circuit
            .generate_proving_ctxs(
                &self.parts.child_vk,
                CachedTraceCtx::PcsData(self.child_constraints.clone()),
                std::slice::from_ref(child),
                &mut external,
                &(),
                default_duplex_sponge_recorder(),
            )
            .ok_or_else(|| RecursionError::prover("last", "the traces can't be made"))?;
        Ok(ProvingContext { per_trace: own.into_iter().chain(verifier_contexts).enumerate().collect() })
    }
}

fn circuit(parts: &LastCircuit) -> RootCircuit<VerifierSubCircuit<1>> {
    let child = VkCommitBytes { cached_commit: parts.child_commit.into(), vk_pre_hash: parts.child_vk.pre_hash.into() };
    RootCircuit::new(Arc::new(parts.sub_circuit()), child, None, parts.memory_dimensions, parts.user_public_values)
}
