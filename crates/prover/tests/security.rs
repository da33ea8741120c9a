//! The security of what a contract verifies.

use exclave_prover::circuits::Circuits;
use exclave_prover::security::{proven_security, SECURITY_BITS};

#[test]
fn every_component_is_proven_to_a_hundred_bits_though_keccak_is_cheap_to_grind() {
    let circuits = Circuits::new(6 << 30).unwrap();
    let security = proven_security(circuits.last.vk());
    println!("{security:#?}");
    assert!(security.total_bits >= SECURITY_BITS, "{} bits", security.total_bits);
}
