//! What the journal keeps, as the core hands it over.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cause::Cause;
use super::clock::Wall;
use super::control::Switch;
use super::crash::Peak;
use super::datastore::Key;
use super::ids;
use super::recent::Message;
use super::tally::Counted;

/// An accepted event with the verdicts of the rules on it.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number, dense and rising over the life of the data folder.
    pub seq: u64,
    /// Reference of its trigger type.
    pub trigger: String,
    /// Reference of the trigger, where it is the type with parameters.
    pub trigger_ref: Option<String>,
    /// Reference of the sensor that said it; empty for an event of Petrel itself.
    pub sensor: String,
    /// When it was accepted.
    pub received: Wall,
    /// The time that the sensor gave, RFC 3339.
    pub time: Option<String>,
    /// The tag that follows it through traces.
    pub trace_tag: Option<String>,
    /// The sensor's own identifier of it: the same one within the window is the same event.
    pub key: Option<String>,
    /// JSON text, byte for byte as the sensor wrote it.
    pub payload: String,
    /// JSON text of [`crate::rules::verdict`].
    pub verdict: String,
    /// Hash of the rules that judged it.
    pub rule_set: Arc<str>,
    /// It has a row; of any other only its key is kept.
    pub kept: bool,
}

impl Event {
    /// As users see it.
    pub fn id(&self) -> String {
        ids::format(ids::Kind::Event, self.received, self.seq)
    }
}

/// Where an execution stands; the words are StackStorm's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Owed.
    Requested,
    /// Owed, and held back by a policy.
    Delayed,
    /// Claimed; it may have begun.
    Running,
    /// It may have run; somebody is to say what becomes of it.
    Pending,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Stopped for taking too long.
    Timeout,
    /// It may have run; its end is not known, or the supervisor ended under it.
    Abandoned,
    /// Somebody, or a policy, did not want it any more.
    Canceled,
}

impl Status {
    /// Every status, for tests and for parsing.
    pub const ALL: [Self; 9] = [
        Self::Requested,
        Self::Delayed,
        Self::Running,
        Self::Pending,
        Self::Succeeded,
        Self::Failed,
        Self::Timeout,
        Self::Abandoned,
        Self::Canceled,
    ];

    /// The word in the API and in the journal.
    pub fn word(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Delayed => "delayed",
            Self::Running => "running",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Abandoned => "abandoned",
            Self::Canceled => "canceled",
        }
    }

    /// The status that `word` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }

    /// Nothing follows it.
    pub fn is_final(self) -> bool {
        let open = [Self::Requested, Self::Delayed, Self::Running, Self::Pending];
        !open.contains(&self)
    }
}

/// An action that was asked for. Where a rule did it, its identity is (event, rule, rule version).
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its number, dense and rising over the life of the data folder.
    pub seq: u64,
    /// Number of the event, where a rule asked for it.
    pub event: Option<u64>,
    /// Reference of the rule; empty where none asked for it.
    pub rule: String,
    /// Version of the rule.
    pub rule_version: String,
    /// Reference of the action.
    pub action: String,
    /// As they were given, rendered, secret ones sealed; defaults are filled in when it runs.
    pub parameters: Map<String, Value>,
    /// Where it stands.
    pub status: Status,
    /// When it was asked for.
    pub requested: Wall,
    /// When it was claimed.
    pub started: Option<Wall>,
    /// Why it exists.
    pub cause: Cause,
    /// How far a chain is: JSON.
    pub progress: Option<String>,
    /// When it was over, where it was so at once: what does nothing succeeds.
    pub over: Option<Wall>,
}

impl Execution {
    /// The same for all tries of one thing: its own identifier, or that of the first.
    pub fn idempotency_key(&self) -> String {
        self.cause.first.clone().unwrap_or_else(|| self.id())
    }

    /// As users see it.
    pub fn id(&self) -> String {
        ids::format(ids::Kind::Execution, self.requested, self.seq)
    }
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Final.
    pub status: Status,
    /// The runner's result, in StackStorm's shape for that runner.
    pub result: Value,
    /// When its program began, where that is known.
    pub started: Option<Wall>,
    /// When it was over.
    pub ended: Wall,
}

impl Outcome {
    /// Nobody wrote down its end, and so not its beginning either: it may have run.
    pub fn is_unknown(&self) -> bool {
        self.status == Status::Abandoned && self.started.is_none()
    }
}

/// A change of an execution that has a row.
#[derive(Clone, Debug)]
pub enum ExecutionChange {
    /// Requested, now held back by a policy.
    Delayed {
        /// Its number.
        seq: u64,
    },
    /// A running chain went on.
    Progress {
        /// Its number.
        seq: u64,
        /// JSON.
        progress: String,
    },
    /// Requested, now running.
    Claimed {
        /// Its number.
        seq: u64,
        /// When.
        at: Wall,
    },
    /// Claimed by an earlier supervisor that never began it: owed again.
    Returned {
        /// Its number.
        seq: u64,
    },
    /// Its end is not known, and somebody is asked.
    Pending {
        /// Its number.
        seq: u64,
    },
    /// Its end is not known, and it may be begun again: owed again.
    Again {
        /// Its number.
        seq: u64,
        /// Why it exists, as it is now.
        cause: Box<Cause>,
    },
    /// Anything else, now final.
    Ended {
        /// Its number.
        seq: u64,
        /// How.
        outcome: Outcome,
    },
}

/// An item of the datastore.
#[derive(Clone, Debug, PartialEq)]
pub struct KvItem {
    /// Its value; StackStorm's datastore has text only.
    pub value: String,
    /// When it vanishes.
    pub expires: Option<Wall>,
    /// The value is ciphertext.
    pub secret: bool,
}

/// A write to the datastore: the key, and the item or its removal.
#[derive(Clone, Debug)]
pub struct KvWrite {
    /// The key.
    pub key: Key,
    /// What it is now; none removes it.
    pub item: Option<KvItem>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, when it ended by itself.
    pub code: Option<i32>,
    /// Signal number, when it was ended.
    pub signal: Option<i32>,
}

impl Exit {
    /// In a few words: `exit code 3`, `signal 9 (SIGKILL)`.
    pub fn words(self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (_, Some(signal)) => match signal_name(signal) {
                Some(name) => format!("signal {signal} ({name})"),
                None => format!("signal {signal}"),
            },
            _ => "could not be started".to_owned(),
        }
    }
}

/// The end of a sensor's process, with what was seen of it.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// How.
    pub exit: Exit,
    /// The program never began: the wrapper, or the system, refused.
    pub never_began: bool,
    /// Why it could not be started, or what its exit code means.
    pub hint: Option<String>,
    /// What it said last.
    pub said: Vec<Message>,
    /// The most memory that it had, where that is known.
    pub peak: Option<Peak>,
    /// Chance for the jitter, 0 to 1.
    pub luck: f64,
}

/// The usual name of a Linux signal.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// An end of a sensor's process, as it is shown and kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastExit {
    /// How.
    #[serde(flatten)]
    pub exit: Exit,
    /// When.
    pub at: Wall,
    /// How long it had run, seconds.
    pub uptime: f64,
    /// Its last words: a `fail` message, or the last line of its log.
    pub reason: Option<String>,
    /// What kind of end, where nobody asked for it.
    #[serde(default)]
    pub class: Option<String>,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}

/// What is kept of a sensor over restarts of the supervisor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SensorMemory {
    /// Number of the last start.
    pub generation: u64,
    /// Starts after an end, ever.
    pub restarts: u64,
    /// The last end.
    pub last_exit: Option<LastExit>,
    /// The cursor that the sensor gave: JSON text.
    pub state: Option<String>,
    /// What somebody switched at run time.
    #[serde(default)]
    pub switch: Option<Switch>,
}

/// Something a sensor said that was refused; kept so that it is not lost.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Reference of the sensor.
    pub sensor: String,
    /// When.
    pub at: Wall,
    /// JSON-RPC error code that it was answered with.
    pub code: i64,
    /// Why.
    pub reason: String,
    /// Trigger it was meant for, where known.
    pub trigger: Option<String>,
    /// The payload, or the first 4 KiB of the line.
    pub data: Vec<u8>,
    /// SHA-256 of a line that is not kept whole, in hexadecimal.
    pub sha256: Option<String>,
}

/// An end of a sensor that nobody asked for.
#[derive(Clone, Debug)]
pub struct CrashRow {
    /// Reference of the sensor.
    pub sensor: String,
    /// Number of its start.
    pub generation: u64,
    /// JSON text of [`super::crash::Summary`].
    pub summary: String,
    /// JSON text of [`super::crash::Details`].
    pub details: String,
}

/// What enters the journal in one transaction, in this order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// It counts as written before it is on the disk.
    pub unsynced: bool,
    /// Rule sets: hash and text.
    pub rule_sets: Vec<(String, String)>,
    /// Accepted events.
    pub events: Vec<Event>,
    /// Accepted events that are nothing but counted.
    pub passed: u64,
    /// Trigger types with what they had of events, ever.
    pub counts: Vec<Counted>,
    /// The executions that they cause.
    pub executions: Vec<Execution>,
    /// Changes of earlier executions.
    pub changes: Vec<ExecutionChange>,
    /// Datastore.
    pub kv: Vec<KvWrite>,
    /// Timers that fired or are new: their references, and up to when they are settled; none for
    /// those that no rule waits for any more.
    pub timers: Vec<(String, Option<Wall>)>,
    /// Sensors whose memory changed.
    pub sensors: Vec<(String, SensorMemory)>,
    /// Refused messages.
    pub rejected: Vec<Rejected>,
    /// Numbers of refused messages that were retried or dropped.
    pub unrejected: Vec<u64>,
    /// Ends of sensors that nobody asked for.
    pub crashes: Vec<CrashRow>,
}

impl Batch {
    /// Nothing but events and what follows at once from them: nobody else waits for it.
    pub fn is_of_events(&self) -> bool {
        (!self.events.is_empty() || self.passed > 0)
            && self.changes.is_empty()
            && self.kv.is_empty()
            && self.timers.is_empty()
            && self.rejected.is_empty()
            && self.unrejected.is_empty()
            && self.crashes.is_empty()
    }

    /// What it takes in the journal, bytes, about.
    pub fn bytes(&self) -> u64 {
        const ROW: usize = 150;
        let events = self.events.iter();
        let events = events.map(|one| ROW + one.payload.len() + one.verdict.len());
        let executions = self.executions.iter();
        let executions = executions.map(|one| {
            let texts = one.parameters.values().filter_map(Value::as_str);
            2 * ROW + texts.map(str::len).sum::<usize>()
        });
        let rejected = self.rejected.iter().map(|one| ROW + one.data.len());
        let changes = self.changes.len() + self.kv.len() + self.sensors.len();
        let rows: usize = events.chain(executions).chain(rejected).sum();
        (rows + changes * ROW) as u64
    }

    /// Nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.counts.is_empty()
            && self.rule_sets.is_empty()
            && self.executions.is_empty()
            && self.changes.is_empty()
            && self.kv.is_empty()
            && self.timers.is_empty()
            && self.sensors.is_empty()
            && self.rejected.is_empty()
            && self.unrejected.is_empty()
            && self.crashes.is_empty()
    }
}
