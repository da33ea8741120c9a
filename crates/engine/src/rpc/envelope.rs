//! The JSON-RPC 2.0 envelope: requests, batches, responses. Parameters stay unparsed text until a method wants them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{RpcError, INVALID_REQUEST, PARSE_ERROR};
use super::limits::BATCH_REQUESTS;

/// One request. Without an id it is a notification, which gets no response.
#[derive(Debug)]
pub struct Request<'a> {
    pub id: Option<&'a RawValue>,
    pub method: Cow<'a, str>,
    pub params: Option<&'a RawValue>,
}

/// An entry of a message that is no request: the id to answer to, and the error.
pub type Rejected<'a> = (Option<&'a RawValue>, RpcError);

/// What a client sent.
pub enum Message<'a> {
    Single(Result<Request<'a>, Rejected<'a>>),
    Batch(Vec<Result<Request<'a>, Rejected<'a>>>),
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    /// `null` is an id (though a poor one); a missing id makes a notification.
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads a message. An error here concerns the whole message and has no id.
pub fn parse(body: &[u8]) -> Result<Message<'_>, RpcError> {
    let raw: &RawValue =
        serde_json::from_slice(body).map_err(|error| RpcError::new(PARSE_ERROR, format!("parse error: {error}")))?;
    if !raw.get().starts_with('[') {
        return Ok(Message::Single(parse_request(raw)));
    }
    let entries: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|error| RpcError::new(PARSE_ERROR, format!("parse error: {error}")))?;
    match entries.len() {
        0 => Err(RpcError::new(INVALID_REQUEST, "empty batch")),
        length if length > BATCH_REQUESTS => {
            Err(RpcError::new(INVALID_REQUEST, format!("batch too large: {length} requests, limit {BATCH_REQUESTS}")))
        }
        _ => Ok(Message::Batch(entries.into_iter().map(parse_request).collect())),
    }
}

fn parse_request(raw: &RawValue) -> Result<Request<'_>, Rejected<'_>> {
    let invalid = |id, message: &'static str| Err((id, RpcError::new(INVALID_REQUEST, message)));
    if !raw.get().starts_with('{') {
        return invalid(None, "invalid request: not an object");
    }
    let fields: Fields<'_> = match serde_json::from_str(raw.get()) {
        Ok(fields) => fields,
        Err(error) => return Err((None, RpcError::new(INVALID_REQUEST, format!("invalid request: {error}")))),
    };
    let id = match fields.id {
        Some(id) if matches!(id.get().as_bytes()[0], b'{' | b'[' | b't' | b'f') => {
            return invalid(None, "invalid request: id must be a string, a number or null");
        }
        id => id,
    };
    if fields.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return invalid(id, "invalid request: jsonrpc must be \"2.0\"");
    }
    let method = match fields.method.map(RawValue::get) {
        Some(text) if text.starts_with('"') && !text.contains('\\') => Cow::Borrowed(&text[1..text.len() - 1]),
        Some(text) if text.starts_with('"') => match serde_json::from_str::<String>(text) {
            Ok(method) => Cow::Owned(method),
            Err(_) => return invalid(id, "invalid request: method is not valid text"),
        },
        _ => return invalid(id, "invalid request: method must be a string"),
    };
    Ok(Request { id, method, params: fields.params })
}

/// Appends one response.
pub fn write_response(out: &mut Vec<u8>, id: Option<&RawValue>, result: &Result<String, RpcError>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.map_or("null", RawValue::get).as_bytes());
    match result {
        Ok(result) => {
            out.extend_from_slice(b",\"result\":");
            out.extend_from_slice(result.as_bytes());
        }
        Err(error) => {
            out.extend_from_slice(b",\"error\":{\"code\":");
            out.extend_from_slice(error.code.to_string().as_bytes());
            out.extend_from_slice(b",\"message\":");
            out.extend_from_slice(serde_json::Value::from(error.message.as_ref()).to_string().as_bytes());
            if let Some(data) = &error.data {
                out.extend_from_slice(b",\"data\":");
                out.extend_from_slice(data.as_bytes());
            }
            out.push(b'}');
        }
    }
    out.push(b'}');
}

/// A response that concerns no particular request.
pub fn error_response(error: RpcError) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    write_response(&mut out, None, &Err(error));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(body: &str) -> Result<Request<'_>, Rejected<'_>> {
        match parse(body.as_bytes()).unwrap() {
            Message::Single(request) => request,
            Message::Batch(_) => panic!("not a batch"),
        }
    }

    fn code(body: &str) -> i32 {
        match parse(body.as_bytes()) {
            Err(error) => error.code,
            Ok(Message::Single(Err((_, error)))) => error.code,
            _ => 0,
        }
    }

    #[test]
    fn request_is_borrowed_from_the_body() {
        let request =
            single(r#" {"jsonrpc":"2.0","id":"a","method":"eth_call","params":[1, {"x":[]}],"more":1}"#).unwrap();
        assert!(matches!(request.method, Cow::Borrowed("eth_call")));
        assert_eq!(request.id.unwrap().get(), "\"a\"");
        assert_eq!(request.params.unwrap().get(), r#"[1, {"x":[]}]"#);
        assert_eq!(single(r#"{"jsonrpc":"2.0","id":1,"method":"eth\u005fcall"}"#).unwrap().method, "eth_call");
    }

    #[test]
    fn missing_id_makes_a_notification_and_null_does_not() {
        assert!(single(r#"{"jsonrpc":"2.0","method":"m"}"#).unwrap().id.is_none());
        assert_eq!(single(r#"{"jsonrpc":"2.0","method":"m","id":null}"#).unwrap().id.unwrap().get(), "null");
    }

    #[test]
    fn malformed_messages_get_the_codes_of_the_specification() {
        for body in ["", "{", "nonsense", "[1,", "{\"a\":1}}", "\u{0}", "{\"jsonrpc\":\"2.0\""] {
            assert_eq!(code(body), PARSE_ERROR, "{body}");
        }
        for body in [
            "[]",
            "1",
            "null",
            "\"text\"",
            "{}",
            r#"{"id":1,"method":"m"}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#,
        ] {
            assert_eq!(code(body), INVALID_REQUEST, "{body}");
        }
        assert_eq!(parse(&[b'"', 0xff, b'"']).err().unwrap().code, PARSE_ERROR);
    }

    #[test]
    fn batch_is_bounded_and_keeps_good_entries() {
        let Ok(Message::Batch(entries)) = parse(br#"[1, {"jsonrpc":"2.0","id":1,"method":"m"}, []]"#) else { panic!() };
        assert_eq!(entries.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false]);
        let body = format!("[{}1]", "1,".repeat(BATCH_REQUESTS));
        assert_eq!(code(&body), INVALID_REQUEST);
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let depth = 1_000_000;
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let _ = parse(body.as_bytes());
    }

    #[test]
    fn responses_escape_their_texts() {
        let mut out = Vec::new();
        write_response(&mut out, None, &Err(RpcError::server("a \"quoted\"\n text")));
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["error"]["message"], "a \"quoted\"\n text");
        assert_eq!(value["id"], serde_json::Value::Null);
    }
}
