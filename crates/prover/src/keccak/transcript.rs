//! The Fiat-Shamir transcript: a chain of Keccak-256 hashes.

use super::{element_bytes, grinding, Challenge, Digest, KeccakConfig, Val};
use openvm_stark_backend::FiatShamirTranscript;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use sha3::{Digest as _, Keccak256};

/// What the first state is the hash of. The verifying key's hash, which covers parameters and circuits, and the
/// program's commitment are the first things observed.
pub const TRANSCRIPT_DOMAIN: &[u8] = b"Exclave SWIRL BabyBear4 Keccak-256 v1";

/// Base field elements drawn from one hash: each from eight bytes, so that its bias is below 2^-33.
const SAMPLES_PER_HASH: usize = 4;

/// A state, and what was observed since. A sample is drawn from `state = keccak256(state || observed)`.
///
/// - One hash gives up to four base field elements; an extension element always takes a hash of its own.
/// - Whatever is observed discards the elements that weren't drawn.
/// - A proof of work's witness is observed like any element; the hash that follows has to begin with zero bits.
#[derive(Clone, Debug)]
pub struct KeccakTranscript {
    state: Digest,
    observed: Vec<u8>,
    /// Elements left of the current state, the next one last.
    available: Vec<Val>,
}

impl Default for KeccakTranscript {
    fn default() -> Self {
        Self { state: Keccak256::digest(TRANSCRIPT_DOMAIN).into(), observed: Vec::new(), available: Vec::new() }
    }
}

impl KeccakTranscript {
    /// The state, for traces that are compared with the contract's.
    pub fn state(&self) -> &Digest {
        &self.state
    }

    fn absorb(&mut self, bytes: &[u8]) {
        self.available.clear();
        self.observed.extend_from_slice(bytes);
    }

    fn advance(&mut self) {
        let mut hasher = Keccak256::new();
        hasher.update(self.state);
        hasher.update(&self.observed);
        self.state = hasher.finalize().into();
        self.observed.clear();
    }

    fn squeeze(&mut self) {
        self.advance();
        self.available = self.state.chunks_exact(8).rev().map(sample_from).collect();
        debug_assert_eq!(self.available.len(), SAMPLES_PER_HASH);
    }
}

/// A base field element from eight bytes, big-endian.
pub(crate) fn sample_from(bytes: &[u8]) -> Val {
    Val::from_u64(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

impl FiatShamirTranscript<KeccakConfig> for KeccakTranscript {
    fn observe(&mut self, value: Val) {
        self.absorb(&element_bytes(value));
    }

    fn observe_commit(&mut self, digest: Digest) {
        self.absorb(&digest);
    }

    fn sample(&mut self) -> Val {
        if self.available.is_empty() {
            self.squeeze();
        }
        self.available.pop().expect("a squeeze makes elements available")
    }

    fn sample_ext(&mut self) -> Challenge {
        self.squeeze();
        let state = self.state;
        self.available.clear();
        Challenge::from_basis_coefficients_fn(|index| sample_from(&state[8 * index..8 * index + 8]))
    }

    fn check_witness(&mut self, bits: usize, witness: Val) -> bool {
        if bits == 0 {
            return true;
        }
        self.absorb(&element_bytes(witness));
        self.advance();
        grinding::begins_with_zeros(&self.state, bits)
    }

    fn grind(&mut self, bits: usize) -> Val {
        assert!(bits < 31, "no element of the field would do");
        if bits == 0 {
            return Val::ZERO;
        }
        let prefix = [&self.state[..], &self.observed].concat();
        let found = grinding::find(&prefix, bits, Val::ORDER_U32).expect("one element in 2^bits does");
        let witness = Val::from_u32(found);
        assert!(self.check_witness(bits, witness));
        witness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Config = KeccakConfig;

    fn sampled(observe: impl Fn(&mut KeccakTranscript)) -> Challenge {
        let mut transcript = KeccakTranscript::default();
        observe(&mut transcript);
        FiatShamirTranscript::<Config>::sample_ext(&mut transcript)
    }

    #[test]
    fn challenge_depends_on_all_observed() {
        let honest = sampled(|transcript| {
            transcript.observe(Val::ONE);
            transcript.observe_commit([3; 32]);
        });
        for other in [
            sampled(|transcript| transcript.observe(Val::ONE)),
            sampled(|transcript| transcript.observe_commit([3; 32])),
            sampled(|transcript| {
                transcript.observe_commit([3; 32]);
                transcript.observe(Val::ONE);
            }),
            sampled(|transcript| {
                transcript.observe(Val::TWO);
                transcript.observe_commit([3; 32]);
            }),
        ] {
            assert_ne!(honest, other);
        }
    }

    #[test]
    fn observing_discards_what_was_not_drawn() {
        let mut transcript = KeccakTranscript::default();
        let first: Val = transcript.sample();
        let mut observing = transcript.clone();
        observing.observe(Val::ZERO);
        assert_ne!(observing.sample(), transcript.sample());
        assert_ne!(first, transcript.sample());
    }

    #[test]
    fn ground_witness_is_accepted_and_others_are_refused() {
        let mut prover = KeccakTranscript::default();
        prover.observe(Val::from_u32(5));
        let before = prover.clone();
        let witness = prover.grind(10);
        let mut verifier = before.clone();
        assert!(verifier.check_witness(10, witness));
        assert_eq!(verifier.sample_ext(), prover.sample_ext());
        let accepted = (0..1000).filter(|other| before.clone().check_witness(10, Val::from_u32(*other))).count();
        assert!(accepted < 20, "{accepted} of 1000 witnesses pass for ten bits of work");
    }
}
