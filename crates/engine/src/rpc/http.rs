//! HTTP: requests by POST, preflights, health, and the upgrade to WebSocket.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue, InvalidHeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::dispatch::{Caller, Server, Target};
use super::envelope::error_response;
use super::error::{RpcError, INVALID_REQUEST, NOT_FOUND, SERVER};
use super::limits::{BODY_BYTES, BODY_TIMEOUT};
use super::methods::client_version;
use super::peers::{self, is_passed_on};
use super::{socket, ConnectionGuard};

pub type Answer = Response<Full<Bytes>>;

/// Answers one HTTP request. `guard` is held by a WebSocket connection, which outlives the answer.
pub async fn serve(
    server: Arc<Server>,
    guard: ConnectionGuard,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let Some(target) = Target::parse(request.uri().path()) else {
        let error = RpcError::new(NOT_FOUND, "no such path: use / or /session/<id>");
        return Ok(json(StatusCode::NOT_FOUND, error_response(error)));
    };
    Ok(match *request.method() {
        Method::POST => post(&server, target, request).await,
        Method::OPTIONS => preflight(request.headers()),
        Method::GET if is_upgrade(request.headers()) => upgrade(server, target, guard, request).await,
        Method::GET | Method::HEAD => health(target),
        _ => {
            let error = RpcError::new(INVALID_REQUEST, "method not allowed: use POST or a WebSocket");
            let mut answer = json(StatusCode::METHOD_NOT_ALLOWED, error_response(error));
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST, OPTIONS"));
            answer
        }
    })
}

/// Whatever the content type says (many clients send none, or text/plain to avoid a preflight), the body is JSON.
async fn post(server: &Server, target: Target, request: Request<Incoming>) -> Answer {
    let is_passed_on = is_passed_on(request.headers());
    let body = request.into_body();
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return too_large();
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(),
        Ok(Err(_)) => {
            let error = RpcError::new(INVALID_REQUEST, "the request's body could not be read");
            return json(StatusCode::BAD_REQUEST, error_response(error));
        }
        Err(_) => {
            let error = RpcError::new(INVALID_REQUEST, "the request's body did not arrive in time");
            return json(StatusCode::REQUEST_TIMEOUT, error_response(error));
        }
    };
    if let Some(answer) = server.peers.pass_on(target, is_passed_on, &body).await {
        return answer;
    }
    match server.answer(target, &Caller::new(None), &body).await {
        Some(answer) => json(StatusCode::OK, answer),
        // Notifications only.
        None => with_cors(Response::new(Full::default()), StatusCode::NO_CONTENT),
    }
}

fn too_large() -> Answer {
    let error = RpcError::new(INVALID_REQUEST, format!("request too large: limit {BODY_BYTES} bytes"));
    let mut answer = json(StatusCode::PAYLOAD_TOO_LARGE, error_response(error));
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

fn health(target: Target) -> Answer {
    let mut text = serde_json::json!({
        "name": "exclave",
        "version": client_version(),
        "status": "ok",
        "jsonrpc": "POST JSON-RPC 2.0 requests here, or connect by WebSocket",
    });
    if let Target::Session(id) = target {
        text["session"] = id.into();
    }
    json(StatusCode::OK, text.to_string().into_bytes())
}

pub fn json(status: StatusCode, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    with_cors(answer, status)
}

/// Any web page may ask: there are no cookies or other credentials that it could misuse.
fn with_cors(mut answer: Answer, status: StatusCode) -> Answer {
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    answer
}

fn preflight(headers: &HeaderMap) -> Answer {
    let mut answer = with_cors(Response::new(Full::default()), StatusCode::NO_CONTENT);
    let wanted = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let allowed = answer.headers_mut();
    allowed.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    allowed.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        wanted.unwrap_or_else(|| HeaderValue::from_static("content-type")),
    );
    allowed.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    answer
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::CONNECTION, "upgrade") && has_token(headers, header::UPGRADE, "websocket")
}

/// RFC 6455, section 4.2.
async fn upgrade(
    server: Arc<Server>,
    target: Target,
    guard: ConnectionGuard,
    mut request: Request<Incoming>,
) -> Answer {
    let headers = request.headers();
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
    let (Some(key), Some(b"13")) = (headers.get(header::SEC_WEBSOCKET_KEY), version) else {
        let error = RpcError::new(SERVER, "invalid WebSocket handshake: version 13 and a key are needed");
        let mut answer = json(StatusCode::UPGRADE_REQUIRED, error_response(error));
        answer.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return answer;
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    match server.peers.connect(target, is_passed_on(headers), key).await {
        Some(Ok(peer)) => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let _guard = guard;
                peers::tunnel(&server, upgraded, peer).await;
            });
            return switching(accept);
        }
        Some(Err(answer)) => return answer,
        None => {}
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let _guard = guard;
        if let Ok(upgraded) = upgraded.await {
            socket::serve(server, target, upgraded).await;
        }
    });
    switching(accept)
}

fn switching(accept: Result<HeaderValue, InvalidHeaderValue>) -> Answer {
    let mut answer = with_cors(Response::new(Full::default()), StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = accept {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}
