//! Constraints and interactions of each AIR at arbitrary openings, by OpenVM's own evaluator: what the generated contracts
//! must compute, for AIRs as well that a proof doesn't happen to have.

use crate::keccak::{element_bytes, sample_from, Challenge, KeccakConfig, Val};
use crate::machine::VerifyingKey;
use openvm_stark_backend::air_builders::symbolic::symbolic_expression::SymbolicEvaluator;
use openvm_stark_backend::air_builders::symbolic::symbolic_variable::{Entry, SymbolicVariable};
use openvm_stark_backend::keygen::types::StarkVerifyingKey;
use openvm_stark_backend::StarkProtocolConfig;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use sha3::{Digest as _, Keccak256};
use std::iter::once;

type Air = StarkVerifyingKey<Val, <KeccakConfig as StarkProtocolConfig>::Digest>;

/// Numbers of the inputs of an AIR, see [`input`].
const FIRST_ROW: u64 = 0;
const LAST_ROW: u64 = 1;
const CONSTRAINT_CHALLENGE: u64 = 2;
const MESSAGE_CHALLENGE: u64 = 3;
const INTERACTIONS: u64 = 1 << 16;
const PUBLIC_VALUES: u64 = 2 << 16;
const OPENINGS: u64 = 3 << 16;

/// An arbitrary input of an AIR: the element whose coefficients are the four numbers of eight bytes, big-endian, of
/// `keccak256(air || number)`, both of 32 bytes. `contracts/test/ConstraintEvaluators.t.sol` makes the same.
fn input(air: usize, number: u64) -> Challenge {
    let mut bytes = [0; 64];
    bytes[24..32].copy_from_slice(&(air as u64).to_be_bytes());
    bytes[56..].copy_from_slice(&number.to_be_bytes());
    let digest = Keccak256::digest(bytes);
    Challenge::from_basis_coefficients_fn(|index| sample_from(&digest[8 * index..8 * index + 8]))
}

struct Evaluator<'a> {
    index: usize,
    air: &'a Air,
}

impl SymbolicEvaluator<Val, Challenge> for Evaluator<'_> {
    fn eval_const(&self, value: Val) -> Challenge {
        value.into()
    }

    fn eval_var(&self, variable: SymbolicVariable<Val>) -> Challenge {
        let width = &self.air.params.width;
        let (before, offset) = match variable.entry {
            Entry::Public => {
                let value = input(self.index, PUBLIC_VALUES + variable.index as u64);
                return BasedVectorSpace::<Val>::as_basis_coefficients_slice(&value)[0].into();
            }
            Entry::Challenge => unreachable!("an AIR has no challenges"),
            Entry::Preprocessed { offset } => (width.common_main, offset),
            Entry::Main { part_index, offset } if part_index == width.cached_mains.len() => (0, offset),
            Entry::Main { part_index, offset } => {
                let cached: usize = width.cached_mains[..part_index].iter().sum();
                (width.common_main + width.preprocessed.unwrap_or(0) + cached, offset)
            }
        };
        let per_column = 1 + usize::from(self.air.params.need_rot);
        input(self.index, OPENINGS + (per_column * (before + variable.index) + offset) as u64)
    }

    fn eval_is_first_row(&self) -> Challenge {
        input(self.index, FIRST_ROW)
    }

    fn eval_is_last_row(&self) -> Challenge {
        input(self.index, LAST_ROW)
    }

    fn eval_is_transition(&self) -> Challenge {
        Challenge::ONE - input(self.index, LAST_ROW)
    }
}

/// For each AIR the sum of its constraints and those of its interactions' counts and messages, each in one word of four
/// lanes as in `BabyBear4.sol`, as JSON.
pub fn evaluations(key: &VerifyingKey) -> String {
    let sums = key.inner.per_air.iter().enumerate().flat_map(|(index, air)| evaluate(index, air));
    let words: Vec<String> = sums.map(|sum| format!("    \"{}\"", word(sum))).collect();
    format!("{{\n  \"sums\": [\n{}\n  ]\n}}\n", words.join(",\n"))
}

fn evaluate(index: usize, air: &Air) -> [Challenge; 3] {
    let constraints = &air.symbolic_constraints.constraints;
    let nodes = Evaluator { index, air }.eval_nodes(&constraints.nodes);
    let powers = input(index, CONSTRAINT_CHALLENGE).powers();
    let sum = constraints.constraint_idx.iter().zip(powers).map(|(node, power)| nodes[*node] * power).sum();
    let (mut counts, mut messages) = (Challenge::ZERO, Challenge::ZERO);
    for (number, interaction) in air.symbolic_constraints.interactions.iter().enumerate() {
        let kernel = input(index, INTERACTIONS + number as u64);
        let bus = Challenge::from_u32(u32::from(interaction.bus_index) + 1);
        let fields = interaction.message.iter().map(|field| nodes[*field]).chain(once(bus));
        let powers = input(index, MESSAGE_CHALLENGE).powers();
        counts += kernel * nodes[interaction.count];
        messages += kernel * fields.zip(powers).map(|(field, power)| field * power).sum::<Challenge>();
    }
    [sum, counts, messages]
}

fn word(value: Challenge) -> String {
    let lanes = BasedVectorSpace::<Val>::as_basis_coefficients_slice(&value).iter().rev();
    let lanes = lanes.map(|lane| format!("{:016x}", u32::from_be_bytes(element_bytes(*lane))));
    format!("0x{}", lanes.collect::<String>())
}
