//! All that can happen to the core.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::intake::Said;
use super::kv::KvAsk;
use super::log_line::LogLine;
use super::record::{Execution, Exit, Outcome};
use super::sensor::SensorIx;
use crate::catalog::Catalog;
use crate::rules::RuleSet;

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
    Reload(Box<Catalog>, Arc<RuleSet>),
    /// Run an action.
    Run(Box<Wanted>),
    /// Cancel an execution.
    Cancel {
        /// Its number.
        execution: u64,
        /// Who does not want it.
        user: String,
    },
    /// Asked by a running action.
    By {
        /// Number of its execution.
        execution: u64,
        /// What.
        question: Box<Ask>,
    },
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
    },
    /// The wrapper became the program.
    Executed {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
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
    /// A record of a sensor's log.
    Logged {
        /// Which sensor.
        sensor: SensorIx,
        /// What.
        line: LogLine,
    },
    /// A sensor's process and all of its group are gone, or it could not be started.
    Ended {
        /// Which sensor.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// How.
        exit: Exit,
        /// Why it could not be started, or what its exit code means.
        hint: Option<String>,
        /// Last lines of its log.
        tail: Vec<String>,
        /// Chance for the jitter, 0 to 1.
        luck: f64,
    },
    /// All batches up to this number are on disk.
    Committed {
        /// Number of the last one.
        upto: u64,
        /// Events in them that were known already.
        duplicates: Vec<Duplicate>,
    },
    /// The journal cannot write (some) or can again (none).
    JournalStuck(Option<String>),
    /// Owed executions from the journal.
    Refilled {
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
