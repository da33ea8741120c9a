//! Sessions' hot state, block building and JSON-RPC; as a Python extension, `exclave._engine`.

mod admission;
mod builder;
pub mod chain;
mod committer;
mod conformance;
pub mod engine;
pub mod error;
pub mod host;
pub mod limits;
mod metrics;
mod places;
pub mod preconfirmation;
mod python;
mod queue;
mod registry;
pub mod rpc;
mod scheduler;
pub mod session;
mod wakes;

pub use chain::{Chain, CommittedBlock};
pub use engine::Engine;
pub use error::{CallError, EngineError, RestoreError, SessionError, SubmitError};
pub use session::Session;
