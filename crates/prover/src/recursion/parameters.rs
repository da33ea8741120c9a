//! Parameters of the proofs of recursion. Each of them has at least [`SECURITY_BITS`] proven bits, which tests assert.

use openvm_stark_backend::{SystemParams, WhirProximityStrategy};
use openvm_stark_sdk::config::params_with_100_bits_security;

use super::layers::LayerParams;
use crate::security::{KECCAK_GRINDING_DISCOUNT, SECURITY_BITS};

/// Constraint degree of OpenVM's recursion circuits (`RECURSION_MAX_CONSTRAINT_DEGREE` in `openvm-stark-sdk`).
const CIRCUIT_DEGREE: usize = 4;
/// Constraint degree of the machine's circuits (`APP_MAX_CONSTRAINT_DEGREE` in `openvm-stark-sdk`).
const MACHINE_DEGREE: usize = 3;
/// Variables folded in one round.
const FOLDING: usize = 4;
const QUERY_WORK: usize = 20;

/// What differs between the proofs. All logarithms are to the base 2.
struct Shape {
    degree: usize,
    log_blowup: usize,
    log_skip: usize,
    /// Of a column of the stacked traces.
    log_height: usize,
    /// Stacked columns at most.
    columns: usize,
    /// Coefficients of the last polynomial: few, because each query evaluates it, on L1 and in a circuit.
    log_final_polynomial: usize,
    folding_work: usize,
    batching_work: usize,
    proximity: WhirProximityStrategy,
    /// Bits by which proofs of work count less than the library takes them for.
    discount: usize,
}

impl Shape {
    /// The library's parameters for 100 proven bits, but with a last polynomial as short as it is said here.
    fn parameters(self) -> SystemParams {
        let log_stacked = self.log_height - self.log_skip;
        let mut logup = params_with_100_bits_security(
            self.log_blowup,
            self.log_skip,
            log_stacked,
            self.columns,
            self.folding_work,
            self.batching_work,
            self.proximity,
            self.degree,
            QUERY_WORK,
            FOLDING,
        )
        .logup;
        logup.pow_bits += self.discount;
        SystemParams::new(
            self.log_blowup,
            self.log_skip,
            log_stacked,
            self.columns,
            self.log_final_polynomial,
            self.folding_work,
            self.batching_work,
            self.proximity,
            SECURITY_BITS as usize + self.discount,
            logup,
            self.degree,
            QUERY_WORK,
            FOLDING,
        )
    }
}

/// Of a segment that a circuit verifies, under Poseidon2: a rate of 1/8, because each query costs the circuit rows.
pub fn recursive_segment_parameters() -> SystemParams {
    Shape {
        degree: MACHINE_DEGREE,
        log_blowup: 3,
        log_skip: 4,
        log_height: 20,
        columns: 64,
        log_final_polynomial: 4,
        folding_work: 18,
        batching_work: 20,
        proximity: WhirProximityStrategy::ListDecoding { m: 1 },
        discount: 0,
    }
    .parameters()
}

/// Of the layers between, under Poseidon2: as the library's own, but with short last polynomials, which would otherwise
/// fill most rows of the next circuit.
pub fn layer_parameters() -> LayerParams {
    let leaf = Shape {
        degree: CIRCUIT_DEGREE,
        log_blowup: 2,
        log_skip: 4,
        log_height: 21,
        columns: 2048,
        log_final_polynomial: 5,
        folding_work: 4,
        batching_work: 13,
        proximity: WhirProximityStrategy::UniqueDecoding,
        discount: 0,
    }
    .parameters();
    let internal = Shape {
        degree: CIRCUIT_DEGREE,
        log_blowup: 3,
        log_skip: 2,
        log_height: 19,
        columns: 512,
        log_final_polynomial: 3,
        folding_work: 20,
        batching_work: 20,
        proximity: WhirProximityStrategy::ListDecoding { m: 2 },
        discount: 0,
    }
    .parameters();
    LayerParams { leaf, recursive: internal.clone(), internal }
}

/// Of the last layer, under Keccak-256, whose proofs of work count less.
pub fn last_parameters() -> SystemParams {
    Shape {
        degree: CIRCUIT_DEGREE,
        log_blowup: 4,
        log_skip: 2,
        log_height: 20,
        columns: 40,
        log_final_polynomial: 4,
        folding_work: 22,
        batching_work: 20,
        proximity: WhirProximityStrategy::ListDecoding { m: 1 },
        discount: KECCAK_GRINDING_DISCOUNT,
    }
    .parameters()
}
