//! The guest's input and its encoding.

use crate::error::GuestError;
use crate::witness::Witness;
use alloc::vec::Vec;
use alloy_primitives::{Address, Bytes};

/// A block as its hash commits to it: bytes that need not make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBlock {
    /// What is hashed; RLP of a header in a valid block.
    pub header: Bytes,
    /// The values in the trie of `transactionsRoot`, in order; transactions in a valid block.
    pub transactions: Vec<Bytes>,
}

/// Input of the guest. All of it is advice of who proves.
///
/// Encoded it is a sequence of numbers (4 bytes, little-endian) and byte strings (their length as a number, the bytes,
/// zeros up to the next multiple of 4), in which a list is its length as a number and its elements:
/// `configuration, prover, from, [header, [transaction...]]..., [answer...], [node...], [code...], [ancestor...]`.
/// Byte strings lie on word boundaries, so that they can be used where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInput {
    /// The preimage of the session's `configHash` (`docs/protocol.md`, section 3), which binds the chain id.
    pub configuration: Bytes,
    /// Who gets what the proof earns.
    pub prover: Address,
    /// RLP of the header of the first block's parent.
    pub from: Bytes,
    /// At least one.
    pub blocks: Vec<RawBlock>,
    /// Answers for the first signatures that are asked for, the zero address where there is no signer. These become
    /// part of the statement; the guest computes those of all others.
    pub recoveries: Vec<Address>,
    /// What the blocks touch of the state after `from`.
    pub witness: Witness,
}

impl GuestInput {
    /// The encoding.
    pub fn encoded(&self) -> Bytes {
        let mut out = Writer(Vec::new());
        out.bytes(&self.configuration);
        out.bytes(self.prover.as_slice());
        out.bytes(&self.from);
        out.length(self.blocks.len());
        for block in &self.blocks {
            out.bytes(&block.header);
            out.list(&block.transactions);
        }
        out.list(&self.recoveries);
        out.list(&self.witness.nodes);
        out.list(&self.witness.codes);
        out.list(&self.witness.ancestors);
        out.0.into()
    }

    /// Reads the encoding, without copying what it holds; nothing may follow it.
    #[inline(never)]
    pub fn decode(encoded: &Bytes) -> Result<Self, GuestError> {
        let mut input = Reader { encoded, position: 0 };
        let configuration = input.bytes()?;
        let prover = input.address()?;
        let from = input.bytes()?;
        let blocks =
            input.list(|input| Ok(RawBlock { header: input.bytes()?, transactions: input.list(Reader::bytes)? }))?;
        let recoveries = input.list(Reader::address)?;
        let witness = Witness {
            nodes: input.list(Reader::bytes)?,
            codes: input.list(Reader::bytes)?,
            ancestors: input.list(Reader::bytes)?,
        };
        if input.position == encoded.len() {
            Ok(Self { configuration, prover, from, blocks, recoveries, witness })
        } else {
            Err(GuestError::Input)
        }
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn length(&mut self, length: usize) {
        // Lengths of 4 Gi don't occur; the encoding of one would be refused when it is read.
        self.0.extend_from_slice(&(length as u32).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn list(&mut self, items: &[impl AsRef<[u8]>]) {
        self.length(items.len());
        for item in items {
            self.bytes(item.as_ref());
        }
    }
}

struct Reader<'a> {
    encoded: &'a Bytes,
    position: usize,
}

impl Reader<'_> {
    fn length(&mut self) -> Result<usize, GuestError> {
        let rest = self.encoded.get(self.position..).unwrap_or_default();
        let number = rest.first_chunk::<4>().ok_or(GuestError::Input)?;
        self.position += 4;
        usize::try_from(u32::from_le_bytes(*number)).map_err(|_| GuestError::Input)
    }

    fn bytes(&mut self) -> Result<Bytes, GuestError> {
        let length = self.length()?;
        let start = self.position;
        let end = start.checked_add(length).ok_or(GuestError::Input)?;
        let next = end.checked_next_multiple_of(4).ok_or(GuestError::Input)?;
        let padding = self.encoded.get(end..next).ok_or(GuestError::Input)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(GuestError::Input);
        }
        self.position = next;
        Ok(self.encoded.slice(start..end))
    }

    fn address(&mut self) -> Result<Address, GuestError> {
        Address::try_from(&self.bytes()?[..]).map_err(|_| GuestError::Input)
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, GuestError>) -> Result<Vec<T>, GuestError> {
        let count = self.length()?;
        // Each item takes four bytes at least: a wrong count doesn't take memory.
        let mut items = Vec::with_capacity(count.min((self.encoded.len() - self.position) / 4));
        for _ in 0..count {
            items.push(item(self)?);
        }
        Ok(items)
    }
}
