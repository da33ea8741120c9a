//! From bytes to a transaction that may join a queue: everything that can be said without the session's state.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_primitives::Bytes;
use revm::context::result::InvalidTransaction;
use stf::{MalformedTransaction, PushError, RecoveredTransaction, SystemTransaction, Transaction};

use crate::error::{EngineError, SubmitError};

/// Decodes a user transaction of at most `limit` bytes and recovers its sender; also gives its nonce.
pub(crate) fn recover(
    raw: Bytes,
    chain_id: u64,
    limit: usize,
) -> Result<(Arc<RecoveredTransaction>, u64), SubmitError> {
    if raw.len() > limit {
        return Err(SubmitError::TooLarge { size: raw.len(), limit });
    }
    // Users can't send messages from L1.
    if raw.first() == Some(&stf::SYSTEM_TRANSACTION_TYPE) {
        return Err(SubmitError::UnsupportedType);
    }
    let transaction = RecoveredTransaction::decode(raw)?;
    let Transaction::User(envelope) = &transaction.transaction else { return Err(SubmitError::UnsupportedType) };
    match envelope.chain_id() {
        Some(have) if have == chain_id => {}
        Some(have) => return Err(SubmitError::InvalidChainId { have, want: chain_id }),
        None => return Err(SubmitError::Unprotected),
    }
    if envelope.gas_limit() > stf::TRANSACTION_GAS_LIMIT_CAP {
        return Err(SubmitError::GasLimitTooHigh { have: envelope.gas_limit(), limit: stf::TRANSACTION_GAS_LIMIT_CAP });
    }
    let nonce = envelope.nonce();
    if nonce == u64::MAX {
        return Err(SubmitError::Invalid("nonce has max value (EIP-2681)".into()));
    }
    Ok((transaction.into(), nonce))
}

/// Decodes a message from L1 that is for this chain.
pub(crate) fn message(
    raw: Bytes,
    chain_id: u64,
) -> Result<(SystemTransaction, Arc<RecoveredTransaction>), EngineError> {
    let recovered =
        RecoveredTransaction::decode(raw).map_err(|error| EngineError::InvalidMessage(error.to_string()))?;
    let Transaction::System(message) = &recovered.transaction else {
        return Err(EngineError::InvalidMessage("not a system transaction (type 0x7e)".into()));
    };
    if message.chain_id != chain_id {
        return Err(EngineError::InvalidMessage(format!("chain id {} instead of {chain_id}", message.chain_id)));
    }
    if message.gas_limit > stf::TRANSACTION_GAS_LIMIT_CAP {
        return Err(EngineError::InvalidMessage(format!("gas limit {} exceeds a transaction's", message.gas_limit)));
    }
    if recovered.raw.len() > stf::BLOCK_DATA_LIMIT {
        return Err(EngineError::InvalidMessage(format!("{} bytes exceed a block's", recovered.raw.len())));
    }
    Ok((message.clone(), recovered.into()))
}

impl From<MalformedTransaction> for SubmitError {
    fn from(error: MalformedTransaction) -> Self {
        match error {
            MalformedTransaction::Encoding => Self::Malformed(error.to_string()),
            MalformedTransaction::UnsupportedType(_) => Self::UnsupportedType,
            MalformedTransaction::Unprotected => Self::Unprotected,
            MalformedTransaction::Signature => Self::InvalidSignature,
        }
    }
}

/// Node errors for what the state-transition function refuses.
impl From<PushError> for SubmitError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Invalid(error) => error.into(),
            PushError::ChainId { expected, actual } => Self::InvalidChainId { have: actual, want: expected },
            PushError::BlockFull { gas_limit, .. } => {
                Self::GasLimitTooHigh { have: gas_limit, limit: stf::BLOCK_GAS_LIMIT }
            }
            PushError::Ended => Self::SessionEnded,
            PushError::InitMessage
            | PushError::MessageAfterUserTransaction
            | PushError::MessageIndex { .. }
            | PushError::MessageOverdue { .. }
            | PushError::BlockData { .. }
            | PushError::BlockLoad { .. }
            | PushError::State(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<InvalidTransaction> for SubmitError {
    fn from(error: InvalidTransaction) -> Self {
        match error {
            InvalidTransaction::NonceTooLow { tx, state } => Self::NonceTooLow { next: state, nonce: tx },
            InvalidTransaction::NonceTooHigh { tx, state } => Self::NonceTooHigh { next: state, nonce: tx },
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
                Self::InsufficientFunds { have: *balance, want: *fee }
            }
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit } => {
                Self::IntrinsicGas { have: gas_limit, want: initial_gas }
            }
            InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor, gas_limit } => {
                Self::IntrinsicGas { have: gas_limit, want: gas_floor }
            }
            InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit, cap } => {
                Self::GasLimitTooHigh { have: gas_limit, limit: cap }
            }
            InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
                Self::Invalid("max priority fee per gas higher than max fee per gas".into())
            }
            InvalidTransaction::CreateInitCodeSizeLimit => Self::Invalid("max initcode size exceeded".into()),
            InvalidTransaction::RejectCallerWithCode => Self::Invalid("sender not an eoa".into()),
            InvalidTransaction::EmptyAuthorizationList => {
                Self::Invalid("set code transaction with empty auth list".into())
            }
            other => Self::Invalid(other.to_string()),
        }
    }
}

/// keccak256("stop()")[..4]
const STOP: [u8; 4] = [0x07, 0xda, 0x68, 0xf5];

/// Whether a transaction asks the session predeploy to stop the session, which has an effect after its deadline only.
pub(crate) fn is_stop(transaction: &stf::Transaction) -> bool {
    use alloy_consensus::Transaction as _;
    match transaction {
        stf::Transaction::User(envelope) => envelope.to() == Some(stf::PREDEPLOY) && envelope.input()[..] == STOP,
        stf::Transaction::System(_) => false,
    }
}
