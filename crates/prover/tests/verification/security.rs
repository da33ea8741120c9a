//! The security of what a contract verifies.

use exclave_prover::security::{proven_security, SECURITY_BITS};
use exclave_prover::verifier::verifying_key;

#[test]
fn every_component_is_proven_to_a_hundred_bits_though_keccak_is_cheap_to_grind() {
    let security = proven_security(verifying_key());
    println!("{security:#?}");
    assert!(security.total_bits >= SECURITY_BITS, "{} bits", security.total_bits);
}
