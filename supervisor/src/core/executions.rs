//! From a matched rule to a settled execution.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::clock::Wall;
use super::effect::{Effect, RunOrder};
use super::notice::{Level, Notice};
use super::queue::{Admitted, Queue};
use super::record::{Execution, ExecutionChange, Outcome, Status};
use super::step::{After, Core, Phase};
use crate::rules::{Requested, parameters};

/// Time limit of an action that names none, seconds; StackStorm's for Python actions.
const TIMEOUT_S: f64 = 600.0;

/// What was found of an execution that ran when the last supervisor ended; the crash table.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Its row.
    pub execution: Execution,
    /// What was found.
    pub found: Found,
}

/// See [`Recovered`].
#[derive(Clone, Debug)]
pub enum Found {
    /// Its wrapper wrote down how it ended.
    Ended(Outcome),
    /// Its wrapper never began it: it is owed again.
    NeverBegan,
    /// It may have run.
    Unknown,
}

#[derive(Debug)]
struct Running {
    execution: Execution,
    /// When it is stopped for taking too long; none before it runs.
    deadline: Option<Duration>,
    /// It was stopped for taking too long.
    timed_out: Option<f64>,
}

/// All executions that are not final.
#[derive(Debug)]
pub struct Executions {
    pub(super) queue: Queue,
    running: BTreeMap<u64, Running>,
    recovered: Vec<Recovered>,
    closed: bool,
}

impl Executions {
    /// With `parallel` slots; owed ones are taken from the journal.
    pub fn new(parallel: usize, recovered: Vec<Recovered>) -> Self {
        let mut queue = Queue::new(parallel);
        queue.leave_in_journal(0);
        Self {
            queue,
            running: BTreeMap::new(),
            recovered,
            closed: false,
        }
    }

    /// Nothing new begins from now on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Fetched from the journal.
    pub fn refilled(&mut self, executions: Vec<Execution>, all: bool) {
        self.queue.refill(executions, all);
    }

    /// Nothing runs.
    pub fn none_runs(&self) -> bool {
        self.running.is_empty()
    }

    /// The first time limit.
    pub fn deadline(&self) -> Option<Duration> {
        self.running.values().filter_map(|one| one.deadline).min()
    }

    /// Executions of an event that was a duplicate are not in the journal, and never run.
    pub fn drop_duplicates(&mut self, executions: &[u64]) {
        for seq in executions {
            match self.running.remove(seq) {
                Some(_) => self.queue.release(),
                None => self.queue.forget(*seq),
            }
        }
    }
}

impl Core {
    /// Takes what a rule asked for on the event `event`; its number.
    pub(super) fn request(&mut self, event: u64, requested: Requested) -> u64 {
        self.last_execution += 1;
        let secret = &requested.secrets;
        let parameters = self.seal_parameters(requested.parameters, secret);
        let mut execution = Execution {
            seq: self.last_execution,
            event,
            rule: requested.rule.reference.clone(),
            rule_version: requested.rule.version.clone(),
            action: requested.action.reference.clone(),
            parameters,
            status: Status::Requested,
            requested: self.now.wall,
            started: None,
        };
        let seq = execution.seq;
        let open = !self.executions.closed;
        if open && self.executions.queue.admit(&execution) == Admitted::Runs {
            execution.status = Status::Running;
            execution.started = Some(self.now.wall);
            self.hold_slot(execution.clone());
        }
        self.batch.executions.push(execution);
        seq
    }

    /// Gives free slots to those that wait, and fetches more where memory runs low.
    pub(super) fn claim(&mut self) {
        if self.executions.closed {
            return;
        }
        while let Some(mut execution) = self.executions.queue.claim() {
            let at = self.now.wall;
            let seq = execution.seq;
            self.batch
                .changes
                .push(ExecutionChange::Claimed { seq, at });
            execution.status = Status::Running;
            execution.started = Some(at);
            self.hold_slot(execution);
        }
        if let Some((after, most)) = self.executions.queue.wants() {
            self.seal();
            self.out.push(Effect::Refill { after, most });
        }
    }

    fn hold_slot(&mut self, execution: Execution) {
        let seq = execution.seq;
        let running = Running {
            execution,
            deadline: None,
            timed_out: None,
        };
        self.executions.running.insert(seq, running);
        self.after.push(After::Run(seq));
    }

    /// The claim is on disk: begin. A duplicate's claim is gone by now.
    pub(super) fn run(&mut self, seq: u64) {
        let Some(running) = self.executions.running.get_mut(&seq) else {
            return;
        };
        if self.phase == Phase::StoppingNow {
            return self.give_back(seq);
        }
        let execution = running.execution.clone();
        let Some(action) = self.catalog.actions.get(&execution.action).map(Arc::clone) else {
            let why = format!("action \"{}\" does not exist any more", execution.action);
            return self.action_ended(seq, failed(why, self.now.wall));
        };
        let parameters = match self.open_parameters(&execution.parameters) {
            Ok(given) => parameters::with_defaults(&action, &given),
            Err(why) => return self.action_ended(seq, failed(why, self.now.wall)),
        };
        let limit = timeout(&parameters);
        let config = match self.config_of(&action.pack) {
            Ok(config) => config,
            Err(why) => return self.action_ended(seq, failed(why, self.now.wall)),
        };
        let Some(running) = self.executions.running.get_mut(&seq) else {
            return;
        };
        running.deadline = Some(self.now.mono + limit);
        self.out.push(Effect::Run(Box::new(RunOrder {
            execution,
            action,
            parameters,
            config,
        })));
    }

    /// Claimed, but the supervisor is leaving: owed again.
    fn give_back(&mut self, seq: u64) {
        self.executions.running.remove(&seq);
        self.executions.queue.release();
        self.batch.changes.push(ExecutionChange::Returned { seq });
    }

    pub(super) fn time_out_actions(&mut self) {
        let now = self.now.mono;
        for (seq, running) in &mut self.executions.running {
            let Some(deadline) = running.deadline.filter(|deadline| now >= *deadline) else {
                continue;
            };
            running.deadline = None;
            running.timed_out = Some(deadline.as_secs_f64());
            self.out.push(Effect::StopAction {
                execution: *seq,
                now: false,
            });
        }
    }

    pub(super) fn stop_actions(&mut self, now: bool) {
        for seq in self.executions.running.keys() {
            self.out.push(Effect::StopAction {
                execution: *seq,
                now,
            });
        }
    }

    pub(super) fn action_ended(&mut self, seq: u64, mut outcome: Outcome) {
        let Some(running) = self.executions.running.remove(&seq) else {
            return;
        };
        self.executions.queue.release();
        if running.timed_out.is_some() && outcome.status != Status::Succeeded {
            mark_timeout(&mut outcome, &running.execution, &self.catalog);
        }
        let notice = ended_notice(&running.execution, &outcome);
        self.tell_of_end(&running.execution, &outcome);
        self.batch
            .changes
            .push(ExecutionChange::Ended { seq, outcome });
        self.after.push(After::Settled(seq));
        self.after.push(After::Notice(notice));
    }

    /// The crash table, at start-up.
    pub(super) fn settle_recovered(&mut self) {
        for Recovered { execution, found } in std::mem::take(&mut self.executions.recovered) {
            let seq = execution.seq;
            let change = match found {
                Found::NeverBegan => ExecutionChange::Returned { seq },
                Found::Ended(outcome) => ExecutionChange::Ended { seq, outcome },
                Found::Unknown => {
                    let outcome = abandoned(self.now.wall);
                    let notice = ended_notice(&execution, &outcome);
                    self.after.push(After::Notice(notice));
                    ExecutionChange::Ended { seq, outcome }
                }
            };
            self.batch.changes.push(change);
            self.after.push(After::Settled(seq));
        }
    }
}

fn timeout(parameters: &Map<String, Value>) -> Duration {
    let seconds = parameters.get("timeout").and_then(Value::as_f64);
    let seconds = seconds.filter(|seconds| *seconds > 0.0);
    Duration::try_from_secs_f64(seconds.unwrap_or(TIMEOUT_S))
        .unwrap_or(Duration::from_secs_f64(TIMEOUT_S))
}

/// StackStorm's result of an action that took too long: the same members, and an error.
fn mark_timeout(outcome: &mut Outcome, execution: &Execution, catalog: &crate::catalog::Catalog) {
    let limit = catalog.actions.get(&execution.action).map(|action| {
        timeout(&parameters::with_defaults(action, &execution.parameters)).as_secs_f64()
    });
    let text = format!(
        "Action failed to complete in {} seconds",
        limit.unwrap_or(TIMEOUT_S)
    );
    outcome.status = Status::Timeout;
    if let Value::Object(result) = &mut outcome.result {
        result.insert("error".into(), json!(text));
        for code in ["exit_code", "return_code"] {
            if result.contains_key(code) {
                result.insert(code.into(), json!(-9));
            }
        }
    }
}

/// The outcome of an execution that could not run.
pub fn failed(why: String, at: Wall) -> Outcome {
    Outcome {
        status: Status::Failed,
        result: json!({"error": why}),
        started: None,
        ended: at,
    }
}

fn abandoned(at: Wall) -> Outcome {
    let why = "the supervisor ended while this ran; it may have run, so it is not run again";
    Outcome {
        status: Status::Abandoned,
        result: json!({"error": why}),
        started: None,
        ended: at,
    }
}

fn ended_notice(execution: &Execution, outcome: &Outcome) -> Notice {
    let level = match outcome.status {
        Status::Succeeded => Level::Info,
        _ => Level::Warning,
    };
    let mut text = outcome.status.word().to_owned();
    if let Some(started) = outcome.started.or(execution.started) {
        let took = outcome.ended.since(started);
        text.push_str(&format!(" in {} ms", took.as_millis()));
    }
    if let Some(why) = last_words(&outcome.result).filter(|_| level != Level::Info) {
        text.push_str(": ");
        text.push_str(&why);
    }
    Notice::new(level, "execution.ended", &execution.action, text).execution(execution.id())
}

/// The most telling line of a failed result.
fn last_words(result: &Value) -> Option<String> {
    let texts = [&result["error"], &result["stderr"], &result["result"]];
    texts
        .into_iter()
        .filter_map(Value::as_str)
        .find_map(|text| text.lines().rev().find(|line| !line.trim().is_empty()))
        .map(|line| line.trim().chars().take(200).collect())
}
