//! Parameters of the proof system, and the security that is proven for them.

use crate::keccak::KeccakConfig;
use openvm_stark_backend::keygen::types::MultiStarkVerifyingKey;
use openvm_stark_backend::soundness::SoundnessCalculator;
use openvm_stark_backend::{SystemParams, WhirProximityStrategy};
use openvm_stark_sdk::config::params_with_100_bits_security;

/// Bits that any parameters must reach, in every component of the proof system, with proven bounds alone.
pub const SECURITY_BITS: f64 = 100.0;

/// Bits by which each proof of work is taken to be worth less than the library's calculator takes it for. The calculator
/// counts evaluations of the transcript's hash, and its parameters were chosen for Poseidon2; graphics cards and circuits
/// evaluate Keccak-256 several times faster, and are taken to do so eight times faster.
pub const KECCAK_GRINDING_DISCOUNT: usize = 3;

/// Largest number of rows of a proof of one segment, as a power of two, and of columns of this height that all of its
/// traces fill together.
const LOG_STACKED_HEIGHT: usize = 20;
const STACKED_COLUMNS: usize = 64;

/// Rows that the univariate skip takes together, as a power of two.
const LOG_SKIP: usize = 4;
/// Inverse of the code's rate, as a power of two: high, because queries are dear on L1 and hashing is cheap here.
const LOG_BLOWUP: usize = 4;
/// Coefficients of the last polynomial, as a power of two: few, because it is evaluated for each query.
const LOG_FINAL_POLYNOMIAL: usize = 4;
/// Variables folded in one round.
const FOLDING: usize = 4;
const MAXIMAL_CONSTRAINT_DEGREE: usize = 3;

const FOLDING_WORK: usize = 22;
const BATCHING_WORK: usize = 20;
const QUERY_WORK: usize = 20;

/// Parameters for proving one segment of the guest's execution.
pub fn segment_parameters() -> SystemParams {
    let proximity = WhirProximityStrategy::ListDecoding { m: 1 };
    let mut logup = params_with_100_bits_security(
        LOG_BLOWUP,
        LOG_SKIP,
        LOG_STACKED_HEIGHT - LOG_SKIP,
        STACKED_COLUMNS,
        FOLDING_WORK,
        BATCHING_WORK,
        proximity,
        MAXIMAL_CONSTRAINT_DEGREE,
        QUERY_WORK,
        FOLDING,
    )
    .logup;
    logup.pow_bits += KECCAK_GRINDING_DISCOUNT;
    SystemParams::new(
        LOG_BLOWUP,
        LOG_SKIP,
        LOG_STACKED_HEIGHT - LOG_SKIP,
        STACKED_COLUMNS,
        LOG_FINAL_POLYNOMIAL,
        FOLDING_WORK,
        BATCHING_WORK,
        proximity,
        SECURITY_BITS as usize + KECCAK_GRINDING_DISCOUNT,
        logup,
        MAXIMAL_CONSTRAINT_DEGREE,
        QUERY_WORK,
        FOLDING,
    )
}

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
