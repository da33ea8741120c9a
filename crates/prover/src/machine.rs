//! The machine that executes the guest: OpenVM's rv32im with its Keccak-256 instructions.

use crate::error::ProverError;
use crate::keccak::KeccakConfig;
use openvm_circuit::arch::{VirtualMachine, VmInstance};
use openvm_instructions::exe::VmExe;
use openvm_keccak256_circuit::{Keccak256Rv32Config, Keccak256Rv32CpuBuilder};
use openvm_keccak256_transpiler::Keccak256TranspilerExtension;
use openvm_rv32im_transpiler::{Rv32ITranspilerExtension, Rv32IoTranspilerExtension, Rv32MTranspilerExtension};
use openvm_stark_backend::keygen::types::{MultiStarkProvingKey, MultiStarkVerifyingKey};
use openvm_stark_backend::StarkEngine;
use openvm_stark_sdk::config::baby_bear_poseidon2::F;
use openvm_transpiler::{elf::Elf, transpiler::Transpiler, FromElf};
use std::sync::Arc;

use crate::recursion::{recursive_segment_parameters, Native, NativeEngine};

/// Bytes of memory that the machine has; `crates/guest` is linked for it.
const MEMORY: u32 = 1 << 29;

/// Bytes that the program makes public: a hash.
pub const PUBLIC_BYTES: usize = 32;

pub type Machine = VirtualMachine<NativeEngine, Keccak256Rv32CpuBuilder>;
pub type Instance = VmInstance<NativeEngine, Keccak256Rv32CpuBuilder>;
pub type Program = VmExe<F>;
/// The proof that a contract verifies.
pub type Proof = openvm_stark_backend::proof::Proof<KeccakConfig>;
/// The key that it is verified with.
pub type VerifyingKey = MultiStarkVerifyingKey<KeccakConfig>;

/// The machine and its keys. They depend on nothing but this crate's constants.
///
/// `segment_memory` bounds the bytes that a proof of one segment takes, by the library's estimate. It decides where an
/// execution is cut, and nothing else.
///
/// # Errors
/// [`ProverError::Machine`] if the library refuses the configuration.
pub fn machine(segment_memory: usize) -> Result<(Machine, MultiStarkProvingKey<Native>), ProverError> {
    let engine = NativeEngine::new(recursive_segment_parameters());
    Ok(VirtualMachine::new_with_keygen(engine, Keccak256Rv32CpuBuilder, configuration(segment_memory))?)
}

fn configuration(segment_memory: usize) -> Keccak256Rv32Config {
    let mut configuration = Keccak256Rv32Config::default();
    configuration.system = configuration.system.with_public_values(PUBLIC_BYTES);
    configuration.system.segmentation_max_memory = segment_memory;
    configuration
}

/// Reads a program for the machine from an ELF file's content.
///
/// # Errors
/// [`ProverError::Program`] if it is none.
pub fn program(elf: &[u8]) -> Result<Arc<Program>, ProverError> {
    let elf = Elf::decode(elf, MEMORY).map_err(|error| ProverError::Program(error.to_string()))?;
    let transpiler = Transpiler::<F>::default()
        .with_extension(Rv32ITranspilerExtension)
        .with_extension(Rv32MTranspilerExtension)
        .with_extension(Rv32IoTranspilerExtension)
        .with_extension(Keccak256TranspilerExtension);
    let program = VmExe::from_elf(elf, transpiler).map_err(|error| ProverError::Program(error.to_string()))?;
    Ok(Arc::new(program))
}
