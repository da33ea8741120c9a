//! The Keccak-256 configuration of the SWIRL proof system over BabyBear and its quartic extension.
//!
//! What is hashed, and how, is documented in `docs/proof-verifier.md` and verified by `contracts/src/verifier`.

mod config;
mod device;
mod engine;
mod grinding;
mod lanes;
mod merkle;
mod transcript;

pub use config::KeccakConfig;
pub use device::KeccakDevice;
pub use engine::KeccakEngine;
pub use merkle::KeccakMerkleHasher;
pub(crate) use transcript::sample_from;
pub use transcript::{KeccakTranscript, TRANSCRIPT_DOMAIN};

use p3_baby_bear::BabyBear;
use p3_field::extension::BinomialExtensionField;
use p3_field::PrimeField32;

/// The base field: integers modulo 2^31 - 2^27 + 1.
pub type Val = BabyBear;
/// The challenge field: polynomials in X over [`Val`] modulo X^4 - 11.
pub type Challenge = BinomialExtensionField<BabyBear, 4>;
/// A Keccak-256 hash.
pub type Digest = [u8; 32];

/// A field element as hashed and encoded everywhere: its canonical representative in four bytes, big-endian.
pub fn element_bytes(value: Val) -> [u8; 4] {
    value.as_canonical_u32().to_be_bytes()
}
