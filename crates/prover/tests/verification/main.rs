//! Verification, natively and by the contract: what takes no proving. One program, as each takes long to build.

mod contract;
mod differential;
mod security;
