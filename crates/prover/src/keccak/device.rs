//! OpenVM's CPU back end, but with commitments whose rows are hashed several at a time.
//!
//! The back end hashes one row after the other for every hash but its own Poseidon2, and committing was half of the last
//! layer's time. What is committed to, and every other step, is the back end's (`openvm-cpu-backend` 2.0.1,
//! `device.rs` and `merkle.rs`, with which a test compares).

use super::lanes::hash_all;
use super::merkle::{write_pair, write_row, PAIR_BYTES};
use super::{Challenge, Digest, KeccakConfig, KeccakTranscript, Val};
use openvm_cpu_backend::merkle::CpuMerkleTree;
use openvm_cpu_backend::{CpuBackend, CpuDevice, CpuProverError};
use openvm_stark_backend::keygen::types::MultiStarkProvingKey;
use openvm_stark_backend::proof::{BatchConstraintProof, GkrProof, StackingProof, WhirProof};
use openvm_stark_backend::prover::poly::eval_to_coeff_rs_message;
use openvm_stark_backend::prover::stacked_pcs::{stacked_matrix, StackedPcsData};
use openvm_stark_backend::prover::{
    ColMajorMatrix, DeviceDataTransporter, DeviceMultiStarkProvingKey, MatrixDimensions, MultiRapProver, OpeningProver,
    ProverBackend, ProverDevice, ProvingContext, TraceCommitter,
};
use openvm_stark_backend::SystemParams;
use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::PrimeCharacteristicRing;
use p3_matrix::dense::RowMajorMatrix;
use p3_matrix::Matrix;
use rayon::prelude::*;

type Backend = CpuBackend<KeccakConfig>;
type Inner = CpuDevice<KeccakConfig>;
type Data = <Backend as ProverBackend>::PcsData;

/// The device of [`super::KeccakEngine`].
#[derive(Clone)]
pub struct KeccakDevice(Inner);

impl KeccakDevice {
    pub fn new(configuration: KeccakConfig) -> Self {
        Self(CpuDevice::new(configuration))
    }

    pub fn config(&self) -> &KeccakConfig {
        self.0.config()
    }
}

impl TraceCommitter<Backend> for KeccakDevice {
    type Error = CpuProverError;

    fn commit(&self, traces: &[&RowMajorMatrix<Val>]) -> Result<(Digest, Data), CpuProverError> {
        let parameters = self.0.params();
        let columns: Vec<_> = traces.iter().map(|trace| ColMajorMatrix::from_row_major(trace)).collect();
        let columns: Vec<_> = columns.iter().collect();
        let (matrix, layout) = stacked_matrix(parameters.l_skip, parameters.n_stack, &columns)?;
        let codewords = encode(parameters, &matrix);
        let rows_per_query = 1 << parameters.k_whir();
        let layers = digest_layers(&codewords, rows_per_query);
        // SAFETY: the layers are the hashes of the matrix' rows and of pairs below them, as the back end makes them.
        let tree = unsafe { CpuMerkleTree::from_raw_parts(codewords, layers, rows_per_query) };
        Ok((tree.root()?, Data::new(layout, matrix, tree)))
    }
}

/// The Reed-Solomon codewords of a matrix' columns, side by side.
fn encode(parameters: &SystemParams, matrix: &ColMajorMatrix<Val>) -> RowMajorMatrix<Val> {
    let (height, width) = (matrix.height(), matrix.width());
    let messages: Vec<Vec<Val>> = matrix
        .values
        .par_chunks_exact(height)
        .map(|column| eval_to_coeff_rs_message(parameters.l_skip, column))
        .collect();
    let mut rows = Val::zero_vec((height << parameters.log_blowup) * width);
    rows[..height * width].par_chunks_exact_mut(width).enumerate().for_each(|(index, row)| {
        for (value, message) in row.iter_mut().zip(&messages) {
            *value = message[index];
        }
    });
    drop(messages);
    Radix2DitParallel::default().dft_batch(RowMajorMatrix::new(rows, width)).to_row_major_matrix()
}

/// The tree's layers from the leaves to the root. A leaf is the root over the rows of one query, which lie as far apart as
/// there are leaves.
fn digest_layers(rows: &RowMajorMatrix<Val>, rows_per_query: usize) -> Vec<Vec<Digest>> {
    let (height, width) = (Matrix::height(rows), rows.width);
    let leaves = height / rows_per_query;
    let mut layer = hash_all(height, 4 * width + 1, |index, message| {
        write_row(&rows.values[index * width..(index + 1) * width], message);
    });
    while layer.len() > leaves {
        layer = hash_all(layer.len() / 2, PAIR_BYTES, |index, message| {
            let (query, place) = (index / leaves, index % leaves);
            write_pair(&layer[2 * query * leaves + place], &layer[(2 * query + 1) * leaves + place], message);
        });
    }
    let mut layers = vec![layer];
    while let Some(last) = layers.last().filter(|layer| layer.len() > 1) {
        layers.push(hash_all(last.len() / 2, PAIR_BYTES, |index, message| {
            write_pair(&last[2 * index], &last[2 * index + 1], message);
        }));
    }
    layers
}

impl ProverDevice<Backend, KeccakTranscript> for KeccakDevice {
    type Error = CpuProverError;
    type DeviceCtx = ();

    fn device_ctx(&self) -> &() {
        &()
    }
}

impl MultiRapProver<Backend, KeccakTranscript> for KeccakDevice {
    type PartialProof = (GkrProof<KeccakConfig>, BatchConstraintProof<KeccakConfig>);
    type Artifacts = Vec<Challenge>;
    type Error = CpuProverError;

    fn prove_rap_constraints(
        &self,
        transcript: &mut KeccakTranscript,
        key: &DeviceMultiStarkProvingKey<Backend>,
        context: &ProvingContext<Backend>,
        data: &Data,
    ) -> Result<(Self::PartialProof, Vec<Challenge>), CpuProverError> {
        self.0.prove_rap_constraints(transcript, key, context, data)
    }
}

impl OpeningProver<Backend, KeccakTranscript> for KeccakDevice {
    type OpeningProof = (StackingProof<KeccakConfig>, WhirProof<KeccakConfig>);
    type OpeningPoints = Vec<Challenge>;
    type Error = CpuProverError;

    fn prove_openings(
        &self,
        transcript: &mut KeccakTranscript,
        key: &DeviceMultiStarkProvingKey<Backend>,
        context: ProvingContext<Backend>,
        data: Data,
        points: Vec<Challenge>,
    ) -> Result<Self::OpeningProof, CpuProverError> {
        self.0.prove_openings(transcript, key, context, data, points)
    }
}

impl DeviceDataTransporter<KeccakConfig, Backend> for KeccakDevice {
    fn transport_pk_to_device(&self, key: &MultiStarkProvingKey<KeccakConfig>) -> DeviceMultiStarkProvingKey<Backend> {
        self.0.transport_pk_to_device(key)
    }

    fn transport_matrix_to_device(&self, matrix: &ColMajorMatrix<Val>) -> RowMajorMatrix<Val> {
        self.0.transport_matrix_to_device(matrix)
    }

    fn transport_pcs_data_to_device(&self, data: &StackedPcsData<Val, Digest>) -> Data {
        self.0.transport_pcs_data_to_device(data)
    }

    fn transport_matrix_from_device_to_host(&self, matrix: &RowMajorMatrix<Val>) -> ColMajorMatrix<Val> {
        self.0.transport_matrix_from_device_to_host(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recursion::last_parameters;

    #[test]
    fn commitments_are_those_of_the_back_end() {
        let mut parameters = last_parameters();
        parameters.n_stack = 6;
        let trace = |height: usize, width: usize| {
            let value = |index: usize| Val::from_u32((index as u32).wrapping_mul(0x9e37_79b9) >> 2);
            RowMajorMatrix::new((0..height * width).map(value).collect(), width)
        };
        let traces = [trace(128, 5), trace(32, 3), trace(4, 40)];
        let traces: Vec<_> = traces.iter().collect();
        let device = KeccakDevice::new(KeccakConfig::new(parameters));
        let (root, data) = device.commit(&traces).expect("a commitment");
        let (expected, other) = device.0.commit(&traces).expect("a commitment");
        assert_eq!(root, expected);
        assert_eq!(data.tree.digest_layers(), other.tree.digest_layers());
        assert_eq!(data.tree.backing_matrix().values, other.tree.backing_matrix().values);
    }
}
