//! What can go wrong between the segments of an execution and its one proof.

use thiserror::Error;

/// Failures of recursion, in making proofs and in checking them.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecursionError {
    /// An execution has at least one segment.
    #[error("no segment to aggregate")]
    NoSegments,
    /// The number of user public values differs from the one that the last circuit was built for.
    #[error("{actual} user public values, the last circuit opens {expected}")]
    UserPublicValues {
        /// What the circuit opens.
        expected: usize,
        /// What was given.
        actual: usize,
    },
    /// A proof that a circuit was asked to verify is not a valid one: there is no witness for it.
    #[error("layer {layer}: child proof {index} does not verify: {reason}")]
    Child {
        /// Name of the layer that verifies the child.
        layer: &'static str,
        /// Position of the child among those given.
        index: usize,
        /// What the verifier of the back end said.
        reason: String,
    },
    /// The prover of the back end failed.
    #[error("layer {layer}: {reason}")]
    Prover {
        /// Name of the layer.
        layer: &'static str,
        /// What the back end said.
        reason: String,
    },
    /// The verifier of the back end rejects the proof.
    #[error("the proof does not verify: {0}")]
    Rejected(String),
    /// The proof is valid, but says nothing of an execution.
    #[error("the proof proves no execution: {0}")]
    Shape(&'static str),
}

impl RecursionError {
    pub(crate) fn prover(layer: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Prover { layer, reason: reason.to_string() }
    }
}
