//! Proves a small program of several segments down to one Keccak proof, and tries to pass off others.

use std::sync::Arc;

use exclave_prover::keccak::{KeccakConfig, KeccakEngine};
use exclave_prover::machine::{machine, Instance};
use exclave_prover::prover::{execute_segments, prove_segments};
use exclave_prover::recursion::{
    last_parameters, layer_parameters, program_identity, verify, Identity, LastCircuit, LastLayer, Layers, Native,
    RecursionError,
};
use exclave_prover::security::{proven_security, SECURITY_BITS};
use openvm_circuit::arch::SystemConfig;
use openvm_circuit::system::memory::dimensions::MemoryDimensions;
use openvm_circuit::system::memory::merkle::public_values::UserPublicValuesProof;
use openvm_instructions::exe::VmExe;
use openvm_instructions::program::Program;
use openvm_rv32im_transpiler::{Rv32ITranspilerExtension, Rv32IoTranspilerExtension, Rv32MTranspilerExtension};
use openvm_stark_backend::keygen::types::MultiStarkVerifyingKey;
use openvm_stark_backend::proof::Proof;
use openvm_stark_backend::soundness::SoundnessCalculator;
use openvm_stark_backend::{StarkEngine, SystemParams, WhirProximityStrategy};
use openvm_stark_sdk::config::baby_bear_poseidon2::{Digest, DIGEST_SIZE, EF, F};
use openvm_stark_sdk::config::params_with_100_bits_security;
use openvm_transpiler::transpiler::Transpiler;
use p3_field::PrimeCharacteristicRing;

/// Adds the numbers from 4096 down to 1, reveals the sum in the first four public bytes, and ends.
const SUM: [u32; 8] = [
    0x0000_12b7, // lui   x5, 1
    0x0000_0313, // addi  x6, x0, 0
    0x0053_0333, // add   x6, x6, x5
    0xfff2_8293, // addi  x5, x5, -1
    0xfe02_9ce3, // bne   x5, x0, -8
    0x0000_0393, // addi  x7, x0, 0
    0x0003_238b, // reveal x6 at x7
    0x0000_000b, // terminate 0
];
/// The same, but ends with exit code 1.
const SUM_AND_FAIL: [u32; 8] = {
    let mut words = SUM;
    words[7] = 0x0010_000b;
    words
};
/// The same with 8192 numbers.
const SUM_TO_ANOTHER: [u32; 8] = {
    let mut words = SUM;
    words[0] = 0x0000_22b7;
    words
};
/// Segments that the sum is proven in.
const SEGMENTS: usize = 3;
/// The sum of the numbers from 1 to 4096.
const RESULT: u32 = 4096 * 4097 / 2;

/// An execution and its proofs, one for each segment.
struct Execution {
    vk: Arc<MultiStarkVerifyingKey<Native>>,
    segments: Vec<Proof<Native>>,
    user: UserPublicValuesProof<DIGEST_SIZE, F>,
    program: Digest,
    system: SystemConfig,
}

fn program(words: &[u32]) -> VmExe<F> {
    let transpiler = Transpiler::<F>::default()
        .with_extension(Rv32ITranspilerExtension)
        .with_extension(Rv32MTranspilerExtension)
        .with_extension(Rv32IoTranspilerExtension);
    let instructions = transpiler.transpile(words).expect("instructions of the machine");
    VmExe::new(Program::new_without_debug_infos_with_option(&instructions, 0))
}

fn instance(program: &VmExe<F>, segment_memory: usize) -> (Instance, Arc<MultiStarkVerifyingKey<Native>>) {
    let (vm, pk) = machine(segment_memory).expect("a machine");
    let committed = vm.commit_program_on_device(&program.program);
    (Instance::new(vm, program.clone().into(), committed).expect("a program"), Arc::new(pk.get_vk()))
}

impl Execution {
    /// Runs `words` in so many segments.
    fn prove(words: &[u32], count: usize) -> Self {
        Self::prove_as(words, words, count)
    }

    /// Runs `words`, cut where `alike` is, which takes the same steps: the library doesn't cut an execution that fails.
    fn prove_as(words: &[u32], alike: &[u32], count: usize) -> Self {
        let (executed, alike) = (program(words), program(alike));
        // The less memory a segment's proof may take, the more segments there are.
        let (mut low, mut high) = (1 << 20, 1 << 34);
        while high - low > 1 << 16 {
            let memory = (low + high) / 2;
            if execute_segments(&instance(&alike, memory).0, &[]).expect("an execution").len() > count {
                low = memory;
            } else {
                high = memory;
            }
        }
        let cut = execute_segments(&instance(&alike, high).0, &[]).expect("an execution");
        let (mut instance, vk) = instance(&executed, high);
        let system = instance.vm.config().system.clone();
        let committed = instance.vm.commit_program_on_device(&executed.program);
        let program = program_identity(&committed.commitment, &executed, &system.memory_config);
        let (segments, user) = prove_segments(&mut instance, &[], cut, &mut |_| Ok(())).expect("proofs");
        Self { vk, segments, user, program, system }
    }

    fn dimensions(&self) -> MemoryDimensions {
        self.system.memory_config.memory_dimensions()
    }
}

fn expected_values() -> Vec<u8> {
    let mut values = RESULT.to_le_bytes().to_vec();
    values.resize(32, 0);
    values
}

type Change<'a> = (&'a str, &'a dyn Fn(&mut Proof<KeccakConfig>));

/// Every kind of change of a proof's parts is rejected, whatever `check` compares.
fn rejects_changes(proof: &Proof<KeccakConfig>, check: &dyn Fn(&Proof<KeccakConfig>) -> bool) {
    assert!(check(proof));
    let changes: [Change; 12] = [
        ("commitment", &|p| p.common_main_commit[31] ^= 1),
        ("gkr claim", &|p| p.gkr_proof.q0_claim += EF::ONE),
        ("gkr sumcheck", &|p| p.gkr_proof.sumcheck_polys[1][0][0] += EF::ONE),
        ("constraint sumcheck", &|p| p.batch_constraint_proof.univariate_round_coeffs[0] += EF::ONE),
        ("column opening", &|p| p.batch_constraint_proof.column_openings[0][0][0] += EF::ONE),
        ("stacked opening", &|p| p.stacking_proof.stacking_openings[0][0] += EF::ONE),
        ("out-of-domain value", &|p| p.whir_proof.ood_values[0] += EF::ONE),
        ("opened row", &|p| p.whir_proof.initial_round_opened_rows[0][0][0][0] += F::ONE),
        ("merkle path", &|p| p.whir_proof.initial_round_merkle_proofs[0][0][0][0] ^= 1),
        ("final polynomial", &|p| p.whir_proof.final_poly[0] += EF::ONE),
        ("missing AIR", &|p| p.trace_vdata[0] = None),
        ("height", &|p| p.trace_vdata[3].as_mut().expect("present").log_height += 1),
    ];
    for (name, change) in changes {
        let mut changed = proof.clone();
        change(&mut changed);
        // The back end's verifier may also refuse by a panic, which is a refusal here; a contract reverts.
        let accepted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&changed))).unwrap_or(false);
        assert!(!accepted, "a changed {name} is accepted");
    }
    for air in 0..proof.public_values.len() {
        for value in 0..proof.public_values[air].len() {
            let mut changed = proof.clone();
            changed.public_values[air][value] += F::ONE;
            assert!(!check(&changed), "public value {value} of AIR {air} is free");
        }
    }
}

/// Cheap parameters, for what must fail whatever they are.
fn cheap_params() -> SystemParams {
    params_with_100_bits_security(1, 2, 16, 2048, 1, 1, WhirProximityStrategy::UniqueDecoding, 4, 1, 4)
}

/// Whether a prover that does not look gets anything accepted. It may also fail to make a proof.
fn accepted<T>(prove: impl FnOnce() -> Result<T, RecursionError>, check: impl FnOnce(&T) -> bool) -> bool {
    let attempt = std::panic::AssertUnwindSafe(|| prove().is_ok_and(|proof| check(&proof)));
    std::panic::catch_unwind(attempt).unwrap_or(false)
}

#[test]
fn segments_that_do_not_fit_have_no_accepted_proof() {
    let execution = Execution::prove(&SUM, SEGMENTS);
    let (segments, user) = (&execution.segments, &execution.user);
    let layers = Layers::new(execution.vk.clone(), &layer_parameters());
    let circuit = LastCircuit::new(&layers, execution.dimensions(), execution.system.num_public_values);
    let last = LastLayer::new(KeccakEngine::new(cheap_params()), circuit).expect("keys");
    let identity = Identity::new(&layers, execution.program, last.constraints_commit());
    let engine = KeccakEngine::new(cheap_params());
    let check = |proof: &_| verify(&engine, last.vk(), proof).is_ok_and(|(shown, _)| shown == identity);
    let prove = |segments: &[_], user: &_| last.prove(&layers.aggregate(segments)?, user);
    assert!(accepted(|| prove(segments, user), |proof| check(proof)));

    let mut fewer_values = user.clone();
    fewer_values.public_values.pop();
    let lengths = RecursionError::UserPublicValues { expected: 32, actual: 31 };
    assert_eq!(prove(segments, &fewer_values).err(), Some(lengths));
    let mut invalid = segments.clone();
    invalid[1].gkr_proof.q0_claim += EF::ONE;
    assert!(matches!(prove(&invalid, user), Err(RecursionError::Child { layer: "leaf", index: 1, .. })));

    let swapped: Vec<_> = segments.iter().rev().cloned().collect();
    let mut repeated = segments.clone();
    repeated[1] = repeated[0].clone();
    let mut forged = user.clone();
    forged.public_values[0] += F::ONE;
    let attacks = [
        ("swapped segments", swapped.as_slice(), user),
        ("a repeated segment", repeated.as_slice(), user),
        ("no first segment", &segments[1..], user),
        ("no last segment", &segments[..segments.len() - 1], user),
        ("other public values", segments.as_slice(), &forged),
    ];
    for (name, segments, user) in attacks {
        assert!(!accepted(|| prove(segments, user), |proof| check(proof)), "{name}: accepted");
    }

    // Another program, and one that fails, on the same machine.
    for (words, alike) in [(&SUM_AND_FAIL, &SUM), (&SUM_TO_ANOTHER, &SUM_TO_ANOTHER)] {
        let other = Execution::prove_as(words, alike, 1);
        let prove = || prove(&other.segments, &other.user);
        assert!(!accepted(prove, |proof| check(proof)), "{words:?}: accepted");
    }
}

#[test]
fn any_number_of_segments_under_one_keccak_proof() {
    let execution = Execution::prove(&SUM, SEGMENTS);
    let layers = Layers::new(execution.vk.clone(), &layer_parameters());
    assert_eq!(layers.aggregate(&[]).err(), Some(RecursionError::NoSegments));
    let child = layers.aggregate(&execution.segments).expect("a proof");
    // What ends a larger tree has the shape of what ends the smallest: L1 pays for all of them the same.
    let leaves = |segments| layers.internal(&layers.leaves(segments).expect("leaves")).expect("an internal proof");
    let (first, others) = execution.segments.split_at(1);
    let above = layers.reduce([leaves(first), leaves(others)].concat()).expect("a proof");
    let columns =
        |proof: &Proof<Native>| -> Vec<usize> { proof.stacking_proof.stacking_openings.iter().map(Vec::len).collect() };
    assert_eq!(columns(&above), columns(&child));
    let circuit = LastCircuit::new(&layers, execution.dimensions(), execution.system.num_public_values);
    let last = LastLayer::new(KeccakEngine::new(last_parameters()), circuit.clone()).expect("keys");
    let proof = last.prove(&child, &execution.user).expect("a proof");

    let commit = last.constraints_commit();
    let identity = Identity::new(&layers, execution.program, commit);
    let engine = KeccakEngine::new(last_parameters());
    let check = |proof: &_| verify(&engine, last.vk(), proof);
    let [app, leaf, internal] = [execution.vk.clone(), layers.leaf_vk(), layers.vk()];
    for key in [app, leaf, internal] {
        assert!(SoundnessCalculator::calculate_from_vk(&key).total_bits >= SECURITY_BITS);
    }
    assert!(proven_security(last.vk()).total_bits >= SECURITY_BITS);
    assert_eq!(check(&proof), Ok((identity, expected_values())));
    rejects_changes(&proof, &|proof| check(proof) == Ok((identity, expected_values())));

    let mut forged = execution.user.clone();
    forged.public_values[0] += F::ONE;
    let cheap = LastLayer::new(KeccakEngine::new(cheap_params()), circuit).expect("keys");
    // The commitment depends on the parameters.
    let identity = Identity { constraints: cheap.constraints_commit(), ..identity };
    let engine = KeccakEngine::new(cheap_params());
    let check = |proof: &_| verify(&engine, cheap.vk(), proof).is_ok_and(|(shown, _)| shown == identity);
    assert!(accepted(|| cheap.prove(&child, &execution.user), |proof| check(proof)));
    // A proof under parameters that are worth less is none under the real ones, with whatever key.
    let strict = KeccakEngine::new(last_parameters());
    for key in [last.vk(), cheap.vk()] {
        let check = |proof: &_| verify(&strict, key, proof).is_ok();
        assert!(!accepted(|| cheap.prove(&child, &execution.user), |proof| check(proof)), "other parameters: accepted");
    }
    assert!(!accepted(|| cheap.prove(&child, &forged), |proof| check(proof)), "other public values: accepted");
}
