//! What the zkVM guest does, apart from its input and output: a verdict about blocks from advice that it checks.

use crate::block::{header_from_rlp, header_to_rlp, Block};
use crate::builder::SealedBlock;
use crate::constants::PUBLIC_RECOVERIES_LIMIT;
use crate::error::{BlockError, GuestError};
use crate::execution::{BlockHashes, Touched};
use crate::guest_input::{GuestInput, RawBlock};
use crate::recovery::{recoveries_hash, AnsweredRecoveries, RecordedRecoveries, Recoveries, Recovery};
use crate::state::State;
use crate::statement::{Statement, Verdict};
use crate::verification::Verification;
use crate::witness::{AncestorHeaders, HeaderSource, WitnessRecorder};
use alloc::vec::Vec;
use alloy_consensus::Header;
use alloy_primitives::{keccak256, Address, Bytes, B256};
use core::cell::RefCell;

/// Judges the blocks in an encoded [`GuestInput`]; gives the statement that holds.
///
/// Fails only if the input is no such encoding, or lacks what is needed to judge the blocks: their parent, the
/// configuration, the transactions that the header commits to, the nodes and codes that their execution reads, answers
/// for signatures as many as are asked for. A single block gets a verdict, whatever it is. Of several all must be valid.
pub fn guest_entry(input: &Bytes) -> Result<Statement, GuestError> {
    let input = GuestInput::decode(input)?;
    let session = Session::read(&input.configuration)?;
    let from = header_from_rlp(&input.from).map_err(|_| GuestError::From)?;
    session.check(&from)?;
    if input.recoveries.len() > PUBLIC_RECOVERIES_LIMIT {
        return Err(GuestError::Input);
    }
    let state = State::from_witness(from.state_root, &input.witness)?;
    let ancestors = AncestorHeaders::new(&from, &input.witness.ancestors)?;
    let recoveries = AnsweredRecoveries::new(&input.recoveries);
    let from_hash = keccak256(&input.from);
    let range = Range { from: &from, from_hash, chain_id: session.chain_id, blocks: &input.blocks };
    let judgement = range.judge(state, &ancestors, &recoveries, &mut |_| {})?;
    let recoveries = recoveries.into_list().ok_or(GuestError::UnusedRecoveries)?;
    Ok(judgement.statement(&session, from_hash, recoveries_hash(&recoveries), input.prover))
}

/// What the guest is to be run on, and what it will state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestRun {
    pub input: GuestInput,
    pub statement: Statement,
    /// The recoveries of the statement, which whoever accepts a proof must check.
    pub recoveries: Vec<Recovery>,
}

/// Judges blocks on the full state of their parent, as [`guest_entry`] will.
///
/// `header` gives the headers of the session's blocks by their numbers. The first `public_recoveries` signatures, at most
/// [`PUBLIC_RECOVERIES_LIMIT`], become part of the statement.
pub fn record_guest_run(
    configuration: Bytes,
    prover: Address,
    parent: (&Header, &State),
    blocks: Vec<RawBlock>,
    public_recoveries: usize,
    header: &dyn Fn(u64) -> Option<Header>,
) -> Result<GuestRun, GuestError> {
    let (from, parent_state) = parent;
    let session = Session::read(&configuration)?;
    session.check(from)?;
    let encoded_from: Bytes = header_to_rlp(from).into();
    let from_hash = keccak256(&encoded_from);
    let recoveries = RecordedRecoveries::new(public_recoveries.min(PUBLIC_RECOVERIES_LIMIT));
    let mut recorder = WitnessRecorder::default();
    let source = HeaderSource { parent: from, header };
    let range = Range { from, from_hash, chain_id: session.chain_id, blocks: &blocks };
    let judgement = range.judge(parent_state.clone(), &source, &recoveries, &mut |touched| recorder.add(touched))?;
    let unjudged = |error| GuestError::Block { index: 0, error: BlockError::State(error) };
    let witness = recorder.finish(from, parent_state, header).map_err(unjudged)?;
    let recoveries = recoveries.into_list();
    let statement = judgement.statement(&session, from_hash, recoveries_hash(&recoveries), prover);
    let answers = recoveries.iter().map(|recovery| recovery.signer).collect();
    let input = GuestInput { configuration, prover, from: encoded_from, blocks, recoveries: answers, witness };
    Ok(GuestRun { input, statement, recoveries })
}

/// What the configuration of a session binds.
struct Session {
    config_hash: B256,
    chain_id: u64,
}

impl Session {
    /// Reads the preimage of `configHash` (`docs/protocol.md`, section 3): eight words, of which `chainId` is the third.
    fn read(configuration: &[u8]) -> Result<Self, GuestError> {
        if configuration.len() != 8 * 32 {
            return Err(GuestError::Input);
        }
        let (padding, number) = configuration[64..96].split_at(24);
        match <[u8; 8]>::try_from(number) {
            Ok(number) if padding.iter().all(|byte| *byte == 0) => {
                Ok(Self { config_hash: keccak256(configuration), chain_id: u64::from_be_bytes(number) })
            }
            _ => Err(GuestError::Input),
        }
    }

    /// Checks that a block is of this session.
    fn check(&self, header: &Header) -> Result<(), GuestError> {
        if header.extra_data[..] == self.config_hash[..] {
            return Ok(());
        }
        let actual = B256::try_from(&header.extra_data[..]).unwrap_or_default();
        Err(GuestError::Config { expected: self.config_hash, actual })
    }
}

/// Blocks that follow each other, to be judged.
struct Range<'a> {
    from: &'a Header,
    from_hash: B256,
    chain_id: u64,
    blocks: &'a [RawBlock],
}

impl Range<'_> {
    fn judge(
        &self,
        mut state: State,
        ancestors: &dyn BlockHashes,
        recoveries: &dyn Recoveries,
        observe: &mut dyn FnMut(Touched),
    ) -> Result<Judgement, GuestError> {
        let hashes = RangeHashes { first: self.from.number, hashes: RefCell::default(), before: ancestors };
        let mut last: Option<SealedBlock> = None;
        for (index, block) in self.blocks.iter().enumerate() {
            let (parent, parent_hash) = match &last {
                None => (self.from, self.from_hash),
                Some(block) => (&block.header, block.hash),
            };
            hashes.hashes.borrow_mut().push(parent_hash);
            let chain_id = self.chain_id;
            let verification =
                Verification { parent, parent_hash, chain_id, senders: None, ancestors: &hashes, recoveries };
            let hash = keccak256(&block.header);
            let (verified, touched) = match header_from_rlp(&block.header) {
                Ok(header) => verification.run(state, &header, hash, &block.transactions),
                Err(error) => (Err(error), Touched::default()),
            };
            observe(touched);
            match verified {
                Ok(block) => {
                    state = block.state.clone();
                    last = Some(block);
                }
                Err(error) if !error.is_verdict() => return Err(GuestError::Block { index, error }),
                Err(_) if self.blocks.len() == 1 => return Ok(Judgement::Invalid { hash }),
                Err(error) => return Err(GuestError::InvalidInRange { index, error }),
            }
        }
        last.map(Judgement::Valid).ok_or(GuestError::Input)
    }
}

/// What was found out about a [`Range`].
// Made once.
#[allow(clippy::large_enum_variant)]
enum Judgement {
    /// All blocks are valid; this is the last.
    Valid(SealedBlock),
    /// The only block, with this hash, isn't.
    Invalid { hash: B256 },
}

impl Judgement {
    fn statement(&self, session: &Session, from_hash: B256, recoveries_hash: B256, prover: Address) -> Statement {
        let config_hash = session.config_hash;
        match self {
            Self::Valid(block) => Statement {
                config_hash,
                from_hash,
                to_hash: block.hash,
                verdict: Verdict::Valid,
                result_hash: block.result_hash,
                inbox_hash: block.header.parent_beacon_block_root.unwrap_or_default(),
                to_number: block.header.number,
                to_timestamp: block.header.timestamp,
                recoveries_hash,
                prover,
            },
            Self::Invalid { hash } => Statement {
                config_hash,
                from_hash,
                to_hash: *hash,
                verdict: Verdict::Invalid,
                result_hash: B256::ZERO,
                inbox_hash: B256::ZERO,
                to_number: 0,
                to_timestamp: 0,
                recoveries_hash,
                prover,
            },
        }
    }
}

/// Hashes of blocks from the first of a range on, and before it.
struct RangeHashes<'a> {
    /// Number of the block with the first of `hashes`.
    first: u64,
    hashes: RefCell<Vec<B256>>,
    before: &'a dyn BlockHashes,
}

impl BlockHashes for RangeHashes<'_> {
    fn block_hash(&self, number: u64) -> Option<B256> {
        match number.checked_sub(self.first) {
            None => self.before.block_hash(number),
            Some(index) => self.hashes.borrow().get(usize::try_from(index).ok()?).copied(),
        }
    }
}

impl From<&Block> for RawBlock {
    fn from(block: &Block) -> Self {
        Self { header: header_to_rlp(&block.header).into(), transactions: block.transactions.clone() }
    }
}
