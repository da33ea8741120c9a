//! Blocks, transactions, receipts and logs as JSON, in the shapes of the execution APIs specification.

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, Bloom, Bytes, Log, B256, B64, U256};
use serde::{Serialize, Serializer};
use stf::{Header, RecoveredTransaction, Transaction};

use crate::chain::CommittedBlock;

/// A number as `0x` and hex digits without leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity(pub u64);

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// The same for wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wei(pub u128);

impl Serialize for Wei {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// A block or, without its last three members, a header. `None` is null: members that a pending block doesn't have.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockView<'a> {
    number: Quantity,
    hash: Option<B256>,
    parent_hash: B256,
    nonce: Option<B64>,
    mix_hash: B256,
    sha3_uncles: B256,
    logs_bloom: Option<&'a Bloom>,
    state_root: Option<B256>,
    miner: Option<Address>,
    difficulty: U256,
    extra_data: &'a Bytes,
    gas_limit: Quantity,
    gas_used: Quantity,
    timestamp: Quantity,
    transactions_root: B256,
    receipts_root: B256,
    base_fee_per_gas: Option<Quantity>,
    withdrawals_root: Option<B256>,
    blob_gas_used: Option<Quantity>,
    excess_blob_gas: Option<Quantity>,
    parent_beacon_block_root: Option<B256>,
    requests_hash: Option<B256>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncles: Option<[B256; 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transactions: Option<Transactions<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawals: Option<[B256; 0]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Transactions<'a> {
    Hashes(Vec<B256>),
    Full(Vec<TransactionView<'a>>),
}

impl<'a> BlockView<'a> {
    /// Just the header, as in `newHeads`.
    pub fn of_header(header: &'a Header, hash: B256) -> Self {
        Self {
            number: Quantity(header.number),
            hash: Some(hash),
            parent_hash: header.parent_hash,
            nonce: Some(header.nonce),
            mix_hash: header.mix_hash,
            sha3_uncles: header.ommers_hash,
            logs_bloom: Some(&header.logs_bloom),
            state_root: Some(header.state_root),
            miner: Some(header.beneficiary),
            difficulty: header.difficulty,
            extra_data: &header.extra_data,
            gas_limit: Quantity(header.gas_limit),
            gas_used: Quantity(header.gas_used),
            timestamp: Quantity(header.timestamp),
            transactions_root: header.transactions_root,
            receipts_root: header.receipts_root,
            base_fee_per_gas: header.base_fee_per_gas.map(Quantity),
            withdrawals_root: header.withdrawals_root,
            blob_gas_used: header.blob_gas_used.map(Quantity),
            excess_blob_gas: header.excess_blob_gas.map(Quantity),
            parent_beacon_block_root: header.parent_beacon_block_root,
            requests_hash: header.requests_hash,
            size: None,
            uncles: None,
            transactions: None,
            withdrawals: None,
        }
    }

    pub fn of_block(block: &'a CommittedBlock, full: bool) -> Self {
        let count = block.sealed.transactions.len();
        let transactions = match full {
            true => Transactions::Full((0..count).filter_map(|index| TransactionView::of(block, index)).collect()),
            false => {
                Transactions::Hashes(block.sealed.transactions.iter().map(|transaction| transaction.hash).collect())
            }
        };
        Self {
            size: Some(Quantity(block.size as u64)),
            uncles: Some([]),
            transactions: Some(transactions),
            withdrawals: Some([]),
            ..Self::of_header(block.header(), block.hash())
        }
    }

    /// The block that has not been built yet. `header` holds what is known of it. Geth leaves the same members null.
    pub fn of_pending(header: &'a Header) -> Self {
        Self {
            hash: None,
            nonce: None,
            logs_bloom: None,
            miner: None,
            size: Some(Quantity(0)),
            uncles: Some([]),
            transactions: Some(Transactions::Hashes(Vec::new())),
            withdrawals: Some([]),
            ..Self::of_header(header, B256::ZERO)
        }
    }
}

/// A transaction in a block. A system transaction (0x7e) has the members of a legacy one with zeros, so that libraries take it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionView<'a> {
    block_hash: B256,
    block_number: Quantity,
    block_timestamp: Quantity,
    transaction_index: Quantity,
    hash: B256,
    #[serde(rename = "type")]
    kind: Quantity,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<Quantity>,
    nonce: Quantity,
    from: Address,
    to: Option<Address>,
    value: U256,
    gas: Quantity,
    gas_price: Wei,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_fee_per_gas: Option<Wei>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_priority_fee_per_gas: Option<Wei>,
    input: &'a Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_list: Option<&'a AccessList>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_list: Option<&'a [SignedAuthorization]>,
    /// Position among the session's forced messages; for system transactions.
    #[serde(skip_serializing_if = "Option::is_none")]
    inbox_index: Option<Quantity>,
    v: U256,
    r: U256,
    s: U256,
    #[serde(skip_serializing_if = "Option::is_none")]
    y_parity: Option<Quantity>,
}

impl<'a> TransactionView<'a> {
    /// None if the block has no such transaction.
    pub fn of(block: &'a CommittedBlock, index: usize) -> Option<Self> {
        let transaction = block.sealed.transactions.get(index)?;
        let common = Self {
            block_hash: block.hash(),
            block_number: Quantity(block.number()),
            block_timestamp: Quantity(block.header().timestamp),
            transaction_index: Quantity(index as u64),
            hash: transaction.hash,
            kind: Quantity(transaction.transaction.transaction_type().into()),
            chain_id: transaction.transaction.chain_id().map(Quantity),
            nonce: Quantity(0),
            from: transaction.sender,
            to: None,
            value: U256::ZERO,
            gas: Quantity(transaction.transaction.gas_limit()),
            gas_price: Wei(0),
            max_fee_per_gas: None,
            max_priority_fee_per_gas: None,
            input: &EMPTY,
            access_list: None,
            authorization_list: None,
            inbox_index: None,
            v: U256::ZERO,
            r: U256::ZERO,
            s: U256::ZERO,
            y_parity: None,
        };
        Some(match &transaction.transaction {
            Transaction::System(message) => Self {
                to: Some(message.to),
                input: &message.data,
                inbox_index: (!message.is_from_protocol()).then_some(Quantity(message.index)),
                ..common
            },
            Transaction::User(envelope) => {
                let signature = envelope.signature();
                let parity = u64::from(signature.v());
                let legacy = envelope.is_legacy();
                Self {
                    nonce: Quantity(envelope.nonce()),
                    to: envelope.to(),
                    value: envelope.value(),
                    gas_price: Wei(effective_gas_price(envelope)),
                    max_fee_per_gas: envelope.is_dynamic_fee().then(|| Wei(envelope.max_fee_per_gas())),
                    max_priority_fee_per_gas: envelope.max_priority_fee_per_gas().map(Wei),
                    input: envelope.input(),
                    access_list: envelope.access_list(),
                    authorization_list: envelope.authorization_list(),
                    v: match (legacy, envelope.chain_id()) {
                        (true, Some(chain_id)) => U256::from(chain_id) * U256::from(2) + U256::from(35 + parity),
                        _ => U256::from(parity),
                    },
                    r: signature.r(),
                    s: signature.s(),
                    y_parity: (!legacy).then_some(Quantity(parity)),
                    ..common
                }
            }
        })
    }
}

static EMPTY: Bytes = Bytes::new();

/// Wei per gas that the sender paid, the base fee being zero (EIP-1559).
fn effective_gas_price(envelope: &TxEnvelope) -> u128 {
    envelope.effective_gas_price(Some(0))
}

/// Wei per gas that a transaction paid; messages from L1 pay nothing.
pub fn paid_per_gas(transaction: &Transaction) -> u128 {
    match transaction {
        Transaction::System(_) => 0,
        Transaction::User(envelope) => effective_gas_price(envelope),
    }
}

/// A log in a block. Sessions have no reorgs, so none is ever removed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogView<'a> {
    address: Address,
    topics: &'a [B256],
    data: &'a Bytes,
    block_hash: B256,
    block_number: Quantity,
    block_timestamp: Quantity,
    transaction_hash: B256,
    transaction_index: Quantity,
    log_index: Quantity,
    removed: bool,
}

/// A log and where it is: index of its transaction, index in the block.
pub fn block_logs(block: &CommittedBlock) -> impl Iterator<Item = (&Log, usize, usize)> {
    let receipts = block.sealed.receipts.iter().enumerate();
    receipts
        .flat_map(|(transaction, receipt)| receipt.logs.iter().map(move |log| (log, transaction)))
        .enumerate()
        .map(|(index, (log, transaction))| (log, transaction, index))
}

impl<'a> LogView<'a> {
    pub fn of(block: &CommittedBlock, log: &'a Log, transaction: usize, index: usize) -> Self {
        Self {
            address: log.address,
            topics: log.topics(),
            data: &log.data.data,
            block_hash: block.hash(),
            block_number: Quantity(block.number()),
            block_timestamp: Quantity(block.header().timestamp),
            transaction_hash: block.sealed.transactions[transaction].hash,
            transaction_index: Quantity(transaction as u64),
            log_index: Quantity(index as u64),
            removed: false,
        }
    }
}

/// A receipt, with the operator's signature over its block.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptView<'a> {
    transaction_hash: B256,
    transaction_index: Quantity,
    block_hash: B256,
    block_number: Quantity,
    from: Address,
    to: Option<Address>,
    contract_address: Option<Address>,
    cumulative_gas_used: Quantity,
    gas_used: Quantity,
    effective_gas_price: Wei,
    #[serde(rename = "type")]
    kind: Quantity,
    status: Quantity,
    logs_bloom: &'a Bloom,
    logs: Vec<LogView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preconfirmation: Option<PreconfirmationView>,
}

/// The operator's signature (docs/protocol.md 7).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreconfirmationView {
    session_id: u64,
    number: u64,
    block_hash: B256,
    signature: Bytes,
}

impl<'a> ReceiptView<'a> {
    /// `first_log` is the number of logs in the block before the transaction's.
    fn of(block: &'a CommittedBlock, index: usize, first_log: usize) -> Option<Self> {
        let RecoveredTransaction { transaction, sender, hash, .. } = block.sealed.transactions.get(index)?.as_ref();
        let receipt = block.sealed.receipts.get(index)?;
        let to = match transaction {
            Transaction::System(message) => Some(message.to),
            Transaction::User(envelope) => envelope.to(),
        };
        let logs = receipt.logs.iter().enumerate();
        Some(Self {
            transaction_hash: *hash,
            transaction_index: Quantity(index as u64),
            block_hash: block.hash(),
            block_number: Quantity(block.number()),
            from: *sender,
            to,
            contract_address: receipt.contract_address,
            cumulative_gas_used: Quantity(receipt.cumulative_gas_used),
            gas_used: Quantity(receipt.gas_used),
            effective_gas_price: Wei(paid_per_gas(transaction)),
            kind: Quantity(receipt.transaction_type.into()),
            status: Quantity(receipt.status.into()),
            logs_bloom: &receipt.bloom,
            logs: logs.map(|(offset, log)| LogView::of(block, log, index, first_log + offset)).collect(),
            preconfirmation: block.preconfirmation.map(|signature| PreconfirmationView {
                session_id: block.session_id,
                number: block.number(),
                block_hash: block.hash(),
                signature: Bytes::copy_from_slice(&signature),
            }),
        })
    }

    /// The receipt of one transaction of a block.
    pub fn of_transaction(block: &'a CommittedBlock, index: usize) -> Option<Self> {
        let before = block.sealed.receipts.get(..index)?;
        Self::of(block, index, before.iter().map(|receipt| receipt.logs.len()).sum())
    }

    /// All receipts of a block.
    pub fn of_block(block: &'a CommittedBlock) -> Vec<Self> {
        let mut first_log = 0;
        let mut receipts = Vec::with_capacity(block.sealed.receipts.len());
        for index in 0..block.sealed.receipts.len() {
            receipts.extend(Self::of(block, index, first_log));
            first_log += block.sealed.receipts[index].logs.len();
        }
        receipts
    }
}
