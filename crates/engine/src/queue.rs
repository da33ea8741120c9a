//! What waits to be executed in one session: messages from L1 first, then users' transactions, senders in turn, each in order of nonce.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use stf::RecoveredTransaction;
use tokio::sync::oneshot;

use crate::error::SubmitError;

/// Whoever waits for a transaction to be durable.
pub(crate) type Waiter = oneshot::Sender<Result<B256, SubmitError>>;

/// A user transaction in the queue.
pub(crate) struct Pending {
    pub transaction: RecoveredTransaction,
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

pub(crate) struct Queue {
    pub activity: Activity,
    /// Something came in that the next block may include.
    pub work: bool,
    /// The init message, until it is in the chain.
    pub init: Option<RecoveredTransaction>,
    /// Forced messages by index, without gaps, until they are in the chain.
    pub messages: BTreeMap<u64, RecoveredTransaction>,
    /// Messages below this index are in the block that is being built or committed.
    pub messages_taken: u64,
    senders: HashMap<Address, BTreeMap<u64, Pending>>,
    /// Senders with queued transactions, whose turn is next first.
    turns: VecDeque<Address>,
    /// Queued and in-flight transactions.
    hashes: HashSet<B256>,
    /// Next nonces of senders with transactions in flight.
    taken: HashMap<Address, u64>,
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
        self.senders.get(sender).map_or(0, BTreeMap::len)
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
        if let Some(queued) = self.senders.get(sender) {
            while queued.contains_key(&next) {
                next += 1;
            }
        }
        next
    }

    /// Adds a transaction; false, and nothing is changed, if its nonce is taken.
    pub fn insert(&mut self, pending: Pending) -> bool {
        let sender = pending.transaction.sender;
        let queued = self.senders.entry(sender).or_default();
        if queued.contains_key(&pending.nonce) {
            return false;
        }
        if queued.is_empty() {
            self.turns.push_back(sender);
        }
        self.hashes.insert(pending.transaction.hash);
        self.count += 1;
        self.bytes += pending.transaction.raw.len();
        queued.insert(pending.nonce, pending);
        true
    }

    /// Takes the next transaction, of the sender whose turn it is; senders in `parked` are passed over.
    pub fn take(&mut self, parked: &HashSet<Address>) -> Option<Pending> {
        for _ in 0..self.turns.len() {
            let sender = self.turns.pop_front()?;
            if parked.contains(&sender) {
                self.turns.push_back(sender);
                continue;
            }
            let queued = self.senders.get_mut(&sender)?;
            let (nonce, mut pending) = queued.pop_first()?;
            if queued.is_empty() {
                self.senders.remove(&sender);
            } else {
                self.turns.push_back(sender);
            }
            self.count -= 1;
            self.bytes -= pending.transaction.raw.len();
            pending.taken_before = self.taken.insert(sender, nonce + 1);
            return Some(pending);
        }
        None
    }

    /// Undoes `take` for a transaction that can't be executed yet; it keeps its sender's turn.
    pub fn put_back(&mut self, pending: Pending) {
        let sender = pending.transaction.sender;
        self.release(&pending);
        let queued = self.senders.entry(sender).or_default();
        if queued.is_empty() {
            self.turns.push_front(sender);
        } else if self.turns.back() == Some(&sender) {
            self.turns.pop_back();
            self.turns.push_front(sender);
        }
        self.count += 1;
        self.bytes += pending.transaction.raw.len();
        queued.insert(pending.nonce, pending);
    }

    /// Undoes `take` for a transaction that is refused. Those after it wait for another one from now on; true if there are any.
    pub fn reject(&mut self, pending: &Pending, now: Instant) -> bool {
        let sender = pending.transaction.sender;
        self.release(pending);
        self.hashes.remove(&pending.transaction.hash);
        self.restart_wait(&sender, now)
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

    fn restart_wait(&mut self, sender: &Address, now: Instant) -> bool {
        let Some(queued) = self.senders.get_mut(sender) else { return false };
        for pending in queued.values_mut() {
            pending.since = now;
        }
        true
    }

    /// Forgets what was in flight: it is in the chain now, or refused. Gives the senders that have more queued, whose wait begins anew if `refused`.
    pub fn settle(&mut self, transactions: &[(Address, B256)], refused: Option<Instant>) -> Vec<Address> {
        for (_, hash) in transactions {
            self.hashes.remove(hash);
        }
        self.taken.clear();
        let Some(now) = refused else { return Vec::new() };
        let senders: HashSet<Address> = transactions.iter().map(|(sender, _)| *sender).collect();
        senders.into_iter().filter(|sender| self.restart_wait(sender, now)).collect()
    }

    /// Removes the sender's transactions that have waited for `patience` behind a gap; also says what the next nonce is.
    pub fn expire(
        &mut self,
        sender: &Address,
        committed: u64,
        patience: Duration,
        now: Instant,
    ) -> (u64, Vec<Pending>) {
        let next = self.pending_nonce(sender, committed);
        let Some(queued) = self.senders.get_mut(sender) else { return (next, Vec::new()) };
        let late: Vec<u64> = queued
            .range(next..)
            .filter(|(_, pending)| now.duration_since(pending.since) >= patience)
            .map(|(nonce, _)| *nonce)
            .collect();
        let expired: Vec<Pending> = late.iter().filter_map(|nonce| queued.remove(nonce)).collect();
        if queued.is_empty() {
            self.senders.remove(sender);
            self.turns.retain(|other| other != sender);
        }
        for pending in &expired {
            self.hashes.remove(&pending.transaction.hash);
            self.count -= 1;
            self.bytes -= pending.transaction.raw.len();
        }
        (next, expired)
    }

    /// Empties the queue of user transactions.
    pub fn drain(&mut self) -> Vec<Pending> {
        self.turns.clear();
        self.count = 0;
        self.bytes = 0;
        let drained: Vec<Pending> = self.senders.drain().flat_map(|(_, queued)| queued.into_values()).collect();
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
            assert!(queue.insert(pending(*sender, *nonce)));
        }
        queue
    }

    fn take_all(queue: &mut Queue) -> Vec<(u8, u64)> {
        let taken = std::iter::from_fn(|| queue.take(&HashSet::new()));
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
        assert!(!queue.insert(pending(1, 0)));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn pending_nonces_count_what_is_in_flight_and_queued_without_a_gap() {
        let mut queue = queue(&[(1, 5), (1, 6), (1, 8)]);
        assert_eq!(queue.pending_nonce(&address(1), 5), 7);
        assert_eq!(queue.pending_nonce(&address(1), 4), 4);
        let taken = queue.take(&HashSet::new()).unwrap();
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
            let taken = queue.take(&HashSet::new()).unwrap();
            queue.put_back(taken);
            assert_eq!((queue.len(), queue.bytes()), (len, bytes));
            assert_eq!(queue.next_nonce(&address(1), 0), 0);
            assert_eq!(take_all(&mut queue), [(1, first), (2, 0), (1, first + 1)]);
        }
    }

    #[test]
    fn rejecting_frees_the_nonce_and_starts_the_wait_of_those_behind() {
        let mut queue = queue(&[(1, 0), (1, 1)]);
        let taken = queue.take(&HashSet::new()).unwrap();
        let later = Instant::now() + Duration::from_secs(60);
        assert!(queue.reject(&taken, later));
        assert!(!queue.contains(&taken.transaction.hash));
        assert_eq!(queue.pending_nonce(&address(1), 0), 0);
        let patience = Duration::from_secs(2);
        assert!(queue.expire(&address(1), 0, patience, later + Duration::from_secs(1)).1.is_empty());
        let (next, expired) = queue.expire(&address(1), 0, patience, later + patience);
        assert_eq!((next, expired.len(), queue.len(), queue.bytes()), (0, 1, 0, 0));
        assert!(queue.insert(pending(1, 0)));
        assert_eq!(take_all(&mut queue), [(1, 0)]);
    }

    #[test]
    fn only_what_is_behind_a_gap_expires() {
        let mut queue = queue(&[(1, 0), (1, 1), (1, 3)]);
        let (next, expired) = queue.expire(&address(1), 0, Duration::ZERO, Instant::now());
        assert_eq!((next, expired.len()), (2, 1));
        assert_eq!(take_all(&mut queue), [(1, 0), (1, 1)]);
    }

    #[test]
    fn parked_senders_are_passed_over_and_keep_their_transactions() {
        let mut queue = queue(&[(1, 3), (2, 0)]);
        let parked = HashSet::from([address(1)]);
        assert_eq!(queue.take(&parked).unwrap().transaction.sender, address(2));
        assert!(queue.take(&parked).is_none());
        assert_eq!(take_all(&mut queue), [(1, 3)]);
    }
}
