//! The node and the chain as such.

use alloy_primitives::{keccak256, Bytes};

use super::{to_json, Snapshot};
use crate::rpc::error::RpcError;
use crate::rpc::params::Params;
use crate::rpc::view::Quantity;

pub fn client_version() -> String {
    format!("exclave/v{}/{}-{}/rust", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

pub fn chain_id(snapshot: &Snapshot) -> Result<String, RpcError> {
    to_json(&Quantity(snapshot.session.chain_id))
}

pub fn net_version(snapshot: &Snapshot) -> Result<String, RpcError> {
    to_json(&snapshot.session.chain_id.to_string())
}

pub fn sha3(params: &Params<'_>) -> Result<String, RpcError> {
    to_json(&keccak256(params.required::<Bytes>(0)?))
}
