//! Makes proofs.

use crate::circuits::Circuits;
use crate::encoding::{encode, Encoded};
use crate::error::ProverError;
use crate::machine::{Instance, Program};
use crate::memory::give_back;
use crate::recursion::{Identity, LastLayer, Layers, Native};
use crate::verifier::{verify, Proven};
use openvm_circuit::arch::execution_mode::Segment;
use openvm_circuit::arch::hasher::poseidon2::vm_poseidon2_hasher;
use openvm_circuit::arch::PreflightExecutionOutput;
use openvm_circuit::system::memory::merkle::public_values::UserPublicValuesProof;
use openvm_stark_backend::proof::Proof;
use openvm_stark_backend::StarkEngine;
use openvm_stark_sdk::config::baby_bear_poseidon2::{DIGEST_SIZE, F};
use p3_field::PrimeCharacteristicRing;
use std::sync::Arc;

/// What a prover has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The program ran to its end.
    Executed { instructions: u64, segments: usize },
    /// So many of its segments are proven.
    Segment { proven: usize, of: usize },
    /// A layer of recursion is proven.
    Layer(&'static str),
}

/// Is told of progress; returns whether to go on.
pub type Observer<'a> = &'a mut dyn FnMut(Progress) -> bool;

/// How an execution went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    pub instructions: u64,
    pub segments: usize,
}

/// Proves executions of one program.
pub struct Prover {
    instance: Instance,
    layers: Layers,
    last: LastLayer,
    identity: Identity,
}

impl Prover {
    /// # Errors
    /// [`ProverError::Machine`] if the library refuses the program.
    pub fn new(circuits: Circuits, program: Arc<Program>) -> Result<Self, ProverError> {
        let (committed, identity) = circuits.commit(&program);
        let instance = Instance::new(circuits.machine, program, committed)?;
        Ok(Self { instance, layers: circuits.layers, last: circuits.last, identity })
    }

    /// What a verifier of this program's proofs compares.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Executes the program on `input`, without a proof.
    ///
    /// # Errors
    /// [`ProverError::Execution`] if it fails.
    pub fn execute(&self, input: &[u8]) -> Result<Execution, ProverError> {
        let segments = execute_segments(&self.instance, input)?;
        let instructions = segments.iter().map(|segment| segment.num_insns).sum();
        Ok(Execution { instructions, segments: segments.len() })
    }

    /// Proves that the program, executed on some input, ended with success; gives what it made public and the encoded
    /// proof. The proof was verified.
    ///
    /// # Errors
    /// [`ProverError::Execution`] if the program fails, [`ProverError::Cancelled`] if the observer doesn't want to go on,
    /// else what failed.
    pub fn prove(&mut self, input: &[u8], observer: Observer) -> Result<(Proven, Encoded), ProverError> {
        let mut tell = |progress| if observer(progress) { Ok(()) } else { Err(ProverError::Cancelled) };
        let segments = execute_segments(&self.instance, input)?;
        let instructions = segments.iter().map(|segment| segment.num_insns).sum();
        tell(Progress::Executed { instructions, segments: segments.len() })?;
        let (proofs, user) = prove_segments(&mut self.instance, input, segments, &mut tell)?;
        let leaves = self.layers.leaves(&proofs)?;
        drop(proofs);
        tell(Progress::Layer("leaf"))?;
        let internal = self.layers.internal(&leaves)?;
        tell(Progress::Layer("internal"))?;
        let recursive = self.layers.reduce(internal)?;
        tell(Progress::Layer("recursive"))?;
        let proof = self.last.prove(&recursive, &user)?;
        tell(Progress::Layer("last"))?;
        let proven = verify(self.last.vk(), &proof)?;
        if proven.program_id != self.identity.program_id() {
            return Err(ProverError::Machine("it proved another program than it was asked to".into()));
        }
        Ok((proven, encode(self.last.vk(), &proof)?))
    }
}

/// Executes a program without a proof, and finds where the execution is cut.
///
/// # Errors
/// [`ProverError::Execution`] if it fails.
pub fn execute_segments(instance: &Instance, input: &[u8]) -> Result<Vec<Segment>, ProverError> {
    let (machine, program) = (&instance.vm, instance.exe());
    let interpreter = machine.metered_interpreter(program)?;
    let (segments, _) = interpreter.execute_metered(stream(input), machine.build_metered_ctx(program))?;
    Ok(segments)
}

/// Proves each segment by itself; gives their proofs, and that of the public values in the final memory.
///
/// As `VmInstance::prove_continuations` of `openvm-circuit`, which neither tells of progress nor can be stopped. That the
/// program ended with success isn't looked at here: the last circuit demands it.
///
/// # Errors
/// [`ProverError::Segment`] if one can't be proven, and what `tell` gives.
pub fn prove_segments(
    instance: &mut Instance,
    input: &[u8],
    segments: Vec<Segment>,
    tell: &mut dyn FnMut(Progress) -> Result<(), ProverError>,
) -> Result<(Vec<Proof<Native>>, UserPublicValuesProof<DIGEST_SIZE, F>), ProverError> {
    let of = segments.len();
    instance.reset_state(stream(input));
    let mut state = instance.state_mut().take().ok_or(ProverError::Machine("no state".into()))?;
    let machine = &mut instance.vm;
    let mut proofs = Vec::with_capacity(of);
    for (index, segment) in segments.into_iter().enumerate() {
        machine.transport_init_memory_to_device(&state.memory);
        let PreflightExecutionOutput { system_records, record_arenas, to_state } = machine.execute_preflight(
            &mut instance.interpreter,
            state,
            Some(segment.num_insns),
            &segment.trace_heights,
        )?;
        state = to_state;
        let failed = |reason: String| ProverError::Segment { segment: index, reason };
        let context =
            machine.generate_proving_ctx(system_records, record_arenas).map_err(|error| failed(error.to_string()))?;
        let proof = machine.engine.prove(machine.pk(), context).map_err(|error| failed(format!("{error:?}")))?;
        proofs.push(proof);
        give_back();
        tell(Progress::Segment { proven: index + 1, of })?;
    }
    let system = &machine.config().system;
    let tree = machine.memory_top_tree().ok_or(ProverError::Machine("no memory tree".into()))?;
    let public_values = UserPublicValuesProof::compute(
        system.memory_config.memory_dimensions(),
        system.num_public_values,
        &vm_poseidon2_hasher(),
        &state.memory.memory,
        tree,
    );
    *instance.state_mut() = Some(state);
    Ok((proofs, public_values))
}

/// The machine's input: one item, which the guest reads by a hint of its length and its bytes.
fn stream(input: &[u8]) -> Vec<Vec<F>> {
    vec![input.iter().map(|byte| F::from_u8(*byte)).collect()]
}
