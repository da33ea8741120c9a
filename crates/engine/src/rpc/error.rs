//! JSON-RPC errors: the codes of JSON-RPC 2.0, of EIP-1474 and those that geth and its clients agreed on.

use std::borrow::Cow;

use alloy_primitives::Bytes;

use crate::error::{CallError, SessionError, SubmitError};

/// Not JSON.
pub const PARSE_ERROR: i32 = -32700;
/// JSON, but no JSON-RPC request.
pub const INVALID_REQUEST: i32 = -32600;
pub const METHOD_NOT_FOUND: i32 = -32601;
pub const INVALID_PARAMS: i32 = -32602;
pub const INTERNAL: i32 = -32603;
/// Whatever else went wrong; clients go by the message (geth).
pub const SERVER: i32 = -32000;
/// EIP-1474: resource not found.
pub const NOT_FOUND: i32 = -32001;
/// EIP-1474: resource unavailable for now.
pub const UNAVAILABLE: i32 = -32002;
/// EIP-1474: transaction rejected. Geth also uses it for a response that is too large.
pub const REJECTED: i32 = -32003;
/// EIP-1474: limit exceeded.
pub const LIMIT: i32 = -32005;
/// Execution reverted; `data` is the revert's data (geth).
pub const REVERTED: i32 = 3;
/// EIP-7966: the transaction was accepted but is not in a block yet.
pub const NOT_IN_TIME: i32 = 4;

/// The error member of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    pub code: i32,
    pub message: Cow<'static, str>,
    /// JSON text.
    pub data: Option<String>,
}

impl RpcError {
    pub fn new(code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub fn invalid_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub fn server(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SERVER, message)
    }

    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(INTERNAL, message)
    }

    pub fn method_not_found(method: &str) -> Self {
        let method: String = method.chars().take(80).collect();
        Self::new(METHOD_NOT_FOUND, format!("the method {method} does not exist/is not available"))
    }

    /// A reverted call: the reason is decoded for people, the data is for programs.
    pub fn reverted(output: &Bytes) -> Self {
        let message = match decode_revert_reason(output) {
            Some(reason) => Cow::Owned(format!("execution reverted: {reason}")),
            None => Cow::Borrowed("execution reverted"),
        };
        Self { code: REVERTED, message, data: Some(format!("\"{output}\"")) }
    }
}

/// The text in Solidity's `Error(string)`, or the name of the code in `Panic(uint256)`.
fn decode_revert_reason(output: &[u8]) -> Option<String> {
    let (selector, arguments) = output.split_at_checked(4)?;
    let word = |index: usize| -> Option<usize> {
        let word = arguments.get(index..index.checked_add(32)?)?;
        if word[..24].iter().any(|byte| *byte != 0) {
            return None;
        }
        usize::try_from(u64::from_be_bytes(word[24..].try_into().ok()?)).ok()
    };
    match selector {
        // keccak256("Error(string)")
        [0x08, 0xc3, 0x79, 0xa0] => {
            let offset = word(0)?;
            let length = word(offset)?;
            let start = offset.checked_add(32)?;
            let text = arguments.get(start..start.checked_add(length)?)?;
            Some(String::from_utf8_lossy(text).into_owned())
        }
        // keccak256("Panic(uint256)"); the texts are geth's.
        [0x4e, 0x48, 0x7b, 0x71] => Some(match word(0)? {
            0x00 => "generic panic".into(),
            0x01 => "assert(false)".into(),
            0x11 => "arithmetic underflow or overflow".into(),
            0x12 => "division or modulo by zero".into(),
            0x21 => "enum overflow".into(),
            0x22 => "invalid encoded storage byte array accessed".into(),
            0x31 => "out-of-bounds array access; popping on an empty array".into(),
            0x32 => "out-of-bounds access of an array or bytesN".into(),
            0x41 => "out of memory".into(),
            0x51 => "uninitialized function".into(),
            code => format!("unknown panic code: {code:#x}"),
        }),
        _ => None,
    }
}

impl From<SubmitError> for RpcError {
    fn from(error: SubmitError) -> Self {
        let code = match &error {
            SubmitError::SessionEnded | SubmitError::SessionFull { .. } => REJECTED,
            SubmitError::UnknownSession(_) => NOT_FOUND,
            SubmitError::SessionQueueFull { .. } | SubmitError::SenderQueueFull { .. } => LIMIT,
            SubmitError::SessionDropped(_)
            | SubmitError::L1NotFollowed { .. }
            | SubmitError::StoreUnavailable(_)
            | SubmitError::ShuttingDown => UNAVAILABLE,
            SubmitError::Internal(_) => INTERNAL,
            // Geth answers so; libraries tell the cases apart by the text.
            _ => SERVER,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SessionError> for RpcError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Unknown(id) => Self::new(NOT_FOUND, format!("session {id} not found")),
            SessionError::Wake { .. } => Self::internal(error.to_string()),
            SessionError::Busy => Self::new(LIMIT, error.to_string()),
            SessionError::Elsewhere { .. } => Self::new(UNAVAILABLE, error.to_string()),
            SessionError::ShuttingDown => Self::new(UNAVAILABLE, error.to_string()),
        }
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        Self { code: error.code, message: error.message.into(), data: error.data }
    }
}

impl From<stf::StateError> for RpcError {
    fn from(error: stf::StateError) -> Self {
        Self::internal(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{bytes, hex};

    #[test]
    fn revert_with_a_text_is_decoded() {
        let output = bytes!("08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000056f68206e6f000000000000000000000000000000000000000000000000000000");
        let error = RpcError::reverted(&output);
        assert_eq!((error.code, error.message.as_ref()), (REVERTED, "execution reverted: oh no"));
        assert_eq!(error.data.unwrap(), format!("\"0x{}\"", hex::encode(&output)));
    }

    #[test]
    fn revert_with_a_panic_is_named() {
        let mut output = vec![0x4e, 0x48, 0x7b, 0x71];
        output.extend([0; 31]);
        output.push(0x11);
        assert_eq!(RpcError::reverted(&output.into()).message, "execution reverted: arithmetic underflow or overflow");
    }

    #[test]
    fn revert_with_other_or_broken_data_has_no_reason() {
        let endless = [vec![0x08, 0xc3, 0x79, 0xa0], vec![0xff; 64]].concat();
        let far = [vec![0x08, 0xc3, 0x79, 0xa0], vec![0; 24], vec![0xff; 8], vec![0; 32]].concat();
        for output in [vec![], vec![1, 2, 3], vec![1, 2, 3, 4, 5], endless, far] {
            assert_eq!(RpcError::reverted(&output.into()).message, "execution reverted");
        }
    }
}
