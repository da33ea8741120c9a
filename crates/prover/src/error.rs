//! What can go wrong in proving and verifying.

use crate::encoding::EncodingError;
use crate::recursion::RecursionError;
use openvm_circuit::arch::{ExecutionError, StaticProgramError, VirtualMachineError};

#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    /// The file isn't an ELF file for the machine.
    #[error("not a program for the machine: {0}")]
    Program(String),
    /// The library refuses the machine.
    #[error("the machine can't be set up: {0}")]
    Machine(String),
    /// The program did something that the machine doesn't do, or ended with another exit code than zero.
    #[error("the program failed: {0}")]
    Execution(String),
    /// A segment's proof could not be made.
    #[error("segment {segment}: {reason}")]
    Segment {
        /// Its index.
        segment: usize,
        /// What the back end said.
        reason: String,
    },
    /// The caller gave up.
    #[error("cancelled")]
    Cancelled,
    #[error(transparent)]
    Recursion(#[from] RecursionError),
    #[error("not a proof: {0}")]
    Encoding(#[from] EncodingError),
}

impl From<VirtualMachineError> for ProverError {
    fn from(error: VirtualMachineError) -> Self {
        Self::Machine(error.to_string())
    }
}

impl From<StaticProgramError> for ProverError {
    fn from(error: StaticProgramError) -> Self {
        Self::Program(error.to_string())
    }
}

impl From<ExecutionError> for ProverError {
    fn from(error: ExecutionError) -> Self {
        Self::Execution(error.to_string())
    }
}
