//! Counters of requests, in Prometheus' text format. Recording costs a few atomic additions.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::method::Method;

/// Upper bounds of the latency histogram's buckets, in microseconds.
const BUCKETS: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000];

struct Counters {
    errors: AtomicU64,
    microseconds: AtomicU64,
    /// The last one counts what is slower than every bound.
    buckets: [AtomicU64; BUCKETS.len() + 1],
}

static METHODS: [Counters; Method::ALL.len()] = [const {
    Counters {
        errors: AtomicU64::new(0),
        microseconds: AtomicU64::new(0),
        buckets: [const { AtomicU64::new(0) }; BUCKETS.len() + 1],
    }
}; Method::ALL.len()];
static INVALID: AtomicU64 = AtomicU64::new(0);
static PASSED_ON: AtomicU64 = AtomicU64::new(0);
static HTTP_CONNECTIONS: AtomicI64 = AtomicI64::new(0);
static SOCKETS: AtomicI64 = AtomicI64::new(0);
static SUBSCRIPTIONS: AtomicI64 = AtomicI64::new(0);

/// Counts one answered request.
pub fn record(method: Method, elapsed: Duration, failed: bool) {
    let counters = &METHODS[method as usize];
    let microseconds = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    counters.microseconds.fetch_add(microseconds, Relaxed);
    let bucket = BUCKETS.iter().position(|bound| microseconds <= *bound).unwrap_or(BUCKETS.len());
    counters.buckets[bucket].fetch_add(1, Relaxed);
    if failed {
        counters.errors.fetch_add(1, Relaxed);
    }
}

/// Counts a message that is no JSON-RPC request.
pub fn record_invalid() {
    INVALID.fetch_add(1, Relaxed);
}

/// Counts a message that another process of the deployment answers.
pub fn record_passed_on() {
    PASSED_ON.fetch_add(1, Relaxed);
}

/// Something that is counted while it lives.
pub struct Gauge(&'static AtomicI64);

impl Gauge {
    fn new(counter: &'static AtomicI64) -> Self {
        counter.fetch_add(1, Relaxed);
        Self(counter)
    }

    pub fn connection() -> Self {
        Self::new(&HTTP_CONNECTIONS)
    }

    pub fn socket() -> Self {
        Self::new(&SOCKETS)
    }

    pub fn subscription() -> Self {
        Self::new(&SUBSCRIPTIONS)
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// All counters of this process in Prometheus' text format.
pub fn metrics_text() -> String {
    let mut out = String::with_capacity(16 * 1024);
    let _ = write_metrics(&mut out);
    out
}

fn write_metrics(out: &mut String) -> std::fmt::Result {
    writeln!(out, "# HELP exclave_rpc_request_seconds Time from a JSON-RPC request to its answer.")?;
    writeln!(out, "# TYPE exclave_rpc_request_seconds histogram")?;
    for method in Method::ALL {
        let counters = &METHODS[method as usize];
        let counts = counters.buckets.each_ref().map(|count| count.load(Relaxed));
        let total: u64 = counts.iter().sum();
        if total == 0 {
            continue;
        }
        let name = method.label();
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(counts) {
            below += count;
            let seconds = *bound as f64 / 1e6;
            writeln!(out, "exclave_rpc_request_seconds_bucket{{method=\"{name}\",le=\"{seconds}\"}} {below}")?;
        }
        writeln!(out, "exclave_rpc_request_seconds_bucket{{method=\"{name}\",le=\"+Inf\"}} {total}")?;
        let seconds = counters.microseconds.load(Relaxed) as f64 / 1e6;
        writeln!(out, "exclave_rpc_request_seconds_sum{{method=\"{name}\"}} {seconds}")?;
        writeln!(out, "exclave_rpc_request_seconds_count{{method=\"{name}\"}} {total}")?;
    }
    writeln!(out, "# HELP exclave_rpc_errors_total JSON-RPC requests that were answered with an error.")?;
    writeln!(out, "# TYPE exclave_rpc_errors_total counter")?;
    for method in Method::ALL {
        let errors = METHODS[method as usize].errors.load(Relaxed);
        if errors > 0 {
            writeln!(out, "exclave_rpc_errors_total{{method=\"{}\"}} {errors}", method.label())?;
        }
    }
    writeln!(out, "# HELP exclave_rpc_invalid_total Messages that are no JSON-RPC requests.")?;
    writeln!(out, "# TYPE exclave_rpc_invalid_total counter")?;
    writeln!(out, "exclave_rpc_invalid_total {}", INVALID.load(Relaxed))?;
    writeln!(
        out,
        "# HELP exclave_rpc_passed_on_total Requests and WebSocket connections passed on to other processes."
    )?;
    writeln!(out, "# TYPE exclave_rpc_passed_on_total counter")?;
    writeln!(out, "exclave_rpc_passed_on_total {}", PASSED_ON.load(Relaxed))?;
    for (name, help, gauge) in [
        ("connections", "Open TCP connections.", &HTTP_CONNECTIONS),
        ("websockets", "Open WebSocket connections.", &SOCKETS),
        ("subscriptions", "Subscriptions of WebSocket connections.", &SUBSCRIPTIONS),
    ] {
        writeln!(out, "# HELP exclave_rpc_{name} {help}")?;
        writeln!(out, "# TYPE exclave_rpc_{name} gauge")?;
        writeln!(out, "exclave_rpc_{name} {}", gauge.load(Relaxed))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_is_cumulative_and_counts_errors() {
        record(Method::Web3Sha3, Duration::from_micros(60), false);
        record(Method::Web3Sha3, Duration::from_secs(60), true);
        let text = metrics_text();
        for line in [
            "exclave_rpc_request_seconds_bucket{method=\"web3_sha3\",le=\"0.00005\"} 0",
            "exclave_rpc_request_seconds_bucket{method=\"web3_sha3\",le=\"0.0001\"} 1",
            "exclave_rpc_request_seconds_bucket{method=\"web3_sha3\",le=\"5\"} 1",
            "exclave_rpc_request_seconds_bucket{method=\"web3_sha3\",le=\"+Inf\"} 2",
            "exclave_rpc_errors_total{method=\"web3_sha3\"} 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }
}
