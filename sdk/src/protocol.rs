//! The sensor protocol, version 1, as data: what a sensor says and what it is told.
//!
//! A line goes through [`classify`], which never fails: what is wrong with a message is itself a
//! value, [`BadMessage`], because every request must be answered. Payloads stay the text that the
//! sensor wrote ([`serde_json::value::RawValue`]), so numbers are never altered. Lines nested
//! deeper than [`MAX_DEPTH`] are refused, so what passed can be parsed later without a check.

mod call;
mod classify;
mod from_host;
mod params;
mod read;
mod scan;
mod told;
mod wire;

pub use call::{
    Call, Capabilities, Dispatch, Fail, FailKind, Hello, KvDelete, KvGet, KvList, KvSet, Level,
    Log, METHODS, Scope,
};
pub use classify::{BadMessage, FromSensor, Message, classify};
pub use from_host::FromHost;
pub use scan::{MAX_DEPTH, id_in_prefix};
pub use told::{
    Accepted, HelloResult, KvEntry, Limits, PollReason, ShutdownReason, Trigger, TriggerChange,
};
pub use wire::{RpcError, ToSensor, Wire, batch_line};

use serde::{Deserialize, Serialize};

/// The version in `hello`.
pub const PROTOCOL: u32 = 1;

/// The built-in value of `limits.line_bytes`.
pub const LINE_BYTES: usize = 1 << 20;

/// Error codes: JSON-RPC's own, then ours.
pub mod code {
    /// The line is not JSON.
    pub const PARSE: i64 = -32700;
    /// The line is JSON but no JSON-RPC 2.0 message.
    pub const INVALID_REQUEST: i64 = -32600;
    /// No such method; `data` holds the `nearest` name.
    pub const UNKNOWN_METHOD: i64 = -32601;
    /// The method is known and its parameters are wrong; `data` holds the `path`.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The host failed.
    pub const INTERNAL: i64 = -32603;
    /// The payload was rejected by the schema; `data` holds `path` and `message`.
    pub const PAYLOAD_REJECTED: i64 = -32001;
    /// Unknown trigger type.
    pub const UNKNOWN_TRIGGER: i64 = -32002;
    /// A line, a payload or its nesting is too large.
    pub const TOO_LARGE: i64 = -32003;
    /// The datastore refused; `data` holds the `reason`.
    pub const DATASTORE: i64 = -32004;
    /// Read-only or out of scope.
    pub const OUT_OF_SCOPE: i64 = -32005;
}

/// Exit codes of a sensor with a meaning; any other is a crash.
pub mod exit {
    /// Ended as planned.
    pub const DONE: i32 = 0;
    /// A bug of the sensor.
    pub const BUG: i32 = 1;
    /// Temporary failure: try again later (`EX_TEMPFAIL` of sysexits.h).
    pub const TRANSIENT: i32 = 75;
    /// Configuration error: trying again is useless (`EX_CONFIG` of sysexits.h).
    pub const CONFIG: i32 = 78;
}

/// The id of a request: a number or a text, given back as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number, not necessarily whole.
    Number(serde_json::Number),
    /// A text.
    Text(String),
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        Id::Number(number.into())
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::Text(text) => text.fmt(f),
        }
    }
}
