//! Bounds of the JSON-RPC server. Each is far above what wallets, MUD clients and explorers need.

use std::time::Duration;

/// Bytes of an HTTP request's body or of a WebSocket message (geth has the same).
pub const BODY_BYTES: usize = 5 * 1024 * 1024;
/// Requests in one batch.
pub const BATCH_REQUESTS: usize = 1000;
/// Bytes of results in one response; what comes after is replaced by an error.
pub const RESPONSE_BYTES: usize = 32 * 1024 * 1024;
/// Results up to this many bytes are never replaced, so that a transaction's hash is always told.
pub const SMALL_RESULT_BYTES: usize = 1024;
/// Requests of one batch that are worked on at once.
pub const BATCH_CONCURRENCY: usize = 64;
/// How long a batch works before the other connections of its thread get their turn.
pub const BATCH_SLICE: Duration = Duration::from_micros(200);
/// Transactions of one batch that are in a session's queue at once; fewer than one sender may have there.
pub const BATCH_TRANSACTIONS: usize = 128;
/// Transactions whose senders are recovered in one go, at some 50 microseconds each.
pub const RECOVERY_CHUNK: usize = 32;

/// Open connections, where the system allows that many open files.
pub const CONNECTIONS: usize = 8192;
/// Open files that are kept for the rest of the process.
pub const OTHER_FILES: usize = 1024;
/// Time for a request's head, also the time an idle connection is kept.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a request's body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that takes no byte of its answer for so long is disconnected.
pub const WRITE_STALL: Duration = Duration::from_secs(20);
/// Time that open requests have to finish when the server stops.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Time to connect to another process of this deployment.
pub const PEER_CONNECT: Duration = Duration::from_secs(2);
/// Longest wait for its answer: longer than any request takes there.
pub const PEER_ANSWER: Duration = Duration::from_secs(90);
/// How long a request is tried again while a session changes hands; twice the time after which a dead process's are free.
pub const PEER_PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries.
pub const PEER_RETRY: Duration = Duration::from_millis(50);

/// WebSocket requests of one connection that are worked on at once.
pub const SOCKET_REQUESTS: usize = 64;
/// Bytes waiting to be sent to one WebSocket client.
pub const SOCKET_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// Messages waiting to be sent to one WebSocket client.
pub const SOCKET_BUFFER_MESSAGES: usize = 4096;
/// How often a WebSocket client is pinged. One that is silent for three times as long is disconnected.
pub const PING_INTERVAL: Duration = Duration::from_secs(20);
/// Subscriptions of one connection.
pub const SUBSCRIPTIONS: usize = 100;

/// Polling filters of one session.
pub const FILTERS: usize = 1000;
/// A filter that is not polled for so long is removed (geth has the same).
pub const FILTER_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Heavy requests of one session that are executed at once.
pub const SESSION_HEAVY: usize = 2;
/// Heavy requests of one session that wait for their turn.
pub const SESSION_HEAVY_QUEUE: usize = 256;
/// Sessions at least that can have as many heavy requests executed as they may at the same moment.
pub const HEAVY_SESSIONS: usize = 3;
/// A heavy request is stopped after so long (geth's limit for calls).
pub const HEAVY_TIME: Duration = Duration::from_secs(5);
/// Bytes of parameters beyond which no method is light.
pub const LIGHT_PARAMS_BYTES: usize = 64 * 1024;
/// Logs of a receipt beyond which it is no light work.
pub const LIGHT_LOGS: usize = 64;
/// Bytes of data in these logs, likewise.
pub const LIGHT_LOG_BYTES: usize = 64 * 1024;

/// Gas of a simulated call (eth_call), in gas. Geth has the same default.
pub const CALL_GAS: u64 = 50_000_000;
/// Logs in one answer.
pub const LOG_RESULTS: usize = 10_000;
/// Bytes of JSON in one answer with logs.
pub const LOG_BYTES: usize = RESPONSE_BYTES / 2;
/// Blocks in the range of one query for logs.
pub const LOG_BLOCKS: u64 = 100_000;
/// Addresses in a log filter, and alternatives for one topic (geth has the same).
pub const LOG_ALTERNATIVES: usize = 1000;
/// Storage keys in one eth_getProof (geth has the same).
pub const PROOF_KEYS: usize = 1024;
/// Blocks in one eth_feeHistory (geth has the same).
pub const FEE_HISTORY_BLOCKS: u64 = 1024;
/// Longest wait of eth_sendRawTransactionSync.
pub const SYNC_TIMEOUT: Duration = Duration::from_secs(20);
