//! An event on its way out.

use serde_json::{Map, Value};

/// An event with everything that can go with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(Map<String, Value>);

impl Event {
    /// An event of a trigger type, `pack.name`; the payload must be an object.
    pub fn new(trigger: &str, payload: Value) -> Self {
        let mut params = Map::new();
        params.insert("payload".into(), payload);
        params.insert("trigger".into(), trigger.into());
        Self(params)
    }

    /// With an idempotency key.
    #[must_use]
    pub fn id(self, id: &str) -> Self {
        self.with("id", id.into())
    }

    /// With the time when it happened, RFC 3339.
    #[must_use]
    pub fn time(self, time: &str) -> Self {
        self.with("time", time.into())
    }

    /// In the trace of a tag.
    #[must_use]
    pub fn trace_tag(self, tag: &str) -> Self {
        self.with("trace_tag", tag.into())
    }

    /// With the sensor's new state, stored in the same transaction.
    #[must_use]
    pub fn state(self, state: Value) -> Self {
        self.with("state", state)
    }

    pub(super) fn into_params(self) -> Value {
        Value::Object(self.0)
    }

    fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.into(), value);
        self
    }
}
