//! Requests for what another process of this deployment has: passed on to it, and its answer given back.
//!
//! A session changes hands at any moment. Who is asked for a session that it doesn't have answers 421 (Misdirected Request), and
//! the request goes where the session is now; so it does when nobody listens at the place any more. Once a peer has taken
//! a request it isn't sent again: it may have been executed.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout, Instant};

use super::dispatch::{Server, Target};
use super::envelope::error_response;
use super::error::{RpcError, UNAVAILABLE};
use super::http::{json, Answer};
use super::limits::{PEER_ANSWER, PEER_CONNECT, PEER_PATIENCE, PEER_RETRY};
use super::metrics;
use crate::engine::Engine;

/// Marks a request that a peer passed on: it goes no further.
const PASSED_ON: HeaderName = HeaderName::from_static("x-exclave-passed-on");

pub fn is_passed_on(headers: &HeaderMap) -> bool {
    headers.contains_key(PASSED_ON)
}

/// Why a peer gave no answer.
enum Failure {
    /// It didn't take the request: it has the session no more, or is not there.
    NotTaken,
    /// It may have executed the request.
    Lost,
}

pub struct Peers {
    engine: Arc<Engine>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Peers {
    pub fn new(engine: Arc<Engine>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(PEER_CONNECT));
        Self { engine, client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// The answer of the process that has the target; None if this one answers.
    pub async fn pass_on(&self, target: Target, is_passed_on: bool, body: &Bytes) -> Option<Answer> {
        let deadline = Instant::now() + PEER_PATIENCE;
        loop {
            let url = match self.place(target, is_passed_on).await? {
                Ok(url) => url,
                Err(answer) => return Some(answer),
            };
            match self.send(&url, target, body).await {
                Ok(answer) => return Some(answer),
                Err(failure) => match self.give_up(target, failure, deadline).await {
                    Some(answer) => return Some(answer),
                    None => continue,
                },
            }
        }
    }

    /// A WebSocket connection to the process that has the target, or what to answer instead; None if this one serves it.
    pub async fn connect(
        &self,
        target: Target,
        is_passed_on: bool,
        key: &HeaderValue,
    ) -> Option<Result<Upgraded, Answer>> {
        let deadline = Instant::now() + PEER_PATIENCE;
        loop {
            let url = match self.place(target, is_passed_on).await? {
                Ok(url) => url,
                Err(answer) => return Some(Err(answer)),
            };
            match open(&url, target, key).await {
                Ok(peer) => return Some(Ok(peer)),
                Err(failure) => match self.give_up(target, failure, deadline).await {
                    Some(answer) => return Some(Err(answer)),
                    None => continue,
                },
            }
        }
    }

    /// The URL of the process that has the target, None if it is this one. What was passed on goes no further.
    async fn place(&self, target: Target, is_passed_on: bool) -> Option<Result<Arc<str>, Answer>> {
        if is_passed_on {
            // The peer was told to come here: what is remembered of the place is older than that.
            self.engine.forget_place(target);
        }
        let place = self.engine.place(target).await;
        // What this process has goes to another one when it stops: the peer is to wait for that, not the client.
        if is_passed_on && (place.is_some() || self.engine.is_stopping()) {
            let error = RpcError::new(UNAVAILABLE, "this runs in another process");
            return Some(Err(json(StatusCode::MISDIRECTED_REQUEST, error_response(error))));
        }
        let url = place?;
        metrics::record_passed_on();
        Some(Ok(url))
    }

    /// What to answer after a failure; None after a pause, if it is to be tried again.
    async fn give_up(&self, target: Target, failure: Failure, deadline: Instant) -> Option<Answer> {
        match failure {
            Failure::Lost => {
                let text =
                    "the process that has this went away; a transaction may have been executed: ask for its receipt";
                Some(json(StatusCode::BAD_GATEWAY, error_response(RpcError::new(UNAVAILABLE, text))))
            }
            Failure::NotTaken if Instant::now() >= deadline => {
                let error = RpcError::new(UNAVAILABLE, "the process that has this can't be reached; try again");
                Some(json(StatusCode::SERVICE_UNAVAILABLE, error_response(error)))
            }
            Failure::NotTaken => {
                self.engine.forget_place(target);
                sleep(PEER_RETRY).await;
                None
            }
        }
    }

    async fn send(&self, url: &str, target: Target, body: &Bytes) -> Result<Answer, Failure> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{url}{}", target.path()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(PASSED_ON, "1")
            .body(Full::new(body.clone()))
            .map_err(|_| Failure::NotTaken)?;
        let response = match timeout(PEER_ANSWER, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return Err(Failure::NotTaken),
            _ => return Err(Failure::Lost),
        };
        if response.status() == StatusCode::MISDIRECTED_REQUEST {
            return Err(Failure::NotTaken);
        }
        let (head, body) = response.into_parts();
        match timeout(PEER_ANSWER, body.collect()).await {
            // Its headers were meant for this connection.
            Ok(Ok(body)) => Ok(json(head.status, body.to_bytes().into())),
            _ => Err(Failure::Lost),
        }
    }
}

/// A WebSocket connection to a peer, after its handshake.
async fn open(url: &str, target: Target, key: &HeaderValue) -> Result<Upgraded, Failure> {
    let not_taken = |_| Failure::NotTaken;
    let uri: Uri = format!("{url}{}", target.path()).parse().map_err(|_| Failure::NotTaken)?;
    let authority = uri.authority().ok_or(Failure::NotTaken)?;
    let address = (authority.host().trim_matches(['[', ']']), authority.port_u16().unwrap_or(80));
    let stream = timeout(PEER_CONNECT, TcpStream::connect(address)).await.map_err(|_| Failure::NotTaken)?;
    let stream = stream.map_err(|_| Failure::NotTaken)?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(not_taken)?;
    tokio::spawn(connection.with_upgrades());
    let request = Request::builder()
        .uri(target.path())
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key)
        .header(PASSED_ON, "1")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Failure::NotTaken)?;
    let response: Response<Incoming> =
        timeout(PEER_ANSWER, sender.send_request(request)).await.map_err(|_| Failure::NotTaken)?.map_err(not_taken)?;
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => hyper::upgrade::on(response).await.map_err(not_taken),
        _ => Err(Failure::NotTaken),
    }
}

/// Joins a client's WebSocket connection with a peer's until either ends or the server stops.
pub async fn tunnel(server: &Server, client: OnUpgrade, peer: Upgraded) {
    let _gauge = metrics::Gauge::socket();
    let Ok(client) = client.await else { return };
    let (mut client, mut peer) = (TokioIo::new(client), TokioIo::new(peer));
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut peer) => {}
        () = server.stopped() => {}
    }
}
