//! Whose turn it is to build. INVARIANT I5: a session that uses more of the builders' time than others comes after them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::session::Session;

/// Fair queueing by virtual time: each session is charged the time its blocks took to build, the one charged least goes next, one block at a turn. A session that was idle starts at the
/// present minimum, so that it neither saves up turns nor owes any; among sessions of equal load this is round-robin.
pub(crate) struct Scheduler {
    queue: Mutex<RunQueue>,
    wake: Condvar,
}

#[derive(Default)]
struct RunQueue {
    heap: BinaryHeap<Reverse<Turn>>,
    /// Virtual time of the last turn given, in microseconds.
    now: u64,
    /// Breaks ties in order of arrival.
    arrivals: u64,
    stopped: bool,
}

struct Turn {
    time: u64,
    arrival: u64,
    session: Arc<Session>,
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Turn {}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time, self.arrival).cmp(&(other.time, other.arrival))
    }
}

impl Scheduler {
    pub fn new() -> Self {
        Self { queue: Mutex::default(), wake: Condvar::new() }
    }

    /// Queues a session for one turn. The caller sees to it that a session is queued once at most.
    pub fn push(&self, session: Arc<Session>) {
        let mut queue = self.queue.lock();
        if queue.stopped {
            return;
        }
        let time = session.used.load(Ordering::Relaxed).max(queue.now);
        session.used.store(time, Ordering::Relaxed);
        let arrival = queue.arrivals;
        queue.arrivals += 1;
        queue.heap.push(Reverse(Turn { time, arrival, session }));
        drop(queue);
        self.wake.notify_one();
    }

    /// Sessions that wait for their turn.
    pub fn len(&self) -> usize {
        self.queue.lock().heap.len()
    }

    /// Waits for a session whose turn it is; None when the engine stops.
    pub fn next(&self) -> Option<Arc<Session>> {
        let mut queue = self.queue.lock();
        loop {
            if queue.stopped {
                return None;
            }
            if let Some(Reverse(turn)) = queue.heap.pop() {
                queue.now = queue.now.max(turn.time);
                return Some(turn.session);
            }
            self.wake.wait(&mut queue);
        }
    }

    /// Charges a turn to the session that had it.
    pub fn charge(&self, session: &Session, time: Duration) {
        // At least one unit, so that sessions with tiny blocks take turns too.
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        session.used.fetch_add(micros, Ordering::Relaxed);
    }

    /// No more turns; the sessions in the queue are let go.
    pub fn stop(&self) {
        let mut queue = self.queue.lock();
        queue.stopped = true;
        queue.heap.clear();
        drop(queue);
        self.wake.notify_all();
    }
}
