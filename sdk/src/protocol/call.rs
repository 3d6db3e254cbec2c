//! The methods that a sensor may call, with their parameters.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::wire::RpcError;

/// Every method that a sensor may call.
pub const METHODS: [&str; 12] = [
    "hello",
    "ready",
    "dispatch",
    "state.set",
    "kv.get",
    "kv.set",
    "kv.delete",
    "kv.list",
    "log",
    "status",
    "heartbeat",
    "fail",
];

/// What a sensor calls, or answers.
#[derive(Debug, Clone)]
pub enum Call {
    /// Opens the conversation (request only).
    Hello(Hello),
    /// Set-up is done.
    Ready,
    /// An event.
    Dispatch(Dispatch),
    /// A new state, in the order of the events around it; the value replaces the old one.
    StateSet(Value),
    /// Reads the datastore.
    KvGet(KvGet),
    /// Writes the datastore.
    KvSet(KvSet),
    /// Deletes from the datastore.
    KvDelete(KvDelete),
    /// Lists the datastore.
    KvList(KvList),
    /// A log record.
    Log(Log),
    /// One line shown beside the sensor.
    Status(String),
    /// A sign of life.
    Heartbeat {
        /// Seconds more for start, poll or stop.
        extend_s: Option<f64>,
        /// Seconds since the present poll began; absent outside of one.
        poll_s: Option<f64>,
    },
    /// Last words before the end.
    Fail(Fail),
    /// The answer to a request of the host; the message's id says to which.
    Response(Result<Value, RpcError>),
}

/// `hello`.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// The version that the sensor speaks; [`super::PROTOCOL`] is ours.
    pub protocol: u32,
    /// `name/version` of the library, for display.
    pub sdk: Option<String>,
    /// What it wants to be told.
    pub capabilities: Capabilities,
}

/// What a sensor can take from the host. Names unknown to us are ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `config` requests, in place of a restart.
    pub config: bool,
    /// `trigger.*` notifications.
    pub triggers: bool,
    /// `poll` notifications.
    pub poll: bool,
    /// `pause` and `resume`.
    pub pause: bool,
    /// It beats, so the watchdog may be armed.
    pub heartbeat: bool,
}

impl Capabilities {
    /// From the names in `hello`.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> Self {
        let has = |name: &str| names.iter().any(|n| n.as_ref() == name);
        Self {
            config: has("config"),
            triggers: has("triggers"),
            poll: has("poll"),
            pause: has("pause"),
            heartbeat: has("heartbeat"),
        }
    }

    /// The names for `hello`, in the order of the protocol.
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            ("config", self.config),
            ("triggers", self.triggers),
            ("poll", self.poll),
            ("pause", self.pause),
            ("heartbeat", self.heartbeat),
        ];
        all.iter().filter(|c| c.1).map(|c| c.0).collect()
    }
}

/// `dispatch`.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// The payload, an object, as the sensor wrote it.
    pub payload: Box<RawValue>,
    /// The trigger type; absent means the sensor's first.
    pub trigger: Option<String>,
    /// Idempotency key.
    pub id: Option<String>,
    /// When it happened, RFC 3339; not checked here.
    pub time: Option<String>,
    /// Joins the trace of this tag.
    pub trace_tag: Option<String>,
    /// The sensor's new state, stored in the same commit. `Some(Value::Null)` clears it.
    pub state: Option<Value>,
}

/// Whose part of the datastore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// This sensor's own (StackStorm's `local=True`).
    #[default]
    Sensor,
    /// The pack's.
    Pack,
    /// Everybody's (StackStorm's `local=False`).
    System,
}

/// `kv.get`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvGet {
    /// The key within the scope.
    pub key: String,
    /// Whose.
    pub scope: Scope,
    /// Whether an encrypted value is wanted in clear.
    pub decrypt: bool,
}

/// `kv.set`.
#[derive(Debug, Clone, PartialEq)]
pub struct KvSet {
    /// The key within the scope.
    pub key: String,
    /// Whose.
    pub scope: Scope,
    /// The value, any JSON.
    pub value: Value,
    /// Seconds until it expires; absent means never.
    pub ttl_s: Option<f64>,
    /// Whether it is stored encrypted.
    pub encrypt: bool,
}

/// `kv.delete`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvDelete {
    /// The key within the scope.
    pub key: String,
    /// Whose.
    pub scope: Scope,
}

/// `kv.list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvList {
    /// Only keys that begin so; empty means all.
    pub prefix: String,
    /// Whose.
    pub scope: Scope,
    /// At most so many; absent leaves it to the host.
    pub limit: Option<u64>,
    /// How many to leave out at the beginning.
    pub offset: u64,
    /// Whether encrypted values are wanted in clear.
    pub decrypt: bool,
}

/// How grave a log record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For whoever debugs it.
    Debug,
    /// The normal course.
    Info,
    /// It goes on, and somebody should look.
    Warning,
    /// Something did not work.
    Error,
    /// It cannot go on.
    Critical,
}

impl Level {
    /// Python's names and their usual variants in any case; an unknown one is `Info`, for a log
    /// record must not be lost over its level.
    pub fn from_name(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "trace" | "debug" => Level::Debug,
            "warn" | "warning" => Level::Warning,
            "err" | "error" | "exception" => Level::Error,
            "critical" | "fatal" => Level::Critical,
            _ => Level::Info,
        }
    }
}

/// `log`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Log {
    /// How grave.
    pub level: Level,
    /// The text; it may hold line ends.
    pub message: String,
    /// Name of the logger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logger: Option<String>,
    /// Structured fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Map<String, Value>>,
    /// A traceback that belongs to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}

/// What kind of failure ended the sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailKind {
    /// Its configuration is wrong: starting it again is useless.
    Config,
    /// It may work later.
    Transient,
    /// A bug.
    Bug,
}

impl FailKind {
    /// The exit code that goes with it.
    pub fn exit_code(self) -> i32 {
        match self {
            FailKind::Config => super::exit::CONFIG,
            FailKind::Transient => super::exit::TRANSIENT,
            FailKind::Bug => super::exit::BUG,
        }
    }
}

/// `fail`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fail {
    /// What kind.
    pub kind: FailKind,
    /// What happened.
    pub message: String,
    /// Where in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Seconds to wait before the next start.
    #[serde(rename = "retry_after", skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<f64>,
}
