//! One proof of an execution of any length.
//!
//! ```text
//! segment segment segment segment   Poseidon2, cheap parameters: only a leaf verifies them
//!    \______\________/______/
//!            leaf         leaf      up to LEAF_ARITY segments each
//!              \__________/
//!               internal            verifies leaves
//!                  |
//!               recursive           verifies internal or recursive proofs; its key depends on nothing below
//!                  |
//!                last               the Keccak-256 configuration, which is cheap to verify on L1
//! ```
//!
//! Each circuit is OpenVM's (`openvm-continuations` and `openvm-recursion-circuit`); this module wires them, gives the
//! last one to the Keccak-256 engine, and reads what the circuits leave to their verifier to compare.

mod error;
mod last;
mod layers;
mod parameters;
mod verify;

pub use error::RecursionError;
pub use last::{LastCircuit, LastLayer};
pub use layers::{LayerParams, Layers, Native, NativeEngine, INTERNAL_ARITY, LEAF_ARITY};
pub use parameters::{last_parameters, layer_parameters, recursive_segment_parameters};
pub use verify::{program_identity, verify, Identity};
