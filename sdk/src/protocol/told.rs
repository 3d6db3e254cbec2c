//! What the host's messages carry.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The answer to `hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HelloResult {
    /// The version that the host speaks.
    pub protocol: u32,
    /// The sensor's reference, `pack.ClassName`.
    pub sensor: String,
    /// This start of it: unique, so that logs of two starts can be told apart.
    pub instance: String,
    /// The pack's configuration.
    #[serde(default)]
    pub config: Value,
    /// What was last stored as `state`; `null` at first.
    #[serde(default)]
    pub state: Value,
    /// The triggers that exist of the sensor's types.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// Seconds between polls; `null` for a passive sensor.
    #[serde(default)]
    pub poll_interval: Option<f64>,
    /// Seconds between heartbeats; 0 asks for none.
    #[serde(default)]
    pub heartbeat_interval: f64,
    /// What the host takes.
    pub limits: Limits,
}

/// What the host takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Longest line, in bytes before the `\n`.
    pub line_bytes: usize,
    /// Most requests without an answer.
    pub in_flight: usize,
}

/// A trigger: a trigger type with the parameters that a rule gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its id.
    pub id: String,
    /// Its type, `pack.name`.
    pub r#type: String,
    /// Its own reference, `pack.name`.
    pub r#ref: String,
    /// Its parameters, an object.
    #[serde(default)]
    pub parameters: Value,
}

/// The result of a `dispatch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The id of the event.
    pub event: String,
    /// Whether its idempotency key was seen before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

/// An entry of the answer to `kv.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KvEntry {
    /// The key within the scope.
    pub key: String,
    /// The value.
    pub value: Value,
    /// When it expires, RFC 3339; `None` for never.
    #[serde(default)]
    pub expires: Option<String>,
}

/// What happened to a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TriggerChange {
    /// `trigger.added`
    Added,
    /// `trigger.updated`
    Updated,
    /// `trigger.removed`
    Removed,
}

impl TriggerChange {
    /// The method that tells it.
    pub fn method(self) -> &'static str {
        match self {
            TriggerChange::Added => "trigger.added",
            TriggerChange::Updated => "trigger.updated",
            TriggerChange::Removed => "trigger.removed",
        }
    }
}

/// Why a poll is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PollReason {
    /// Somebody asked for it.
    Manual,
    /// A pause is over.
    Resume,
}

/// Why a sensor is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShutdownReason {
    /// It is to stop.
    Stop,
    /// It is started again with other code or configuration.
    Reload,
    /// The host itself is replaced.
    Upgrade,
}
