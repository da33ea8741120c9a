//! From a client's message to its answer: batches, the way each method is executed, and the bounds on that.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Bytes, B256, U64};
use futures_util::future::join;
use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{oneshot, watch, Semaphore};

use super::batch::{self, Batch, Submission, Submitted};
use super::envelope::{error_response, parse, write_response, Message, Rejected, Request};
use super::error::{RpcError, INTERNAL, LIMIT, METHOD_NOT_FOUND, NOT_IN_TIME, SERVER};
use super::limits::{
    BATCH_CONCURRENCY, HEAVY_SESSIONS, HEAVY_TIME, SESSION_HEAVY, SESSION_HEAVY_QUEUE, SUBSCRIPTIONS, SYNC_TIMEOUT,
};
use super::method::{Execution, Method};
use super::methods::{self, FilterTable, Snapshot};
use super::metrics;
use super::params::Params;
use super::peers::Peers;
use super::subscription::{Subscription, SubscriptionTable};
use crate::engine::Engine;
use crate::error::SubmitError;
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
    pub fn path(self) -> String {
        match self {
            Self::Root => "/".to_owned(),
            Self::Session(id) => format!("/session/{id}"),
        }
    }

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

/// Stops heavy work when nobody waits for it any more.
struct StopGuard(Arc<AtomicBool>);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What all connections share.
pub struct Server {
    engine: Arc<Engine>,
    sessions: Mutex<HashMap<u64, Arc<SessionState>>>,
    heavy: Arc<Semaphore>,
    /// Threads that recover senders.
    recovery: Arc<Semaphore>,
    pub peers: Peers,
    stopping: watch::Receiver<bool>,
}

impl Server {
    pub fn new(engine: Arc<Engine>, stopping: watch::Receiver<bool>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            peers: Peers::new(engine.clone()),
            engine,
            sessions: Mutex::default(),
            // More than one session can hold, however few cores there are: the system shares them out.
            heavy: Arc::new(Semaphore::new(cores.max(HEAVY_SESSIONS * SESSION_HEAVY))),
            recovery: Arc::new(Semaphore::new(cores)),
            stopping,
        }
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
                let (id, result) = self.answer_entry(target, caller, entry, None, None).await?;
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
        let batch = Batch::new();
        let (session, submissions, mut submitted) = self.take_submissions(target, &entries).await;
        let answers: Vec<Pin<Box<dyn Future<Output = Answer<'r>> + Send + '_>>> = entries
            .into_iter()
            .enumerate()
            .map(|(index, entry)| {
                let submitted = submitted.remove(&index);
                Box::pin(self.answer_entry(target, caller, entry, Some(&batch), submitted)) as _
            })
            .collect();
        let answered = async {
            // Started in order, several at a time; answered in order.
            let mut answers = stream::iter(answers).buffered(BATCH_CONCURRENCY);
            let mut out = vec![b'['];
            while let Some(answer) = answers.next().await {
                let Some((id, result)) = answer else { continue };
                if out.len() > 1 {
                    out.push(b',');
                }
                write_response(&mut out, id, &result);
            }
            out.push(b']');
            out
        };
        let executed = async {
            if let Some(session) = session {
                batch::submit(&session, &self.recovery, submissions).await;
            }
        };
        let (out, ()) = join(answered, executed).await;
        (out.len() > 2).then_some(out)
    }

    /// The transactions of a batch, which are executed together, and where each entry learns how its own fared. What can't be had
    /// here, because parameters are wrong or there is no such session, is told by each entry as if it were alone.
    async fn take_submissions(
        &self,
        target: Target,
        entries: &[Result<Request<'_>, Rejected<'_>>],
    ) -> (Option<Arc<Session>>, Vec<Submission>, HashMap<usize, oneshot::Receiver<Submitted>>) {
        let (mut submissions, mut submitted) = (Vec::new(), HashMap::new());
        let Target::Session(id) = target else { return (None, submissions, submitted) };
        for (index, entry) in entries.iter().enumerate() {
            let Ok(request) = entry else { continue };
            let most = match Method::parse(&request.method) {
                Method::EthSendRawTransaction => 1,
                Method::EthSendRawTransactionSync => 2,
                _ => continue,
            };
            let read = Params::new(request.params.map(RawValue::get), most)
                .and_then(|params| params.optional::<U64>(1).and_then(|_| params.required(0)));
            let Ok(raw) = read else { continue };
            let (answer, receiver) = oneshot::channel();
            submissions.push(Submission { raw, answer });
            submitted.insert(index, receiver);
        }
        if submissions.is_empty() {
            return (None, submissions, submitted);
        }
        match self.engine.session(id).await {
            Ok(session) => (Some(session), submissions, submitted),
            Err(_) => (None, Vec::new(), HashMap::new()),
        }
    }

    async fn answer_entry<'r>(
        &self,
        target: Target,
        caller: &Caller<'_>,
        entry: Result<Request<'r>, Rejected<'r>>,
        batch: Option<&Batch>,
        submitted: Option<oneshot::Receiver<Submitted>>,
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
        let result = match batch {
            // What is executed already is told in any case.
            Some(batch) if submitted.is_none() => batch.check_room(),
            _ => Ok(()),
        };
        let result = match result {
            Ok(()) => self.execute(target, caller, method, &request, batch, submitted).await,
            Err(error) => Err(error),
        };
        let result = match batch {
            Some(batch) if request.id.is_some() => batch.admit(result),
            _ => result,
        };
        metrics::record(method, started.elapsed(), result.is_err());
        request.id.map(|id| (Some(id), result))
    }

    async fn execute(
        &self,
        target: Target,
        caller: &Caller<'_>,
        method: Method,
        request: &Request<'_>,
        batch: Option<&Batch>,
        submitted: Option<oneshot::Receiver<Submitted>>,
    ) -> Result<String, RpcError> {
        let turn = async {
            match batch {
                Some(batch) => batch.turn().await.map(Some),
                None => Ok(None),
            }
        };
        let params = request.params.map(RawValue::get);
        let id = match (method, target) {
            (Method::Unknown, _) => return Err(RpcError::method_not_found(&request.method)),
            (Method::Host, _) => {
                // One client's batch must not take all places.
                let _turn = turn.await?;
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
            Execution::Light => {
                let turn = turn.await?;
                let snapshot = self.snapshot(session);
                match methods::is_large(&snapshot, method, params) {
                    true => {
                        drop(turn);
                        self.answer_heavy(snapshot, method, params, batch).await
                    }
                    false => methods::answer(&snapshot, method, params),
                }
            }
            Execution::Heavy => self.answer_heavy(self.snapshot(session), method, params, batch).await,
            Execution::Waiting => match method {
                Method::EthSendRawTransaction => {
                    methods::to_json(&submit(&session, &Params::new(params, 1)?, submitted).await?)
                }
                Method::EthSendRawTransactionSync => send_and_wait(&session, &Params::new(params, 2)?, submitted).await,
                Method::EthSubscribe => subscribe(session, caller, &Params::new(params, 2)?),
                Method::EthUnsubscribe => unsubscribe(caller, &Params::new(params, 1)?),
                _ => Err(RpcError::method_not_found(&request.method)),
            },
        }
    }

    fn snapshot(&self, session: Arc<Session>) -> Snapshot {
        let state = self.sessions.lock().entry(session.id).or_insert_with(|| Arc::new(SessionState::new())).clone();
        Snapshot { chain: session.chain(), session, state, stop: Arc::default() }
    }

    /// INVARIANT I5: a session has at most `SESSION_HEAVY` requests in the common queue, which is first in, first out, so that another
    /// session's request waits for a few of them at most, however many callers the session has.
    async fn answer_heavy(
        &self,
        snapshot: Snapshot,
        method: Method,
        params: Option<&str>,
        batch: Option<&Batch>,
    ) -> Result<String, RpcError> {
        let closed = |_| RpcError::internal("server is stopping");
        let place = Place::take(&snapshot.state)?;
        let turn = snapshot.state.heavy.clone().acquire_owned().await.map_err(closed)?;
        let thread = self.heavy.clone().acquire_owned().await.map_err(closed)?;
        // It may have become full during the wait.
        batch.map_or(Ok(()), Batch::check_room)?;
        let params = params.map(str::to_owned);
        let stop = StopGuard(snapshot.stop.clone());
        let work = move || {
            // Given back when the work is done, even if the client has gone.
            let _permits = (place, turn, thread);
            methods::answer(&snapshot, method, params.as_deref())
        };
        let mut work = tokio::task::spawn_blocking(work);
        let answer = match tokio::time::timeout(HEAVY_TIME, &mut work).await {
            Ok(answer) => answer,
            Err(_) => {
                drop(stop);
                work.await
            }
        };
        answer.unwrap_or_else(|_| Err(RpcError::new(INTERNAL, "internal error")))
    }
}

/// Executes the transaction in the parameters, or waits for it where its batch executes it.
async fn submit(
    session: &Session,
    params: &Params<'_>,
    submitted: Option<oneshot::Receiver<Submitted>>,
) -> Result<B256, RpcError> {
    Ok(match submitted {
        Some(submitted) => submitted.await.unwrap_or(Err(SubmitError::SessionDropped(session.id)))?,
        None => session.submit(params.required::<Bytes>(0)?).await?,
    })
}

/// EIP-7966. A transaction that is acknowledged is in a block here, so that there is little to wait for.
async fn send_and_wait(
    session: &Arc<Session>,
    params: &Params<'_>,
    submitted: Option<oneshot::Receiver<Submitted>>,
) -> Result<String, RpcError> {
    let timeout = match params.optional::<U64>(1)?.map(|milliseconds| milliseconds.to::<u64>()) {
        None | Some(0) => SYNC_TIMEOUT,
        Some(milliseconds) => Duration::from_millis(milliseconds).min(SYNC_TIMEOUT),
    };
    let hash: B256 = match tokio::time::timeout(timeout, submit(session, params, submitted)).await {
        Ok(submitted) => submitted?,
        Err(_) => return Err(RpcError::new(NOT_IN_TIME, "the transaction was not in a block in time")),
    };
    let chain = session.chain();
    if !methods::has_many_logs(&chain, &hash) {
        return methods::receipt(&chain, &hash);
    }
    // Never refused, as the transaction is executed: there are no more of these than blocks have gas for.
    let receipt = tokio::task::spawn_blocking(move || methods::receipt(&chain, &hash)).await;
    receipt.unwrap_or_else(|_| Err(RpcError::new(INTERNAL, "internal error")))
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
