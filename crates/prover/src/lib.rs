//! Proofs of executions of Exclave's guest.
//!
//! The machine and its circuits are OpenVM's rv32im; the proof system is its SWIRL back end, which is generic over hash
//! and transcript and is given Keccak-256 here, because that is what a contract on L1 hashes cheaply.

pub mod circuits;
pub mod encoding;
pub mod error;
pub mod evaluation;
pub mod fixtures;
pub mod keccak;
pub mod machine;
pub mod memory;
pub mod prover;
pub mod recursion;
pub mod security;
pub mod solidity;
pub mod trace;
pub mod verifier;
