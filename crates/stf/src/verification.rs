//! Verification of blocks: every rule of `docs/protocol.md`, section 5.

use crate::block::{ordered_trie_root, Block};
use crate::builder::{child_header, BlockBuilder, SealedBlock};
use crate::error::{BlockError, PushError};
use crate::execution::{BlockHashes, Touched};
use crate::recovery::{ComputedRecoveries, Recoveries};
use crate::state::State;
use crate::transaction::RecoveredTransaction;
use alloc::boxed::Box;
use alloy_consensus::Header;
use alloy_primitives::{Address, Bytes, B256};

/// Verifies a block by executing it on its parent's state. With `senders` signatures aren't checked: they must come
/// from an earlier check of the same transactions. `ancestors` gives the hashes of blocks before the parent.
///
/// Every block, however malformed, is accepted or refused; errors that are no [verdict](BlockError::is_verdict) alone
/// leave that open.
pub fn verify_block(
    parent: &Header,
    state: State,
    block: &Block,
    senders: Option<&[Address]>,
    chain_id: u64,
    ancestors: &dyn BlockHashes,
) -> Result<SealedBlock, BlockError> {
    let parent_hash = parent.hash_slow();
    let verification =
        Verification { parent, parent_hash, chain_id, senders, ancestors, recoveries: &ComputedRecoveries };
    verification.run(state, &block.header, block.header.hash_slow(), &block.transactions).0
}

/// What a block is verified against.
pub(crate) struct Verification<'a> {
    pub parent: &'a Header,
    pub parent_hash: B256,
    pub chain_id: u64,
    /// Senders that are known already.
    pub senders: Option<&'a [Address]>,
    /// Hashes of the blocks before the parent.
    pub ancestors: &'a dyn BlockHashes,
    pub recoveries: &'a dyn Recoveries,
}

impl Verification<'_> {
    /// Verifies the block with this header, whose hash is `hash`, and these transactions. Tells what was read of `state`,
    /// the parent's, also when the block is refused.
    pub fn run(
        &self,
        state: State,
        header: &Header,
        hash: B256,
        transactions: &[Bytes],
    ) -> (Result<SealedBlock, BlockError>, Touched) {
        let expected = match self.check_header(header) {
            Ok(expected) => expected,
            Err(error) => return (Err(error), Touched::default()),
        };
        if let Err(error) = self.check_transactions(header, transactions) {
            return (Err(error), Touched::default());
        }
        let mut builder =
            BlockBuilder::start(self.parent, expected, state, self.chain_id, self.ancestors, self.recoveries);
        if let Err(error) = self.execute(&mut builder, transactions) {
            return (Err(error), builder.into_touched());
        }
        let (executed, touched) = builder.execute_changes();
        let verified = executed.map_err(BlockError::State).and_then(|mut block| {
            block.header.transactions_root = header.transactions_root;
            check_results(header, &block.header)?;
            block.hash = hash;
            Ok(block)
        });
        (verified, touched)
    }

    /// Checks the fields that follow from the parent; gives the header before execution.
    fn check_header(&self, header: &Header) -> Result<Header, BlockError> {
        let parent = self.parent;
        if header.timestamp < parent.timestamp {
            return Err(BlockError::Timestamp { parent: parent.timestamp, actual: header.timestamp });
        }
        let expected = child_header(parent, self.parent_hash, header.timestamp);
        check_fields(header, &expected)?;
        if parent.number == u64::MAX {
            return Err(BlockError::HeaderField { name: "number" });
        }
        Ok(expected)
    }

    /// Checks that these are the header's transactions, and that there are any.
    #[inline(never)]
    fn check_transactions(&self, header: &Header, transactions: &[Bytes]) -> Result<(), BlockError> {
        if header.transactions_root != ordered_trie_root(transactions) {
            return Err(BlockError::Transactions);
        }
        match self.senders {
            Some(senders) if senders.len() != transactions.len() => {
                Err(BlockError::Senders { transactions: transactions.len(), senders: senders.len() })
            }
            _ if transactions.is_empty() => Err(BlockError::NoTransactions),
            _ => Ok(()),
        }
    }

    #[inline(never)]
    fn execute(&self, builder: &mut BlockBuilder<'_>, transactions: &[Bytes]) -> Result<(), BlockError> {
        if builder.read_end()? {
            return Err(BlockError::SessionEnded);
        }
        for (index, raw) in transactions.iter().enumerate() {
            let transaction = match self.senders.and_then(|senders| senders.get(index)) {
                None => RecoveredTransaction::decode_recovering(raw.clone(), self.recoveries),
                Some(sender) => RecoveredTransaction::decode_with_sender(raw.clone(), *sender),
            }
            .map_err(|error| BlockError::MalformedTransaction { index, error })?;
            builder.push(transaction.into()).map_err(|error| match error {
                PushError::State(error) => BlockError::State(error),
                error => BlockError::Transaction { index, error: Box::new(error) },
            })?;
        }
        Ok(())
    }
}

/// The fields that follow from the parent.
fn check_fields(header: &Header, expected: &Header) -> Result<(), BlockError> {
    let fields = [
        ("parentHash", header.parent_hash == expected.parent_hash),
        ("ommersHash", header.ommers_hash == expected.ommers_hash),
        ("beneficiary", header.beneficiary == expected.beneficiary),
        ("difficulty", header.difficulty == expected.difficulty),
        ("number", header.number == expected.number),
        ("gasLimit", header.gas_limit == expected.gas_limit),
        ("timestamp", header.timestamp == expected.timestamp),
        ("extraData", header.extra_data == expected.extra_data),
        ("mixHash", header.mix_hash == expected.mix_hash),
        ("nonce", header.nonce == expected.nonce),
        ("baseFeePerGas", header.base_fee_per_gas == expected.base_fee_per_gas),
        ("withdrawalsRoot", header.withdrawals_root == expected.withdrawals_root),
        ("blobGasUsed", header.blob_gas_used == expected.blob_gas_used),
        ("excessBlobGas", header.excess_blob_gas == expected.excess_blob_gas),
        ("requestsHash", header.requests_hash == expected.requests_hash),
        ("blockAccessListHash", header.block_access_list_hash == expected.block_access_list_hash),
        ("slotNumber", header.slot_number == expected.slot_number),
    ];
    match fields.into_iter().find(|(_, is_equal)| !is_equal) {
        None => Ok(()),
        Some((name, _)) => Err(BlockError::HeaderField { name }),
    }
}

/// The fields that execution gives. With [`check_fields`] these are all.
fn check_results(header: &Header, executed: &Header) -> Result<(), BlockError> {
    let fields = [
        ("parentBeaconBlockRoot", header.parent_beacon_block_root == executed.parent_beacon_block_root),
        ("gasUsed", header.gas_used == executed.gas_used),
        ("receiptsRoot", header.receipts_root == executed.receipts_root),
        ("logsBloom", header.logs_bloom == executed.logs_bloom),
        ("stateRoot", header.state_root == executed.state_root),
        ("header", header == executed),
    ];
    match fields.into_iter().find(|(_, is_equal)| !is_equal) {
        None => Ok(()),
        Some((name, _)) => Err(BlockError::Mismatch { name }),
    }
}
