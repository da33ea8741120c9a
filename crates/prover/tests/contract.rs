//! What the contract is given agrees with what this crate makes: generated code, and the proof that its tests verify.

use exclave_prover::circuits::Circuits;
use exclave_prover::encoding::{decode, encode, EncodingError};
use exclave_prover::evaluation::evaluations;
use exclave_prover::keccak::{KeccakConfig, KeccakEngine, KeccakTranscript, Val};
use exclave_prover::machine::VerifyingKey;
use exclave_prover::recursion::last_parameters;
use exclave_prover::solidity::generate;
use exclave_prover::trace::trace;
use exclave_prover::verifier::{key_file, verifying_key};
use openvm_stark_backend::verifier::verify;
use openvm_stark_backend::StarkEngine;
use p3_field::PrimeField32;
use std::fs;
use std::path::{Path, PathBuf};

fn contracts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts")
}

fn key() -> &'static VerifyingKey {
    verifying_key()
}

fn fixture() -> Vec<u8> {
    fs::read(contracts().join("test/fixtures/proof/proof.bin")).expect("a fixture")
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
    assert!(key_file(&circuits).unwrap() == include_bytes!("../verifying-key.bin"), "verifying-key.bin is stale");
    let folder = contracts().join("src/verifier/generated");
    let files = generate(key()).unwrap();
    for (name, content) in &files {
        assert_eq!(&fs::read_to_string(folder.join(name)).unwrap(), content, "{name} is stale");
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), files.len(), "a file is left over");
    let committed = fs::read_to_string(contracts().join("test/fixtures/evaluations.json")).unwrap();
    assert_eq!(evaluations(key()), committed, "evaluations.json is stale");
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
fn trace_of_the_fixture_is_the_committed_one() {
    let proof = decode(key(), &fixture()).unwrap();
    let committed = fs::read_to_string(contracts().join("test/fixtures/proof/trace.json")).unwrap();
    let states = trace(key(), &proof).unwrap();
    assert!(states.len() > 4);
    for (phase, state) in states {
        let hex: String = state.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(committed.contains(&format!("\"{phase}\": \"0x{hex}\"")), "{phase}");
    }
}

/// The same mutations as `contracts/test/ProofVerifier.t.sol` makes: each changes one word to another canonical element.
#[test]
fn no_word_of_the_fixture_can_be_another() {
    let bytes = fixture();
    let step = std::env::var("EXCLAVE_PROOF_MUTATION_STEP").map_or(211, |step| step.parse().expect("a number"));
    for place in (0..bytes.len() / 4).step_by(step).map(|word| 4 * word) {
        let mut mutated = bytes.clone();
        let value = u32::from_be_bytes(mutated[place..place + 4].try_into().unwrap());
        let other = if value.wrapping_add(1) < Val::ORDER_U32 { value + 1 } else { value - 1 };
        mutated[place..place + 4].copy_from_slice(&other.to_be_bytes());
        assert!(!accepts(&mutated), "changed at {place}");
    }
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
