//! The statement of a proof (`docs/protocol.md`, section 9).

use alloy_primitives::{keccak256, Address, B256};

/// First word of a statement: keccak256("Exclave.Statement.v1").
pub fn statement_domain() -> B256 {
    keccak256(b"Exclave.Statement.v1")
}

/// What was found out about blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The block `to` is a valid descendant of the block `from`.
    Valid = 1,
    /// The block `to` is not a valid child of the block `from`.
    Invalid = 2,
}

/// What a proof shows: a verdict about the block `to`, seen from the block `from` of the same session.
///
/// With [`Verdict::Invalid`] all that would describe the block `to` is zero: it may be no block at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The session's.
    pub config_hash: B256,
    pub from_hash: B256,
    pub to_hash: B256,
    pub verdict: Verdict,
    /// Result hash of the block `to`: zero unless the session has ended in it.
    pub result_hash: B256,
    /// Accumulator of the forced messages consumed up to and including the block `to`.
    pub inbox_hash: B256,
    /// Number of the block `to`.
    pub to_number: u64,
    /// Of the block `to`, in seconds since 1970.
    pub to_timestamp: u64,
    /// Hash of the list of recoveries on which the statement depends.
    pub recoveries_hash: B256,
    /// Who gets what the proof earns.
    pub prover: Address,
}

impl Statement {
    /// `keccak256(abi.encode(domain, configHash, fromHash, toHash, verdict, resultHash, inboxHash, toNumber, toTimestamp,
    /// recoveriesHash, prover))`.
    pub fn hash(&self) -> B256 {
        let mut words = [0u8; 11 * 32];
        let mut position = 0;
        let mut put = |word: B256| {
            words[position..position + 32].copy_from_slice(word.as_slice());
            position += 32;
        };
        put(statement_domain());
        put(self.config_hash);
        put(self.from_hash);
        put(self.to_hash);
        put(number_word(self.verdict as u64));
        put(self.result_hash);
        put(self.inbox_hash);
        put(number_word(self.to_number));
        put(number_word(self.to_timestamp));
        put(self.recoveries_hash);
        put(self.prover.into_word());
        keccak256(words)
    }
}

fn number_word(number: u64) -> B256 {
    let mut word = B256::ZERO;
    word.0[24..].copy_from_slice(&number.to_be_bytes());
    word
}
