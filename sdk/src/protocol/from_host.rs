//! What a sensor hears: one line of the host.

use serde_json::{Map, Value};

use super::Id;
use super::wire::RpcError;

/// A message of the host.
#[derive(Debug, Clone, PartialEq)]
pub enum FromHost {
    /// The answer to a request of the sensor; without an id it is meant for the oldest open one.
    Answer {
        /// The request's id.
        id: Option<Id>,
        /// What it gave.
        result: Result<Value, RpcError>,
    },
    /// Must be answered.
    Request {
        /// For the answer.
        id: Id,
        /// The method.
        method: String,
        /// Its parameters; `Null` if there are none.
        params: Value,
    },
    /// Is not answered.
    Notification {
        /// The method.
        method: String,
        /// Its parameters; `Null` if there are none.
        params: Value,
    },
}

impl FromHost {
    /// Reads a line; `None` if it is no message.
    pub fn parse(line: &str) -> Option<Self> {
        let mut members: Map<String, Value> = serde_json::from_str(line).ok()?;
        let id = members
            .remove("id")
            .map(serde_json::from_value::<Option<Id>>);
        let id = id.transpose().ok()?.flatten();
        if let Some(method) = members.remove("method") {
            let method = method.as_str()?.to_owned();
            let params = members.remove("params").unwrap_or_default();
            return Some(match id {
                Some(id) => FromHost::Request { id, method, params },
                None => FromHost::Notification { method, params },
            });
        }
        let result = match (members.remove("result"), members.remove("error")) {
            (_, Some(error)) => Err(serde_json::from_value(error).ok()?),
            (Some(result), None) => Ok(result),
            (None, None) => return None,
        };
        Some(FromHost::Answer { id, result })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{PollReason, Wire};
    use super::*;

    #[test]
    fn what_the_host_writes_is_understood() {
        let heard = |wire: Wire| FromHost::parse(&wire.to_line());
        let id = Id::Text("h1".into());
        let ping = Some(FromHost::Request {
            id: id.clone(),
            method: "ping".into(),
            params: Value::Null,
        });
        assert_eq!(heard(Wire::ping(id)), ping);
        let poll = Some(FromHost::Notification {
            method: "poll".into(),
            params: json!({"reason": "manual"}),
        });
        assert_eq!(heard(Wire::poll(PollReason::Manual)), poll);
        let answer = |id, result| Some(FromHost::Answer { id, result });
        let null = heard(Wire::result(2.into(), Value::Null));
        assert_eq!(null, answer(Some(2.into()), Ok(Value::Null)));
        let error = RpcError::new(-32700, "no");
        assert_eq!(
            heard(Wire::error(None, error.clone())),
            answer(None, Err(error))
        );
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "[]",
            "{}",
            "text",
            r#"{"id":{},"result":1}"#,
            r#"{"method":1}"#,
        ] {
            assert_eq!(FromHost::parse(line), None, "{line}");
        }
    }
}
