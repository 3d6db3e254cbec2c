//! All that can happen to the core.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::intake::Said;
use super::isolation::Isolation;
use super::kv::KvAsk;
use super::logs::LogLine;
use super::queue::Whose;
use super::record::{End, Execution, Outcome};
use super::reload::News;
use super::retention::Tended;
use super::sensor::SensorIx;
use super::stats::Written;
pub use super::unknown::Verdict;
use super::view::RejectedRow;
use crate::catalog::Sensor;

/// An event that the journal knew already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// Number of the event that was refused.
    pub event: u64,
    /// Identifier of the first one.
    pub first: String,
}

/// A question from the API that only the core can answer.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Of the datastore.
    Kv(KvAsk),
    /// Take these packs and rules.
    Reload(Box<News>),
    /// Do something to sensors.
    Control(Control),
    /// Run an action.
    Run(Box<Wanted>),
    /// Take an event.
    Inject(Injected),
    /// Do something with a message that was refused.
    Rejected(Refusal),
    /// Make the journal's file as small as it can be.
    Compact,
    /// Cancel an execution.
    Cancel {
        /// Its number.
        execution: u64,
        /// Who does not want it.
        user: String,
    },
    /// Say what becomes of an execution whose end is not known.
    Decide {
        /// Its number.
        execution: u64,
        /// What.
        verdict: Verdict,
        /// Who says so.
        user: String,
    },
    /// What a running execution wrote, as people may see it.
    Hide {
        /// Its number.
        execution: u64,
        /// Whole lines.
        whole: Vec<String>,
    },
    /// Asked by a running action.
    By {
        /// Number of its execution.
        execution: u64,
        /// What.
        question: Box<Ask>,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Start it now, also out of backoff, cooldown or parked.
    Start,
    /// Stop it, until it is started by hand or the supervisor starts again.
    Stop,
    /// Stop it and start it again.
    Restart,
    /// Let it rest.
    Pause,
    /// Let it go on.
    Resume,
    /// Have it look for events at once.
    Poll,
    /// It is to run, whatever the files say.
    Enable,
    /// It is not to run, whatever the files say.
    Disable,
}

/// A command about sensors.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Control {
    /// What.
    pub verb: Verb,
    /// References, or globs of them.
    pub sensors: Vec<String>,
    /// Why, for `enable` and `disable`.
    #[serde(default)]
    pub reason: Option<String>,
    /// How long `enable` and `disable` hold, seconds.
    #[serde(default)]
    pub for_seconds: Option<f64>,
    /// Who.
    #[serde(default)]
    pub user: Option<String>,
}

/// An action that somebody wants to run.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Reference of the action.
    pub action: String,
    /// Its parameters; text in them may be a template.
    pub parameters: Map<String, Value>,
    /// Who asks.
    pub user: String,
    /// Run again: its identifier, and its parameters as the journal has them.
    pub again: Option<(String, Map<String, Value>)>,
}

/// What is to become of a message that was refused.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It is given to the rules once more.
    Retry(Box<RejectedRow>),
    /// It is not wanted any more: its number.
    Drop(u64),
}

/// An event that somebody wants to be there.
#[derive(Clone, Debug)]
pub struct Injected {
    /// Reference of its trigger.
    pub trigger: String,
    /// Its payload.
    pub payload: Map<String, Value>,
    /// Its trace tag.
    pub trace_tag: Option<String>,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input {
    /// The supervisor is up: begin.
    Begin,
    /// A sensor's process exists.
    Spawned {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// Process, and process group.
        pid: u32,
        /// What runs its program, where that is no program itself.
        interpreter: Option<String>,
    },
    /// The wrapper became the program.
    Executed {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
    },
    /// The program wrote a newline to its descriptor 3.
    Notified {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
    },
    /// How a sensor's start is kept in.
    Isolated {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// How.
        isolation: Box<Isolation>,
    },
    /// Processes of a start do not end although they were killed.
    Survived {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// Which processes, and what to do.
        text: String,
    },
    /// A piece of a sensor's output, read and judged.
    Said {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// In the order written.
        said: Vec<Said>,
    },
    /// A sensor's output was read to its end.
    Drained {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
    },
    /// Records of a sensor's log.
    Logged {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// In the order written.
        lines: Vec<LogLine>,
    },
    /// A sensor's process and all of its group are gone, or it could not be started.
    Ended {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// How.
        end: Box<End>,
    },
    /// New packs, which nobody asked for: their files changed.
    News(Box<News>),
    /// A sensor was tried.
    Tried {
        /// In whose place it is to come.
        sensor: SensorIx,
        /// What was tried.
        spec: Arc<Sensor>,
        /// Why it cannot run.
        fault: Option<String>,
    },
    /// What a process has of memory; zero where it is gone.
    Measured {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// Resident, bytes.
        rss: u64,
    },
    /// All batches up to this number are on disk.
    Committed {
        /// Number of the last one.
        upto: u64,
        /// Events in them that were known already.
        duplicates: Vec<Duplicate>,
    },
    /// These batches, of events that need not be on disk, are written; earlier ones need not be.
    Written {
        /// Their numbers, rising.
        numbers: Vec<u64>,
        /// Events in them that were known already.
        duplicates: Vec<Duplicate>,
    },
    /// The journal wrote.
    Transaction(Written),
    /// The journal did a chore.
    Tended(Box<Tended>),
    /// The journal cannot write (some) or can again (none).
    JournalStuck(Option<String>),
    /// Owed executions from the journal.
    Refilled {
        /// Of which lane.
        of: Whose,
        /// In order.
        executions: Vec<Execution>,
        /// There are no more.
        all: bool,
    },
    /// An action is over.
    ActionEnded {
        /// Number of the execution.
        execution: u64,
        /// How.
        outcome: Outcome,
    },
    /// The API asks.
    Ask {
        /// Number of the question.
        ask: u64,
        /// The question.
        question: Ask,
    },
    /// Stop everything in order.
    Stop,
    /// Stop everything at once.
    StopNow,
    /// Time went by.
    Timer,
}
