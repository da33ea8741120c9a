//! The encoding of blocks.

use crate::error::BlockError;
use alloc::vec::Vec;
use alloy_consensus::Header;
use alloy_primitives::{Bytes, B256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};

/// A block that was not verified: a header and its transactions in EIP-2718 encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub header: Header,
    pub transactions: Vec<Bytes>,
}

impl Block {
    /// `rlp([header, transactions, [], []])`, a typed transaction being a byte string and a legacy one a list.
    pub fn encoded(&self) -> Bytes {
        let mut payload = header_to_rlp(&self.header);
        let transactions_length = self.transactions.iter().map(body_length).sum();
        RlpHeader { list: true, payload_length: transactions_length }.encode(&mut payload);
        for raw in &self.transactions {
            if is_list(raw) {
                payload.extend_from_slice(raw);
            } else {
                raw.encode(&mut payload);
            }
        }
        payload.extend_from_slice(&[alloy_rlp::EMPTY_LIST_CODE, alloy_rlp::EMPTY_LIST_CODE]);
        let mut out = Vec::with_capacity(payload.len() + 10);
        RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend_from_slice(&payload);
        out.into()
    }

    /// Reads the canonical encoding; nothing may follow it. Transactions are not decoded.
    pub fn decode(encoded: &[u8]) -> Result<Self, BlockError> {
        let malformed = |_| BlockError::Malformed;
        let mut rest = encoded;
        let mut payload = RlpHeader::decode_bytes(&mut rest, true).map_err(malformed)?;
        if !rest.is_empty() {
            return Err(BlockError::Malformed);
        }
        let header = decode_header(&mut payload)?;
        let mut list = RlpHeader::decode_bytes(&mut payload, true).map_err(malformed)?;
        let mut transactions = Vec::new();
        while !list.is_empty() {
            let start = list;
            let item = RlpHeader::decode(&mut list).map_err(malformed)?;
            let body = list.get(..item.payload_length).ok_or(BlockError::Malformed)?;
            list = &list[item.payload_length..];
            transactions.push(if item.list {
                Bytes::copy_from_slice(&start[..start.len() - list.len()])
            } else if is_list(body) {
                return Err(BlockError::Malformed);
            } else {
                Bytes::copy_from_slice(body)
            });
        }
        if payload != [alloy_rlp::EMPTY_LIST_CODE, alloy_rlp::EMPTY_LIST_CODE] {
            return Err(BlockError::Malformed);
        }
        Ok(Self { header, transactions })
    }
}

/// Whether an EIP-2718 encoding is that of a legacy transaction, which is a list.
fn is_list(raw: &[u8]) -> bool {
    raw.first().is_some_and(|byte| *byte >= 0xc0)
}

/// Length of the block's encoding.
pub(crate) fn encoded_length<'a>(header: &Header, transactions: impl Iterator<Item = &'a Bytes>) -> usize {
    let list = |payload_length: usize| RlpHeader { list: true, payload_length }.length_with_payload();
    list(header.length() + list(transactions.map(body_length).sum()) + 2)
}

fn body_length(raw: &Bytes) -> usize {
    if is_list(raw) {
        raw.len()
    } else {
        raw.length()
    }
}

/// RLP of a header.
pub fn header_to_rlp(header: &Header) -> Vec<u8> {
    let mut out = Vec::with_capacity(700);
    header.encode(&mut out);
    out
}

/// Reads the canonical RLP of a header; nothing may follow it.
pub fn header_from_rlp(encoded: &[u8]) -> Result<Header, BlockError> {
    let mut rest = encoded;
    let header = decode_header(&mut rest)?;
    if rest.is_empty() {
        Ok(header)
    } else {
        Err(BlockError::Malformed)
    }
}

fn decode_header(buffer: &mut &[u8]) -> Result<Header, BlockError> {
    let start = *buffer;
    let header = Header::decode(buffer).map_err(|_| BlockError::Malformed)?;
    // Decoders may be lenient where a hash must have one preimage only.
    if header_to_rlp(&header) == start[..start.len() - buffer.len()] {
        Ok(header)
    } else {
        Err(BlockError::Malformed)
    }
}

/// Root of the trie of transactions or receipts, keyed by the RLP of their indices.
pub fn ordered_trie_root(values: &[Bytes]) -> B256 {
    alloy_trie::root::ordered_trie_root_encoded(values)
}
