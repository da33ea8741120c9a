//! The machine that executes the guest: OpenVM's rv32im, and its keys under the Keccak configuration.

use crate::error::ProverError;
use crate::keccak::{KeccakConfig, KeccakEngine, Val};
use crate::parameters::segment_parameters;
use openvm_circuit::arch::{VirtualMachine, VmInstance};
use openvm_instructions::exe::VmExe;
use openvm_rv32im_circuit::{Rv32ImConfig, Rv32ImCpuBuilder};
use openvm_rv32im_transpiler::{Rv32ITranspilerExtension, Rv32IoTranspilerExtension, Rv32MTranspilerExtension};
use openvm_stark_backend::keygen::types::{MultiStarkProvingKey, MultiStarkVerifyingKey};
use openvm_stark_backend::StarkEngine;
use openvm_transpiler::{elf::Elf, transpiler::Transpiler, FromElf};
use std::sync::Arc;

/// Bytes of memory that the machine has; `crates/guest` is linked for it.
const MEMORY: u32 = 1 << 29;

pub type Machine = VirtualMachine<KeccakEngine, Rv32ImCpuBuilder>;
pub type Instance = VmInstance<KeccakEngine, Rv32ImCpuBuilder>;
pub type Proof = openvm_stark_backend::proof::Proof<KeccakConfig>;
pub type ProvingKey = MultiStarkProvingKey<KeccakConfig>;
pub type VerifyingKey = MultiStarkVerifyingKey<KeccakConfig>;

/// Circuits of the machine and their keys. They depend on nothing but this crate's constants.
pub fn machine() -> Result<(Machine, ProvingKey), ProverError> {
    let (machine, key) = VirtualMachine::new_with_keygen(
        KeccakEngine::new(segment_parameters()),
        Rv32ImCpuBuilder,
        Rv32ImConfig::default(),
    )?;
    Ok((machine, key))
}

/// Reads a program for the machine from an ELF file's content.
pub fn program(elf: &[u8]) -> Result<Arc<VmExe<Val>>, ProverError> {
    let elf = Elf::decode(elf, MEMORY).map_err(|error| ProverError::Program(error.to_string()))?;
    let transpiler = Transpiler::<Val>::default()
        .with_extension(Rv32ITranspilerExtension)
        .with_extension(Rv32MTranspilerExtension)
        .with_extension(Rv32IoTranspilerExtension);
    let program = VmExe::from_elf(elf, transpiler).map_err(|error| ProverError::Program(error.to_string()))?;
    Ok(Arc::new(program))
}
