//! A session in memory: its committed chain, its queue, and the way in for transactions.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, Bytes, B256};
use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex, MutexGuard};
use stf::RecoveredTransaction;
use tokio::sync::{broadcast, oneshot, watch};

use crate::admission;
use crate::chain::{Chain, CommittedBlock};
use crate::error::{EngineError, RestoreError, SubmitError};
use crate::limits::Limits;
use crate::metrics::Counters;
use crate::queue::{Activity, Expiry, Pending, Queue};
use crate::scheduler::Scheduler;

/// Blocks that a slow subscriber may be behind before it loses some.
const SUBSCRIBER_BACKLOG: usize = 1024;

/// Bytes that the length of a transaction takes at most where it is in a list: of up to 2^24 bytes.
const LENGTH_BYTES: usize = 4;

/// What a session lives through in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opened; its stored blocks are being executed again.
    Restoring,
    Active,
    /// Not in the registry any more; nothing comes in or out.
    Dropped,
}

/// What all sessions of an engine share.
pub(crate) struct Context {
    pub scheduler: Scheduler,
    pub runtime: tokio::runtime::Handle,
    pub limits: Limits,
    pub counters: Counters,
    pub stopping: AtomicBool,
    /// L1 time up to which all forced messages are known, in seconds since 1970.
    pub followed_until: AtomicU64,
}

/// What a session's terms ask of its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionRules {
    /// Seconds from a message's enqueuing on L1 to the time until which it must be included (INVARIANT I4). None where
    /// there are no messages.
    pub inclusion_delay: Option<u64>,
    /// Bytes that a block's transactions may have in a claim's data, each with its length (docs/protocol.md 8).
    pub block_bytes: Option<usize>,
}

/// One session of this process. Readers take `chain()`, an immutable snapshot, and hold no lock.
pub struct Session {
    pub id: u64,
    pub chain_id: u64,
    pub rules: SessionRules,
    this: Weak<Session>,
    chain: ArcSwap<Chain>,
    /// Made for the first subscriber: most sessions have none, and its buffer takes 32 KB.
    blocks: OnceLock<broadcast::Sender<Arc<CommittedBlock>>>,
    phase: watch::Sender<Phase>,
    queue: Mutex<Queue>,
    /// Signalled when the session becomes idle.
    idle: Condvar,
    /// Microseconds of building charged so far, for the scheduler.
    pub(crate) used: AtomicU64,
    context: Arc<Context>,
}

impl Session {
    pub(crate) fn new(
        id: u64,
        chain_id: u64,
        genesis: Arc<CommittedBlock>,
        init: Option<Arc<RecoveredTransaction>>,
        rules: SessionRules,
        context: Arc<Context>,
    ) -> Arc<Self> {
        let mut queue = Queue::new();
        queue.init = init;
        Arc::new_cyclic(|this| Self {
            id,
            chain_id,
            rules,
            this: this.clone(),
            chain: ArcSwap::from_pointee(Chain::new(genesis)),
            blocks: OnceLock::new(),
            phase: watch::channel(Phase::Restoring).0,
            queue: Mutex::new(queue),
            idle: Condvar::new(),
            used: AtomicU64::new(0),
            context,
        })
    }

    /// What is committed at this moment.
    pub fn chain(&self) -> Arc<Chain> {
        self.chain.load_full()
    }

    /// Every block committed from now on, in order.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CommittedBlock>> {
        self.blocks.get_or_init(|| broadcast::channel(SUBSCRIBER_BACKLOG).0).subscribe()
    }

    /// The nonce that the account's next transaction should have, those in the queue counted.
    pub fn pending_nonce(&self, address: &Address) -> u64 {
        let queue = self.queue.lock();
        queue.pending_nonce(address, self.committed_nonce(address))
    }

    /// Executes a signed transaction; returns its hash when it is on disk in a block (INVARIANT I6).
    ///
    /// Dropping the future does not take the transaction back.
    pub async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        self.enqueue(raw)?.await.unwrap_or(Err(SubmitError::SessionDropped(self.id)))
    }

    /// Recovers the sender on this thread and queues the transaction; the receiver resolves when it is durable or refused.
    pub(crate) fn enqueue(&self, raw: Bytes) -> Result<oneshot::Receiver<Result<B256, SubmitError>>, SubmitError> {
        let (transaction, nonce) = self.recover(raw)?;
        self.enqueue_recovered(transaction, nonce)
    }

    /// Decodes a transaction and recovers its sender, which takes long; also gives its nonce.
    pub(crate) fn recover(&self, raw: Bytes) -> Result<(Arc<RecoveredTransaction>, u64), SubmitError> {
        self.check_open()?;
        self.check_followed(now())?;
        admission::recover(raw, self.chain_id, self.transaction_bytes())
    }

    /// Transactions cost nothing, so that only this bounds what a session takes of the machine. It can always be stopped, and
    /// what L1 forces on it is paid for there.
    fn check_room(&self, transaction: &RecoveredTransaction) -> Result<(), SubmitError> {
        let (bytes, limit) = (self.chain.load().memory(), self.context.limits.session_memory);
        if limit == 0 || bytes < limit {
            return Ok(());
        }
        let is_stop = admission::is_stop(&transaction.transaction);
        match is_stop && bytes < limit.saturating_add(limit / 8) {
            true => Ok(()),
            false => Err(SubmitError::SessionFull { bytes, limit }),
        }
    }

    /// Queues a transaction; the receiver resolves when it is durable or refused.
    pub(crate) fn enqueue_recovered(
        &self,
        transaction: Arc<RecoveredTransaction>,
        nonce: u64,
    ) -> Result<oneshot::Receiver<Result<B256, SubmitError>>, SubmitError> {
        let sender = transaction.sender;
        let limits = &self.context.limits;
        let (waiter, receiver) = oneshot::channel();

        let mut queue = self.queue.lock();
        // Again under the lock: a session is drained under it when it ends or is dropped.
        self.check_open()?;
        if queue.contains(&transaction.hash) || self.chain.load().transaction(&transaction.hash).is_some() {
            return Err(SubmitError::AlreadyKnown);
        }
        let committed = self.committed_nonce(&sender);
        let next = queue.next_nonce(&sender, committed);
        if nonce < next {
            return Err(SubmitError::NonceTooLow { next, nonce });
        }
        self.check_room(&transaction)?;
        let bytes = queue.bytes() + transaction.raw.len();
        if queue.len() >= limits.session_queue || bytes > limits.session_queue_bytes {
            return Err(SubmitError::SessionQueueFull { queued: queue.len() });
        }
        if queue.sender_len(&sender) >= limits.sender_queue {
            return Err(SubmitError::SenderQueueFull { limit: limits.sender_queue });
        }
        let gap = nonce > queue.pending_nonce(&sender, committed);
        let pending = Pending { transaction, nonce, waiter, since: Instant::now(), taken_before: None };
        if !queue.insert(pending, next) {
            return Err(SubmitError::NonceQueued { nonce });
        }
        // What waits for its predecessors is no reason to build a block.
        if queue.is_ready(&sender) {
            self.wake_up(&mut queue);
        }
        drop(queue);
        if gap {
            self.expire_later(sender);
        }
        Ok(receiver)
    }

    /// Bytes of the largest user transaction: one that fits into a block of its own.
    fn transaction_bytes(&self) -> usize {
        let limit = self.context.limits.transaction_bytes;
        self.rules.block_bytes.map_or(limit, |bytes| limit.min(bytes.saturating_sub(LENGTH_BYTES)))
    }

    /// Time until which a forced message that isn't known here must be included, at the earliest.
    pub(crate) fn due_at_unknown(&self) -> Option<u64> {
        let followed_until = self.context.followed_until.load(Ordering::Acquire);
        Some(followed_until.saturating_add(self.rules.inclusion_delay?))
    }

    /// INVARIANT I4: a user's transaction is executed `now` only if no unknown message must come before it.
    pub(crate) fn check_followed(&self, now: u64) -> Result<(), SubmitError> {
        match self.due_at_unknown() {
            // A second for the clocks and for the time from here to the block.
            Some(due_at) if now.saturating_add(1) > due_at => {
                Err(SubmitError::L1NotFollowed { followed_until: self.context.followed_until.load(Ordering::Acquire) })
            }
            _ => Ok(()),
        }
    }

    fn check_open(&self) -> Result<(), SubmitError> {
        if self.context.stopping.load(Ordering::Acquire) {
            return Err(SubmitError::ShuttingDown);
        }
        if self.phase() == Phase::Dropped {
            return Err(SubmitError::SessionDropped(self.id));
        }
        if self.chain.load().has_ended() {
            return Err(SubmitError::SessionEnded);
        }
        Ok(())
    }

    pub(crate) fn committed_nonce(&self, address: &Address) -> u64 {
        // The state is complete (never a witness), so that reading it can't fail; an unreadable account has no nonce.
        let account = self.chain.load().state().account(address);
        account.ok().flatten().map_or(0, |account| account.nonce)
    }

    /// Queues forced messages. Those in the chain, in flight or queued already are ignored; a queued one is replaced when L1 reorganised before it was executed.
    pub(crate) fn enqueue_messages(&self, messages: Vec<(u64, Arc<RecoveredTransaction>)>) -> Result<(), EngineError> {
        let mut queue = self.queue.lock();
        let chain = self.chain.load();
        if chain.has_ended() {
            return Ok(());
        }
        let included = chain.head().inbox_count;
        for (index, message) in messages {
            let known = match index < included {
                true => chain.inbox_message(index).copied(),
                false => queue.messages.get(&index).map(|queued| queued.hash),
            };
            let next = queue.messages.last_key_value().map_or(included, |(last, _)| included.max(last + 1));
            match known {
                Some(hash) if hash == message.hash => {}
                Some(_) if index < included.max(queue.messages_taken) => {
                    return Err(EngineError::InvalidMessage(format!(
                        "message {index} of session {} differs from the one that was executed",
                        self.id
                    )));
                }
                None if index != next => {
                    return Err(EngineError::InvalidMessage(format!(
                        "message {index} of session {} is out of order: next is {next}",
                        self.id
                    )));
                }
                _ => {
                    // L1 reorganised: what followed the replaced message is not known to hold.
                    queue.messages.split_off(&index);
                    queue.messages.insert(index, message);
                }
            }
        }
        self.wake_up(&mut queue);
        Ok(())
    }

    /// Sets the session to work if it is active and idle; otherwise what came in is found when it gets idle.
    pub(crate) fn wake_up(&self, queue: &mut MutexGuard<'_, Queue>) {
        queue.work = true;
        if queue.activity == Activity::Idle && self.phase() == Phase::Active {
            if let Some(session) = self.this.upgrade() {
                queue.activity = Activity::Scheduled;
                self.context.scheduler.push(session);
            }
        }
    }

    /// Ends a turn. What came in meanwhile schedules the session again.
    pub(crate) fn rest(&self) {
        let mut queue = self.queue.lock();
        queue.activity = Activity::Idle;
        if queue.work {
            self.wake_up(&mut queue);
        }
        if queue.activity == Activity::Idle {
            self.idle.notify_all();
        }
        // Dropped in mid-turn: the turn may have put something back.
        let left = if self.phase() == Phase::Dropped { queue.drain() } else { Vec::new() };
        drop(queue);
        for pending in left {
            pending.answer(Err(SubmitError::SessionDropped(self.id)));
        }
    }

    /// Ends a turn that failed; the session tries again after a pause.
    pub(crate) fn rest_and_retry(&self) {
        if self.phase() == Phase::Dropped {
            return self.rest();
        }
        let session = self.this.clone();
        let pause = self.context.limits.persist_retry;
        self.context.runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(session) = session.upgrade() {
                session.rest();
            }
        });
    }

    pub(crate) fn lock_queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }

    /// Answers "nonce too high" to the sender's transactions whose predecessors have not come in time.
    pub(crate) fn expire_later(&self, sender: Address) {
        if !self.queue.lock().start_timer(sender) {
            return;
        }
        let session = self.this.clone();
        let patience = self.context.limits.nonce_gap;
        self.context.runtime.spawn(async move {
            let mut pause = Some(patience);
            while let Some(time) = pause {
                tokio::time::sleep(time).await;
                let Some(session) = session.upgrade() else { return };
                pause = session.expire(&sender, patience);
            }
        });
    }

    /// Answers those that have waited for `patience`; says when to look again.
    fn expire(&self, sender: &Address, patience: Duration) -> Option<Duration> {
        let Expiry { next, expired, again, .. } = {
            let mut queue = self.queue.lock();
            let committed = self.committed_nonce(sender);
            let expiry = queue.expire(sender, committed, patience, Instant::now());
            if expiry.is_ready {
                self.wake_up(&mut queue);
            }
            expiry
        };
        for pending in expired {
            let nonce = pending.nonce;
            pending.answer(Err(SubmitError::NonceTooHigh { next, nonce }));
        }
        again
    }

    /// Makes a durable block visible; `chain` ends with it. Only the committer calls this, and restoring.
    pub(crate) fn publish(&self, chain: Arc<Chain>, block: Arc<CommittedBlock>) {
        // INVARIANT I6: the block is on disk before any reader can see it.
        self.chain.store(chain);
        if let Some(blocks) = self.blocks.get() {
            // Nobody may be subscribed any more.
            let _ = blocks.send(block);
        }
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Resolves when the session is no longer being restored.
    pub(crate) async fn settled_phase(&self) -> Phase {
        let mut phase = self.phase.subscribe();
        let settled = phase.wait_for(|phase| *phase != Phase::Restoring).await;
        settled.map_or(Phase::Dropped, |phase| *phase)
    }

    /// Appends a verified stored block while the session is being restored.
    pub(crate) fn restore(&self, block: Arc<CommittedBlock>) -> Result<(), RestoreError> {
        if self.phase() != Phase::Restoring {
            return Err(RestoreError::AlreadyActive(self.id));
        }
        self.publish(Arc::new(self.chain().with_block(block.clone())), block);
        Ok(())
    }

    /// Starts to build blocks.
    pub(crate) fn activate(&self) -> Result<(), EngineError> {
        let mut queue = self.queue.lock();
        match self.phase() {
            Phase::Restoring => {}
            Phase::Active => return Err(EngineError::AlreadyActive(self.id)),
            Phase::Dropped => return Err(EngineError::UnknownSession(self.id)),
        }
        let chain = self.chain.load();
        if chain.number() > 0 {
            queue.init = None;
        }
        queue.messages = queue.messages.split_off(&chain.head().inbox_count);
        self.phase.send_replace(Phase::Active);
        if queue.init.is_some() || queue.work {
            self.wake_up(&mut queue);
        }
        Ok(())
    }

    /// Takes the session out of service: everyone who waits gets an answer, a block that is being committed still is. Idempotent.
    pub(crate) fn drop_now(&self, reason: SubmitError) {
        let drained = {
            let mut queue = self.queue.lock();
            self.phase.send_replace(Phase::Dropped);
            queue.init = None;
            queue.messages.clear();
            queue.work = false;
            queue.drain()
        };
        for pending in drained {
            pending.answer(Err(reason.clone()));
        }
    }

    /// Whether no block of the session is being built or committed.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.lock().activity == Activity::Idle
    }

    /// Blocks until no block of the session is being built or committed, or the time is over.
    pub(crate) fn wait_idle(&self, deadline: Instant) -> bool {
        let mut queue = self.queue.lock();
        while queue.activity != Activity::Idle {
            if self.idle.wait_until(&mut queue, deadline).timed_out() {
                return queue.activity == Activity::Idle;
            }
        }
        true
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
