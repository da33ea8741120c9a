//! What waits to be executed in one session: messages from L1 first, then users' transactions, senders in turn, each in order of nonce.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use stf::RecoveredTransaction;
use tokio::sync::oneshot;

use crate::error::SubmitError;

/// Whoever waits for a transaction to be durable.
pub(crate) type Waiter = oneshot::Sender<Result<B256, SubmitError>>;

/// A user transaction in the queue.
pub(crate) struct Pending {
    pub transaction: Arc<RecoveredTransaction>,
    pub nonce: u64,
    pub waiter: Waiter,
    /// Since when it may have been waiting for its predecessors.
    pub since: Instant,
    /// While it is taken: the nonce after those of its sender that were taken before it.
    pub taken_before: Option<u64>,
}

impl Pending {
    pub fn answer(self, answer: Result<B256, SubmitError>) {
        // The submitter may have gone; its transaction counts all the same.
        let _ = self.waiter.send(answer);
    }
}

/// Where a session is in its cycle. A session builds one block at a time, and not before the last one is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    Idle,
    /// In the scheduler's run queue.
    Scheduled,
    /// A builder thread or the committer has it.
    Busy,
}

/// A sender's queued transactions by nonce; never empty.
#[derive(Default)]
struct Line {
    queued: BTreeMap<u64, Pending>,
    /// Whether the sender is in `turns`.
    is_ready: bool,
}

/// What became of the transactions of a sender that wait for their predecessors.
pub(crate) struct Expiry {
    /// The nonce that the sender's next transaction should have.
    pub next: u64,
    pub expired: Vec<Pending>,
    /// Whether the sender's first transaction can be executed now.
    pub is_ready: bool,
    /// When to look again, if others still wait.
    pub again: Option<Duration>,
}

pub(crate) struct Queue {
    pub activity: Activity,
    /// Something came in that the next block may include.
    pub work: bool,
    /// The init message, until it is in the chain.
    pub init: Option<Arc<RecoveredTransaction>>,
    /// Forced messages by index, without gaps, until they are in the chain.
    pub messages: BTreeMap<u64, Arc<RecoveredTransaction>>,
    /// Messages below this index are in the block that is being built or committed.
    pub messages_taken: u64,
    senders: HashMap<Address, Line>,
    /// Senders whose first queued transaction can be executed as far as is known, whose turn is next first.
    turns: VecDeque<Address>,
    /// Queued and in-flight transactions.
    hashes: HashSet<B256>,
    /// Next nonces of senders with transactions in flight.
    taken: HashMap<Address, u64>,
    /// Senders for whom a timer runs that answers transactions that wait for their predecessors.
    timers: HashSet<Address>,
    count: usize,
    bytes: usize,
}

impl Queue {
    pub fn new() -> Self {
        Self {
            activity: Activity::Idle,
            work: false,
            init: None,
            messages: BTreeMap::new(),
            messages_taken: 0,
            senders: HashMap::new(),
            turns: VecDeque::new(),
            hashes: HashSet::new(),
            taken: HashMap::new(),
            timers: HashSet::new(),
            count: 0,
            bytes: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// Bytes of the queued user transactions.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn sender_len(&self, sender: &Address) -> usize {
        self.senders.get(sender).map_or(0, |line| line.queued.len())
    }

    pub fn contains(&self, hash: &B256) -> bool {
        self.hashes.contains(hash)
    }

    /// The nonce after those in flight, given the committed one.
    pub fn next_nonce(&self, sender: &Address, committed: u64) -> u64 {
        self.taken.get(sender).map_or(committed, |next| committed.max(*next))
    }

    /// The nonce after those in flight and the queued ones that follow without a gap.
    pub fn pending_nonce(&self, sender: &Address, committed: u64) -> u64 {
        let mut next = self.next_nonce(sender, committed);
        if let Some(line) = self.senders.get(sender) {
            while line.queued.contains_key(&next) {
                next += 1;
            }
        }
        next
    }

    /// Adds a transaction of a sender whose next nonce is `next`; false, and nothing is changed, if its nonce is taken.
    pub fn insert(&mut self, pending: Pending, next: u64) -> bool {
        let sender = pending.transaction.sender;
        if self.senders.get(&sender).is_some_and(|line| line.queued.contains_key(&pending.nonce)) {
            return false;
        }
        self.hashes.insert(pending.transaction.hash);
        self.add(pending);
        self.admit(&sender, next);
        true
    }

    fn add(&mut self, pending: Pending) -> &mut Line {
        self.count += 1;
        self.bytes += pending.transaction.raw.len();
        let line = self.senders.entry(pending.transaction.sender).or_default();
        line.queued.insert(pending.nonce, pending);
        line
    }

    /// Gives a sender whose next nonce is `next` its turns, if it has a transaction that can be executed.
    fn admit(&mut self, sender: &Address, next: u64) {
        let Some(line) = self.senders.get_mut(sender) else { return };
        if !line.is_ready && line.queued.first_key_value().is_some_and(|(first, _)| *first <= next) {
            line.is_ready = true;
            self.turns.push_back(*sender);
        }
    }

    /// Looks again at all senders that wait for a nonce; whether one can go on.
    pub fn admit_all(&mut self, committed: impl Fn(&Address) -> u64) -> bool {
        let waiting: Vec<Address> =
            self.senders.iter().filter(|(_, line)| !line.is_ready).map(|(sender, _)| *sender).collect();
        for sender in &waiting {
            self.admit(sender, self.next_nonce(sender, committed(sender)));
        }
        waiting.iter().any(|sender| self.is_ready(sender))
    }

    /// Whether the sender's first queued transaction can be executed as far as is known.
    pub fn is_ready(&self, sender: &Address) -> bool {
        self.senders.get(sender).is_some_and(|line| line.is_ready)
    }

    /// Takes the next transaction, of the sender whose turn it is.
    pub fn take(&mut self) -> Option<Pending> {
        let sender = self.turns.pop_front()?;
        let line = self.senders.get_mut(&sender)?;
        let (nonce, mut pending) = line.queued.pop_first()?;
        line.is_ready = line.queued.first_key_value().is_some_and(|(first, _)| *first == nonce + 1);
        if line.is_ready {
            self.turns.push_back(sender);
        } else if line.queued.is_empty() {
            self.senders.remove(&sender);
        }
        self.count -= 1;
        self.bytes -= pending.transaction.raw.len();
        pending.taken_before = self.taken.insert(sender, nonce + 1);
        Some(pending)
    }

    /// Undoes `take` for a transaction that has no place in the block; it keeps its sender's turn.
    pub fn put_back(&mut self, pending: Pending) {
        let sender = pending.transaction.sender;
        self.release(&pending);
        let line = self.add(pending);
        if !std::mem::replace(&mut line.is_ready, true) {
            self.turns.push_front(sender);
        } else if self.turns.back() == Some(&sender) {
            self.turns.pop_back();
            self.turns.push_front(sender);
        }
    }

    /// Undoes `take` for a transaction whose nonce isn't its sender's next, against what was known.
    pub fn park(&mut self, pending: Pending) {
        let sender = pending.transaction.sender;
        self.release(&pending);
        self.add(pending);
        self.suspend(&sender);
    }

    /// Undoes `take` for a transaction that is refused; the sender's next nonce is `next`. Those after it wait for another
    /// one from now on; true if there are any.
    pub fn reject(&mut self, pending: &Pending, next: u64, now: Instant) -> bool {
        let sender = pending.transaction.sender;
        self.release(pending);
        self.hashes.remove(&pending.transaction.hash);
        let waits = self.restart_wait(&sender, now);
        self.admit(&sender, next);
        waits && !self.is_ready(&sender)
    }

    fn release(&mut self, pending: &Pending) {
        let sender = pending.transaction.sender;
        // Earlier ones of the sender may be in the block that is being built; then what they took stays. Its own nonce says
        // nothing: there may be a gap before it.
        if self.taken.get(&sender) == Some(&(pending.nonce + 1)) {
            match pending.taken_before {
                Some(next) => self.taken.insert(sender, next),
                None => self.taken.remove(&sender),
            };
        }
    }

    /// Takes a sender's turns away.
    fn suspend(&mut self, sender: &Address) {
        if let Some(line) = self.senders.get_mut(sender) {
            if std::mem::take(&mut line.is_ready) {
                self.turns.retain(|other| other != sender);
            }
        }
    }

    /// A transaction before those of the sender is gone: their wait begins anew. False if there are none.
    fn restart_wait(&mut self, sender: &Address, now: Instant) -> bool {
        self.suspend(sender);
        let Some(line) = self.senders.get_mut(sender) else { return false };
        for pending in line.queued.values_mut() {
            pending.since = now;
        }
        true
    }

    /// Forgets what was in flight: it is in the chain now, or refused. Gives the senders that have more queued, whose wait
    /// begins anew if `refused`.
    pub fn settle(&mut self, transactions: &[(Address, B256)], refused: Option<Instant>) -> Vec<Address> {
        for (_, hash) in transactions {
            self.hashes.remove(hash);
        }
        self.taken.clear();
        let Some(now) = refused else { return Vec::new() };
        let senders: HashSet<Address> = transactions.iter().map(|(sender, _)| *sender).collect();
        senders.into_iter().filter(|sender| self.restart_wait(sender, now)).collect()
    }

    /// Whether a timer must be started for the sender, who has none; it ends when `expire` gives no `again`.
    pub fn start_timer(&mut self, sender: Address) -> bool {
        self.timers.insert(sender)
    }

    /// Removes the sender's transactions that have waited for `patience` behind a gap.
    pub fn expire(&mut self, sender: &Address, committed: u64, patience: Duration, now: Instant) -> Expiry {
        let next = self.pending_nonce(sender, committed);
        let mut expired = Vec::new();
        let mut again = None;
        if let Some(line) = self.senders.get_mut(sender) {
            let waited = |pending: &Pending| now.saturating_duration_since(pending.since);
            let behind = line.queued.range(next..);
            let late: Vec<u64> = behind.filter(|(_, pending)| waited(pending) >= patience).map(|(n, _)| *n).collect();
            expired.extend(late.iter().filter_map(|nonce| line.queued.remove(nonce)));
            again = line.queued.range(next..).map(|(_, pending)| patience - waited(pending)).min();
            if line.queued.is_empty() {
                self.suspend(sender);
                self.senders.remove(sender);
            }
        }
        for pending in &expired {
            self.hashes.remove(&pending.transaction.hash);
            self.count -= 1;
            self.bytes -= pending.transaction.raw.len();
        }
        if again.is_none() {
            self.timers.remove(sender);
        }
        // The nonce may have been raised by somebody else's transaction: by an authorisation, or by a creation in the name
        // of a delegated account (EIP-7702).
        self.admit(sender, self.next_nonce(sender, committed));
        Expiry { next, expired, is_ready: self.is_ready(sender), again }
    }

    /// Empties the queue of user transactions.
    pub fn drain(&mut self) -> Vec<Pending> {
        self.turns.clear();
        self.count = 0;
        self.bytes = 0;
        let drained: Vec<Pending> = self.senders.drain().flat_map(|(_, line)| line.queued.into_values()).collect();
        for pending in &drained {
            self.hashes.remove(&pending.transaction.hash);
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Bytes;
    use stf::SystemTransaction;

    /// The queue looks at sender, nonce, hash and size only.
    fn pending(sender: u8, nonce: u64) -> Pending {
        let message = SystemTransaction {
            chain_id: 1,
            index: nonce,
            from: address(sender),
            to: Address::ZERO,
            gas_limit: 0,
            due_at: 0,
            data: Bytes::new(),
        };
        Pending {
            transaction: message.into(),
            nonce,
            waiter: oneshot::channel().0,
            since: Instant::now(),
            taken_before: None,
        }
    }

    fn address(sender: u8) -> Address {
        Address::repeat_byte(sender)
    }

    fn queue(transactions: &[(u8, u64)]) -> Queue {
        let mut queue = Queue::new();
        for (sender, nonce) in transactions {
            // Each is its sender's next, unless one before it comes.
            assert!(queue.insert(pending(*sender, *nonce), *nonce));
        }
        queue
    }

    fn take_all(queue: &mut Queue) -> Vec<(u8, u64)> {
        let taken = std::iter::from_fn(|| queue.take());
        taken.map(|pending| (pending.transaction.sender[0], pending.nonce)).collect()
    }

    #[test]
    fn senders_take_turns_in_order_of_nonce() {
        let mut queue = queue(&[(1, 2), (1, 0), (1, 1), (2, 7), (3, 0), (2, 8)]);
        assert_eq!(take_all(&mut queue), [(1, 0), (2, 7), (3, 0), (1, 1), (2, 8), (1, 2)]);
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_nonce_is_queued_once() {
        let mut queue = queue(&[(1, 0)]);
        assert!(!queue.insert(pending(1, 0), 0));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn pending_nonces_count_what_is_in_flight_and_queued_without_a_gap() {
        let mut queue = queue(&[(1, 5), (1, 6), (1, 8)]);
        assert_eq!(queue.pending_nonce(&address(1), 5), 7);
        assert_eq!(queue.pending_nonce(&address(1), 4), 4);
        let taken = queue.take().unwrap();
        assert_eq!((queue.next_nonce(&address(1), 5), queue.pending_nonce(&address(1), 5)), (6, 7));
        queue.settle(&[(address(1), taken.transaction.hash)], None);
        assert_eq!(queue.pending_nonce(&address(1), 6), 7);
        assert!(!queue.contains(&taken.transaction.hash));
    }

    #[test]
    fn putting_back_undoes_taking() {
        for first in [0, 4] {
            let mut queue = queue(&[(1, first), (1, first + 1), (2, 0)]);
            let (len, bytes) = (queue.len(), queue.bytes());
            let taken = queue.take().unwrap();
            queue.put_back(taken);
            assert_eq!((queue.len(), queue.bytes()), (len, bytes));
            assert_eq!(queue.next_nonce(&address(1), 0), 0);
            assert_eq!(take_all(&mut queue), [(1, first), (2, 0), (1, first + 1)]);
        }
    }

    #[test]
    fn rejecting_frees_the_nonce_and_starts_the_wait_of_those_behind() {
        let mut queue = queue(&[(1, 0), (1, 1)]);
        let taken = queue.take().unwrap();
        let later = Instant::now() + Duration::from_secs(60);
        assert!(queue.reject(&taken, 0, later));
        assert!(queue.take().is_none());
        assert!(!queue.contains(&taken.transaction.hash));
        assert_eq!(queue.pending_nonce(&address(1), 0), 0);
        let patience = Duration::from_secs(2);
        let early = queue.expire(&address(1), 0, patience, later + Duration::from_secs(1));
        assert_eq!((early.expired.len(), early.again), (0, Some(Duration::from_secs(1))));
        let expiry = queue.expire(&address(1), 0, patience, later + patience);
        assert_eq!((expiry.next, expiry.expired.len(), expiry.again), (0, 1, None));
        assert_eq!((queue.len(), queue.bytes()), (0, 0));
        assert!(queue.insert(pending(1, 0), 0));
        assert_eq!(take_all(&mut queue), [(1, 0)]);
    }

    #[test]
    fn only_what_is_behind_a_gap_expires() {
        let mut queue = queue(&[(1, 0), (1, 1), (1, 3)]);
        let expiry = queue.expire(&address(1), 0, Duration::ZERO, Instant::now());
        assert_eq!((expiry.next, expiry.expired.len(), expiry.is_ready), (2, 1, true));
        assert_eq!(take_all(&mut queue), [(1, 0), (1, 1)]);
    }

    #[test]
    fn senders_behind_a_gap_have_no_turns_until_it_is_filled() {
        let mut queue = queue(&[(2, 0)]);
        assert!(queue.insert(pending(1, 4), 3) && !queue.is_ready(&address(1)));
        assert!(queue.insert(pending(1, 6), 3) && !queue.is_ready(&address(1)));
        assert_eq!(take_all(&mut queue), [(2, 0)]);
        assert!(queue.insert(pending(1, 3), 3) && queue.is_ready(&address(1)));
        // What follows the gap after 4 waits on.
        assert_eq!(take_all(&mut queue), [(1, 3), (1, 4)]);
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_parked_transaction_has_no_turn_until_its_nonce_is_next() {
        let mut queue = queue(&[(1, 3), (1, 4)]);
        let taken = queue.take().unwrap();
        queue.park(taken);
        assert!(queue.take().is_none());
        assert_eq!((queue.len(), queue.next_nonce(&address(1), 2)), (2, 2));
        assert!(!queue.admit_all(|_| 2) && queue.admit_all(|_| 3));
        assert_eq!(take_all(&mut queue), [(1, 3), (1, 4)]);
    }

    #[test]
    fn rejecting_a_nonce_that_is_over_lets_the_next_one_go_on() {
        let mut queue = queue(&[(1, 0), (1, 1)]);
        let taken = queue.take().unwrap();
        assert!(!queue.reject(&taken, 1, Instant::now()));
        assert_eq!(take_all(&mut queue), [(1, 1)]);
    }

    #[test]
    fn refused_blocks_take_the_turns_of_those_behind() {
        let mut queue = queue(&[(1, 0), (1, 1), (2, 0)]);
        let taken = queue.take().unwrap();
        let waiting = queue.settle(&[(address(1), taken.transaction.hash)], Some(Instant::now()));
        assert_eq!(waiting, [address(1)]);
        assert_eq!(take_all(&mut queue), [(2, 0)]);
        assert!(queue.insert(pending(1, 0), 0));
        assert_eq!(take_all(&mut queue), [(1, 0), (1, 1)]);
    }

    #[test]
    fn a_sender_has_one_timer() {
        let mut queue = queue(&[]);
        assert!(queue.insert(pending(1, 5), 0) && queue.start_timer(address(1)));
        assert!(queue.insert(pending(1, 7), 0) && !queue.start_timer(address(1)));
        let patience = Duration::from_secs(2);
        let later = Instant::now() + patience;
        // It runs on while something waits, and can be started again afterwards.
        assert!(queue.expire(&address(1), 0, 2 * patience, later).again.is_some());
        assert!(!queue.start_timer(address(1)));
        assert_eq!(queue.expire(&address(1), 0, patience, later).expired.len(), 2);
        assert!(queue.start_timer(address(1)));
    }

    #[test]
    fn a_nonce_that_somebody_else_raised_is_seen_when_the_timer_ends() {
        let mut queue = queue(&[]);
        assert!(queue.insert(pending(1, 1), 0));
        let expiry = queue.expire(&address(1), 1, Duration::ZERO, Instant::now());
        assert!(expiry.is_ready && expiry.expired.is_empty());
        assert_eq!(take_all(&mut queue), [(1, 1)]);
    }
}
