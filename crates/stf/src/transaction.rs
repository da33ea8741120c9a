//! The two kinds of transactions in a session: users' and messages from L1 (`docs/protocol.md`, section 4).

use crate::constants::{SYSTEM_ADDRESS, SYSTEM_TRANSACTION_TYPE};
use crate::error::MalformedTransaction;
use crate::recovery::{recover_low_s, ComputedRecoveries, Recoveries};
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_primitives::{keccak256, Address, Bytes, B256};
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};

/// A message from L1 as a transaction of type 0x7e.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemTransaction {
    /// Chain id of the session.
    pub chain_id: u64,
    /// Position among the session's forced messages, from 0; 0 for the init message.
    pub index: u64,
    /// Caller of the message.
    pub from: Address,
    /// Contract that is called.
    pub to: Address,
    /// Gas for the execution of the call.
    pub gas_limit: u64,
    /// Until when it must be in the session, in seconds since 1970: its block's parent must not be later (section 5).
    /// Zero in the init message, for which there is no such time.
    pub due_at: u64,
    /// Call data.
    pub data: Bytes,
}

impl SystemTransaction {
    fn payload_length(&self) -> usize {
        self.chain_id.length()
            + self.index.length()
            + self.from.length()
            + self.to.length()
            + self.gas_limit.length()
            + self.due_at.length()
            + self.data.length()
    }

    /// `0x7e || rlp([chainId, index, from, to, gasLimit, dueAt, data])`.
    pub fn encoded(&self) -> Bytes {
        let payload_length = self.payload_length();
        let mut out = Vec::with_capacity(payload_length + 10);
        out.push(SYSTEM_TRANSACTION_TYPE);
        RlpHeader { list: true, payload_length }.encode(&mut out);
        self.chain_id.encode(&mut out);
        self.index.encode(&mut out);
        self.from.encode(&mut out);
        self.to.encode(&mut out);
        self.gas_limit.encode(&mut out);
        self.due_at.encode(&mut out);
        self.data.encode(&mut out);
        out.into()
    }

    /// Reads the fields after the type byte.
    fn decode_fields(buffer: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = RlpHeader::decode_bytes(buffer, true)?;
        let message = Self {
            chain_id: Decodable::decode(&mut payload)?,
            index: Decodable::decode(&mut payload)?,
            from: Decodable::decode(&mut payload)?,
            to: Decodable::decode(&mut payload)?,
            gas_limit: Decodable::decode(&mut payload)?,
            due_at: Decodable::decode(&mut payload)?,
            data: Decodable::decode(&mut payload)?,
        };
        if payload.is_empty() && buffer.is_empty() {
            Ok(message)
        } else {
            Err(alloy_rlp::Error::UnexpectedLength)
        }
    }

    /// `keccak256(abi.encode(chainId, index, from, to, gasLimit, dueAt, keccak256(data)))`, as `ZkRelayer` computes it.
    pub fn message_hash(&self) -> B256 {
        let mut words = [0u8; 7 * 32];
        words[24..32].copy_from_slice(&self.chain_id.to_be_bytes());
        words[56..64].copy_from_slice(&self.index.to_be_bytes());
        words[76..96].copy_from_slice(self.from.as_slice());
        words[108..128].copy_from_slice(self.to.as_slice());
        words[152..160].copy_from_slice(&self.gas_limit.to_be_bytes());
        words[184..192].copy_from_slice(&self.due_at.to_be_bytes());
        words[192..224].copy_from_slice(keccak256(&self.data).as_slice());
        keccak256(words)
    }

    /// Whether it comes from the protocol itself, as the init message does, and not from an account on L1.
    pub fn is_from_protocol(&self) -> bool {
        self.from == SYSTEM_ADDRESS
    }
}

/// `inboxHash_{k+1} = keccak256(abi.encode(inboxHash_k, messageHash_k))`.
pub fn fold_inbox(inbox_hash: B256, message_hash: B256) -> B256 {
    let mut words = [0u8; 64];
    words[..32].copy_from_slice(inbox_hash.as_slice());
    words[32..].copy_from_slice(message_hash.as_slice());
    keccak256(words)
}

/// A transaction that a session's block can have.
// Nearly all are users'; boxing them would cost each an allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// A message from L1.
    System(SystemTransaction),
    /// A signed transaction of type 0 (EIP-155), 1, 2 or 4.
    User(TxEnvelope),
}

impl Transaction {
    /// Decodes the canonical EIP-2718 encoding; nothing may follow it.
    pub fn decode(raw: &[u8]) -> Result<Self, MalformedTransaction> {
        match raw.first() {
            None => Err(MalformedTransaction::Encoding),
            Some(&SYSTEM_TRANSACTION_TYPE) => SystemTransaction::decode_fields(&mut &raw[1..])
                .map(Self::System)
                .map_err(|_| MalformedTransaction::Encoding),
            Some(0x01 | 0x02 | 0x04 | 0xc0..) => {
                let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|_| MalformedTransaction::Encoding)?;
                // Decoders may be lenient where a hash must have one preimage only.
                if envelope.encoded_2718() != raw {
                    return Err(MalformedTransaction::Encoding);
                }
                if envelope.is_legacy() && envelope.chain_id().is_none() {
                    return Err(MalformedTransaction::Unprotected);
                }
                Ok(Self::User(envelope))
            }
            Some(&kind) => Err(MalformedTransaction::UnsupportedType(kind)),
        }
    }

    /// The EIP-2718 encoding.
    pub fn encoded(&self) -> Bytes {
        match self {
            Self::System(message) => message.encoded(),
            Self::User(envelope) => envelope.encoded_2718().into(),
        }
    }

    /// The EIP-2718 type.
    pub fn transaction_type(&self) -> u8 {
        match self {
            Self::System(_) => SYSTEM_TRANSACTION_TYPE,
            Self::User(envelope) => envelope.tx_type() as u8,
        }
    }

    /// Whether it is a user's transaction of type 4, which can change accounts that authorised it (EIP-7702).
    pub fn is_set_code(&self) -> bool {
        matches!(self, Self::User(envelope) if envelope.is_eip7702())
    }

    /// Gas limit, in gas.
    pub fn gas_limit(&self) -> u64 {
        match self {
            Self::System(message) => message.gas_limit,
            Self::User(envelope) => envelope.gas_limit(),
        }
    }

    /// Chain id for which it was signed or sent.
    pub fn chain_id(&self) -> Option<u64> {
        match self {
            Self::System(message) => Some(message.chain_id),
            Self::User(envelope) => envelope.chain_id(),
        }
    }
}

/// A decoded transaction, its encoding, hash and sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveredTransaction {
    pub transaction: Transaction,
    pub sender: Address,
    /// The EIP-2718 encoding.
    pub raw: Bytes,
    /// keccak256 of the encoding.
    pub hash: B256,
}

impl RecoveredTransaction {
    /// Address of the contract that a create transaction makes.
    pub(crate) fn created_address(&self) -> Option<Address> {
        match &self.transaction {
            Transaction::User(envelope) if envelope.is_create() => Some(self.sender.create(envelope.nonce())),
            _ => None,
        }
    }

    /// Decodes a transaction and recovers its sender from the signature, which must have a low s (EIP-2).
    pub fn decode(raw: Bytes) -> Result<Self, MalformedTransaction> {
        Self::decode_recovering(raw, &ComputedRecoveries)
    }

    /// [`decode`](Self::decode) with a sender that `recoveries` tells.
    pub(crate) fn decode_recovering(raw: Bytes, recoveries: &dyn Recoveries) -> Result<Self, MalformedTransaction> {
        let transaction = Transaction::decode(&raw)?;
        let sender = match &transaction {
            Transaction::System(message) => message.from,
            Transaction::User(envelope) => recover_low_s(recoveries, &envelope.signature_hash(), envelope.signature())
                .ok_or(MalformedTransaction::Signature)?,
        };
        Ok(Self { transaction, sender, hash: keccak256(&raw), raw })
    }

    /// Decodes a transaction whose sender is known already, for instance because it was recovered before it was stored.
    /// A system transaction carries its sender; `sender` must be the same.
    pub fn decode_with_sender(raw: Bytes, sender: Address) -> Result<Self, MalformedTransaction> {
        let transaction = Transaction::decode(&raw)?;
        match &transaction {
            Transaction::System(message) if message.from != sender => Err(MalformedTransaction::Signature),
            _ => Ok(Self { transaction, sender, hash: keccak256(&raw), raw }),
        }
    }
}

impl From<SystemTransaction> for Arc<RecoveredTransaction> {
    fn from(message: SystemTransaction) -> Self {
        RecoveredTransaction::from(message).into()
    }
}

impl From<SystemTransaction> for RecoveredTransaction {
    fn from(message: SystemTransaction) -> Self {
        let raw = message.encoded();
        Self { sender: message.from, hash: keccak256(&raw), raw, transaction: Transaction::System(message) }
    }
}
