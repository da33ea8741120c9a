//! What the engine counts, and what waits in it, in Prometheus' text format.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counted by the builders and the committer.
#[derive(Default)]
pub(crate) struct Counters {
    /// Transactions in blocks that are durable.
    transactions: AtomicU64,
    commits: AtomicU64,
    commit_microseconds: AtomicU64,
    failed_commits: AtomicU64,
    build_microseconds: AtomicU64,
}

impl Counters {
    pub fn record_commit(&self, transactions: usize, elapsed: Duration) {
        self.commits.fetch_add(1, Relaxed);
        self.transactions.fetch_add(transactions as u64, Relaxed);
        self.commit_microseconds.fetch_add(microseconds(elapsed), Relaxed);
    }

    pub fn record_failed_commit(&self) {
        self.failed_commits.fetch_add(1, Relaxed);
    }

    pub fn record_build(&self, elapsed: Duration) {
        self.build_microseconds.fetch_add(microseconds(elapsed), Relaxed);
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What is in memory and waits at one moment.
#[derive(Default)]
pub(crate) struct Levels {
    /// Bytes of the sessions' histories.
    pub memory: usize,
    pub queued_transactions: usize,
    pub queued_bytes: usize,
    /// Of the session that has the most.
    pub longest_queue: usize,
    /// Sessions that wait for a builder.
    pub waiting_sessions: usize,
    pub wakes: usize,
}

pub(crate) fn text(counters: &Counters, levels: &Levels) -> String {
    let seconds = |counter: &AtomicU64| counter.load(Relaxed) as f64 / 1e6;
    let count = |counter: &AtomicU64| counter.load(Relaxed) as f64;
    let mut out = String::with_capacity(2048);
    for (name, kind, help, value) in [
        ("transactions_total", "counter", "Transactions in durable blocks.", count(&counters.transactions)),
        (
            "commits_total",
            "counter",
            "Calls of the store, each with the blocks of many sessions.",
            count(&counters.commits),
        ),
        ("commit_seconds_total", "counter", "Time in those calls.", seconds(&counters.commit_microseconds)),
        ("failed_commits_total", "counter", "Such calls that failed.", count(&counters.failed_commits)),
        ("build_seconds_total", "counter", "Time in which blocks were built.", seconds(&counters.build_microseconds)),
        ("session_bytes", "gauge", "Bytes that the sessions in memory take, an estimate.", levels.memory as f64),
        (
            "queued_transactions",
            "gauge",
            "Users' transactions that wait to be executed.",
            levels.queued_transactions as f64,
        ),
        ("queued_bytes", "gauge", "Their bytes.", levels.queued_bytes as f64),
        ("longest_queue", "gauge", "Those of the session that has the most.", levels.longest_queue as f64),
        ("waiting_sessions", "gauge", "Sessions that wait for a thread that builds.", levels.waiting_sessions as f64),
        ("wakes", "gauge", "Sessions that are being brought into memory, or wait for that.", levels.wakes as f64),
    ] {
        // Writing to a string can't fail.
        let _ = writeln!(out, "# HELP exclave_{name} {help}\n# TYPE exclave_{name} {kind}\nexclave_{name} {value}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_and_levels_are_told() {
        let counters = Counters::default();
        counters.record_commit(7, Duration::from_millis(1500));
        counters.record_commit(1, Duration::from_millis(500));
        counters.record_failed_commit();
        let text = text(&counters, &Levels { longest_queue: 3, ..Levels::default() });
        for line in [
            "exclave_transactions_total 8",
            "exclave_commits_total 2",
            "exclave_commit_seconds_total 2",
            "exclave_failed_commits_total 1",
            "exclave_longest_queue 3",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }
}
