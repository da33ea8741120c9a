//! Where the sessions are that other processes of this deployment have, as far as it is known.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// Sessions whose place is remembered; when there are more all are asked for again.
const MOST: usize = 1 << 16;

/// May be out of date at any time: a process that is asked for what it doesn't have says so.
#[derive(Default)]
pub(crate) struct Places {
    sessions: RwLock<HashMap<u64, Arc<str>>>,
    leader: RwLock<Option<Arc<str>>>,
}

impl Places {
    /// The URL of the process that had the session when it was last asked for.
    pub fn session(&self, id: u64) -> Option<Arc<str>> {
        self.sessions.read().get(&id).cloned()
    }

    pub fn learn(&self, id: u64, url: String) -> Arc<str> {
        let mut sessions = self.sessions.write();
        if sessions.len() >= MOST {
            sessions.clear();
        }
        let url: Arc<str> = url.into();
        sessions.insert(id, url.clone());
        url
    }

    pub fn forget(&self, id: u64) {
        // Most sessions were never elsewhere.
        if self.sessions.read().contains_key(&id) {
            self.sessions.write().remove(&id);
        }
    }

    /// The process that answers for `/`; None: this one.
    pub fn leader(&self) -> Option<Arc<str>> {
        self.leader.read().clone()
    }

    pub fn set_leader(&self, url: Option<&str>) {
        *self.leader.write() = url.map(Into::into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_places_is_bounded() {
        let places = Places::default();
        for id in 0..MOST as u64 + 1 {
            places.learn(id, "http://peer".into());
        }
        assert_eq!(places.sessions.read().len(), 1);
        assert_eq!(places.session(MOST as u64).as_deref(), Some("http://peer"));
        places.forget(MOST as u64);
        assert_eq!(places.session(MOST as u64), None);
    }
}
