//! The parameters' security.

use exclave_prover::machine::machine;
use exclave_prover::parameters::{proven_security, SECURITY_BITS};

#[test]
fn every_component_is_proven_to_a_hundred_bits_though_keccak_is_cheap_to_grind() {
    let (_, key) = machine().unwrap();
    let security = proven_security(&key.get_vk());
    println!("{:?}\n{security:#?}", key.params);
    assert!(security.total_bits >= SECURITY_BITS, "{} bits", security.total_bits);
}
