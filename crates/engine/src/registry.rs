//! Which sessions are in memory.

use std::collections::hash_map::Entry;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

use crate::error::{EngineError, SubmitError};
use crate::session::Session;

/// Sessions by id.
#[derive(Default)]
pub(crate) struct Registry {
    sessions: RwLock<HashMap<u64, Arc<Session>>>,
    /// Removed sessions of which a block may still be in the committer.
    leaving: Mutex<HashMap<u64, Arc<Session>>>,
}

impl Registry {
    pub fn get(&self, id: u64) -> Option<Arc<Session>> {
        self.sessions.read().get(&id).cloned()
    }

    pub fn all(&self) -> Vec<Arc<Session>> {
        self.sessions.read().values().cloned().collect()
    }

    pub fn insert(&self, session: Arc<Session>) -> Result<(), EngineError> {
        match self.sessions.write().entry(session.id) {
            Entry::Occupied(_) => Err(EngineError::AlreadyOpen(session.id)),
            Entry::Vacant(entry) => {
                entry.insert(session);
                Ok(())
            }
        }
    }

    /// Takes a session out; those who wait for it get `reason`.
    pub fn remove(&self, id: u64, reason: SubmitError) -> Option<Arc<Session>> {
        let session = self.sessions.write().remove(&id)?;
        session.drop_now(reason);
        let mut leaving = self.leaving.lock();
        leaving.retain(|_, session| !session.is_idle());
        if !session.is_idle() {
            leaving.insert(id, session.clone());
        }
        Some(session)
    }

    /// Waits until nothing of a removed session is in progress; false if the time was too short.
    pub fn wait_gone(&self, id: u64, deadline: Instant) -> bool {
        let leaving = self.leaving.lock().get(&id).cloned();
        leaving.is_none_or(|session| session.wait_idle(deadline))
    }
}
