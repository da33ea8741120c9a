//! Receipts (EIP-658, EIP-2718) of users' and of system transactions.

use crate::block::ordered_trie_root;
use alloc::vec::Vec;
use alloy_primitives::{Address, Bloom, BloomInput, Bytes, Log, B256};
use alloy_rlp::{Encodable, Header as RlpHeader};

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// EIP-2718 type of the transaction.
    pub transaction_type: u8,
    /// Whether it succeeded.
    pub status: bool,
    /// Gas used in the block up to and including the transaction.
    pub cumulative_gas_used: u64,
    /// Gas used by the transaction.
    pub gas_used: u64,
    /// Bloom filter over the logs.
    pub bloom: Bloom,
    pub logs: Vec<Log>,
    /// Address of the contract that a create transaction made, or would have made. Not part of the encoding.
    pub contract_address: Option<Address>,
}

impl Receipt {
    /// `type || rlp([status, cumulativeGasUsed, bloom, logs])`, without the type for legacy transactions.
    pub fn encoded(&self) -> Bytes {
        let payload_length =
            self.status.length() + self.cumulative_gas_used.length() + self.bloom.length() + self.logs.length();
        let mut out = Vec::with_capacity(payload_length + 10);
        if self.transaction_type != 0 {
            out.push(self.transaction_type);
        }
        RlpHeader { list: true, payload_length }.encode(&mut out);
        self.status.encode(&mut out);
        self.cumulative_gas_used.encode(&mut out);
        self.bloom.encode(&mut out);
        self.logs.encode(&mut out);
        out.into()
    }
}

/// The 2048-bit Bloom filter over the logs' addresses and topics (yellow paper, 4.3.1).
pub fn logs_bloom<'a>(logs: impl IntoIterator<Item = &'a Log>) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue(BloomInput::Raw(log.address.as_slice()));
        for topic in log.topics() {
            bloom.accrue(BloomInput::Raw(topic.as_slice()));
        }
    }
    bloom
}

/// Root of the trie of receipts, keyed by the RLP of their indices.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    let encoded: Vec<Bytes> = receipts.iter().map(Receipt::encoded).collect();
    ordered_trie_root(&encoded)
}
