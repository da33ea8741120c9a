//! Wakes under way, and what is known of sessions that aren't in memory.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::SessionError;

/// Sessions that may wait for their turn to be woken.
const BACKLOG: usize = 1024;
/// Those among them that this process has never had, of which anyone can name as many as he likes.
const STRANGERS: usize = BACKLOG / 2;
/// Sessions that are remembered as unknown.
const UNKNOWN: usize = 4096;

/// How a wake ended; None while it is under way.
pub(crate) type WakeResult = Option<Result<(), SessionError>>;

/// A wake that a request waits for.
#[derive(Debug)]
pub(crate) enum Wake {
    Running(watch::Receiver<WakeResult>),
    /// To be carried out by whoever gets this, then told to `finish`.
    Started {
        finished: watch::Sender<WakeResult>,
        outcome: watch::Receiver<WakeResult>,
        is_stranger: bool,
    },
}

pub(crate) struct Wakes {
    unknown_life: Duration,
    running: HashMap<u64, watch::Receiver<WakeResult>>,
    /// How many of those are strangers.
    strangers: usize,
    unknown: HashMap<u64, Instant>,
    /// Sessions that were in this process's memory.
    served: HashSet<u64>,
}

impl Wakes {
    pub fn new(unknown_life: Duration) -> Self {
        Self { unknown_life, running: HashMap::new(), strangers: 0, unknown: HashMap::new(), served: HashSet::new() }
    }

    /// Wakes under way.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// The present wake of a session that is not in memory, or a new one.
    pub fn join(&mut self, id: u64, now: Instant) -> Result<Wake, SessionError> {
        if let Some(outcome) = self.running.get(&id) {
            return Ok(Wake::Running(outcome.clone()));
        }
        if self.unknown.get(&id).is_some_and(|since| now.duration_since(*since) < self.unknown_life) {
            return Err(SessionError::Unknown(id));
        }
        let is_stranger = !self.served.contains(&id);
        if self.running.len() >= BACKLOG || (is_stranger && self.strangers >= STRANGERS) {
            return Err(SessionError::Busy);
        }
        let (finished, outcome) = watch::channel(None);
        self.running.insert(id, outcome.clone());
        self.strangers += usize::from(is_stranger);
        Ok(Wake::Started { finished, outcome, is_stranger })
    }

    /// Ends a wake. `is_unknown`: the host does not know the session, and it was not opened meanwhile.
    pub fn finish(&mut self, id: u64, is_stranger: bool, is_unknown: bool, now: Instant) {
        self.running.remove(&id);
        self.strangers -= usize::from(is_stranger);
        if !is_unknown {
            return;
        }
        if self.unknown.len() >= UNKNOWN {
            let life = self.unknown_life;
            self.unknown.retain(|_, since| now.duration_since(*since) < life);
        }
        if self.unknown.len() < UNKNOWN {
            self.unknown.insert(id, now);
        }
    }

    /// The session is in memory now.
    pub fn opened(&mut self, id: u64) {
        self.unknown.remove(&id);
        self.served.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN_LIFE: Duration = Duration::from_secs(1);

    fn start(wakes: &mut Wakes, id: u64, now: Instant) -> Result<bool, SessionError> {
        match wakes.join(id, now)? {
            Wake::Started { is_stranger, .. } => Ok(is_stranger),
            Wake::Running(_) => panic!("session {id} is being woken already"),
        }
    }

    #[test]
    fn an_unknown_session_is_not_asked_for_again_until_it_is_opened_or_time_has_passed() {
        let (mut wakes, now) = (Wakes::new(UNKNOWN_LIFE), Instant::now());
        for id in [1, 2] {
            start(&mut wakes, id, now).unwrap();
            wakes.finish(id, true, true, now);
            assert_eq!(wakes.join(id, now).unwrap_err(), SessionError::Unknown(id));
        }
        wakes.opened(1);
        assert_eq!(start(&mut wakes, 1, now), Ok(false));
        assert_eq!(start(&mut wakes, 2, now + UNKNOWN_LIFE), Ok(true));
    }

    #[test]
    fn invariant_i5_made_up_sessions_leave_room_for_those_that_were_here() {
        let (mut wakes, now) = (Wakes::new(UNKNOWN_LIFE), Instant::now());
        wakes.opened(0);
        let started = (1..).take_while(|id| start(&mut wakes, *id, now).is_ok()).count();
        assert_eq!(started, STRANGERS);
        assert_eq!(start(&mut wakes, 0, now), Ok(false));
        wakes.finish(1, true, true, now);
        assert_eq!(start(&mut wakes, u64::MAX, now), Ok(true));
    }

    #[test]
    fn what_is_remembered_of_unknown_sessions_is_bounded() {
        let (mut wakes, now) = (Wakes::new(UNKNOWN_LIFE), Instant::now());
        for id in 0..UNKNOWN as u64 + 10 {
            start(&mut wakes, id, now).unwrap();
            wakes.finish(id, true, true, now);
        }
        assert_eq!(wakes.unknown.len(), UNKNOWN);
        let later = now + UNKNOWN_LIFE;
        start(&mut wakes, u64::MAX, later).unwrap();
        wakes.finish(u64::MAX, true, true, later);
        assert_eq!(wakes.unknown.len(), 1);
    }
}
