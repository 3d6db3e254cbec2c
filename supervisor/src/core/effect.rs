//! What the core wants done; `world` performs it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::datastore::View;
use super::logs::LogRecord;
use super::notice::Notice;
use super::queue::Fetch;
use super::record::{Batch, Execution};
use super::retention::Chore;
use super::sensor::SensorIx;
use crate::catalog;
use crate::catalog::policy::StopSignal;
use crate::rules::RuleSet;

/// A signal to a sensor's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The stop signal to its leader, then SIGCONT so that a stopped one hears it.
    Stop(StopSignal),
    /// The same to its group.
    StopGroup(StopSignal),
    /// SIGABRT to its leader, then SIGCONT.
    Abort,
    /// SIGUSR1 to its leader: our host writes its stack to the log.
    Trace,
    /// SIGKILL to its tree.
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
        /// What is started.
        spec: Arc<catalog::Sensor>,
        /// Its configuration, or what is wrong with that.
        config: Result<Arc<Map<String, Value>>, String>,
    },
    /// See whether this sensor could be started; answer with `Tried`.
    Preflight {
        /// In whose place it is to come.
        sensor: SensorIx,
        /// What is tried.
        spec: Arc<catalog::Sensor>,
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
    /// Signal a sensor's processes.
    Signal {
        /// Which.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
        /// What.
        signal: Signal,
    },
    /// See how much memory a sensor's process has; answer with `Measured`.
    Measure {
        /// Which.
        sensor: SensorIx,
        /// Its start.
        generation: u64,
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
    /// Do this beside the commits, after all so far; answer with `Tended`.
    Tend(Chore),
    /// Fetch owed executions from the journal, after all commits so far.
    Refill(Fetch),
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
    /// A record of a sensor's log: show it, keep it.
    Log {
        /// Whose.
        spec: Arc<catalog::Sensor>,
        /// The record.
        record: Arc<LogRecord>,
    },
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
        /// What each sensor is, by its index.
        sensors: Vec<Arc<catalog::Sensor>>,
    },
    /// The datastore as intake is to see it from now on.
    Datastore(View),
    /// Everything is at rest and on disk.
    Exit {
        /// A sensor's policy stopped the supervisor, which is to say so by its exit code.
        escalated: bool,
    },
}

/// When the core wants to be called again even if nothing happens.
pub type Deadline = Option<Duration>;
