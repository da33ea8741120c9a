//! What can go wrong in proving.

use openvm_circuit::arch::VirtualMachineError;

#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    /// The file isn't an ELF file for the machine.
    #[error("not a program for the machine: {0}")]
    Program(String),
    /// The machine stopped, or couldn't prove.
    #[error(transparent)]
    Machine(#[from] VirtualMachineError),
}
