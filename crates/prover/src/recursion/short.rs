//! A last layer that verifies segments, or leaves, without the layers between: fewer proofs for short executions.
//!
//! The circuit is OpenVM's inner circuit (`openvm-continuations`, `circuit::inner`), whose public values tell what was
//! executed, and the two AIRs of its root circuit that open the user public values, joined by [`MemoryRootAir`].

use std::borrow::Borrow;
use std::sync::Arc;

use openvm_circuit::arch::hasher::poseidon2::vm_poseidon2_hasher;
use openvm_circuit::arch::ExitCode;
use openvm_circuit::system::memory::dimensions::MemoryDimensions;
use openvm_circuit::system::memory::merkle::public_values::UserPublicValuesProof;
use openvm_circuit::system::program::trace::compute_exe_commit;
use openvm_continuations::circuit::inner::{InnerCircuit, InnerTraceGen, InnerTraceGenImpl, ProofsType};
use openvm_continuations::circuit::root::bus::MemoryMerkleCommitBus;
use openvm_continuations::circuit::root::{commit, memory};
use openvm_continuations::circuit::subair::{MerkleRootBus, MerkleTreeInternalBus};
use openvm_continuations::circuit::{Circuit, SubCircuitTraceData};
use openvm_cpu_backend::{CpuBackend, CpuDevice};
use openvm_recursion_circuit::system::{
    AggregationSubCircuit, CachedTraceCtx, VerifierConfig, VerifierExternalData, VerifierSubCircuit, VerifierTraceGen,
};
use openvm_stark_backend::keygen::types::{MultiStarkProvingKey, MultiStarkVerifyingKey};
use openvm_stark_backend::p3_matrix::dense::RowMajorMatrix;
use openvm_stark_backend::proof::Proof;
use openvm_stark_backend::prover::{AirProvingContext, CommittedTraceData, DeviceDataTransporter, ProvingContext};
use openvm_stark_backend::{AirRef, StarkEngine, StarkProtocolConfig};
use openvm_stark_sdk::config::baby_bear_poseidon2::{default_duplex_sponge_recorder, Digest, DIGEST_SIZE, EF, F};
use openvm_verify_stark_host::pvs::{VerifierBasePvs, VkCommit, VmPvs};
use openvm_verify_stark_host::pvs::{VERIFIER_PVS_AIR_ID, VM_PVS_AIR_ID};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use super::error::{air_count, RecursionError};
use super::layers::{Native, NativeEngine};
use super::memory_root::MemoryRootAir;
use super::verify::constraints_of;

/// What the circuit verifies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShortChild {
    /// Segments of an execution.
    Segments,
    /// Leaves of a virtual machine whose verifying key has this commitment.
    Leaves(VkCommit<F>),
}

/// What the circuit is built from, apart from its engine's parameters.
#[derive(Clone)]
pub struct ShortCircuit {
    /// What it verifies.
    pub child: ShortChild,
    /// Verifying key of what it verifies.
    pub child_vk: Arc<MultiStarkVerifyingKey<Native>>,
    /// Shape of the virtual machine's memory.
    pub memory_dimensions: MemoryDimensions,
    /// Number of user public values, one byte each: eight times a power of two.
    pub user_public_values: usize,
}

/// What a verifier pins besides the verifying key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShortIdentity<Commitment> {
    /// The program (`compute_exe_commit` in `openvm-circuit`, `system/program/trace.rs`).
    pub program: Digest,
    /// Commitment to the children's constraints that the circuit evaluates, under its own configuration.
    pub constraints: Commitment,
    /// Hash of the children's verifying key.
    pub child_pre_hash: Digest,
    /// What the children are.
    pub child: ShortChild,
}

/// Prover of a short last layer for up to `ARITY` children under the configuration of `E`.
pub struct ShortLayer<E: StarkEngine, const ARITY: usize> {
    engine: E,
    parts: ShortCircuit,
    circuit: InnerCircuit<VerifierSubCircuit<ARITY>>,
    child_constraints: CommittedTraceData<E::PB>,
    pk: Arc<MultiStarkProvingKey<E::SC>>,
    vk: Arc<MultiStarkVerifyingKey<E::SC>>,
}

impl<SC, E, const ARITY: usize> ShortLayer<E, ARITY>
where
    SC: StarkProtocolConfig<F = F, EF = EF>,
    E: StarkEngine<SC = SC, PB = CpuBackend<SC>, PD = CpuDevice<SC>>,
    CpuDevice<SC>: DeviceDataTransporter<SC, CpuBackend<SC>>,
{
    /// Generates the key.
    pub fn new(engine: E, parts: ShortCircuit) -> Self {
        let config = VerifierConfig { continuations_enabled: true, ..Default::default() };
        let verifier = VerifierSubCircuit::<ARITY>::new_with_options(parts.child_vk.clone(), config);
        let circuit = InnerCircuit::new(Arc::new(verifier), None);
        let (pk, vk) = engine.keygen(&airs::<SC, ARITY>(&circuit, &parts));
        let child_constraints = circuit.verifier_circuit.commit_child_vk(&engine, &parts.child_vk);
        Self { engine, parts, circuit, child_constraints, pk: Arc::new(pk), vk: Arc::new(vk) }
    }

    /// The proving key.
    pub fn pk(&self) -> &Arc<MultiStarkProvingKey<SC>> {
        &self.pk
    }

    /// The verifying key.
    pub fn vk(&self) -> &Arc<MultiStarkVerifyingKey<SC>> {
        &self.vk
    }

    /// The identity of a program whose code has the commitment `program_commit`.
    pub fn identity(&self, program_commit: &Digest, initial_root: &Digest, initial_pc: F) -> ShortIdentity<SC::Digest> {
        ShortIdentity {
            program: compute_exe_commit(&vm_poseidon2_hasher(), program_commit, initial_root, initial_pc),
            constraints: self.child_constraints.commitment,
            child_pre_hash: self.parts.child_vk.pre_hash,
            child: self.parts.child,
        }
    }

    /// Proves that the children are valid, follow each other, and that `user` are the public values at their end.
    ///
    /// # Errors
    /// [`RecursionError::NoSegments`], [`RecursionError::TooMany`], [`RecursionError::UserPublicValues`],
    /// [`RecursionError::Child`] or [`RecursionError::Prover`].
    pub fn prove(
        &self,
        children: &[Proof<Native>],
        user: &UserPublicValuesProof<DIGEST_SIZE, F>,
    ) -> Result<Proof<SC>, RecursionError> {
        let context = self.context(children, user)?;
        let device_pk = self.engine.device().transport_pk_to_device(self.pk.as_ref());
        self.engine.prove(&device_pk, context).map_err(|reason| RecursionError::prover("short", format!("{reason:?}")))
    }

    fn context(
        &self,
        children: &[Proof<Native>],
        user: &UserPublicValuesProof<DIGEST_SIZE, F>,
    ) -> Result<ProvingContext<CpuBackend<SC>>, RecursionError> {
        let last = children.last().ok_or(RecursionError::NoSegments)?;
        if children.len() > ARITY {
            return Err(RecursionError::TooMany { limit: ARITY, actual: children.len() });
        }
        if user.public_values.len() != self.parts.user_public_values {
            return Err(RecursionError::UserPublicValues {
                expected: self.parts.user_public_values,
                actual: user.public_values.len(),
            });
        }
        let engine = NativeEngine::new(self.parts.child_vk.inner.params.clone());
        for (index, child) in children.iter().enumerate() {
            engine.verify(&self.parts.child_vk, child).map_err(|reason| RecursionError::Child {
                layer: "short",
                index,
                reason: reason.to_string(),
            })?;
        }
        let segments = self.parts.child == ShortChild::Segments;
        let traces = <InnerTraceGenImpl as InnerTraceGen<CpuBackend<Native>, ()>>::new(false);
        let commit = VkCommit { cached_commit: [F::ZERO; DIGEST_SIZE], vk_pre_hash: self.parts.child_vk.pre_hash };
        let SubCircuitTraceData {
            air_proving_ctxs,
            mut poseidon2_compress_inputs,
            poseidon2_permute_inputs,
            range_check_inputs,
        } = traces.generate_pre_verifier_subcircuit_ctxs(children, ProofsType::Vm, None, segments, commit, &());
        let (commit_context, commit_inputs) = commit::generate_proving_ctx::<SC>(user.public_values.clone());
        let (memory_context, memory_inputs) = memory::generate_proving_input::<SC>(
            user.public_values_commit,
            &user.proof,
            self.parts.memory_dimensions,
            user.public_values.len(),
        );
        poseidon2_compress_inputs.extend(commit_inputs);
        poseidon2_compress_inputs.extend(memory_inputs);
        let root = final_root(last, segments).ok_or(RecursionError::Identity("kind of child"))?;
        let root_context = AirProvingContext::new(vec![], RowMajorMatrix::new_row(root.to_vec()), root.to_vec());

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
                children,
                &mut external,
                &(),
                default_duplex_sponge_recorder(),
            )
            .ok_or(RecursionError::Heights)?;
        // These traces have no commitments of their own, so they are the same under any configuration.
        let own = air_proving_ctxs.into_iter().map(|context: AirProvingContext<CpuBackend<Native>>| {
            AirProvingContext::new(vec![], context.common_main, context.public_values)
        });
        let opening = [commit_context, memory_context, root_context];
        Ok(ProvingContext { per_trace: own.chain(verifier_contexts).chain(opening).enumerate().collect() })
    }
}

fn airs<SC: StarkProtocolConfig<F = F>, const ARITY: usize>(
    circuit: &InnerCircuit<VerifierSubCircuit<ARITY>>,
    parts: &ShortCircuit,
) -> Vec<AirRef<SC>> {
    let compress = circuit.verifier_circuit.bus_inventory().poseidon2_compress_bus;
    // The inner circuit takes the first free bus.
    let first = circuit.verifier_circuit.next_bus_idx() + 1;
    let (merkle_root, merkle_tree) = (MerkleRootBus::new(first), MerkleTreeInternalBus::new(first + 1));
    let memory_root = MemoryMerkleCommitBus::new(first + 2);
    let (dimensions, count) = (parts.memory_dimensions, parts.user_public_values);
    let commit = commit::UserPvsCommitAir::new(compress, merkle_root, merkle_tree, count);
    let memory = memory::UserPvsInMemoryAir::new(compress, merkle_root, memory_root, dimensions, count);
    let mut airs = Circuit::<SC>::airs(circuit);
    airs.extend([
        Arc::new(commit) as AirRef<SC>,
        Arc::new(memory) as AirRef<SC>,
        Arc::new(MemoryRootAir { bus: memory_root }) as AirRef<SC>,
    ]);
    airs
}

fn final_root(child: &Proof<Native>, is_segment: bool) -> Option<Digest> {
    use openvm_circuit::arch::MERKLE_AIR_ID;
    if is_segment {
        child.public_values.get(MERKLE_AIR_ID)?.get(DIGEST_SIZE..2 * DIGEST_SIZE)?.try_into().ok()
    } else {
        let values = child.public_values.get(VM_PVS_AIR_ID)?;
        (values.len() == VmPvs::<u8>::width()).then(|| Borrow::<VmPvs<F>>::borrow(values.as_slice()).final_root)
    }
}

/// Checks a short last proof and returns the user public values, which are bytes.
///
/// # Errors
/// [`RecursionError::Rejected`] if the proof is invalid, [`RecursionError::Identity`] if it proves something else.
pub fn verify_short<SC, E>(
    engine: &E,
    vk: &MultiStarkVerifyingKey<SC>,
    identity: &ShortIdentity<SC::Digest>,
    proof: &Proof<SC>,
) -> Result<Vec<u8>, RecursionError>
where
    SC: StarkProtocolConfig<F = F, EF = EF>,
    E: StarkEngine<SC = SC>,
{
    engine.verify(vk, proof).map_err(|reason| RecursionError::Rejected(format!("{reason:?}")))?;
    let airs = air_count(vk);
    if proof.trace_vdata.len() != airs || proof.trace_vdata.iter().any(Option::is_none) || airs < 3 {
        return Err(RecursionError::Identity("circuit: an AIR is missing"));
    }
    let values = |air: usize| proof.public_values.get(air).map(Vec::as_slice).unwrap_or_default();
    let (base, vm) = (values(VERIFIER_PVS_AIR_ID), values(VM_PVS_AIR_ID));
    if base.len() != VerifierBasePvs::<u8>::width() || vm.len() != VmPvs::<u8>::width() {
        return Err(RecursionError::Identity("circuit"));
    }
    let (base, vm): (&VerifierBasePvs<F>, &VmPvs<F>) = (base.borrow(), vm.borrow());
    let same_child = match identity.child {
        ShortChild::Segments => {
            base.internal_flag == F::ZERO && base.app_vk_commit.vk_pre_hash == identity.child_pre_hash
        }
        ShortChild::Leaves(app) => {
            base.internal_flag == F::ONE
                && base.leaf_vk_commit.vk_pre_hash == identity.child_pre_hash
                && base.app_vk_commit == app
        }
    };
    if !same_child || constraints_of(proof) != Some(&identity.constraints) {
        return Err(RecursionError::Identity("machine"));
    }
    let hasher = vm_poseidon2_hasher();
    if compute_exe_commit(&hasher, &vm.program_commit, &vm.initial_root, vm.initial_pc) != identity.program {
        return Err(RecursionError::Identity("program"));
    }
    if vm.is_terminate != F::ONE || vm.exit_code != F::from_u32(ExitCode::Success as u32) {
        return Err(RecursionError::Identity("exit"));
    }
    if values(airs - 1) != vm.final_root {
        return Err(RecursionError::Identity("final memory"));
    }
    values(airs - 3)
        .iter()
        .map(|value| u8::try_from(value.as_canonical_u32()).map_err(|_| RecursionError::Identity("public values")))
        .collect()
}
