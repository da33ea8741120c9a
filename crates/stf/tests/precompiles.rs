//! The precompiles have two implementations: the engine's are native (C and assembly), the guest's pure Rust. These tests
//! run with both: `cargo test` of the workspace builds the native ones, as the engine wants them, and `scripts/check-guest`
//! those of this crate alone, which are the guest's. Both must give the same vectors and the same digest.

mod common;

use common::*;
use std::sync::atomic::AtomicBool;
use stf::alloy_consensus::crypto::secp256k1::sign_message;
use stf::alloy_primitives::{b256, hex, keccak256, Address, Bytes, TxKind, B256, U256};
use stf::*;

const VECTORS: &str = include_str!("precompiles.txt");

const ECRECOVER: u64 = 0x01;
const BN_ADD: u64 = 0x06;
const BN_MUL: u64 = 0x07;
const BN_PAIRING: u64 = 0x08;
const G1_ADD: u64 = 0x0b;
const G1_MSM: u64 = 0x0c;
const G2_ADD: u64 = 0x0d;
const G2_MSM: u64 = 0x0e;
const PAIRING: u64 = 0x0f;
const MAP_TO_G1: u64 = 0x10;
const MAP_TO_G2: u64 = 0x11;

struct Vector {
    address: u64,
    input: Vec<u8>,
    /// None if the call fails.
    output: Option<Bytes>,
}

fn vectors() -> Vec<Vector> {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [address, input, output] = fields[..] else { panic!("{line}") };
            Vector {
                address: u64::from_str_radix(address, 16).unwrap(),
                input: hex::decode(input).unwrap(),
                output: (output != "-").then(|| hex::decode(output).unwrap().into()),
            }
        })
        .collect()
}

/// Calls precompiles and takes down what they answer.
struct Caller {
    chain: Chain,
    transcript: Vec<u8>,
}

impl Caller {
    fn new() -> Self {
        Self { chain: Chain::new(B256::ZERO), transcript: Vec::new() }
    }

    fn call(&mut self, address: u64, input: &[u8]) -> Option<Bytes> {
        let mut target = Address::ZERO;
        target.0[12..].copy_from_slice(&address.to_be_bytes());
        let request = CallRequest {
            from: Address::repeat_byte(9),
            to: TxKind::Call(target),
            gas_limit: 100_000_000,
            data: input.to_vec().into(),
            ..Default::default()
        };
        let environment = BlockEnvironment::after(self.chain.head(), CHAIN_ID, 2_000);
        let outcome =
            call(self.chain.state(), &environment, &request, &NoBlockHashes, &AtomicBool::new(false)).unwrap();
        let is_success = outcome.status == CallStatus::Success;
        self.transcript.extend_from_slice(keccak256(input).as_slice());
        self.transcript.push(is_success.into());
        self.transcript.extend_from_slice(&outcome.gas_used.to_be_bytes());
        self.transcript.extend_from_slice(keccak256(&outcome.output).as_slice());
        is_success.then_some(outcome.output)
    }
}

/// Numbers that are the same in every run: keccak256 of a counter.
struct Numbers(u64);

impl Numbers {
    fn word(&mut self) -> B256 {
        self.0 += 1;
        keccak256(self.0.to_be_bytes())
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from_be_bytes(self.word()[..8].try_into().unwrap()) % bound
    }
}

#[test]
fn precompiles_answer_as_their_vectors_say() {
    let mut caller = Caller::new();
    let vectors = vectors();
    assert_eq!(vectors.len(), 220);
    for (line, vector) in vectors.iter().enumerate() {
        let answer = caller.call(vector.address, &vector.input);
        assert_eq!(answer, vector.output, "vector {line} of {:#x}: {}", vector.address, hex::encode(&vector.input));
    }
}

#[test]
fn native_and_pure_precompiles_agree() {
    let mut caller = Caller::new();
    let mut numbers = Numbers(0);
    mutated_vectors(&mut caller, &mut numbers);
    signatures(&mut caller, &mut numbers);
    points_of_bn254(&mut caller, &mut numbers);
    points_of_bls12_381(&mut caller, &mut numbers);
    let expected = b256!("0xd923e150a3460c9fc8f2116500cbeee2dff19481efb07727e86f3fdffded06f1");
    assert_eq!(keccak256(&caller.transcript), expected);
}

/// Words that arithmetic has corners at: 0, 1, all ones; orders and moduli of secp256k1, P-256, BN254 and BLS12-381.
const CORNERS: [B256; 11] = [
    B256::ZERO,
    b256!("0x0000000000000000000000000000000000000000000000000000000000000001"),
    B256::repeat_byte(0xff),
    b256!("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
    b256!("0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f"),
    b256!("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    b256!("0xffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
    b256!("0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001"),
    b256!("0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47"),
    b256!("0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001"),
    b256!("0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"),
];

fn mutated_vectors(caller: &mut Caller, numbers: &mut Numbers) {
    for vector in vectors() {
        for round in 0..6 {
            let mut input = vector.input.clone();
            if input.len() < 32 {
                continue;
            }
            match round {
                0 | 1 => {
                    let at = numbers.below(input.len());
                    input[at] ^= 1 << numbers.below(8);
                }
                2 | 3 => {
                    let at = 32 * numbers.below(input.len() / 32);
                    input[at..at + 32].copy_from_slice(CORNERS[numbers.below(CORNERS.len())].as_slice());
                }
                4 => input.truncate(numbers.below(vector.input.len())),
                _ => {
                    // Another word of the same input.
                    let [from, to] = [0, 1].map(|_| 32 * numbers.below(vector.input.len() / 32));
                    input.copy_within(from..from + 32, to);
                }
            }
            caller.call(vector.address, &input);
        }
    }
}

fn signatures(caller: &mut Caller, numbers: &mut Numbers) {
    for index in 0..64 {
        let digest = numbers.word();
        let signature = sign_message(secret(index % 4), digest).unwrap();
        let mut words = [digest.into(), U256::from(27 + u64::from(signature.v())), signature.r(), signature.s()];
        let input = |words: &[U256]| words.iter().flat_map(|word| word.to_be_bytes::<32>()).collect::<Vec<u8>>();
        let recovered = caller.call(ECRECOVER, &input(&words)).unwrap();
        assert_eq!(recovered[12..], address(index % 4)[..]);
        // Of another message, with another parity, with numbers that nobody signed.
        words[0] = numbers.word().into();
        caller.call(ECRECOVER, &input(&words));
        words[1] = U256::from(27 + u64::from(!signature.v()));
        caller.call(ECRECOVER, &input(&words));
        words[2] = numbers.word().into();
        words[3] = numbers.word().into();
        caller.call(ECRECOVER, &input(&words));
    }
}

fn points_of_bn254(caller: &mut Caller, numbers: &mut Numbers) {
    let generator = [[0; 31].as_slice(), &[1], &[0; 31], &[2]].concat();
    let mut last = generator.clone();
    for _ in 0..24 {
        let scaled = caller.call(BN_MUL, &[&generator[..], numbers.word().as_slice()].concat()).unwrap();
        let sum = caller.call(BN_ADD, &[&last[..], &scaled].concat()).unwrap();
        let product = caller.call(BN_MUL, &[&sum[..], numbers.word().as_slice()].concat()).unwrap();
        last = product.to_vec();
    }
    // With the points of G2 that the vectors have.
    for vector in vectors().into_iter().filter(|vector| vector.address == BN_PAIRING && vector.input.len() == 384) {
        let [first, second] = [64, 256].map(|at| &vector.input[at..at + 128]);
        caller.call(BN_PAIRING, &[&last, first, &generator, second].concat());
    }
}

fn points_of_bls12_381(caller: &mut Caller, numbers: &mut Numbers) {
    // A field element in 64 bytes: 31 bytes of it suffice, and are below the modulus.
    let mut element = || [&[0; 33], &numbers.word()[1..]].concat();
    let elements: Vec<Vec<u8>> = (0..36).map(|_| element()).collect();
    let g1: Vec<Bytes> = elements[..12].iter().map(|input| caller.call(MAP_TO_G1, input).unwrap()).collect();
    let g2: Vec<Bytes> = elements[12..].chunks(2).map(|pair| caller.call(MAP_TO_G2, &pair.concat()).unwrap()).collect();
    for index in 0..12 {
        let other = (index + 1) % 12;
        caller.call(G1_ADD, &[&g1[index][..], &g1[other]].concat()).unwrap();
        caller.call(G2_ADD, &[&g2[index][..], &g2[other]].concat()).unwrap();
        let scalars = [numbers.word(), CORNERS[index % CORNERS.len()]];
        for count in [1, 2] {
            let terms = |points: &[Bytes]| -> Vec<u8> {
                let terms =
                    (0..count).flat_map(|term| [&points[(index + term) % 12][..], scalars[term].as_slice()].concat());
                terms.collect()
            };
            caller.call(G1_MSM, &terms(&g1)).unwrap();
            caller.call(G2_MSM, &terms(&g2)).unwrap();
        }
        // e(aP, Q) e(-P, aQ) = 1, and with another point it isn't.
        let scalar = numbers.word();
        let scaled_g1 = caller.call(G1_MSM, &[&g1[index][..], scalar.as_slice()].concat()).unwrap();
        let scaled_g2 = caller.call(G2_MSM, &[&g2[index][..], scalar.as_slice()].concat()).unwrap();
        // Minus one: the order of the group, less one.
        let minus_one = B256::from(U256::from_be_bytes(CORNERS[9].0) - U256::from(1));
        let negative = caller.call(G1_MSM, &[&g1[index][..], minus_one.as_slice()].concat()).unwrap();
        let balanced = [&scaled_g1[..], &g2[index], &negative, &scaled_g2].concat();
        assert_eq!(caller.call(PAIRING, &balanced).unwrap()[31], 1);
        let unbalanced = [&scaled_g1[..], &g2[other], &negative, &scaled_g2].concat();
        assert_eq!(caller.call(PAIRING, &unbalanced).unwrap()[31], 0);
    }
}
