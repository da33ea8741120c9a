//! One turn of a session: a block from what is queued.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::{b256, keccak256, Address, Bytes, B256};
use alloy_rlp::Encodable as _;
use revm::context::result::InvalidTransaction;
use stf::{BlockBuilder, PushError, RecoveredTransaction, SealedBlock, Transaction, PREDEPLOY};

use crate::chain::{Chain, CommittedBlock};
use crate::error::SubmitError;
use crate::limits::Limits;
use crate::preconfirmation::PreconfirmationSigner;
use crate::queue::{Pending, Waiter};
use crate::session::{now, Phase, Session};

/// keccak256("SessionEnded(bytes)")
const SESSION_ENDED: B256 = b256!("0xe5dd887d1f16e889af181692f571c7ed73498c5997eb15ab5b2b40d1e6915102");

/// A sealed block on its way to the store, with those who wait for it.
pub(crate) struct Candidate {
    pub session: Arc<Session>,
    pub block: Arc<CommittedBlock>,
    pub waiters: Vec<Submission>,
}

/// A user transaction that is in a sealed block.
pub(crate) struct Submission {
    pub sender: Address,
    pub hash: B256,
    pub waiter: Waiter,
}

/// What a turn came to.
pub(crate) enum Turn {
    Sealed(Candidate),
    /// Nothing to include.
    Empty,
    /// The state could not be read or the code panicked: a defect of ours, which must not reach other sessions.
    Failed {
        reason: String,
        waiters: Vec<Submission>,
    },
}

/// Builds the session's next block.
pub(crate) fn take_turn(session: &Arc<Session>, signer: Option<&PreconfirmationSigner>, limits: &Limits) -> Turn {
    let mut waiters = Vec::new();
    // INVARIANT I5: whatever a session makes the code do, only the session fails.
    let built = catch_unwind(AssertUnwindSafe(|| build(session, signer, limits, &mut waiters)));
    match built {
        Ok(Ok(None)) => Turn::Empty,
        Ok(Ok(Some(block))) => Turn::Sealed(Candidate { session: session.clone(), block: Arc::new(block), waiters }),
        Ok(Err(reason)) => Turn::Failed { reason, waiters },
        Err(panic) => Turn::Failed { reason: panic_message(panic.as_ref()), waiters },
    }
}

fn build(
    session: &Session,
    signer: Option<&PreconfirmationSigner>,
    limits: &Limits,
    waiters: &mut Vec<Submission>,
) -> Result<Option<CommittedBlock>, String> {
    let chain = session.chain();
    if chain.has_ended() {
        let mut queue = session.lock_queue();
        queue.work = false;
        let drained = queue.drain();
        drop(queue);
        for pending in drained {
            pending.answer(Err(SubmitError::SessionEnded));
        }
        return Ok(None);
    }
    let Some(messages) = take_messages(session, &chain)? else { return Ok(None) };
    let started = Instant::now();
    let now = now();
    let parent = chain.head();
    let mut builder = BlockBuilder::new(
        parent.header(),
        parent.hash(),
        chain.state().clone(),
        session.chain_id,
        timestamp(session, &messages, now),
        chain.as_ref(),
    )
    .map_err(|error| error.to_string())?;

    let mut room = Room(session.rules.block_bytes);
    for message in &messages {
        if builder.transaction_count() > 0 && !room.fits(message) {
            session.lock_queue().work = true;
            break;
        }
        match builder.push(message.clone()) {
            Ok(_) => room.take(message),
            Err(error) if error.is_block_full() || error == PushError::Ended => {
                session.lock_queue().work = true;
                break;
            }
            Err(error) => return Err(format!("message from L1 refused: {error}")),
        }
    }
    let messages_pushed = builder.transaction_count() as u64;
    let all_messages = messages_pushed == messages.len() as u64;
    {
        let init = u64::from(parent.number() == 0 && chain.has_init());
        session.lock_queue().messages_taken = parent.inbox_count + messages_pushed.saturating_sub(init);
    }
    if all_messages {
        match session.check_followed(now) {
            Ok(()) => push_user_transactions(session, &mut builder, room, started, limits, waiters)?,
            Err(error) => {
                let drained = session.lock_queue().drain();
                for pending in drained {
                    pending.answer(Err(error.clone()));
                }
            }
        }
    }
    if builder.transaction_count() == 0 {
        return Ok(None);
    }
    let sealed = builder.seal().map_err(|error| error.to_string())?;
    Ok(Some(committed(session.id, parent, chain.has_init(), sealed, signer)))
}

/// The time of the next block: now, but for INVARIANT I4, by which a block with a forced message has a parent that isn't
/// later than the message's time. Any of `messages` but the first may be left to the next block, and what L1 has that
/// isn't known here comes in a later one.
fn timestamp(session: &Session, messages: &[Arc<RecoveredTransaction>], now: u64) -> u64 {
    let due = messages.iter().skip(1).filter_map(|message| match &message.transaction {
        Transaction::System(message) => Some(message.due_at),
        Transaction::User(_) => None,
    });
    due.chain(session.due_at_unknown()).fold(now, u64::min)
}

/// What is left of the bytes of data that a block may have; None is without bound.
#[derive(Clone, Copy)]
struct Room(Option<usize>);

impl Room {
    fn fits(self, transaction: &RecoveredTransaction) -> bool {
        self.0.is_none_or(|left| transaction.raw.length() <= left)
    }

    fn take(&mut self, transaction: &RecoveredTransaction) {
        self.0 = self.0.map(|left| left.saturating_sub(transaction.raw.length()));
    }
}

/// The messages that the next block must start with: init in block 1, then forced ones in order. None if the session was
/// dropped while it waited for its turn.
fn take_messages(session: &Session, chain: &Chain) -> Result<Option<Vec<Arc<RecoveredTransaction>>>, String> {
    let mut queue = session.lock_queue();
    if session.phase() == Phase::Dropped {
        return Ok(None);
    }
    queue.work = false;
    let mut messages = Vec::new();
    if chain.number() == 0 && chain.has_init() {
        // No user transaction is executed before init is.
        messages.push(queue.init.clone().ok_or("the init message is missing")?);
    }
    messages.extend(queue.messages.range(chain.head().inbox_count..).map(|(_, message)| message.clone()));
    // Those that don't fit are released when the number of pushed ones is known.
    queue.messages_taken = queue.messages.last_key_value().map_or(0, |(last, _)| last + 1);
    Ok(Some(messages))
}

fn push_user_transactions(
    session: &Session,
    builder: &mut BlockBuilder<'_>,
    mut room: Room,
    started: Instant,
    limits: &Limits,
    waiters: &mut Vec<Submission>,
) -> Result<(), String> {
    while !builder.has_ended() {
        if started.elapsed() >= limits.block_time && builder.transaction_count() > 0 {
            session.lock_queue().work = true;
            break;
        }
        let Some(pending) = session.lock_queue().take() else { break };
        let sender = pending.transaction.sender;
        let first = builder.transaction_count() == 0;
        if !first && !room.fits(&pending.transaction) {
            let mut queue = session.lock_queue();
            queue.put_back(pending);
            queue.work = true;
            break;
        }
        match builder.push(pending.transaction.clone()) {
            Ok(_) => {
                room.take(&pending.transaction);
                let Pending { transaction, waiter, .. } = pending;
                waiters.push(Submission { sender, hash: transaction.hash, waiter });
            }
            Err(PushError::Invalid(InvalidTransaction::NonceTooHigh { .. })) => {
                session.lock_queue().park(pending);
                session.expire_later(sender);
            }
            Err(error) if error.is_block_full() && !first => {
                let mut queue = session.lock_queue();
                queue.put_back(pending);
                queue.work = true;
                break;
            }
            Err(PushError::Ended) => {
                session.lock_queue().put_back(pending);
                break;
            }
            Err(PushError::State(error)) => {
                let reason = error.to_string();
                waiters.push(Submission { sender, hash: pending.transaction.hash, waiter: pending.waiter });
                return Err(reason);
            }
            Err(error) => {
                let next = match error {
                    PushError::Invalid(InvalidTransaction::NonceTooLow { state, .. }) => state,
                    _ => pending.nonce,
                };
                let waiting = session.lock_queue().reject(&pending, next, Instant::now());
                pending.answer(Err(error.into()));
                if waiting {
                    session.expire_later(sender);
                }
            }
        }
    }
    if builder.has_ended() {
        // The rest is answered when the ending block is durable.
        session.lock_queue().work = true;
    }
    Ok(())
}

/// Completes a built or verified block with what the engine keeps besides.
pub(crate) fn committed(
    session_id: u64,
    parent: &CommittedBlock,
    has_init: bool,
    sealed: SealedBlock,
    signer: Option<&PreconfirmationSigner>,
) -> CommittedBlock {
    let messages =
        sealed.transactions.iter().filter(|t| matches!(t.transaction, Transaction::System(_))).count() as u64;
    let init = u64::from(sealed.header.number == 1 && has_init);
    let result = (!sealed.result_hash.is_zero()).then(|| find_result(&sealed)).flatten();
    CommittedBlock {
        session_id,
        preconfirmation: signer.map(|signer| signer.sign(session_id, sealed.header.number, &sealed.hash)),
        size: sealed.encoded_length(),
        inbox_count: parent.inbox_count + messages - init,
        result,
        sealed,
    }
}

/// The result in the predeploy's `SessionEnded(bytes)` whose hash is in slot 0. None only if the template's predeploy isn't the standard one and doesn't emit it.
fn find_result(sealed: &SealedBlock) -> Option<Bytes> {
    let logs = sealed.receipts.iter().rev().flat_map(|receipt| receipt.logs.iter().rev());
    logs.filter(|log| log.address == PREDEPLOY && log.topics().first() == Some(&SESSION_ENDED))
        .filter_map(|log| decode_bytes(&log.data.data))
        .find(|result| keccak256(result) == sealed.result_hash)
}

/// Decodes `abi.encode(bytes)`.
fn decode_bytes(data: &Bytes) -> Option<Bytes> {
    let word = |at: usize| -> Option<usize> {
        let word = data.get(at..at.checked_add(32)?)?;
        let (high, low) = word.split_at(24);
        high.iter().all(|byte| *byte == 0).then_some(())?;
        usize::try_from(u64::from_be_bytes(low.try_into().ok()?)).ok()
    };
    let offset = word(0)?;
    let length = word(offset)?;
    let start = offset.checked_add(32)?;
    let end = start.checked_add(length)?;
    (end <= data.len()).then(|| data.slice(start..end))
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into())
}
