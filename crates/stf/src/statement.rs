//! The statement of a proof (`docs/protocol.md`, section 9).

use alloy_primitives::{b256, keccak256, Address, B256};

/// First word of a statement: keccak256("Exclave.Statement.v1").
pub const STATEMENT_DOMAIN: B256 = b256!("0x2f131f624defcd7684e65d696f963a6d5248ec487c838f60afa1ab1c55352e78");

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
    /// `abi.encode(domain, configHash, fromHash, toHash, verdict, resultHash, inboxHash, toNumber, toTimestamp,
    /// recoveriesHash, prover)`.
    pub fn encoded(&self) -> [u8; 11 * 32] {
        let words = [
            STATEMENT_DOMAIN,
            self.config_hash,
            self.from_hash,
            self.to_hash,
            number_word(self.verdict as u64),
            self.result_hash,
            self.inbox_hash,
            number_word(self.to_number),
            number_word(self.to_timestamp),
            self.recoveries_hash,
            self.prover.into_word(),
        ];
        let mut encoded = [0; 11 * 32];
        for (bytes, word) in encoded.chunks_exact_mut(32).zip(words) {
            bytes.copy_from_slice(word.as_slice());
        }
        encoded
    }

    /// What a proof makes public: keccak256 of the [encoding](Self::encoded).
    pub fn hash(&self) -> B256 {
        keccak256(self.encoded())
    }
}

fn number_word(number: u64) -> B256 {
    let mut word = B256::ZERO;
    word.0[24..].copy_from_slice(&number.to_be_bytes());
    word
}
