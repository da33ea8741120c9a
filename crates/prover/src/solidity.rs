//! Writes the part of the verifier contract that depends on the verifying key: constants, and the evaluation of each
//! AIR's constraints and interactions as unrolled Yul.
//!
//! `docs/proof-verifier.md` says what the evaluators are given and give back; `contracts/src/verifier/BabyBear4.sol`
//! explains the arithmetic, whose bounds are tracked here for each node.

use crate::keccak::{KeccakConfig, Val};
use crate::machine::VerifyingKey;
use openvm_stark_backend::air_builders::symbolic::symbolic_variable::{Entry, SymbolicVariable};
use openvm_stark_backend::air_builders::symbolic::SymbolicExpressionNode as Node;
use openvm_stark_backend::keygen::types::StarkVerifyingKey;
use openvm_stark_backend::{StarkProtocolConfig, SystemParams};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32, TwoAdicField};
use std::collections::BTreeSet;
use std::fmt::Write;

type Air = StarkVerifyingKey<Val, <KeccakConfig as StarkProtocolConfig>::Digest>;

/// A contract's code is limited to 24,576 bytes (EIP-170). The estimate of an evaluator's is kept below this.
const CODE_LIMIT: usize = 22_000;
const PRIME: u128 = Val::ORDER_U32 as u128;
/// Lanes of a reduced element are at most this.
const REDUCED: u128 = PRIME - 1;
/// Lanes of a tight element are below this, see `BabyBear4.sol`.
const TIGHT: u128 = 1 << 32;
/// Lanes of a loose element, and sums of those that are multiplied and added, are at most this.
const LOOSE: u128 = 1 << 41;
/// Columns of a part: as many reduced elements add up to less than [`LOOSE`].
const MAX_PART: usize = 1000;
/// Multiples of the prime, by powers of two, that the evaluators keep in memory to subtract from.
const MULTIPLES: usize = 11;
/// Memory of an evaluator: three pairs of accumulators, the multiples, then nodes.
const ACCUMULATORS: [usize; 3] = [0x00, 0x40, 0x80];
const MULTIPLES_AT: usize = 0xc0;
const NODES_AT: usize = MULTIPLES_AT + 32 * MULTIPLES;
/// Words before the tables in an evaluator's calldata: unit, first row, last row, transition.
const FRAME_HEAD: usize = 4;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GenerationError {
    #[error("{0} isn't supported by the verifier contract")]
    Unsupported(&'static str),
    #[error("one constraint or interaction of AIR {air} has {bytes} bytes of code, more than a contract may have")]
    TooLarge { air: usize, bytes: usize },
}

/// Name and content of every generated file.
///
/// # Errors
/// For a verifying key with something that no machine of OpenVM has, or with an expression too large for a contract.
pub fn generate(key: &VerifyingKey) -> Result<Vec<(String, String)>, GenerationError> {
    let tables = Tables::of(key)?;
    let mut units = vec![];
    let mut first_units = vec![];
    for (index, air) in key.inner.per_air.iter().enumerate() {
        first_units.push(units.len());
        let items = (0..air.symbolic_constraints.constraints.constraint_idx.len())
            .map(Item::Constraint)
            .chain((0..air.num_interactions()).map(Item::Interaction))
            .collect();
        split(index, air, &tables, items, &mut units)?;
    }
    first_units.push(units.len());
    let mut contracts: Vec<Vec<(usize, &Unit)>> = vec![vec![]];
    let mut size = 0;
    for (index, unit) in units.iter().enumerate() {
        if size + unit.bytes > CODE_LIMIT {
            contracts.push(vec![]);
            size = 0;
        }
        size += unit.bytes;
        contracts.last_mut().expect("there is a first contract").push((index, unit));
    }
    let mut files = vec![("VerifyingKey.sol".to_owned(), constants(key, &tables, &first_units)?)];
    files.push(("ConstraintEvaluators.sol".to_owned(), evaluators(&contracts)));
    for (number, units) in contracts.iter().enumerate() {
        files.push((format!("ConstraintEvaluator{number}.sol"), evaluator(number, units)));
    }
    Ok(files)
}

const HEAD: &str = "// SPDX-License-Identifier: Apache-2.0
// Written by `exclave-prover generate`: don't edit.
pragma solidity ^0.8.30;
";

/// Sizes of the tables that all evaluators are given, in elements.
struct Tables {
    constraints: usize,
    message: usize,
}

impl Tables {
    fn of(key: &VerifyingKey) -> Result<Self, GenerationError> {
        let airs = &key.inner.per_air;
        let constraints = airs.iter().map(|air| air.symbolic_constraints.constraints.constraint_idx.len()).max();
        let interactions = || airs.iter().flat_map(|air| &air.symbolic_constraints.interactions);
        let message = interactions().map(|interaction| interaction.message.len() + 1).max();
        match (constraints, message) {
            (Some(constraints), Some(message)) => Ok(Self { constraints, message }),
            _ => Err(GenerationError::Unsupported("a machine without interactions")),
        }
    }

    /// Offset of a power of the constraints' challenge in the calldata: two words, lower and higher halves.
    fn constraint_power(&self, index: usize) -> usize {
        32 * (FRAME_HEAD + 2 * index)
    }

    fn message_power(&self, index: usize) -> usize {
        32 * (FRAME_HEAD + 2 * (self.constraints + index))
    }

    /// Offset of what differs from trace to trace: two words for each interaction, public values, openings.
    fn trace(&self) -> usize {
        32 * (FRAME_HEAD + 2 * (self.constraints + self.message))
    }
}

#[derive(Clone, Copy)]
enum Item {
    Constraint(usize),
    Interaction(usize),
}

/// What one call of an evaluator computes: some constraints and interactions of one AIR.
struct Unit {
    body: String,
    bytes: usize,
}

/// Divides the items until every unit fits into a contract.
fn split(
    index: usize,
    air: &Air,
    tables: &Tables,
    mut items: Vec<Item>,
    units: &mut Vec<Unit>,
) -> Result<(), GenerationError> {
    let unit = Emitter::new(air, tables).unit(&items)?;
    if unit.bytes <= CODE_LIMIT {
        units.push(unit);
        return Ok(());
    }
    if items.len() == 1 {
        return Err(GenerationError::TooLarge { air: index, bytes: unit.bytes });
    }
    let rest = items.split_off(items.len() / 2);
    split(index, air, tables, items, units)?;
    split(index, air, tables, rest, units)
}

/// An expression: its Yul, the code's bytes as estimated, and the largest value that any lane can have.
#[derive(Clone)]
struct Term {
    code: String,
    bytes: usize,
    bound: u128,
}

impl Term {
    fn reduced(self) -> Self {
        match self.bound <= REDUCED {
            true => self,
            false => Self { code: format!("reduce({})", self.code), bytes: self.bytes + 9, bound: REDUCED },
        }
    }

    fn below(self, limit: u128) -> Self {
        if self.bound < limit {
            self
        } else {
            self.reduced()
        }
    }
}

struct Emitter<'a> {
    air: &'a Air,
    tables: &'a Tables,
    /// How often a node is used by the unit's items and their nodes.
    uses: Vec<usize>,
    /// Nodes that were stored, and where.
    stored: Vec<Option<Term>>,
    slots: usize,
    body: String,
    bytes: usize,
}

impl<'a> Emitter<'a> {
    fn new(air: &'a Air, tables: &'a Tables) -> Self {
        let nodes = air.symbolic_constraints.constraints.nodes.len();
        let stored = (0..nodes).map(|_| None).collect();
        Self { air, tables, uses: vec![0; nodes], stored, slots: 0, body: String::new(), bytes: 100 }
    }

    fn nodes(&self) -> &'a [Node<Val>] {
        &self.air.symbolic_constraints.constraints.nodes
    }

    fn line(&mut self, code: &str, bytes: usize) {
        let _ = writeln!(self.body, "                {code}");
        self.bytes += bytes;
    }

    fn unit(mut self, items: &[Item]) -> Result<Unit, GenerationError> {
        let constraints = &self.air.symbolic_constraints.constraints.constraint_idx;
        let interactions = &self.air.symbolic_constraints.interactions;
        let mut roots = vec![];
        for item in items {
            match item {
                Item::Constraint(index) => roots.push(constraints[*index]),
                Item::Interaction(index) => {
                    roots.extend(&interactions[*index].message);
                    roots.push(interactions[*index].count);
                }
            }
        }
        self.count_uses(&roots);
        let mut sum = Sum::default();
        for item in items {
            if let Item::Constraint(index) = item {
                let node = self.node(constraints[*index])?;
                self.add("term", node, self.tables.constraint_power(*index), &mut sum);
            }
        }
        self.line("let constraints := total(0x00)", 8);
        let (mut counts, mut messages) = (Sum::default(), Sum::default());
        for item in items {
            let Item::Interaction(index) = item else { continue };
            let interaction = &interactions[*index];
            let mut sum = Sum::default();
            let bus = Val::from_u16(interaction.bus_index) + Val::ONE;
            let mut powers = 0;
            for field in &interaction.message {
                let field = self.node(*field)?;
                self.add("term", field, self.tables.message_power(powers), &mut sum);
                powers += 1;
            }
            self.add("term", constant(bus), self.tables.message_power(powers), &mut sum);
            let weight = self.tables.trace() + 64 * index;
            let count = self.node(interaction.count)?;
            self.add("countTerm", count, weight, &mut counts);
            let denominator = Term { code: "total(0x00)".to_owned(), bytes: 8, bound: REDUCED };
            self.add("messageTerm", denominator, weight, &mut messages);
        }
        self.line("mstore(0x00, constraints)", 4);
        self.line(&format!("mstore(0x20, total({:#x}))", ACCUMULATORS[1]), 10);
        self.line(&format!("mstore(0x40, total({:#x}))", ACCUMULATORS[2]), 10);
        Ok(Unit { body: self.body, bytes: self.bytes })
    }

    fn count_uses(&mut self, roots: &[usize]) {
        let mut seen = BTreeSet::new();
        let mut pending: Vec<usize> = roots.to_vec();
        while let Some(index) = pending.pop() {
            self.uses[index] += 1;
            if seen.insert(index) {
                pending.extend(operands(&self.nodes()[index]));
            }
        }
    }

    /// Adds the product of a term and an element at an offset of the calldata to an accumulator.
    fn add(&mut self, function: &str, term: Term, offset: usize, sum: &mut Sum) {
        if term.bound == 0 {
            return;
        }
        let mut term = term.below(1 << 34);
        if sum.0 + term.bound > LOOSE {
            term = term.reduced();
        }
        sum.0 += term.bound;
        if sum.0 > LOOSE {
            // The accumulator could overflow: the unit has to be divided.
            self.bytes = usize::MAX / 2;
        }
        self.line(&format!("{function}({}, {offset:#x})", term.code), term.bytes + 10);
    }

    /// The term of a node. Whatever is used more than once is stored when first used.
    fn node(&mut self, index: usize) -> Result<Term, GenerationError> {
        if let Some(stored) = &self.stored[index] {
            return Ok(stored.clone());
        }
        let node = &self.nodes()[index];
        let term = match *node {
            Node::Variable(variable) => return self.variable(variable),
            Node::Constant(value) => return Ok(constant(value)),
            Node::IsFirstRow => return Ok(word(0x20)),
            Node::IsLastRow => return Ok(word(0x40)),
            Node::IsTransition => return Ok(word(0x60)),
            Node::Add { left_idx, right_idx, .. } => {
                let [left, right] = self.pair(left_idx, right_idx)?;
                let (left, right) = (left.below(LOOSE / 2), right.below(LOOSE / 2));
                Term {
                    code: format!("add({}, {})", left.code, right.code),
                    bytes: left.bytes + right.bytes + 1,
                    bound: left.bound + right.bound,
                }
            }
            Node::Sub { left_idx, right_idx, .. } => {
                let [left, right] = self.pair(left_idx, right_idx)?;
                difference(Some(left), right)
            }
            Node::Neg { idx, .. } => difference(None, self.node(idx)?),
            Node::Mul { left_idx, right_idx, .. } => self.product(left_idx, right_idx)?,
        };
        if self.uses[index] < 2 {
            return Ok(term);
        }
        let term = term.below(TIGHT);
        let address = NODES_AT + 32 * self.slots;
        self.slots += 1;
        self.line(&format!("mstore({address:#x}, {})", term.code), term.bytes + 4);
        let stored = Term { code: format!("mload({address:#x})"), bytes: 4, bound: term.bound };
        self.stored[index] = Some(stored.clone());
        Ok(stored)
    }

    fn pair(&mut self, left: usize, right: usize) -> Result<[Term; 2], GenerationError> {
        Ok([self.node(left)?, self.node(right)?])
    }

    fn product(&mut self, left: usize, right: usize) -> Result<Term, GenerationError> {
        let value = |index: usize| match self.nodes()[index] {
            Node::Constant(value) => Some(value),
            _ => None,
        };
        let (factor, other) = match (value(left), value(right)) {
            (Some(factor), _) => (Some(factor), right),
            (_, Some(factor)) => (Some(factor), left),
            _ => (None, right),
        };
        if let Some(factor) = factor {
            let other = self.node(other)?;
            let negative = -factor;
            return Ok(if negative.as_canonical_u32() < factor.as_canonical_u32() {
                difference(None, multiple(other, negative))
            } else {
                multiple(other, factor)
            });
        }
        let [left, right] = self.pair(left, right)?;
        let (loose, tight) = if left.bound < right.bound { (right, left) } else { (left, right) };
        let (loose, tight) = (loose.below(LOOSE), tight.below(TIGHT));
        Ok(Term {
            code: format!("times({}, {})", loose.code, tight.code),
            bytes: loose.bytes + tight.bytes + 8,
            bound: REDUCED,
        })
    }

    fn variable(&self, variable: SymbolicVariable<Val>) -> Result<Term, GenerationError> {
        let width = &self.air.params.width;
        let preprocessed = width.preprocessed.unwrap_or(0);
        let values = self.tables.trace() + 64 * self.air.num_interactions();
        let openings = values + 32 * self.air.params.num_public_values;
        let (column, offset) = match variable.entry {
            Entry::Public => return Ok(word(values + 32 * variable.index)),
            Entry::Challenge => return Err(GenerationError::Unsupported("a challenge in a constraint")),
            Entry::Preprocessed { offset } => (width.common_main + variable.index, offset),
            Entry::Main { part_index, offset } if part_index == width.cached_mains.len() => (variable.index, offset),
            Entry::Main { part_index, offset } => {
                let before: usize = width.cached_mains[..part_index].iter().sum();
                (width.common_main + preprocessed + before + variable.index, offset)
            }
        };
        // What `need_rot` says holds for all variables: without it the rotation is never named.
        let per_column = 1 + usize::from(self.air.params.need_rot);
        if offset >= per_column {
            return Err(GenerationError::Unsupported("a rotation by more than one row"));
        }
        Ok(word(openings + 32 * (per_column * column + offset)))
    }
}

/// Sum of the bounds of what was added to an accumulator.
#[derive(Default)]
struct Sum(u128);

fn operands(node: &Node<Val>) -> Vec<usize> {
    match *node {
        Node::Add { left_idx, right_idx, .. }
        | Node::Sub { left_idx, right_idx, .. }
        | Node::Mul { left_idx, right_idx, .. } => vec![left_idx, right_idx],
        Node::Neg { idx, .. } => vec![idx],
        _ => vec![],
    }
}

fn word(offset: usize) -> Term {
    Term { code: format!("calldataload({offset:#x})"), bytes: 4, bound: REDUCED }
}

fn constant(value: Val) -> Term {
    let value = value.as_canonical_u32();
    Term { code: format!("{value:#x}"), bytes: 5, bound: u128::from(value) }
}

/// A multiple by a constant factor.
fn multiple(term: Term, factor: Val) -> Term {
    let factor = u128::from(factor.as_canonical_u32());
    let term = if term.bound * factor < 1 << 64 { term } else { term.reduced() };
    let bound = term.bound * factor;
    Term { code: format!("mul({}, {factor:#x})", term.code), bytes: term.bytes + 4, bound }.below(LOOSE / 4)
}

/// left - right, or -right, with a multiple of the prime in each lane so that none becomes negative.
fn difference(left: Option<Term>, right: Term) -> Term {
    let right = right.below(PRIME << (MULTIPLES - 2));
    let exponent = (0..MULTIPLES).find(|exponent| right.bound <= PRIME << exponent).expect("it was bounded");
    let address = MULTIPLES_AT + 32 * exponent;
    let bound = PRIME << exponent;
    match left {
        None => Term { code: format!("sub(mload({address:#x}), {})", right.code), bytes: right.bytes + 5, bound },
        Some(left) => {
            let left = left.below(LOOSE / 2);
            let code = format!("sub(add({}, mload({address:#x})), {})", left.code, right.code);
            Term { code, bytes: left.bytes + right.bytes + 6, bound: left.bound + bound }
        }
    }
}

/// One contract with the units given, each with its number.
fn evaluator(number: usize, units: &[(usize, &Unit)]) -> String {
    let mut text = String::from(HEAD);
    let lanes = |value: u128| {
        let lane = format!("{value:016x}");
        format!("0x{}", lane.repeat(4))
    };
    let _ = write!(
        text,
        "
/// @title Constraints and interactions of some AIRs, evaluated at the openings in the calldata (docs/proof-verifier.md).
/// @dev The arithmetic is that of BabyBear4.sol, where its bounds are explained. The memory is this code's alone.
contract ConstraintEvaluator{number} {{
    fallback() external {{
        assembly {{
            function reduce(x) -> y {{
                y := or(
                    or(mod(and(x, 0xffffffffffffffff), 0x78000001), shl(64, mod(and(shr(64, x), 0xffffffffffffffff), 0x78000001))),
                    or(shl(128, mod(and(shr(128, x), 0xffffffffffffffff), 0x78000001)), shl(192, mod(shr(192, x), 0x78000001)))
                )
            }}
            function finish(low, high) -> y {{
                y := reduce(
                    add(low, shl(16, add(mul(and(shr(43, high), {low21}), 0x7ffeeef), and(high, {low43}))))
                )
            }}
            function times(loose, tight) -> y {{
                y := finish(mulmod(loose, and(tight, {low16}), not(10)), mulmod(loose, and(shr(16, tight), {low48}), not(10)))
            }}
            function term(x, offset) {{
                mstore(0x00, add(mload(0x00), mulmod(x, calldataload(offset), not(10))))
                mstore(0x20, add(mload(0x20), mulmod(x, calldataload(add(offset, 0x20)), not(10))))
            }}
            function countTerm(x, offset) {{
                mstore({count:#x}, add(mload({count:#x}), mulmod(x, calldataload(offset), not(10))))
                mstore({count_high:#x}, add(mload({count_high:#x}), mulmod(x, calldataload(add(offset, 0x20)), not(10))))
            }}
            function messageTerm(x, offset) {{
                mstore({message:#x}, add(mload({message:#x}), mulmod(x, calldataload(offset), not(10))))
                mstore({message_high:#x}, add(mload({message_high:#x}), mulmod(x, calldataload(add(offset, 0x20)), not(10))))
            }}
            function total(at) -> y {{
                y := finish(mload(at), mload(add(at, 0x20)))
                mstore(at, 0)
                mstore(add(at, 0x20), 0)
            }}
            mstore(0x40, 0)
            mstore(0x60, 0)
            mstore(0x80, 0)
            for {{ let at, multiple := {multiples_at:#x}, {prime_lanes} }} lt(at, {nodes_at:#x}) {{ at := add(at, 0x20) }} {{
                mstore(at, multiple)
                multiple := shl(1, multiple)
            }}
            switch calldataload(0x00)
",
        low21 = lanes((1 << 21) - 1),
        low43 = lanes((1 << 43) - 1),
        low16 = lanes((1 << 16) - 1),
        low48 = lanes((1 << 48) - 1),
        count = ACCUMULATORS[1],
        count_high = ACCUMULATORS[1] + 0x20,
        message = ACCUMULATORS[2],
        message_high = ACCUMULATORS[2] + 0x20,
        multiples_at = MULTIPLES_AT,
        nodes_at = NODES_AT,
        prime_lanes = lanes(PRIME),
    );
    text = text.replace(
        &format!("let at, multiple := {MULTIPLES_AT:#x}, {}", lanes(PRIME)),
        &format!("let at := {MULTIPLES_AT:#x} let multiple := {}", lanes(PRIME)),
    );
    for (index, unit) in units {
        let _ = write!(text, "            case {index} {{\n{}            }}\n", unit.body);
    }
    text.push_str("            default { revert(0x00, 0x00) }\n            return(0x00, 0x60)\n        }\n    }\n}\n");
    text
}

/// The contract that knows which evaluator has which unit.
fn evaluators(contracts: &[Vec<(usize, &Unit)>]) -> String {
    let mut text = String::from(HEAD);
    let count = contracts.len();
    let _ = write!(
        text,
        "
import {{Memory}} from \"../Context.sol\";

/// @title The constraint evaluators' addresses.
abstract contract ConstraintEvaluators {{
    error WrongNumberOfEvaluators(uint256 given);

    uint256 internal constant EVALUATORS = {count};

"
    );
    for number in 0..count {
        let _ = writeln!(text, "    address private immutable _EVALUATOR_{number};");
    }
    text.push_str("\n    constructor(address[] memory evaluators) {\n");
    text.push_str("        if (evaluators.length != EVALUATORS) revert WrongNumberOfEvaluators(evaluators.length);\n");
    for number in 0..count {
        let _ = writeln!(text, "        _EVALUATOR_{number} = evaluators[{number}];");
    }
    text.push_str("    }\n\n    /// @notice A pointer to the evaluator of each unit.\n");
    text.push_str("    function evaluatorsOfUnits() internal view returns (uint256 list) {\n");
    let units: usize = contracts.iter().map(Vec::len).sum();
    let _ = writeln!(text, "        list = Memory.allocate({units});");
    for (number, units) in contracts.iter().enumerate() {
        // In a block of its own: all of them are more than the stack can reach.
        let _ = writeln!(text, "        {{\n            address evaluator = _EVALUATOR_{number};");
        for (index, _) in units {
            let _ = writeln!(text, "            Memory.store(list, {index}, uint160(evaluator));");
        }
        text.push_str("        }\n");
    }
    text.push_str("    }\n}\n");
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One AIR in one word, as `ProofShape.sol` reads it.
fn descriptor(air: &Air, skip: usize, first_unit: usize, units: usize) -> Result<[u8; 32], GenerationError> {
    let width = &air.params.width;
    let mut fields: Vec<(usize, usize)> = vec![(width.common_main, 16), (width.preprocessed.unwrap_or(0), 16)];
    if width.cached_mains.len() > 4 {
        return Err(GenerationError::Unsupported("an AIR with more than four cached parts"));
    }
    if width.preprocessed.is_some() != air.preprocessed_data.is_some() {
        return Err(GenerationError::Unsupported("a preprocessed part without a commitment"));
    }
    fields.extend((0..4).map(|part| (width.cached_mains.get(part).copied().unwrap_or(0), 16)));
    fields.push((width.cached_mains.len(), 8));
    let flags = [air.params.need_rot, air.is_required, air.preprocessed_data.is_some()];
    fields.push((flags.iter().zip(0..).map(|(flag, bit)| usize::from(*flag) << bit).sum(), 8));
    let height = air.preprocessed_data.as_ref().map_or(0, |data| data.hypercube_dim + skip as isize);
    fields.push((usize::try_from(height).map_err(|_| GenerationError::Unsupported("an empty preprocessed part"))?, 8));
    fields.push((air.num_interactions(), 16));
    fields.push((air.params.num_public_values, 16));
    fields.push((first_unit, 16));
    fields.push((units, 8));
    let mut word = [0u8; 32];
    let mut end = 32;
    for (value, bits) in fields {
        let bytes = bits / 8;
        if value >> bits != 0 {
            return Err(GenerationError::Unsupported("an AIR of such a size"));
        }
        word[end - bytes..end].copy_from_slice(&value.to_be_bytes()[8 - bytes..]);
        end -= bytes;
    }
    Ok(word)
}

fn inverse_of(number: usize) -> u32 {
    Val::from_usize(number).inverse().as_canonical_u32()
}

fn constants(key: &VerifyingKey, tables: &Tables, first_units: &[usize]) -> Result<String, GenerationError> {
    let parameters: &SystemParams = &key.inner.params;
    let airs = &key.inner.per_air;
    if !airs.iter().any(|air| air.is_required && air.num_interactions() > 0) {
        return Err(GenerationError::Unsupported("a machine in which nothing must interact"));
    }
    let skip = parameters.l_skip;
    let mut descriptors = vec![];
    for (index, air) in airs.iter().enumerate() {
        let units = first_units[index + 1] - first_units[index];
        descriptors.extend(descriptor(air, skip, first_units[index], units)?);
    }
    let heights: Vec<u8> = key
        .inner
        .trace_height_constraints
        .iter()
        .flat_map(|constraint| {
            constraint.coefficients.iter().chain([&constraint.threshold]).flat_map(|number| number.to_be_bytes())
        })
        .collect();
    let degree = key.inner.max_constraint_degree() + 1;
    let factorial = |number: usize| (1..=number).product::<usize>();
    let weights: Vec<u8> =
        (0..=degree).flat_map(|index| inverse_of(factorial(index) * factorial(degree - index)).to_be_bytes()).collect();
    let log_domain = parameters.log_stacked_height() + parameters.log_blowup;
    let root = |log_order: usize| Val::two_adic_generator(log_order);
    let rounds = parameters.num_whir_rounds();
    let queries: Vec<u8> = parameters.whir.rounds.iter().map(|round| round.num_queries as u8).collect();
    let foldings = 2..=5;
    if parameters.whir.rounds.iter().any(|round| round.num_queries > 255) || !foldings.contains(&parameters.k_whir()) {
        return Err(GenerationError::Unsupported("so many queries or foldings"));
    }
    // Polynomials are evaluated four coefficients at a time.
    if parameters.log_final_poly_len() < 2 || log_domain - parameters.k_whir() > 27 {
        return Err(GenerationError::Unsupported("so short a last polynomial or so long a code"));
    }
    let with_preprocessed = airs.iter().rposition(|air| air.preprocessed_data.is_some()).map_or(0, |last| last + 1);
    let preprocessed: Vec<u8> = airs[..with_preprocessed]
        .iter()
        .flat_map(|air| air.preprocessed_data.as_ref().map_or([0; 32], |data| data.commit))
        .collect();
    let mut text = String::from(HEAD);
    text.push_str("\n/// @title What the verifier knows of the verifying key.\nlibrary VerifyingKey {\n");
    let mut number = |documentation: &str, name: &str, value: String| {
        let _ = write!(text, "    /// @dev {documentation}\n    uint256 internal constant {name} = {value};\n");
    };
    number("Hash of the verifying key, the first thing observed.", "PRE_HASH", format!("0x{}", hex(&key.pre_hash)));
    number("AIRs of the machine.", "AIRS", airs.len().to_string());
    number("Log2 of the rows that the univariate skip takes together.", "SKIP", skip.to_string());
    number("Variables of a stacked column above the skip.", "N_STACK", parameters.n_stack.to_string());
    number("Most columns that all traces may fill when stacked.", "MAX_WIDTH", parameters.w_stack.to_string());
    number("Variables folded in a round.", "FOLDING", parameters.k_whir().to_string());
    number("Rounds of folding.", "ROUNDS", rounds.to_string());
    number("Log2 of the last polynomial's length.", "LOG_FINAL", parameters.log_final_poly_len().to_string());
    number("Degree of the constraints' sumcheck.", "DEGREE", degree.to_string());
    number(
        "Queries of all rounds.",
        "TOTAL_QUERIES",
        queries.iter().map(|count| usize::from(*count)).sum::<usize>().to_string(),
    );
    number("Bits of work before the interactions' challenges.", "LOGUP_WORK", parameters.logup.pow_bits.to_string());
    number("Bits of work before openings are batched.", "BATCHING_WORK", parameters.whir.mu_pow_bits.to_string());
    number("Bits of work before each folding.", "FOLDING_WORK", parameters.whir.folding_pow_bits.to_string());
    number("Bits of work before queries.", "QUERY_WORK", parameters.whir.query_phase_pow_bits.to_string());
    number("Most constraints of an AIR.", "MAX_CONSTRAINTS", tables.constraints.to_string());
    number("Longest message of an interaction, with its bus.", "MAX_MESSAGE", tables.message.to_string());
    let interactions = airs.iter().map(|air| air.num_interactions()).max().unwrap_or(0);
    number("Most interactions of an AIR.", "MAX_INTERACTIONS", interactions.to_string());
    if airs.iter().any(|air| air.params.width.total_width() > MAX_PART) {
        return Err(GenerationError::Unsupported("so wide an AIR"));
    }
    let columns = |air: &Air| air.params.width.total_width() * (1 + usize::from(air.params.need_rot));
    number("Openings of all AIRs.", "OPENINGS", airs.iter().map(columns).sum::<usize>().to_string());
    let largest = airs.iter().map(|air| columns(air) + air.params.num_public_values).max().unwrap_or(0);
    number("Most openings and public values of an AIR.", "MAX_OPENINGS", largest.to_string());
    let total: usize = airs.iter().map(|air| air.params.width.total_width()).sum();
    let rows: u64 = airs.iter().map(|air| (air.num_interactions() as u64) << parameters.log_stacked_height()).sum();
    let layers = (u64::BITS - rows.leading_zeros()) as usize;
    let head_bytes = |air: &Air| 8 + 32 * air.params.width.cached_mains.len() + 4 * air.params.num_public_values;
    let extensions = 1
        + 4 * layers
        + 3 * layers * (layers - 1) / 2
        + 2 * airs.len()
        + degree * ((1 << skip) - 1)
        + 1
        + degree * parameters.n_stack
        + airs.iter().map(columns).sum::<usize>()
        + 2 * ((1 << skip) - 1)
        + 1
        + 2 * parameters.n_stack
        + parameters.w_stack;
    let bytes = 32 + airs.iter().map(head_bytes).sum::<usize>() + 16 * extensions + 8;
    number("Most bytes of a proof before its openings.", "CONSTRAINT_BYTES", bytes.to_string());
    let head = |air: &Air| 8 + 32 * (air.params.width.cached_mains.len() + 1) + 4 * air.params.num_public_values;
    let head = airs.iter().map(head).sum::<usize>() / 32 + 3;
    number("Words that a proof's head can have.", "HEAD_WORDS", head.to_string());
    number("Columns of all AIRs.", "COLUMNS", total.to_string());
    number(
        "Linear constraints on heights.",
        "HEIGHT_CONSTRAINTS",
        key.inner.trace_height_constraints.len().to_string(),
    );
    number("1/6.", "SIXTH", inverse_of(6).to_string());
    number("1/2.", "HALF", inverse_of(2).to_string());
    number("1/2^FOLDING.", "FOLDING_INVERSE", inverse_of(1 << parameters.k_whir()).to_string());
    number("1/2^SKIP.", "SKIP_INVERSE", inverse_of(1 << skip).to_string());
    let canonical = |value: Val| value.as_canonical_u32().to_string();
    number("Generator of the skip domain, of order 2^SKIP.", "SKIP_ROOT", canonical(root(skip)));
    number("Its inverse.", "SKIP_ROOT_INVERSE", canonical(root(skip).inverse()));
    number(
        "Generator of a folded coset's subgroup, inverted.",
        "FOLDING_ROOT_INVERSE",
        canonical(root(parameters.k_whir()).inverse()),
    );
    number("Log2 of the first code's length.", "LOG_DOMAIN", log_domain.to_string());
    number("Generator of the first code's domain.", "DOMAIN_ROOT", canonical(root(log_domain)));
    for (documentation, name, value) in [
        ("Each AIR in one word, see ProofShape.sol.", "DESCRIPTORS", hex(&descriptors)),
        ("Commitments of preprocessed parts, by AIR.", "PREPROCESSED", hex(&preprocessed)),
        (
            "For each constraint on heights the coefficients of all AIRs and the threshold, four bytes each.",
            "HEIGHTS",
            hex(&heights),
        ),
        ("1 / (i! (DEGREE - i)!), four bytes each: for interpolation at 0 to DEGREE.", "WEIGHTS", hex(&weights)),
        ("Queries of each round, one byte each.", "QUERIES", hex(&queries)),
    ] {
        let _ = write!(text, "    /// @dev {documentation}\n    bytes internal constant {name} =\n");
        let value = if value.is_empty() { " " } else { &value };
        let lines: Vec<&str> =
            value.as_bytes().chunks(96).map(|chunk| std::str::from_utf8(chunk).unwrap_or("")).collect();
        let lines: Vec<String> = lines.iter().map(|line| format!("        hex\"{}\"", line.trim())).collect();
        let _ = writeln!(text, "{};", lines.join("\n"));
    }
    text.push_str("}\n");
    Ok(text)
}
