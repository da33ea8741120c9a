//! From a client's message to its answer: batches, the way each method is executed, and the bounds on that.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Bytes, B256, U64};
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{watch, Semaphore};

use super::envelope::{error_response, parse, write_response, Message, Rejected, Request};
use super::error::{RpcError, INTERNAL, LIMIT, METHOD_NOT_FOUND, NOT_IN_TIME, REJECTED, SERVER};
use super::limits::{
    BATCH_CONCURRENCY, RESPONSE_BYTES, SESSION_HEAVY, SESSION_HEAVY_QUEUE, SMALL_RESULT_BYTES, SUBSCRIPTIONS,
    SYNC_TIMEOUT,
};
use super::method::{Execution, Method};
use super::methods::{self, FilterTable, Snapshot};
use super::metrics;
use super::params::Params;
use super::subscription::{Subscription, SubscriptionTable};
use crate::engine::Engine;
use crate::session::Session;

/// What the path of the URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/`: the coprocessor.
    Root,
    /// `/session/<id>`: one session's chain.
    Session(u64),
}

impl Target {
    pub fn parse(path: &str) -> Option<Self> {
        match path.strip_suffix('/').unwrap_or(path) {
            "" => Some(Self::Root),
            path => {
                let digits = path.strip_prefix("/session/")?;
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                digits.parse().ok().map(Self::Session)
            }
        }
    }
}

/// Who asks: a plain HTTP request, or a WebSocket connection, which can subscribe.
pub struct Caller<'a> {
    pub subscriptions: Option<&'a SubscriptionTable>,
    /// Made by this message; they start once its answer is on the way, so that a client knows an id before it hears of it.
    pub started: Mutex<Vec<(Arc<Session>, Subscription)>>,
}

impl<'a> Caller<'a> {
    pub fn new(subscriptions: Option<&'a SubscriptionTable>) -> Self {
        Self { subscriptions, started: Mutex::default() }
    }
}

/// What the server keeps for a session.
pub struct SessionState {
    pub filters: FilterTable,
    heavy: Arc<Semaphore>,
    queued: AtomicUsize,
}

impl SessionState {
    fn new() -> Self {
        Self {
            filters: FilterTable::default(),
            heavy: Arc::new(Semaphore::new(SESSION_HEAVY)),
            queued: AtomicUsize::new(0),
        }
    }
}

/// A place in a session's queue for heavy requests.
struct Place(Arc<SessionState>);

impl Place {
    fn take(state: &Arc<SessionState>) -> Result<Self, RpcError> {
        let place = Self(state.clone());
        match state.queued.fetch_add(1, Ordering::Relaxed) {
            queued if queued < SESSION_HEAVY_QUEUE => Ok(place),
            _ => Err(RpcError::new(LIMIT, "too many requests to this session; try again")),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What all connections share.
pub struct Server {
    engine: Arc<Engine>,
    sessions: Mutex<HashMap<u64, Arc<SessionState>>>,
    heavy: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Server {
    pub fn new(engine: Arc<Engine>, stopping: watch::Receiver<bool>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self { engine, sessions: Mutex::default(), heavy: Arc::new(Semaphore::new(cores.max(2))), stopping }
    }

    /// Resolves when the server stops.
    pub async fn stopped(&self) {
        // A sender that is gone has stopped too.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }

    /// Forgets filters that nobody polls and sessions that nobody asks for.
    pub fn tidy(&self) {
        self.sessions.lock().retain(|_, state| {
            state.filters.expire();
            Arc::strong_count(state) > 1 || !state.filters.is_empty()
        });
    }

    /// Answers a message: a request or a batch. None if it had notifications only.
    pub async fn answer(&self, target: Target, caller: &Caller<'_>, body: &[u8]) -> Option<Vec<u8>> {
        match parse(body) {
            Err(error) => {
                metrics::record_invalid();
                Some(error_response(error))
            }
            Ok(Message::Single(entry)) => {
                let (id, result) = self.answer_entry(target, caller, entry).await?;
                let mut out = Vec::with_capacity(result.as_ref().map_or(256, String::len) + 64);
                write_response(&mut out, id, &result);
                Some(out)
            }
            Ok(Message::Batch(entries)) => self.answer_batch(target, caller, entries).await,
        }
    }

    async fn answer_batch<'r>(
        &self,
        target: Target,
        caller: &Caller<'_>,
        entries: Vec<Result<Request<'r>, Rejected<'r>>>,
    ) -> Option<Vec<u8>> {
        type Answer<'r> = Option<(Option<&'r RawValue>, Result<String, RpcError>)>;
        let answers: Vec<Pin<Box<dyn Future<Output = Answer<'r>> + Send + '_>>> =
            entries.into_iter().map(|entry| Box::pin(self.answer_entry(target, caller, entry)) as _).collect();
        // Started in order, several at a time, so that a batch of transactions shares blocks; answered in order.
        let mut answers = stream::iter(answers).buffered(BATCH_CONCURRENCY);
        let mut out = vec![b'['];
        while let Some(answer) = answers.next().await {
            let Some((id, mut result)) = answer else { continue };
            let length = result.as_ref().map_or(0, String::len);
            if out.len() > 1 {
                if length > SMALL_RESULT_BYTES && out.len() + length > RESPONSE_BYTES {
                    result = Err(RpcError::new(REJECTED, "response too large"));
                }
                out.push(b',');
            }
            write_response(&mut out, id, &result);
        }
        out.push(b']');
        (out.len() > 2).then_some(out)
    }

    async fn answer_entry<'r>(
        &self,
        target: Target,
        caller: &Caller<'_>,
        entry: Result<Request<'r>, Rejected<'r>>,
    ) -> Option<(Option<&'r RawValue>, Result<String, RpcError>)> {
        let request = match entry {
            Ok(request) => request,
            Err((id, error)) => {
                metrics::record_invalid();
                return Some((id, Err(error)));
            }
        };
        let method = Method::parse(&request.method);
        let started = Instant::now();
        let result = self.execute(target, caller, method, &request).await;
        metrics::record(method, started.elapsed(), result.is_err());
        request.id.map(|id| (Some(id), result))
    }

    async fn execute(
        &self,
        target: Target,
        caller: &Caller<'_>,
        method: Method,
        request: &Request<'_>,
    ) -> Result<String, RpcError> {
        let params = request.params.map(RawValue::get);
        let id = match (method, target) {
            (Method::Unknown, _) => return Err(RpcError::method_not_found(&request.method)),
            (Method::Host, _) => {
                let params = params.unwrap_or("[]").to_owned();
                return Ok(self.engine.call(request.method.clone().into_owned(), params).await?);
            }
            (Method::Web3ClientVersion, Target::Root) => return methods::to_json(&methods::client_version()),
            (_, Target::Root) => {
                let text = format!("the method {} is served at /session/<id>, not at /", request.method);
                return Err(RpcError::new(METHOD_NOT_FOUND, text));
            }
            (_, Target::Session(id)) => id,
        };
        let session = self.engine.session(id).await?;
        match method.execution() {
            Execution::Light => methods::answer(&self.snapshot(session), method, params),
            Execution::Heavy => self.answer_heavy(self.snapshot(session), method, params).await,
            Execution::Waiting => match method {
                Method::EthSendRawTransaction => {
                    let raw: Bytes = Params::new(params, 1)?.required(0)?;
                    methods::to_json(&session.submit(raw).await?)
                }
                Method::EthSendRawTransactionSync => send_and_wait(&session, &Params::new(params, 2)?).await,
                Method::EthSubscribe => subscribe(session, caller, &Params::new(params, 2)?),
                Method::EthUnsubscribe => unsubscribe(caller, &Params::new(params, 1)?),
                _ => Err(RpcError::method_not_found(&request.method)),
            },
        }
    }

    fn snapshot(&self, session: Arc<Session>) -> Snapshot {
        let state = self.sessions.lock().entry(session.id).or_insert_with(|| Arc::new(SessionState::new())).clone();
        Snapshot { chain: session.chain(), session, state }
    }

    /// INVARIANT I5: a session has at most `SESSION_HEAVY` requests in the common queue, which is first in, first out, so that another
    /// session's request waits for a few of them at most, however many callers the session has.
    async fn answer_heavy(&self, snapshot: Snapshot, method: Method, params: Option<&str>) -> Result<String, RpcError> {
        let closed = |_| RpcError::internal("server is stopping");
        let place = Place::take(&snapshot.state)?;
        let turn = snapshot.state.heavy.clone().acquire_owned().await.map_err(closed)?;
        let thread = self.heavy.clone().acquire_owned().await.map_err(closed)?;
        let params = params.map(str::to_owned);
        let work = move || {
            // Given back when the work is done, even if the client has gone.
            let _permits = (place, turn, thread);
            methods::answer(&snapshot, method, params.as_deref())
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(RpcError::new(INTERNAL, "internal error")))
    }
}

/// EIP-7966. A transaction that is acknowledged is in a block here, so that there is little to wait for.
async fn send_and_wait(session: &Session, params: &Params<'_>) -> Result<String, RpcError> {
    let raw: Bytes = params.required(0)?;
    let timeout = match params.optional::<U64>(1)?.map(|milliseconds| milliseconds.to::<u64>()) {
        None | Some(0) => SYNC_TIMEOUT,
        Some(milliseconds) => Duration::from_millis(milliseconds).min(SYNC_TIMEOUT),
    };
    let hash: B256 = match tokio::time::timeout(timeout, session.submit(raw)).await {
        Ok(submitted) => submitted?,
        Err(_) => return Err(RpcError::new(NOT_IN_TIME, "the transaction was not in a block in time")),
    };
    methods::receipt(&session.chain(), &hash)
}

fn subscribe(session: Arc<Session>, caller: &Caller<'_>, params: &Params<'_>) -> Result<String, RpcError> {
    let Some(table) = caller.subscriptions else {
        // Geth's code; clients go by its words.
        return Err(RpcError::new(METHOD_NOT_FOUND, "notifications not supported: use WebSocket"));
    };
    let mut started = caller.started.lock();
    if table.len() + started.len() >= SUBSCRIPTIONS {
        return Err(RpcError::new(LIMIT, format!("too many subscriptions: limit {SUBSCRIPTIONS} per connection")));
    }
    let subscription = Subscription::new(params)?;
    let id = methods::to_json(subscription.id())?;
    started.push((session, subscription));
    Ok(id)
}

fn unsubscribe(caller: &Caller<'_>, params: &Params<'_>) -> Result<String, RpcError> {
    let id: String = params.required(0)?;
    // By plain HTTP there are none.
    match caller.subscriptions.is_some_and(|table| table.remove(&id)) {
        true => Ok("true".into()),
        false => Err(RpcError::new(SERVER, "subscription not found")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_the_coprocessor_or_a_session() {
        for (path, target) in [
            ("/", Some(Target::Root)),
            ("", Some(Target::Root)),
            ("/session/7", Some(Target::Session(7))),
            ("/session/7/", Some(Target::Session(7))),
            ("/session/18446744073709551615", Some(Target::Session(u64::MAX))),
            ("/session/18446744073709551616", None),
            ("/session/", None),
            ("/session/+7", None),
            ("/session/0x7", None),
            ("/session/7/8", None),
            ("/other", None),
        ] {
            assert_eq!(Target::parse(path), target, "{path}");
        }
    }
}
