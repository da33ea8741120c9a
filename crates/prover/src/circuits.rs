//! All circuits between an execution and its one proof.

use crate::error::ProverError;
use crate::keccak::KeccakEngine;
use crate::machine::{machine, Machine, Program, PUBLIC_BYTES};
use crate::recursion::{last_parameters, layer_parameters, program_identity, Identity, LastCircuit, LastLayer, Layers};
use openvm_cpu_backend::CpuBackend;
use openvm_stark_backend::prover::CommittedTraceData;
use openvm_stark_backend::StarkEngine;
use std::sync::Arc;

use crate::recursion::Native;

/// A program's code, committed to for proofs of its segments.
pub type CommittedProgram = CommittedTraceData<CpuBackend<Native>>;

/// The machine, the layers of recursion and the last circuit. Making the keys takes seconds.
pub struct Circuits {
    pub machine: Machine,
    pub layers: Layers,
    pub last: LastLayer,
}

impl Circuits {
    /// `segment_memory`: see [`machine`].
    ///
    /// # Errors
    /// As [`machine`].
    pub fn new(segment_memory: usize) -> Result<Self, ProverError> {
        let (machine, key) = machine(segment_memory)?;
        let layers = Layers::new(Arc::new(key.get_vk()), &layer_parameters());
        let dimensions = machine.config().system.memory_config.memory_dimensions();
        let circuit = LastCircuit::new(&layers, dimensions, PUBLIC_BYTES);
        let last = LastLayer::new(KeccakEngine::new(last_parameters()), circuit)?;
        Ok(Self { machine, layers, last })
    }

    /// Commits to a program's code, and says what a verifier of its proofs compares.
    pub fn commit(&self, program: &Program) -> (CommittedProgram, Identity) {
        let committed = self.machine.commit_program_on_device(&program.program);
        let memory = &self.machine.config().system.memory_config;
        let identity = program_identity(&committed.commitment, program, memory);
        (committed, Identity::new(&self.layers, identity, self.last.constraints_commit()))
    }
}
