//! What the contract is given agrees with what this crate makes: generated code, and the proof that its tests verify.

use exclave_prover::circuits::Circuits;
use exclave_prover::encoding::{decode, encode, EncodingError};
use exclave_prover::fixtures::{of_circuits, of_proof, GENERATED_CONTRACTS};
use exclave_prover::keccak::{KeccakConfig, KeccakEngine, KeccakTranscript, Val};
use exclave_prover::machine::{program, VerifyingKey};
use exclave_prover::recursion::last_parameters;
use exclave_prover::verifier::verifying_key;
use openvm_stark_backend::verifier::verify;
use openvm_stark_backend::StarkEngine;
use p3_field::PrimeField32;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn key() -> &'static VerifyingKey {
    verifying_key()
}

fn fixture() -> Vec<u8> {
    fs::read(root().join("contracts/test/fixtures/proof/proof.bin")).expect("a fixture")
}

/// The native verdict on an encoded proof: the contract's has to be the same.
fn accepts(bytes: &[u8]) -> bool {
    let Ok(proof) = decode(key(), bytes) else { return false };
    let config = KeccakConfig::new(last_parameters());
    verify(&config, key(), &proof, &mut KeccakTranscript::default()).is_ok()
}

#[test]
fn what_is_committed_is_what_the_circuits_give() {
    let circuits = Circuits::new(1 << 30).expect("the circuits");
    let files = of_circuits(&circuits).unwrap();
    for (path, content) in &files {
        assert!(&fs::read(root().join(path)).unwrap() == content, "{path} is stale");
    }
    let generated = files.iter().filter(|(path, _)| path.starts_with(GENERATED_CONTRACTS)).count();
    assert_eq!(fs::read_dir(root().join(GENERATED_CONTRACTS)).unwrap().count(), generated, "a file is left over");

    let guest = fs::read(root().join("crates/guest/elf/exclave-guest.elf")).unwrap();
    let (_, identity) = circuits.commit(&program(&guest).unwrap());
    let id: String = identity.program_id().iter().map(|byte| format!("{byte:02x}")).collect();
    for path in ["contracts/test/ZkVerifier.t.sol", "src/exclave/prover/program.py"] {
        assert!(fs::read_to_string(root().join(path)).unwrap().contains(&id), "{path} doesn't have program id {id}");
    }
}

#[test]
fn fixture_is_what_its_proof_gives() {
    for (path, content) in of_proof(&fixture()).unwrap() {
        assert!(fs::read(root().join(&path)).unwrap() == content, "{path} is stale");
    }
}

#[test]
fn fixture_is_accepted_and_encodes_to_itself() {
    let bytes = fixture();
    assert!(accepts(&bytes));
    let proof = decode(key(), &bytes).unwrap();
    let encoded = encode(key(), &proof).unwrap();
    assert_eq!(encoded.bytes, bytes);
    assert_eq!(encoded.parts.last(), Some(&bytes.len()));
    assert_eq!(decode(key(), &encoded.bytes).unwrap(), proof);
    KeccakEngine::new(last_parameters()).verify(key(), &proof).unwrap();
}

#[test]
fn elements_above_the_prime_are_refused_by_name() {
    let bytes = fixture();
    // The last four bytes before the first round are the witness of work.
    let place = encode(key(), &decode(key(), &bytes).unwrap()).unwrap().parts[0] - 4;
    let mut mutated = bytes.clone();
    let value = u32::from_be_bytes(mutated[place..place + 4].try_into().unwrap());
    let above = value.checked_add(Val::ORDER_U32).unwrap_or(Val::ORDER_U32);
    mutated[place..place + 4].copy_from_slice(&above.to_be_bytes());
    let refused = decode(key(), &mutated).unwrap_err();
    assert_eq!(refused, EncodingError::NotCanonical { offset: place, value: above });
}

#[test]
fn other_lengths_are_refused_by_name() {
    let bytes = fixture();
    for length in (0..bytes.len()).step_by(4099).chain([bytes.len() - 1]) {
        let refused = decode(key(), &bytes[..length]).unwrap_err();
        assert_eq!(refused, EncodingError::Truncated { length });
    }
    for left in [1, 4, 32] {
        let longer = [bytes.clone(), vec![0; left]].concat();
        assert_eq!(decode(key(), &longer).unwrap_err(), EncodingError::Trailing { left });
    }
}

#[test]
fn answers_that_contradict_each_other_have_no_encoding() {
    let proof = decode(key(), &fixture()).unwrap();
    let mut other = proof.clone();
    // A path's last sibling, a child of the root, is in other queries' paths as well, or known from their leaves.
    let path = &mut other.whir_proof.initial_round_merkle_proofs[0][0];
    path.last_mut().unwrap()[0] ^= 1;
    assert!(matches!(encode(key(), &other), Err(EncodingError::Inconsistent { round: 0, .. })));
}
