//! Types and encoding of the configuration.

use super::{Challenge, Digest, KeccakMerkleHasher, Val};
use openvm_stark_backend::codec::{
    decode_extension_field32, decode_prime_field32, encode_extension_field32, encode_prime_field32, DecodableConfig,
    EncodableConfig,
};
use openvm_stark_backend::{StarkProtocolConfig, SystemParams};
use std::io::{self, Read, Write};

/// BabyBear, its quartic extension, and Keccak-256.
#[derive(Clone, Debug)]
pub struct KeccakConfig {
    parameters: SystemParams,
    hasher: KeccakMerkleHasher,
}

impl KeccakConfig {
    pub fn new(parameters: SystemParams) -> Self {
        Self { parameters, hasher: KeccakMerkleHasher }
    }
}

impl StarkProtocolConfig for KeccakConfig {
    type F = Val;
    type EF = Challenge;
    type Digest = Digest;
    type Hasher = KeccakMerkleHasher;

    fn params(&self) -> &SystemParams {
        &self.parameters
    }

    fn hasher(&self) -> &KeccakMerkleHasher {
        &self.hasher
    }
}

impl EncodableConfig for KeccakConfig {
    fn encode_base_field<W: Write>(value: &Val, writer: &mut W) -> io::Result<()> {
        encode_prime_field32(value, writer)
    }

    fn encode_extension_field<W: Write>(value: &Challenge, writer: &mut W) -> io::Result<()> {
        encode_extension_field32::<Val, _, _>(value, writer)
    }

    fn encode_digest<W: Write>(digest: &Digest, writer: &mut W) -> io::Result<()> {
        writer.write_all(digest)
    }
}

impl DecodableConfig for KeccakConfig {
    fn decode_base_field<R: Read>(reader: &mut R) -> io::Result<Val> {
        decode_prime_field32(reader)
    }

    fn decode_extension_field<R: Read>(reader: &mut R) -> io::Result<Challenge> {
        decode_extension_field32::<Val, _, _>(reader)
    }

    fn decode_digest<R: Read>(reader: &mut R) -> io::Result<Digest> {
        let mut digest = [0; 32];
        reader.read_exact(&mut digest)?;
        Ok(digest)
    }
}
