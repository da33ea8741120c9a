//! The native verifier and the contract on every mutation of a proof: they refuse each, and neither panics.
//!
//! `EXCLAVE_PROOF_MUTATIONS` says how many (2,000). Every so many words one is changed, all of them if there are enough
//! mutations; the rest are of all kinds, at random from a fixed seed.

use exclave_prover::keccak::Val;
use exclave_prover::verifier::verify_encoded;
use p3_field::PrimeField32;
use rayon::prelude::*;
use revm::context::result::{ExecutionResult, Output};
use revm::context::{Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::{address, keccak256, Address, Bytes, TxKind};
use revm::{ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext, MainnetEvm};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

const SENDER: Address = address!("00000000000000000000000000000000000000aa");
const WORD: usize = 4;
/// Of the contracts with generated constraints.
const EVALUATORS: usize = 15;

type Evm = MainnetEvm<Context<revm::context::BlockEnv, TxEnv, revm::context::CfgEnv, CacheDB<EmptyDB>>>;

/// The verifier contracts in an EVM of their own.
#[derive(Clone)]
struct Contract {
    database: CacheDB<EmptyDB>,
    verifier: Address,
}

impl Contract {
    /// Deploys what is committed.
    fn deploy() -> Self {
        let mut evm = evm(CacheDB::default());
        let words =
            |addresses: &[Address]| addresses.iter().flat_map(|address| address.into_word()).collect::<Vec<u8>>();
        let evaluators: Vec<Address> =
            (0..EVALUATORS).map(|index| create(&mut evm, &format!("ConstraintEvaluator{index}"), &[])).collect();
        let list = [number(32), number(EVALUATORS), words(&evaluators)].concat();
        let constraints = create(&mut evm, "ConstraintVerifier", &list);
        let openings = create(&mut evm, "OpeningVerifier", &[]);
        let verifier = create(&mut evm, "ProofVerifier", &words(&[constraints, openings]));
        Self { database: evm.ctx.journaled_state.database.clone(), verifier }
    }

    fn evm(&self) -> Evm {
        evm(self.database.clone())
    }

    /// Whether `verify(bytes)` accepts. It must refuse by an error of its own, not for want of gas nor by a panic.
    fn accepts(&self, evm: &mut Evm, proof: &[u8]) -> bool {
        let padding = vec![0; proof.len().next_multiple_of(32) - proof.len()];
        let selector = &keccak256("verify(bytes)")[..4];
        let data = [selector, &number(32), &number(proof.len()), proof, &padding].concat();
        let result = evm.transact(transaction(TxKind::Call(self.verifier), data)).expect("a transaction").result;
        match result {
            ExecutionResult::Success { .. } => true,
            ExecutionResult::Revert { output, .. } => {
                let panic = &keccak256("Panic(uint256)")[..4];
                assert!(output.len() >= 4 && &output[..4] != panic, "refused without a reason: {output}");
                false
            }
            ExecutionResult::Halt { reason, .. } => panic!("halted: {reason:?}"),
        }
    }
}

fn evm(database: CacheDB<EmptyDB>) -> Evm {
    let context = Context::mainnet().with_db(database).modify_cfg_chained(|configuration| {
        configuration.tx_gas_limit_cap = Some(u64::MAX);
        configuration.disable_nonce_check = true;
    });
    context.modify_block_chained(|block| block.gas_limit = u64::MAX).build_mainnet()
}

fn transaction(kind: TxKind, data: Vec<u8>) -> TxEnv {
    TxEnv { caller: SENDER, kind, data: data.into(), gas_limit: 100_000_000, ..TxEnv::default() }
}

fn create(evm: &mut Evm, name: &str, arguments: &[u8]) -> Address {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../src/exclave/contracts/{name}.json"));
    let artifact: serde_json::Value = serde_json::from_slice(&fs::read(file).expect("an artifact")).expect("JSON");
    let code: Bytes = artifact["bytecode"].as_str().and_then(|code| code.parse().ok()).expect("bytecode");
    let nonce = evm.ctx.journaled_state.database.cache.accounts.get(&SENDER).map_or(0, |account| account.info.nonce);
    let creation = TxEnv { nonce, ..transaction(TxKind::Create, [&code, arguments].concat()) };
    match evm.transact_commit(creation).expect("a transaction") {
        ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => address,
        other => panic!("{name}: {other:?}"),
    }
}

fn number(value: usize) -> Vec<u8> {
    [&[0; 24][..], &(value as u64).to_be_bytes()].concat()
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same mutations in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn word(bytes: &[u8], place: usize) -> u32 {
    u32::from_be_bytes(bytes[place..place + WORD].try_into().expect("four bytes"))
}

fn set_word(bytes: &mut [u8], place: usize, value: u32) {
    bytes[place..place + WORD].copy_from_slice(&value.to_be_bytes());
}

/// Another canonical element in place of a word.
fn change_word(bytes: &mut [u8], place: usize) {
    let value = word(bytes, place);
    set_word(bytes, place, if value.wrapping_add(1) < Val::ORDER_U32 { value + 1 } else { value.wrapping_sub(1) });
}

const KINDS: usize = 11;

/// A mutation of some kind at a random place.
fn mutate(proof: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = proof.to_vec();
    let words = bytes.len() / WORD;
    let place = WORD * random.below(words);
    let other = WORD * random.below(words);
    match random.below(KINDS) {
        0 => set_word(&mut bytes, place, random.next() as u32 % Val::ORDER_U32),
        1 => bytes[place + random.below(WORD)] ^= 1 << random.below(8),
        // The same element in another encoding, or none.
        2 => {
            let value = word(&bytes, place).wrapping_add(Val::ORDER_U32);
            set_word(&mut bytes, place, value);
        }
        3 => bytes.truncate(random.below(proof.len())),
        4 => bytes.extend((0..=random.below(64)).map(|index| (index * 37) as u8)),
        5 => drop(bytes.drain(place..place + WORD)),
        6 => drop(bytes.splice(place..place, [0; WORD])),
        7 => {
            let (one, two) = (word(&bytes, place), word(&bytes, other));
            set_word(&mut bytes, place, two);
            set_word(&mut bytes, other, one);
        }
        8 => {
            let end = (place + 32).min(bytes.len());
            bytes[place..end].iter_mut().for_each(|byte| *byte = random.next() as u8);
        }
        9 => set_word(&mut bytes, place, [0, Val::ORDER_U32 - 1, Val::ORDER_U32, u32::MAX][random.below(4)]),
        // A stretch of the proof in place of another.
        _ => {
            let length = (WORD * (1 + random.below(64))).min(bytes.len() - place.max(other));
            bytes.copy_within(other..other + length, place);
        }
    }
    bytes
}

#[test]
fn native_verifier_and_contract_refuse_every_mutation() {
    let proof = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/test/fixtures/proof/proof.bin"))
        .expect("the fixture");
    let count = std::env::var("EXCLAVE_PROOF_MUTATIONS").map_or(2_000, |count| count.parse().expect("a number"));
    let contract = Contract::deploy();
    assert!(contract.accepts(&mut contract.evm(), &proof), "the contract refuses the fixture");
    assert!(verify_encoded(&proof).is_ok(), "the native verifier refuses the fixture");

    let words = proof.len() / WORD;
    let systematic = (count / 2).min(words);
    let (tried, panics) = (AtomicUsize::new(0), AtomicUsize::new(0));
    (0..count).into_par_iter().for_each_init(
        || contract.evm(),
        |evm, index| {
            let mut mutated = proof.clone();
            if index < systematic {
                change_word(&mut mutated, WORD * (index * words / systematic));
            }
            let mut random = Random(index as u64);
            while mutated == proof {
                mutated = mutate(&proof, &mut random);
            }
            let native = std::panic::catch_unwind(|| verify_encoded(&mutated).is_ok()).unwrap_or_else(|_| {
                panics.fetch_add(1, Ordering::Relaxed);
                false
            });
            assert!(!native, "mutation {index}: the native verifier accepts");
            assert!(!contract.accepts(evm, &mutated), "mutation {index}: the contract accepts");
            tried.fetch_add(1, Ordering::Relaxed);
        },
    );
    let (tried, panics) = (tried.into_inner(), panics.into_inner());
    println!("{{\"tried\": {tried}, \"accepted\": 0, \"native_panics\": {panics}}}");
    assert_eq!(panics, 0, "the native verifier panics");
    assert_eq!(tried, count);
}
