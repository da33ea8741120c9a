//! WebSocket connections: requests, answers in any order, subscriptions.
//!
//! One task reads, one writes, one follows the session's blocks. What waits to be written is bounded in messages and bytes:
//! a client that does not read makes its own requests wait, loses its subscriptions when it is too far behind, and its
//! connection when nothing can be written for a while.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::{broadcast, mpsc, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::WebSocketStream;

use super::dispatch::{Caller, Server, Target};
use super::limits::{BODY_BYTES, PING_INTERVAL, SOCKET_BUFFER_BYTES, SOCKET_BUFFER_MESSAGES, SOCKET_REQUESTS};
use super::metrics::Gauge;
use super::subscription::SubscriptionTable;
use crate::chain::CommittedBlock;
use crate::session::Session;

/// The way to the task that writes.
#[derive(Clone)]
struct Outgoing {
    messages: mpsc::Sender<(Message, Option<OwnedSemaphorePermit>)>,
    bytes: Arc<Semaphore>,
}

impl Outgoing {
    /// Waits while too much is waiting already. False when the connection is closed.
    async fn send(&self, text: Vec<u8>) -> bool {
        // One larger than the whole buffer takes all of it.
        let size = text.len().min(SOCKET_BUFFER_BYTES) as u32;
        let Ok(permit) = self.bytes.clone().acquire_many_owned(size).await else { return false };
        let Ok(text) = String::from_utf8(text) else { return false };
        self.messages.send((Message::text(text), Some(permit))).await.is_ok()
    }

    /// Ends the connection, telling why.
    async fn close(&self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let _ = self.messages.send((Message::Close(Some(frame)), None)).await;
    }
}

struct Connection {
    server: Arc<Server>,
    target: Target,
    outgoing: Outgoing,
    subscriptions: Arc<SubscriptionTable>,
    /// The task that follows the session's blocks, from the first subscription on.
    follower: Mutex<Option<AbortHandle>>,
}

/// Serves an upgraded connection until either side ends it.
pub async fn serve(server: Arc<Server>, target: Target, upgraded: Upgraded) {
    let _gauge = Gauge::socket();
    let config = WebSocketConfig::default().max_message_size(Some(BODY_BYTES)).max_frame_size(Some(BODY_BYTES));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let (mut sink, mut stream) = socket.split();
    let (messages, mut queue) = mpsc::channel::<(Message, Option<OwnedSemaphorePermit>)>(SOCKET_BUFFER_MESSAGES);
    let outgoing = Outgoing { messages, bytes: Arc::new(Semaphore::new(SOCKET_BUFFER_BYTES)) };

    let mut writer = tokio::spawn(async move {
        while let Some((message, _permit)) = queue.recv().await {
            let last = message.is_close();
            // Flushed at once only if nothing follows.
            let sent = match queue.is_empty() {
                true => sink.send(message).await,
                false => sink.feed(message).await,
            };
            if sent.is_err() || last {
                break;
            }
        }
        let _ = sink.close().await;
    });

    let connection = Arc::new(Connection {
        server: server.clone(),
        target,
        outgoing: outgoing.clone(),
        subscriptions: Arc::default(),
        follower: Mutex::new(None),
    });
    let requests = Arc::new(Semaphore::new(SOCKET_REQUESTS));
    let stopped = server.stopped();
    tokio::pin!(stopped);
    let mut pings = tokio::time::interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            _ = &mut writer => break,
            _ = &mut stopped => {
                outgoing.close(CloseCode::Away, "node is shutting down").await;
                break;
            }
            _ = pings.tick() => {
                if heard.elapsed() > 3 * PING_INTERVAL {
                    outgoing.close(CloseCode::Away, "no answer to pings").await;
                    break;
                }
                // A full queue is no news: something will be written.
                let _ = outgoing.messages.try_send((Message::Ping(Bytes::new()), None));
            }
            message = stream.next() => {
                heard = Instant::now();
                let body: Bytes = match message {
                    Some(Ok(Message::Text(text))) => text.into(),
                    Some(Ok(Message::Binary(body))) => body,
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Err(Error::Capacity(_))) => {
                        outgoing.close(CloseCode::Size, "message too large").await;
                        break;
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                };
                // While too many requests are open none is read.
                let permit = tokio::select! {
                    permit = requests.clone().acquire_owned() => permit,
                    _ = &mut writer => break,
                };
                let connection = connection.clone();
                let mut work = Box::pin(async move {
                    let _permit = permit;
                    connection.serve_message(&body).await;
                });
                // Most answers need no waiting. What waits was begun in the order of the messages.
                if work.as_mut().now_or_never().is_none() {
                    tokio::spawn(work);
                }
            }
        }
    }
    // It would keep the connection until the session's next block, which may never come.
    if let Some(follower) = connection.follower.lock().take() {
        follower.abort();
    }
    drop(outgoing);
    drop(connection);
    // What was asked for is still answered if the client goes on reading; the write timeout ends it otherwise.
    if !writer.is_finished() {
        let _ = writer.await;
    }
}

impl Connection {
    async fn serve_message(self: Arc<Self>, body: &[u8]) {
        let caller = Caller::new(Some(&self.subscriptions));
        if let Some(answer) = self.server.answer(self.target, &caller, body).await {
            if !self.outgoing.send(answer).await {
                return;
            }
        }
        for (session, subscription) in caller.started.into_inner() {
            self.subscriptions.insert(subscription);
            self.follow(&session);
        }
    }

    fn follow(&self, session: &Session) {
        self.follower.lock().get_or_insert_with(|| {
            let following = follow(session.subscribe(), self.outgoing.clone(), self.subscriptions.clone());
            tokio::spawn(following).abort_handle()
        });
    }
}

/// Sends the notifications of each block, until the connection or the session ends.
async fn follow(
    mut blocks: broadcast::Receiver<Arc<CommittedBlock>>,
    outgoing: Outgoing,
    subscriptions: Arc<SubscriptionTable>,
) {
    loop {
        let block = match blocks.recv().await {
            Ok(block) => block,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                return outgoing.close(CloseCode::Policy, "subscriber is too slow").await;
            }
            Err(broadcast::error::RecvError::Closed) => {
                return outgoing.close(CloseCode::Restart, "session left this node's memory; connect again").await;
            }
        };
        for subscription in subscriptions.all() {
            for event in subscription.events(&block) {
                let Some(text) = subscription.render(&block, event) else { continue };
                if !outgoing.send(text.into_bytes()).await {
                    return;
                }
            }
        }
    }
}
