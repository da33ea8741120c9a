//! A Keccak-256 configuration of the back end for tests and measurements: scalar hashing, no vector instructions.

use std::io::{self, Read, Write};

use openvm_cpu_backend::{CpuBackend, CpuDevice};
use openvm_stark_backend::codec::{
    decode_extension_field32, decode_prime_field32, encode_extension_field32, encode_prime_field32, DecodableConfig,
    EncodableConfig,
};
use openvm_stark_backend::hasher::MerkleHasher;
use openvm_stark_backend::prover::Coordinator;
use openvm_stark_backend::{FiatShamirTranscript, StarkEngine, StarkProtocolConfig, SystemParams};
use openvm_stark_sdk::config::baby_bear_poseidon2::{EF, F};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use rayon::prelude::*;
use sha3::{Digest as _, Keccak256};

/// A Keccak-256 digest.
pub type Digest = [u8; 32];

/// First byte of what a leaf's digest is taken of.
const LEAF: u8 = 0;
/// First byte of what a node's digest is taken of.
const NODE: u8 = 1;

/// Hashes rows and nodes of Merkle trees, told apart by their first byte.
#[derive(Clone, Debug)]
pub struct KeccakMerkle;

impl MerkleHasher for KeccakMerkle {
    type F = F;
    type Digest = Digest;

    fn hash_slice(&self, values: &[F]) -> Digest {
        let mut bytes = Vec::with_capacity(1 + 4 * values.len());
        bytes.push(LEAF);
        bytes.extend(values.iter().flat_map(|value| value.as_canonical_u32().to_be_bytes()));
        Keccak256::digest(&bytes).into()
    }

    fn compress(&self, left: Digest, right: Digest) -> Digest {
        let mut hasher = Keccak256::new();
        hasher.update([NODE]);
        hasher.update(left);
        hasher.update(right);
        hasher.finalize().into()
    }
}

/// The configuration.
#[derive(Clone, Debug)]
pub struct KeccakConfig {
    params: SystemParams,
    hasher: KeccakMerkle,
}

impl StarkProtocolConfig for KeccakConfig {
    type F = F;
    type EF = EF;
    type Digest = Digest;
    type Hasher = KeccakMerkle;

    fn params(&self) -> &SystemParams {
        &self.params
    }

    fn hasher(&self) -> &KeccakMerkle {
        &self.hasher
    }
}

impl EncodableConfig for KeccakConfig {
    fn encode_base_field<W: Write>(value: &F, writer: &mut W) -> io::Result<()> {
        encode_prime_field32(value, writer)
    }

    fn encode_extension_field<W: Write>(value: &EF, writer: &mut W) -> io::Result<()> {
        encode_extension_field32::<F, _, _>(value, writer)
    }

    fn encode_digest<W: Write>(digest: &Digest, writer: &mut W) -> io::Result<()> {
        writer.write_all(digest)
    }
}

impl DecodableConfig for KeccakConfig {
    fn decode_base_field<R: Read>(reader: &mut R) -> io::Result<F> {
        decode_prime_field32(reader)
    }

    fn decode_extension_field<R: Read>(reader: &mut R) -> io::Result<EF> {
        decode_extension_field32::<F, _, _>(reader)
    }

    fn decode_digest<R: Read>(reader: &mut R) -> io::Result<Digest> {
        let mut digest = [0; 32];
        reader.read_exact(&mut digest)?;
        Ok(digest)
    }
}

/// A hash chain: the next state is the digest of the state and of what was observed since.
#[derive(Clone, Debug, Default)]
pub struct KeccakTranscript {
    state: Digest,
    pending: Vec<u8>,
    unread: Vec<F>,
}

impl KeccakTranscript {
    fn squeeze(&mut self) {
        let mut hasher = Keccak256::new();
        hasher.update(self.state);
        hasher.update(&self.pending);
        self.pending.clear();
        self.state = hasher.finalize().into();
        self.unread = self
            .state
            .chunks_exact(8)
            .rev()
            .map(|word| F::from_u64(word.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))))
            .collect();
    }

    fn settle(&mut self) {
        if !self.pending.is_empty() {
            self.squeeze();
        }
        self.unread.clear();
    }

    fn work(state: &Digest, witness: F) -> Digest {
        let mut hasher = Keccak256::new();
        hasher.update(state);
        hasher.update(witness.as_canonical_u32().to_be_bytes());
        hasher.finalize().into()
    }

    fn enough(digest: &Digest, bits: usize) -> bool {
        digest.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).take(bits).all(|bit| bit == 0)
    }
}

impl FiatShamirTranscript<KeccakConfig> for KeccakTranscript {
    fn observe(&mut self, value: F) {
        self.unread.clear();
        self.pending.extend_from_slice(&value.as_canonical_u32().to_be_bytes());
    }

    fn sample(&mut self) -> F {
        loop {
            if let Some(value) = self.unread.pop() {
                return value;
            }
            self.squeeze();
        }
    }

    fn observe_commit(&mut self, digest: Digest) {
        self.unread.clear();
        self.pending.extend_from_slice(&digest);
    }

    fn sample_ext(&mut self) -> EF {
        self.unread.clear();
        EF::from_basis_coefficients_fn(|_| FiatShamirTranscript::<KeccakConfig>::sample(self))
    }

    fn check_witness(&mut self, bits: usize, witness: F) -> bool {
        if bits == 0 {
            return true;
        }
        self.settle();
        self.state = Self::work(&self.state, witness);
        Self::enough(&self.state, bits)
    }

    fn grind(&mut self, bits: usize) -> F {
        if bits == 0 {
            return F::ZERO;
        }
        self.settle();
        let state = self.state;
        let witness = (0..F::ORDER_U32)
            .into_par_iter()
            .map(F::from_u32)
            .find_any(|witness| Self::enough(&Self::work(&state, *witness), bits))
            .expect("one of two billion witnesses");
        assert!(FiatShamirTranscript::<KeccakConfig>::check_witness(self, bits, witness));
        witness
    }
}

/// Engine of the configuration on the library's CPU back end.
pub struct KeccakEngine {
    device: CpuDevice<KeccakConfig>,
}

impl StarkEngine for KeccakEngine {
    type SC = KeccakConfig;
    type PB = CpuBackend<KeccakConfig>;
    type PD = CpuDevice<KeccakConfig>;
    type TS = KeccakTranscript;

    fn new(params: SystemParams) -> Self {
        Self { device: CpuDevice::new(KeccakConfig { params, hasher: KeccakMerkle }) }
    }

    fn config(&self) -> &KeccakConfig {
        self.device.config()
    }

    fn device(&self) -> &Self::PD {
        &self.device
    }

    fn initial_transcript(&self) -> KeccakTranscript {
        KeccakTranscript::default()
    }

    fn prover_from_transcript(
        &self,
        transcript: KeccakTranscript,
    ) -> Coordinator<Self::SC, Self::PB, Self::PD, Self::TS> {
        Coordinator::new(CpuBackend::new(), self.device.clone(), transcript)
    }
}
