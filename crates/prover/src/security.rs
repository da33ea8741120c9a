//! The security that is proven for parameters of the proof system.

use crate::keccak::KeccakConfig;
use openvm_stark_backend::keygen::types::MultiStarkVerifyingKey;
use openvm_stark_backend::soundness::SoundnessCalculator;

/// Bits that any parameters must reach, in every component of the proof system, with proven bounds alone.
pub const SECURITY_BITS: f64 = 100.0;

/// Bits by which each proof of work is taken to be worth less than the library's calculator takes it for. The calculator
/// counts evaluations of the transcript's hash, and its parameters were chosen for Poseidon2; graphics cards and circuits
/// evaluate Keccak-256 several times faster, and are taken to do so eight times faster.
pub const KECCAK_GRINDING_DISCOUNT: usize = 3;

/// What is proven about the soundness of a verifier with this key, by component, with grinding discounted for Keccak.
pub fn proven_security(key: &MultiStarkVerifyingKey<KeccakConfig>) -> SoundnessCalculator {
    let mut discounted = key.clone();
    let parameters = &mut discounted.inner.params;
    for bits in [
        &mut parameters.logup.pow_bits,
        &mut parameters.whir.mu_pow_bits,
        &mut parameters.whir.folding_pow_bits,
        &mut parameters.whir.query_phase_pow_bits,
    ] {
        *bits = bits.saturating_sub(KECCAK_GRINDING_DISCOUNT);
    }
    SoundnessCalculator::calculate_from_vk(&discounted)
}
