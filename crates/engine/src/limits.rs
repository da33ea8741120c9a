//! Bounds on what one session, one sender or one request may use. Python sets them by name.

use std::time::Duration;

/// Every bound has a default that suits a node with thousands of sessions.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one raw transaction (geth's pool has the same).
    pub transaction_bytes: usize,
    /// Queued user transactions of one session.
    pub session_queue: usize,
    /// Bytes of one session's queued user transactions.
    pub session_queue_bytes: usize,
    /// Bytes of a session's history from which on it takes no more users' transactions but `stop()`; 0 is no bound.
    pub session_memory: usize,
    /// Queued user transactions of one sender in one session.
    pub sender_queue: usize,
    /// How long a transaction with a nonce gap waits for its predecessors.
    pub nonce_gap: Duration,
    /// No further transaction joins a block that has been built for this long.
    pub block_time: Duration,
    /// Threads that build blocks; how many sessions build at the same moment.
    pub builder_threads: usize,
    /// Blocks that a call of `persist` gets at most.
    pub persist_group: usize,
    /// Pause before a session builds again when the store refused its block.
    pub persist_retry: Duration,
    /// Sessions being woken at the same moment.
    pub wakes: usize,
    /// How long a session that the host did not know counts as unknown without being asked for again. Opening one here ends
    /// that at once; zero is for hosts where others open them.
    pub unknown_life: Duration,
    /// Python-served JSON-RPC calls running at the same moment.
    pub calls: usize,
    /// Open connections of one client address; 0 is no bound. Loopback has none: behind a proxy all clients come from there.
    pub client_connections: usize,
    /// How long `shutdown` lets accepted transactions finish.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transaction_bytes: 128 * 1024,
            session_queue: 4096,
            session_queue_bytes: 16 * 1024 * 1024,
            session_memory: 1024 * 1024 * 1024,
            sender_queue: 256,
            nonce_gap: Duration::from_secs(2),
            block_time: Duration::from_millis(100),
            builder_threads: std::thread::available_parallelism().map_or(2, usize::from),
            persist_group: 1024,
            persist_retry: Duration::from_millis(500),
            wakes: 4,
            unknown_life: Duration::from_secs(1),
            calls: 16,
            client_connections: 512,
            shutdown: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Sets one bound by its Python name; durations are in milliseconds. False if there is no such bound or the value is zero where that would stop everything.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        let count = usize::try_from(value).unwrap_or(usize::MAX);
        let duration = Duration::from_millis(value);
        let may_be_zero = matches!(
            name,
            "session_memory"
                | "nonce_gap_ms"
                | "persist_retry_ms"
                | "unknown_ms"
                | "client_connections"
                | "shutdown_ms"
        );
        if value == 0 && !may_be_zero {
            return false;
        }
        match name {
            "transaction_bytes" => self.transaction_bytes = count,
            "session_queue" => self.session_queue = count,
            "session_queue_bytes" => self.session_queue_bytes = count,
            "session_memory" => self.session_memory = count,
            "sender_queue" => self.sender_queue = count,
            "nonce_gap_ms" => self.nonce_gap = duration,
            "block_time_ms" => self.block_time = duration,
            "builder_threads" => self.builder_threads = count,
            "persist_group" => self.persist_group = count,
            "persist_retry_ms" => self.persist_retry = duration,
            "wakes" => self.wakes = count,
            "unknown_ms" => self.unknown_life = duration,
            "calls" => self.calls = count,
            "client_connections" => self.client_connections = count,
            "shutdown_ms" => self.shutdown = duration,
            _ => return false,
        }
        true
    }
}
