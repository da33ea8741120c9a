//! Proofs as bytes for the verifier contract, laid out in `docs/proof-verifier.md`.
//!
//! A base field element is four bytes, big-endian, canonical; an extension element its four coefficients, the constant
//! one first. Fields come in the order in which a verifier consumes them and no length is written: all follow from the
//! verifying key and from what came before. Of each Merkle tree only what isn't known already is there: each opened leaf
//! once, in the order of positions, and the siblings that no opened leaf gives, level by level from the leaves. So a
//! proof has one encoding. The positions are challenges, so that encoding and decoding replay the transcript.

use crate::keccak::{element_bytes, Challenge, Digest, KeccakConfig, KeccakMerkleHasher, KeccakTranscript, Val};
use crate::machine::{Proof, VerifyingKey};
use openvm_stark_backend::calculate_n_logup;
use openvm_stark_backend::hasher::MerkleHasher;
use openvm_stark_backend::proof::{
    BatchConstraintProof, GkrLayerClaims, GkrProof, StackingProof, TraceVData, WhirProof,
};
use openvm_stark_backend::prover::stacked_pcs::StackedLayout;
use openvm_stark_backend::verifier::proof_shape::{verify_proof_shape, ProofShapeError};
use openvm_stark_backend::FiatShamirTranscript;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::iter::zip;

const ELEMENT: usize = 4;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EncodingError {
    /// The proof isn't one for this verifying key.
    #[error("the proof has another shape than its verifying key asks for: {0}")]
    Shape(#[from] ProofShapeError),
    #[error("the proof has no traces")]
    NoTraces,
    #[error("trace {air} has height 2^{height}, its preprocessed part has another")]
    PreprocessedHeight { air: usize, height: usize },
    /// Two queries have one position, and the proof answers them differently: one of the answers is wrong.
    #[error("position {position} of round {round} is opened in two ways")]
    Inconsistent { round: usize, position: usize },
    #[error("the encoding ends after {length} bytes, more were to follow")]
    Truncated { length: usize },
    #[error("{left} bytes follow the proof")]
    Trailing { left: usize },
    #[error("at byte {offset} is {value:#x}, which is no canonical element of the field")]
    NotCanonical { offset: usize, value: u32 },
    #[error("at byte {offset} is {value}, where {expected} is expected")]
    OutOfRange { offset: usize, value: u32, expected: &'static str },
}

/// A proof's bytes, and where the parts end at which a verification can be interrupted: the first before any round of
/// openings, then one after each round. The first `head` bytes say what is proven.
pub struct Encoded {
    pub bytes: Vec<u8>,
    pub head: usize,
    pub parts: Vec<usize>,
}

/// The bytes of `proof` for the contract.
///
/// # Errors
/// For a proof that no verifier would accept, because of its shape or of Merkle paths that contradict each other.
pub fn encode(key: &VerifyingKey, proof: &Proof) -> Result<Encoded, EncodingError> {
    if proof.trace_vdata.iter().all(Option::is_none) {
        return Err(EncodingError::NoTraces);
    }
    verify_proof_shape::<KeccakConfig>(&key.inner, proof)?;
    let mut writer = Writer::default();
    let mut replay = Replay::new(key);
    replay.header(proof)?;
    writer.header(key, proof);
    let head = writer.0.len();
    replay.until_openings(proof);
    writer.gkr(&proof.gkr_proof);
    writer.batch_constraints(proof);
    writer.stacking(&proof.stacking_proof);
    let whir = &proof.whir_proof;
    writer.element(whir.mu_pow_witness);
    let mut parts = vec![writer.0.len()];
    for round in 0..key.inner.params.num_whir_rounds() {
        let positions = replay.round(whir, round);
        writer.round(key, whir, round);
        writer.openings(key, proof, round, &positions)?;
        parts.push(writer.0.len());
    }
    Ok(Encoded { bytes: writer.0, head, parts })
}

/// The proof that `bytes` encode, valid or not.
///
/// # Errors
/// For anything that [`encode`] doesn't give.
pub fn decode(key: &VerifyingKey, bytes: &[u8]) -> Result<Proof, EncodingError> {
    let mut reader = Reader { bytes, offset: 0 };
    let mut proof = reader.header(key)?;
    let shape = Shape::of(key, &proof)?;
    let mut replay = Replay::new(key);
    replay.header(&proof)?;
    proof.gkr_proof = reader.gkr(shape.gkr_rounds)?;
    proof.batch_constraint_proof = reader.batch_constraints(key, &shape)?;
    proof.stacking_proof = reader.stacking(key, &shape)?;
    let rounds = key.inner.params.num_whir_rounds();
    proof.whir_proof.mu_pow_witness = reader.element()?;
    replay.until_openings(&proof);
    proof.whir_proof.initial_round_opened_rows = vec![vec![]; shape.stacked_widths.len()];
    proof.whir_proof.initial_round_merkle_proofs = vec![vec![]; shape.stacked_widths.len()];
    for round in 0..rounds {
        reader.round(key, &mut proof.whir_proof, round)?;
        let positions = replay.round(&proof.whir_proof, round);
        reader.openings(key, &shape, &mut proof.whir_proof, round, &positions)?;
    }
    match reader.bytes.len() - reader.offset {
        0 => Ok(proof),
        left => Err(EncodingError::Trailing { left }),
    }
}

/// The traces that are present, highest first: the order of everything that a proof says about traces.
fn sorted_airs(proof: &Proof) -> Vec<usize> {
    let mut airs: Vec<usize> = (0..proof.trace_vdata.len()).filter(|air| proof.trace_vdata[*air].is_some()).collect();
    airs.sort_by_key(|air| proof.trace_vdata[*air].as_ref().map(|data| Reverse(data.log_height)));
    airs
}

/// Numbers that follow from the verifying key and the heights of traces.
struct Shape {
    airs: Vec<usize>,
    gkr_rounds: usize,
    sumcheck_rounds: usize,
    stacked_widths: Vec<usize>,
}

impl Shape {
    fn of(key: &VerifyingKey, proof: &Proof) -> Result<Self, EncodingError> {
        let skip = key.inner.params.l_skip;
        let airs = sorted_airs(proof);
        let height = |air: usize| proof.trace_vdata[air].as_ref().map_or(0, |data| data.log_height);
        let Some(highest) = airs.first() else { return Err(EncodingError::NoTraces) };
        let interactions: u64 =
            airs.iter().map(|air| (key.inner.per_air[*air].num_interactions() as u64) << height(*air).max(skip)).sum();
        let gkr_rounds = if interactions == 0 { 0 } else { skip + calculate_n_logup(skip, interactions) };
        let width_of = |sorted: Vec<(usize, usize)>| {
            let layout = StackedLayout::new(skip, skip + key.inner.params.n_stack, sorted);
            layout.expect("heights were checked to fit").width()
        };
        let width = |air: &usize| &key.inner.per_air[*air].params.width;
        let mut stacked_widths =
            vec![width_of(airs.iter().map(|air| (width(air).common_main, height(*air))).collect())];
        for air in &airs {
            let others = width(air).preprocessed.iter().chain(&width(air).cached_mains);
            stacked_widths.extend(others.map(|width| width_of(vec![(*width, height(*air))])));
        }
        Ok(Self { sumcheck_rounds: height(*highest).saturating_sub(skip), airs, gkr_rounds, stacked_widths })
    }
}

/// The transcript of a verifier that checks nothing: what it observes, in the order in which it does.
pub struct Replay<'a> {
    key: &'a VerifyingKey,
    pub transcript: KeccakTranscript,
}

impl<'a> Replay<'a> {
    pub fn new(key: &'a VerifyingKey) -> Self {
        Self { key, transcript: KeccakTranscript::default() }
    }

    fn challenge(&mut self) {
        let _: Challenge = FiatShamirTranscript::<KeccakConfig>::sample_ext(&mut self.transcript);
    }

    fn observe(&mut self, values: &[Challenge]) {
        for value in values {
            FiatShamirTranscript::<KeccakConfig>::observe_ext(&mut self.transcript, *value);
        }
    }

    /// Whether it does is the verifier's question: the transcript goes on alike.
    fn witness(&mut self, bits: usize, witness: Val) {
        let _ = self.transcript.check_witness(bits, witness);
    }

    /// Preamble of `verifier::verify`.
    pub fn header(&mut self, proof: &Proof) -> Result<(), EncodingError> {
        let transcript = &mut self.transcript;
        transcript.observe_commit(self.key.pre_hash);
        transcript.observe_commit(proof.common_main_commit);
        let traces = zip(&proof.trace_vdata, &proof.public_values);
        for (air, (key, (data, values))) in zip(&self.key.inner.per_air, traces).enumerate() {
            if !key.is_required {
                transcript.observe(Val::from_bool(data.is_some()));
            }
            if let Some(data) = data {
                if let Some(preprocessed) = &key.preprocessed_data {
                    let height = preprocessed.hypercube_dim + self.key.inner.params.l_skip as isize;
                    if height != data.log_height as isize {
                        return Err(EncodingError::PreprocessedHeight { air, height: data.log_height });
                    }
                    transcript.observe_commit(preprocessed.commit);
                } else {
                    transcript.observe(Val::from_usize(data.log_height));
                }
                for commitment in &data.cached_commitments {
                    transcript.observe_commit(*commitment);
                }
            }
            for value in values {
                transcript.observe(*value);
            }
        }
        Ok(())
    }

    /// From the header to the challenge that batches the stacked openings.
    fn until_openings(&mut self, proof: &Proof) {
        self.gkr(proof);
        self.batch_constraints(proof);
        self.stacking(proof);
        self.batching(proof);
    }

    /// The challenge that batches the stacked openings, and the work before it.
    pub fn batching(&mut self, proof: &Proof) {
        self.witness(self.key.inner.params.whir.mu_pow_bits, proof.whir_proof.mu_pow_witness);
        self.challenge();
    }

    /// `verify_gkr` and the two challenges before it.
    pub fn gkr(&mut self, proof: &Proof) {
        let gkr = &proof.gkr_proof;
        self.witness(self.key.inner.params.logup.pow_bits, gkr.logup_pow_witness);
        self.challenge();
        self.challenge();
        if gkr.claims_per_layer.is_empty() {
            return;
        }
        self.observe(&[gkr.q0_claim]);
        for (round, claims) in gkr.claims_per_layer.iter().enumerate() {
            if round > 0 {
                self.challenge();
                for evaluations in &gkr.sumcheck_polys[round - 1] {
                    self.observe(evaluations);
                    self.challenge();
                }
            }
            self.observe(&layer(claims));
            self.challenge();
        }
    }

    /// The rest of `verify_zerocheck_and_logup`.
    pub fn batch_constraints(&mut self, proof: &Proof) {
        let skip = self.key.inner.params.l_skip;
        let batch = &proof.batch_constraint_proof;
        let global = batch.sumcheck_round_polys.len() + skip;
        for _ in proof.gkr_proof.claims_per_layer.len()..global {
            self.challenge();
        }
        self.challenge();
        for terms in zip(&batch.numerator_term_per_air, &batch.denominator_term_per_air) {
            self.observe(&[*terms.0, *terms.1]);
        }
        self.challenge();
        self.observe(&batch.univariate_round_coeffs);
        self.challenge();
        for evaluations in &batch.sumcheck_round_polys {
            self.observe(evaluations);
            self.challenge();
        }
        let airs = sorted_airs(proof);
        let rotated = |air: &usize| self.key.inner.per_air[*air].params.need_rot;
        let with_rotations = |openings: &[Challenge], rotated: bool| -> Vec<Challenge> {
            match rotated {
                true => openings.to_vec(),
                false => openings.iter().flat_map(|opening| [*opening, Challenge::ZERO]).collect(),
            }
        };
        let traces = || zip(&airs, &batch.column_openings);
        let common = traces().map(|(air, parts)| with_rotations(&parts[0], rotated(air)));
        let others =
            traces().flat_map(|(air, parts)| parts[1..].iter().map(move |part| with_rotations(part, rotated(air))));
        for openings in common.chain(others).collect::<Vec<_>>() {
            self.observe(&openings);
        }
    }

    /// `verify_stacked_reduction`.
    pub fn stacking(&mut self, proof: &Proof) {
        let stacking = &proof.stacking_proof;
        self.challenge();
        self.observe(&stacking.univariate_round_coeffs);
        self.challenge();
        for evaluations in &stacking.sumcheck_round_polys {
            self.observe(evaluations);
            self.challenge();
        }
        for openings in &stacking.stacking_openings {
            self.observe(openings);
        }
    }

    /// One round of `verify_whir`; returns the positions of its queries.
    pub fn round(&mut self, whir: &WhirProof<KeccakConfig>, round: usize) -> Vec<usize> {
        let parameters = &self.key.inner.params;
        let folding = parameters.k_whir();
        for fold in folding * round..folding * (round + 1) {
            self.observe(&whir.whir_sumcheck_polys[fold]);
            self.witness(parameters.whir.folding_pow_bits, whir.folding_pow_witnesses[fold]);
            self.challenge();
        }
        if round + 1 == parameters.num_whir_rounds() {
            self.observe(&whir.final_poly);
        } else {
            self.transcript.observe_commit(whir.codeword_commits[round]);
            self.challenge();
            self.observe(&[whir.ood_values[round]]);
        }
        self.witness(parameters.whir.query_phase_pow_bits, whir.query_phase_pow_witnesses[round]);
        let bits = tree_depth(self.key, round);
        let queries = 0..parameters.whir.rounds[round].num_queries;
        let sample = |_| FiatShamirTranscript::<KeccakConfig>::sample_bits(&mut self.transcript, bits) as usize;
        let positions = queries.map(sample).collect();
        self.challenge();
        positions
    }
}

/// Levels above the leaves of the tree that is opened in a round.
fn tree_depth(key: &VerifyingKey, round: usize) -> usize {
    let parameters = &key.inner.params;
    parameters.log_stacked_height() + parameters.log_blowup - parameters.k_whir() - round
}

/// A layer's claims in the order in which they are observed.
fn layer(claims: &GkrLayerClaims<KeccakConfig>) -> [Challenge; 4] {
    [claims.p_xi_0, claims.q_xi_0, claims.p_xi_1, claims.q_xi_1]
}

/// For each level from the leaves, which siblings of the nodes above `positions` (each once, ascending) are unknown.
fn missing_siblings(positions: &[usize], depth: usize) -> Vec<Vec<usize>> {
    let mut nodes = positions.to_vec();
    let mut levels = Vec::with_capacity(depth);
    for _ in 0..depth {
        levels.push(nodes.iter().map(|node| node ^ 1).filter(|node| nodes.binary_search(node).is_err()).collect());
        nodes = nodes.iter().map(|node| node >> 1).collect();
        nodes.dedup();
    }
    levels
}

/// Positions, each once and ascending, with the first query that asks for it.
fn distinct(positions: &[usize]) -> BTreeMap<usize, usize> {
    positions.iter().enumerate().rev().map(|(query, position)| (*position, query)).collect()
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn element(&mut self, value: Val) {
        self.0.extend_from_slice(&element_bytes(value));
    }

    fn extension(&mut self, value: Challenge) {
        for coefficient in BasedVectorSpace::<Val>::as_basis_coefficients_slice(&value) {
            self.element(*coefficient);
        }
    }

    fn extensions<'v>(&mut self, values: impl IntoIterator<Item = &'v Challenge>) {
        for value in values {
            self.extension(*value);
        }
    }

    fn header(&mut self, key: &VerifyingKey, proof: &Proof) {
        self.0.extend_from_slice(&proof.common_main_commit);
        let traces = zip(&proof.trace_vdata, &proof.public_values);
        for (key, (data, values)) in zip(&key.inner.per_air, traces) {
            if !key.is_required {
                self.element(Val::from_bool(data.is_some()));
            }
            if let Some(data) = data {
                if key.preprocessed_data.is_none() {
                    self.element(Val::from_usize(data.log_height));
                }
                self.0.extend(data.cached_commitments.iter().flatten());
            }
            for value in values {
                self.element(*value);
            }
        }
    }

    fn gkr(&mut self, gkr: &GkrProof<KeccakConfig>) {
        self.element(gkr.logup_pow_witness);
        self.extension(gkr.q0_claim);
        for (round, claims) in gkr.claims_per_layer.iter().enumerate() {
            if round > 0 {
                self.extensions(gkr.sumcheck_polys[round - 1].iter().flatten());
            }
            self.extensions(&layer(claims));
        }
    }

    fn batch_constraints(&mut self, proof: &Proof) {
        let batch = &proof.batch_constraint_proof;
        for terms in zip(&batch.numerator_term_per_air, &batch.denominator_term_per_air) {
            self.extensions([terms.0, terms.1]);
        }
        self.extensions(&batch.univariate_round_coeffs);
        self.extensions(batch.sumcheck_round_polys.iter().flatten());
        self.extensions(batch.column_openings.iter().flat_map(|parts| &parts[0]));
        self.extensions(batch.column_openings.iter().flat_map(|parts| parts[1..].iter().flatten()));
    }

    fn stacking(&mut self, stacking: &StackingProof<KeccakConfig>) {
        self.extensions(&stacking.univariate_round_coeffs);
        self.extensions(stacking.sumcheck_round_polys.iter().flatten());
        self.extensions(stacking.stacking_openings.iter().flatten());
    }

    fn round(&mut self, key: &VerifyingKey, whir: &WhirProof<KeccakConfig>, round: usize) {
        let folding = key.inner.params.k_whir();
        for fold in folding * round..folding * (round + 1) {
            self.extensions(&whir.whir_sumcheck_polys[fold]);
            self.element(whir.folding_pow_witnesses[fold]);
        }
        if round + 1 == key.inner.params.num_whir_rounds() {
            self.extensions(&whir.final_poly);
        } else {
            self.0.extend_from_slice(&whir.codeword_commits[round]);
            self.extension(whir.ood_values[round]);
        }
        self.element(whir.query_phase_pow_witnesses[round]);
    }

    fn openings(
        &mut self,
        key: &VerifyingKey,
        proof: &Proof,
        round: usize,
        positions: &[usize],
    ) -> Result<(), EncodingError> {
        let whir = &proof.whir_proof;
        let depth = tree_depth(key, round);
        let leaves = distinct(positions);
        let inconsistent = |position: usize| EncodingError::Inconsistent { round, position };
        for (position, query) in positions.iter().zip(0..) {
            let first = leaves[position];
            let same = match round {
                0 => whir.initial_round_opened_rows.iter().all(|rows| rows[query] == rows[first]),
                _ => whir.codeword_opened_values[round - 1][query] == whir.codeword_opened_values[round - 1][first],
            };
            if !same {
                return Err(inconsistent(*position));
            }
        }
        for query in leaves.values() {
            match round {
                0 => {
                    for rows in &whir.initial_round_opened_rows {
                        rows[*query].iter().flatten().for_each(|value| self.element(*value));
                    }
                }
                _ => self.extensions(&whir.codeword_opened_values[round - 1][*query]),
            }
        }
        let hasher = KeccakMerkleHasher;
        // For each tree the paths and the leaf's hash of every query.
        let trees: Vec<(&Vec<Vec<Digest>>, Vec<Digest>)> = match round {
            0 => zip(&whir.initial_round_merkle_proofs, &whir.initial_round_opened_rows)
                .map(|(paths, rows)| (paths, rows.iter().map(|rows| row_digest(rows)).collect()))
                .collect(),
            _ => {
                let values = &whir.codeword_opened_values[round - 1];
                let digests = values.iter().map(|values| values_digest(values)).collect();
                vec![(&whir.codeword_merkle_proofs[round - 1], digests)]
            }
        };
        for (paths, digests) in trees {
            let mut siblings = BTreeMap::new();
            let mut nodes = BTreeMap::new();
            for (query, position) in positions.iter().enumerate() {
                let mut node = digests[query];
                for (level, sibling) in paths[query].iter().enumerate() {
                    let index = position >> level;
                    let known = *siblings.entry((level, index ^ 1)).or_insert(*sibling);
                    let own = *nodes.entry((level, index)).or_insert(node);
                    if known != *sibling || own != node {
                        return Err(inconsistent(*position));
                    }
                    node = match index & 1 {
                        0 => hasher.compress(node, *sibling),
                        _ => hasher.compress(*sibling, node),
                    };
                }
            }
            if siblings.iter().any(|(at, sibling)| nodes.get(at).is_some_and(|node| node != sibling)) {
                return Err(inconsistent(positions[0]));
            }
            let distinct: Vec<usize> = leaves.keys().copied().collect();
            for (level, missing) in missing_siblings(&distinct, depth).iter().enumerate() {
                missing.iter().for_each(|node| self.0.extend_from_slice(&siblings[&(level, *node)]));
            }
        }
        Ok(())
    }
}

/// Hash of the rows that one query opens.
fn row_digest(rows: &[Vec<Val>]) -> Digest {
    let hasher = KeccakMerkleHasher;
    hasher.tree_compress(rows.iter().map(|row| hasher.hash_slice(row)).collect())
}

/// Hash of the codeword's values that one query opens.
fn values_digest(values: &[Challenge]) -> Digest {
    let hasher = KeccakMerkleHasher;
    hasher.tree_compress(values.iter().map(|value| hasher.hash_slice(value.as_basis_coefficients_slice())).collect())
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    fn take<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], EncodingError> {
        let slice = self.bytes.get(self.offset..).and_then(|rest| rest.first_chunk::<LENGTH>());
        let taken = slice.ok_or(EncodingError::Truncated { length: self.bytes.len() })?;
        self.offset += LENGTH;
        Ok(*taken)
    }

    fn element(&mut self) -> Result<Val, EncodingError> {
        let offset = self.offset;
        let value = u32::from_be_bytes(self.take::<ELEMENT>()?);
        if value >= Val::ORDER_U32 {
            return Err(EncodingError::NotCanonical { offset, value });
        }
        Ok(Val::from_u32(value))
    }

    fn number(&mut self, maximum: usize, expected: &'static str) -> Result<usize, EncodingError> {
        let offset = self.offset;
        let value = u32::from_be_bytes(self.take::<ELEMENT>()?);
        match usize::try_from(value) {
            Ok(number) if number <= maximum => Ok(number),
            _ => Err(EncodingError::OutOfRange { offset, value, expected }),
        }
    }

    fn extension(&mut self) -> Result<Challenge, EncodingError> {
        let coefficients = [self.element()?, self.element()?, self.element()?, self.element()?];
        Ok(Challenge::from_basis_coefficients_fn(|index| coefficients[index]))
    }

    fn many<T>(
        &mut self,
        count: usize,
        one: impl Fn(&mut Self) -> Result<T, EncodingError>,
    ) -> Result<Vec<T>, EncodingError> {
        // Nothing is shorter than an element: a length that the bytes can't hold reserves no memory.
        if count > (self.bytes.len() - self.offset) / ELEMENT {
            return Err(EncodingError::Truncated { length: self.bytes.len() });
        }
        (0..count).map(|_| one(self)).collect()
    }

    fn extensions(&mut self, count: usize) -> Result<Vec<Challenge>, EncodingError> {
        self.many(count, Self::extension)
    }

    fn header(&mut self, key: &VerifyingKey) -> Result<Proof, EncodingError> {
        let parameters = &key.inner.params;
        let mut proof = empty_proof();
        proof.common_main_commit = self.take()?;
        for key in &key.inner.per_air {
            let present = key.is_required || self.number(1, "0 or 1")? == 1;
            let mut values = vec![];
            let data = match present {
                false => None,
                true => {
                    let log_height = match &key.preprocessed_data {
                        Some(data) => (data.hypercube_dim + parameters.l_skip as isize) as usize,
                        None => self.number(parameters.log_stacked_height(), "a height that can be stacked")?,
                    };
                    let cached_commitments = self.many(key.num_cached_mains(), Self::take)?;
                    values = self.many(key.params.num_public_values, Self::element)?;
                    Some(TraceVData { log_height, cached_commitments })
                }
            };
            proof.trace_vdata.push(data);
            proof.public_values.push(values);
        }
        Ok(proof)
    }

    fn gkr(&mut self, rounds: usize) -> Result<GkrProof<KeccakConfig>, EncodingError> {
        let logup_pow_witness = self.element()?;
        let q0_claim = self.extension()?;
        let mut proof = GkrProof { logup_pow_witness, q0_claim, claims_per_layer: vec![], sumcheck_polys: vec![] };
        for round in 0..rounds {
            if round > 0 {
                let one = |reader: &mut Self| Ok([reader.extension()?, reader.extension()?, reader.extension()?]);
                proof.sumcheck_polys.push(self.many(round, one)?);
            }
            let [p_xi_0, q_xi_0] = [self.extension()?, self.extension()?];
            let [p_xi_1, q_xi_1] = [self.extension()?, self.extension()?];
            proof.claims_per_layer.push(GkrLayerClaims { p_xi_0, p_xi_1, q_xi_0, q_xi_1 });
        }
        Ok(proof)
    }

    fn batch_constraints(
        &mut self,
        key: &VerifyingKey,
        shape: &Shape,
    ) -> Result<BatchConstraintProof<KeccakConfig>, EncodingError> {
        let degree = key.inner.max_constraint_degree() + 1;
        let mut proof = empty_batch();
        for _ in &shape.airs {
            proof.numerator_term_per_air.push(self.extension()?);
            proof.denominator_term_per_air.push(self.extension()?);
        }
        proof.univariate_round_coeffs = self.extensions(degree * ((1 << key.inner.params.l_skip) - 1) + 1)?;
        for _ in 0..shape.sumcheck_rounds {
            proof.sumcheck_round_polys.push(self.extensions(degree)?);
        }
        let airs = || shape.airs.iter().map(|air| &key.inner.per_air[*air].params);
        let per_column = |rotated: bool| if rotated { 2 } else { 1 };
        for air in airs() {
            proof.column_openings.push(vec![self.extensions(air.width.common_main * per_column(air.need_rot))?]);
        }
        for (trace, air) in airs().enumerate() {
            for width in air.width.preprocessed.iter().chain(&air.width.cached_mains) {
                let openings = self.extensions(width * per_column(air.need_rot))?;
                proof.column_openings[trace].push(openings);
            }
        }
        Ok(proof)
    }

    fn stacking(&mut self, key: &VerifyingKey, shape: &Shape) -> Result<StackingProof<KeccakConfig>, EncodingError> {
        let parameters = &key.inner.params;
        let univariate_round_coeffs = self.extensions(2 * ((1 << parameters.l_skip) - 1) + 1)?;
        let sumcheck_round_polys = self.many(parameters.n_stack, Self::pair)?;
        let widths = shape.stacked_widths.iter();
        let stacking_openings = widths.map(|width| self.extensions(*width)).collect::<Result<_, _>>()?;
        Ok(StackingProof { univariate_round_coeffs, sumcheck_round_polys, stacking_openings })
    }

    fn pair(&mut self) -> Result<[Challenge; 2], EncodingError> {
        Ok([self.extension()?, self.extension()?])
    }

    fn round(
        &mut self,
        key: &VerifyingKey,
        whir: &mut WhirProof<KeccakConfig>,
        round: usize,
    ) -> Result<(), EncodingError> {
        for _ in 0..key.inner.params.k_whir() {
            whir.whir_sumcheck_polys.push(self.pair()?);
            whir.folding_pow_witnesses.push(self.element()?);
        }
        if round + 1 == key.inner.params.num_whir_rounds() {
            whir.final_poly = self.extensions(1 << key.inner.params.log_final_poly_len())?;
        } else {
            whir.codeword_commits.push(self.take()?);
            whir.ood_values.push(self.extension()?);
        }
        whir.query_phase_pow_witnesses.push(self.element()?);
        Ok(())
    }

    fn openings(
        &mut self,
        key: &VerifyingKey,
        shape: &Shape,
        whir: &mut WhirProof<KeccakConfig>,
        round: usize,
        positions: &[usize],
    ) -> Result<(), EncodingError> {
        let rows = 1 << key.inner.params.k_whir();
        let depth = tree_depth(key, round);
        let leaves: Vec<usize> = distinct(positions).into_keys().collect();
        let leaf_of = |position: &usize| leaves.binary_search(position).expect("leaves are the positions");
        if round == 0 {
            let mut opened: Vec<Vec<Vec<Vec<Val>>>> = vec![vec![]; shape.stacked_widths.len()];
            for _ in &leaves {
                for (commitment, width) in shape.stacked_widths.iter().enumerate() {
                    opened[commitment].push(self.many(rows, |reader| reader.many(*width, Self::element))?);
                }
            }
            for (commitment, opened) in opened.iter().enumerate() {
                let digests = opened.iter().map(|rows| row_digest(rows)).collect();
                whir.initial_round_opened_rows[commitment] =
                    positions.iter().map(|position| opened[leaf_of(position)].clone()).collect();
                whir.initial_round_merkle_proofs[commitment] = self.paths(&leaves, digests, depth, positions)?;
            }
        } else {
            let opened = self.many(leaves.len(), |reader| reader.extensions(rows))?;
            let digests = opened.iter().map(|values| values_digest(values)).collect();
            let values = positions.iter().map(|position| opened[leaf_of(position)].clone()).collect();
            whir.codeword_opened_values.push(values);
            whir.codeword_merkle_proofs.push(self.paths(&leaves, digests, depth, positions)?);
        }
        Ok(())
    }

    /// The paths of all queries from the siblings that aren't known.
    fn paths(
        &mut self,
        leaves: &[usize],
        digests: Vec<Digest>,
        depth: usize,
        positions: &[usize],
    ) -> Result<Vec<Vec<Digest>>, EncodingError> {
        let mut known: BTreeMap<(usize, usize), Digest> = BTreeMap::new();
        let mut nodes: BTreeMap<usize, Digest> = zip(leaves.iter().copied(), digests).collect();
        for (level, missing) in missing_siblings(leaves, depth).into_iter().enumerate() {
            for node in missing {
                nodes.insert(node, self.take()?);
            }
            known.extend(nodes.iter().map(|(node, digest)| ((level, *node), *digest)));
            nodes = nodes
                .iter()
                .filter(|(node, _)| *node & 1 == 0)
                .map(|(node, digest)| (node >> 1, KeccakMerkleHasher.compress(*digest, nodes[&(node + 1)])))
                .collect();
        }
        let path = |position: &usize| (0..depth).map(|level| known[&(level, (position >> level) ^ 1)]).collect();
        Ok(positions.iter().map(path).collect())
    }
}

fn empty_batch() -> BatchConstraintProof<KeccakConfig> {
    BatchConstraintProof {
        numerator_term_per_air: vec![],
        denominator_term_per_air: vec![],
        univariate_round_coeffs: vec![],
        sumcheck_round_polys: vec![],
        column_openings: vec![],
    }
}

fn empty_proof() -> Proof {
    Proof {
        common_main_commit: [0; 32],
        trace_vdata: vec![],
        public_values: vec![],
        gkr_proof: GkrProof {
            logup_pow_witness: Val::ZERO,
            q0_claim: Challenge::ZERO,
            claims_per_layer: vec![],
            sumcheck_polys: vec![],
        },
        batch_constraint_proof: empty_batch(),
        stacking_proof: StackingProof {
            univariate_round_coeffs: vec![],
            sumcheck_round_polys: vec![],
            stacking_openings: vec![],
        },
        whir_proof: WhirProof {
            mu_pow_witness: Val::ZERO,
            whir_sumcheck_polys: vec![],
            codeword_commits: vec![],
            ood_values: vec![],
            folding_pow_witnesses: vec![],
            query_phase_pow_witnesses: vec![],
            initial_round_opened_rows: vec![],
            initial_round_merkle_proofs: vec![],
            codeword_opened_values: vec![],
            codeword_merkle_proofs: vec![],
            final_poly: vec![],
        },
    }
}
