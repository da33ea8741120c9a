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
/// Coefficients of the last polynomial, as a power of two: few, because each query evaluates it, on L1 and in a circuit.
const LOG_FINAL_POLYNOMIAL: usize = 4;
const QUERY_WORK: usize = 20;

/// Of a segment that a circuit verifies, under Poseidon2: a rate of 1/8, because each query costs the circuit rows.
pub fn recursive_segment_parameters() -> SystemParams {
    let (log_blowup, log_skip, log_height, columns) = (3, 4, 20, 64);
    let (folding_work, batching_work) = (18, 20);
    let logup = params_with_100_bits_security(
        log_blowup,
        log_skip,
        log_height - log_skip,
        columns,
        folding_work,
        batching_work,
        PROXIMITY,
        MACHINE_DEGREE,
        QUERY_WORK,
        FOLDING,
    )
    .logup;
    SystemParams::new(
        log_blowup,
        log_skip,
        log_height - log_skip,
        columns,
        LOG_FINAL_POLYNOMIAL,
        folding_work,
        batching_work,
        PROXIMITY,
        SECURITY_BITS as usize,
        logup,
        MACHINE_DEGREE,
        QUERY_WORK,
        FOLDING,
    )
}

/// Of the layers between, under Poseidon2: as the library's own, but with short last polynomials, which would otherwise
/// fill most rows of the next circuit.
pub fn layer_parameters() -> LayerParams {
    let leaf = parameters(2, 4, 21, 2048, 5, (4, 13), WhirProximityStrategy::UniqueDecoding);
    let internal = parameters(3, 2, 19, 512, 3, (20, 20), WhirProximityStrategy::ListDecoding { m: 2 });
    LayerParams { leaf, recursive: internal.clone(), internal }
}

/// Under Poseidon2, for a recursion circuit. `work` is that of folding and of batching.
fn parameters(
    log_blowup: usize,
    log_skip: usize,
    log_height: usize,
    columns: usize,
    log_final_polynomial: usize,
    (folding_work, batching_work): (usize, usize),
    proximity: WhirProximityStrategy,
) -> SystemParams {
    let logup = params_with_100_bits_security(
        log_blowup,
        log_skip,
        log_height - log_skip,
        columns,
        folding_work,
        batching_work,
        proximity,
        CIRCUIT_DEGREE,
        QUERY_WORK,
        FOLDING,
    )
    .logup;
    SystemParams::new(
        log_blowup,
        log_skip,
        log_height - log_skip,
        columns,
        log_final_polynomial,
        folding_work,
        batching_work,
        proximity,
        SECURITY_BITS as usize,
        logup,
        CIRCUIT_DEGREE,
        QUERY_WORK,
        FOLDING,
    )
}

/// Of the last layer, under Keccak-256, whose proofs of work count less.
pub fn last_parameters() -> SystemParams {
    let (log_blowup, log_skip, log_height, columns) = (4, 2, 20, 40);
    let (folding_work, batching_work) = (22, 20);
    let mut logup = params_with_100_bits_security(
        log_blowup,
        log_skip,
        log_height - log_skip,
        columns,
        folding_work,
        batching_work,
        PROXIMITY,
        CIRCUIT_DEGREE,
        QUERY_WORK,
        FOLDING,
    )
    .logup;
    logup.pow_bits += KECCAK_GRINDING_DISCOUNT;
    SystemParams::new(
        log_blowup,
        log_skip,
        log_height - log_skip,
        columns,
        LOG_FINAL_POLYNOMIAL,
        folding_work,
        batching_work,
        PROXIMITY,
        SECURITY_BITS as usize + KECCAK_GRINDING_DISCOUNT,
        logup,
        CIRCUIT_DEGREE,
        QUERY_WORK,
        FOLDING,
    )
}

const PROXIMITY: WhirProximityStrategy = WhirProximityStrategy::ListDecoding { m: 1 };
