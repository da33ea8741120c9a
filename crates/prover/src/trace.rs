//! The transcript's states between the phases of a verification, to find where the contract disagrees.

use crate::encoding::{EncodingError, Replay};
use crate::keccak::Digest;
use crate::machine::{Proof, VerifyingKey};

/// Name and transcript state of each phase's end, in order: what `contracts/test/ProofVerifier.t.sol` compares with the
/// contract's. States cover everything observed, and with it all claims of the prover.
///
/// # Errors
/// As [`crate::encoding::encode`], for a proof whose header doesn't fit its verifying key.
pub fn trace(key: &VerifyingKey, proof: &Proof) -> Result<Vec<(String, Digest)>, EncodingError> {
    let mut replay = Replay::new(key);
    let mut phases = vec![];
    replay.header(proof)?;
    replay.gkr(proof);
    phases.push(("gkr".to_owned(), *replay.transcript.state()));
    replay.batch_constraints(proof);
    phases.push(("batchConstraints".to_owned(), *replay.transcript.state()));
    replay.stacking(proof);
    phases.push(("stacking".to_owned(), *replay.transcript.state()));
    replay.batching(proof);
    phases.push(("batching".to_owned(), *replay.transcript.state()));
    for round in 0..key.inner.params.num_whir_rounds() {
        replay.round(&proof.whir_proof, round);
        phases.push((format!("whir{round}"), *replay.transcript.state()));
    }
    Ok(phases)
}
