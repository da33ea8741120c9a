//! Proofs of executions on OpenVM's rv32im machine.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod recursion;
