//! What the core wants done; `world` performs it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::datastore::View;
use super::notice::Notice;
use super::record::{Batch, Execution};
use super::sensor::SensorIx;
use crate::catalog;
use crate::rules::RuleSet;

/// A signal to a sensor's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, then SIGCONT so that a stopped one hears it.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// An execution, with all that its runner needs.
#[derive(Clone, Debug)]
pub struct RunOrder {
    /// The execution.
    pub execution: Execution,
    /// The action.
    pub action: Arc<catalog::Action>,
    /// Its parameters, with defaults.
    pub parameters: Map<String, Value>,
    /// Names of the parameters that nobody may see.
    pub secrets: Vec<String>,
    /// Configuration of the action's pack.
    pub config: Map<String, Value>,
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Start this sensor; answer with `Spawned` or `Ended`.
    Spawn {
        /// Which.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// Its configuration, or what is wrong with that.
        config: Result<Arc<Map<String, Value>>, String>,
    },
    /// Write a line to a sensor.
    Tell {
        /// Which.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// One message, without its newline.
        line: String,
    },
    /// Close a sensor's standard input once all lines are written.
    CloseInput {
        /// Which.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
    },
    /// Signal a sensor's group.
    Signal {
        /// Which.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// What.
        signal: Signal,
    },
    /// So many pieces of a sensor's output are settled: as many more may be read.
    Credit {
        /// Which.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// How many.
        pieces: usize,
    },
    /// Write to the journal; answer with `Committed`.
    Commit {
        /// Rising from 1.
        number: u64,
        /// What.
        batch: Batch,
    },
    /// Fetch owed executions from the journal, after all commits so far.
    Refill {
        /// Executions above this number.
        after: u64,
        /// At most so many.
        most: usize,
    },
    /// Run an action; answer with `ActionEnded`.
    Run(Box<RunOrder>),
    /// End a running action: politely, or at once.
    StopAction {
        /// Number of the execution.
        execution: u64,
        /// At once.
        now: bool,
    },
    /// The result is on disk: the execution's folder is not needed any more.
    Forget {
        /// Number of the execution.
        execution: u64,
    },
    /// Tell people.
    Notice(Notice),
    /// Answer a question of the API.
    Reply {
        /// Which question.
        ask: u64,
        /// JSON, or why not.
        answer: Result<Value, String>,
    },
    /// New packs: by these is judged and answered from now on.
    Adopt {
        /// The packs.
        catalog: Arc<catalog::Catalog>,
        /// Their rules.
        rules: Arc<RuleSet>,
    },
    /// The datastore as intake is to see it from now on.
    Datastore(View),
    /// Everything is at rest and on disk.
    Exit,
}

/// When the core wants to be called again even if nothing happens.
pub type Deadline = Option<Duration>;
