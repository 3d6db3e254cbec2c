//! Messages to be written, and those of the host as a sensor reads them.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use super::Id;
use super::told::{Accepted, HelloResult, PollReason, ShutdownReason, Trigger, TriggerChange};

/// A message as it is written, by either side.
#[derive(Debug, Clone, PartialEq)]
pub enum Wire {
    /// Must be answered.
    Request {
        /// Unique among the open requests of this side.
        id: Id,
        /// The method.
        method: &'static str,
        /// Its parameters, an object; `Null` is left out.
        params: Value,
    },
    /// Is not answered.
    Notification {
        /// The method.
        method: &'static str,
        /// Its parameters, an object; `Null` is left out.
        params: Value,
    },
    /// The answer to a request that went well.
    Result {
        /// The id of the request.
        id: Id,
        /// What the method gives; `null` is written out.
        result: Value,
    },
    /// The answer to a request that did not.
    Error {
        /// The id of the request; `None` is written as `null`.
        id: Option<Id>,
        /// What went wrong.
        error: RpcError,
    },
}

/// What the host writes: the same messages, made by the constructors below.
pub type ToSensor = Wire;

/// The error of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// One of [`super::code`], or another of JSON-RPC.
    pub code: i64,
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same with data.
    #[must_use]
    pub fn with_data(self, data: Value) -> Self {
        Self {
            data: Some(data),
            ..self
        }
    }
}

impl Wire {
    /// A request.
    pub fn request(id: impl Into<Id>, method: &'static str, params: Value) -> Self {
        let id = id.into();
        Wire::Request { id, method, params }
    }

    /// A notification.
    pub fn notification(method: &'static str, params: Value) -> Self {
        Wire::Notification { method, params }
    }

    /// The answer to a request that went well.
    pub fn result(id: Id, result: Value) -> Self {
        Wire::Result { id, result }
    }

    /// The answer to a request that did not; `None` where its id is not known.
    pub fn error(id: Option<Id>, error: RpcError) -> Self {
        Wire::Error { id, error }
    }

    /// The answer to `hello`.
    pub fn hello(id: Id, hello: &HelloResult) -> Self {
        Wire::Result {
            id,
            result: json!(hello),
        }
    }

    /// The answer to `dispatch`.
    pub fn accepted(id: Id, accepted: &Accepted) -> Self {
        Wire::Result {
            id,
            result: json!(accepted),
        }
    }

    /// A trigger was added, updated or removed.
    pub fn trigger(change: TriggerChange, trigger: &Trigger) -> Self {
        Wire::notification(change.method(), json!({"trigger": trigger}))
    }

    /// The configuration changed at the paths `changed`.
    pub fn config(id: impl Into<Id>, config: &Value, changed: &[String]) -> Self {
        Wire::request(id, "config", json!({"config": config, "changed": changed}))
    }

    /// Poll now.
    pub fn poll(reason: PollReason) -> Self {
        Wire::notification("poll", json!({"reason": reason}))
    }

    /// Stop reporting.
    pub fn pause(reason: Option<&str>) -> Self {
        Wire::notification("pause", reason_params(reason))
    }

    /// Report again.
    pub fn resume(reason: Option<&str>) -> Self {
        Wire::notification("resume", reason_params(reason))
    }

    /// Are you there?
    pub fn ping(id: impl Into<Id>) -> Self {
        Wire::request(id, "ping", Value::Null)
    }

    /// Stop within `deadline_s` seconds.
    pub fn shutdown(deadline_s: f64, reason: ShutdownReason) -> Self {
        let params = json!({"deadline": deadline_s, "reason": reason});
        Wire::notification("shutdown", params)
    }

    /// The line to write, with its `\n`. JSON escapes line ends in texts, so it is one line.
    pub fn to_line(&self) -> String {
        line(self)
    }
}

/// The answer to a batch: one array.
pub fn batch_line(answers: &[Wire]) -> String {
    line(&answers)
}

fn line(value: &impl Serialize) -> String {
    // Texts, numbers and maps with text keys always serialize.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

fn reason_params(reason: Option<&str>) -> Value {
    reason.map_or(Value::Null, |reason| json!({"reason": reason}))
}

impl Serialize for Wire {
    /// The id goes first, so that it is found in the beginning of a line that is cut.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("jsonrpc", "2.0")?;
        match self {
            Wire::Request { id, .. } | Wire::Result { id, .. } => map.serialize_entry("id", id)?,
            Wire::Error { id, .. } => map.serialize_entry("id", id)?,
            Wire::Notification { .. } => {}
        }
        match self {
            Wire::Request { method, params, .. } | Wire::Notification { method, params } => {
                map.serialize_entry("method", method)?;
                if !params.is_null() {
                    map.serialize_entry("params", params)?;
                }
            }
            Wire::Result { result, .. } => map.serialize_entry("result", result)?,
            Wire::Error { error, .. } => map.serialize_entry("error", error)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_the_protocol_says() {
        let check =
            |wire: Wire, expected: &str| assert_eq!(wire.to_line(), format!("{expected}\n"));
        check(Wire::ping(3), r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#);
        check(
            Wire::shutdown(5.0, ShutdownReason::Reload),
            r#"{"jsonrpc":"2.0","method":"shutdown","params":{"deadline":5.0,"reason":"reload"}}"#,
        );
        check(
            Wire::error(None, RpcError::new(-32700, "no\nJSON")),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no\nJSON"}}"#,
        );
        let event = Accepted {
            event: "e1".into(),
            duplicate: false,
        };
        check(
            Wire::accepted(Id::Text("x".into()), &event),
            r#"{"jsonrpc":"2.0","id":"x","result":{"event":"e1"}}"#,
        );
        check(
            Wire::poll(PollReason::Manual),
            r#"{"jsonrpc":"2.0","method":"poll","params":{"reason":"manual"}}"#,
        );
        check(Wire::pause(None), r#"{"jsonrpc":"2.0","method":"pause"}"#);
    }

    #[test]
    fn a_batch_is_one_line() {
        let both = [
            Wire::result(1.into(), Value::Null),
            Wire::result(2.into(), json!(7)),
        ];
        let expected =
            r#"[{"jsonrpc":"2.0","id":1,"result":null},{"jsonrpc":"2.0","id":2,"result":7}]"#;
        assert_eq!(batch_line(&both), format!("{expected}\n"));
    }
}
