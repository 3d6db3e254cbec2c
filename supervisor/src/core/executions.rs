//! From a matched rule to a settled execution.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::cause::{By, Cause};
use super::clock::Wall;
use super::effect::{Effect, RunOrder};
use super::handover::HandedExecution;
use super::notice::{Level, Notice};
use super::progress::{Kept, Progress};
use super::queue::{Admitted, Owed, Queue, Whose};
use super::record::{Execution, ExecutionChange, Outcome, Status};
use super::seal;
use super::step::{After, Core, Phase};
use super::system::ENDS;
use super::unknown::Unknown;
use crate::catalog::{Action, Runner};
use crate::rules::{Requested, parameters};

/// Time limit of an action that names none, seconds; StackStorm's for Python actions.
const TIMEOUT_S: f64 = 600.0;

/// How long the remote runners may take to reach one host, seconds.
const CONNECT_S: f64 = 100.0;

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
    /// It still runs, and was handed over.
    Runs(Box<HandedExecution>),
    /// Its wrapper wrote down how it ended.
    Ended(Outcome),
    /// Its wrapper never began it: it is owed again.
    NeverBegan,
    /// It may have run.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Running {
    pub execution: Execution,
    /// When it is stopped for taking too long; none before it runs.
    pub deadline: Option<Duration>,
    /// Its time limit, where it was stopped for taking longer.
    pub timed_out: Option<Duration>,
    /// Who does not want it any more.
    pub canceled: Option<String>,
    /// It has one of the slots; a chain, which only waits, has none.
    pub has_slot: bool,
    /// What nobody may see of its result.
    pub secrets: Vec<String>,
    pub limit: Duration,
    /// How far it is, where it is a chain.
    pub chain: Option<Progress>,
}

/// All executions that are not final.
#[derive(Debug)]
pub struct Executions {
    pub(super) queue: Queue,
    pub(super) running: BTreeMap<u64, Running>,
    /// Those whose time has not come.
    later: BTreeMap<(Wall, u64), Execution>,
    /// Canceled while they waited in the journal.
    pub(super) unwanted: BTreeSet<u64>,
    /// Those whose end is not known, until somebody says what becomes of them.
    pub(super) pending: BTreeMap<u64, Execution>,
    recovered: Vec<Recovered>,
    closed: bool,
}

impl Executions {
    /// With `parallel` slots; owed ones are taken from the journal.
    pub fn new(parallel: usize, owed: Owed, recovered: Vec<Recovered>) -> Self {
        let mut queue = Queue::new(parallel);
        queue.leave_in_journal(&owed);
        let pending = owed.pending.into_iter().map(|one| (one.seq, one));
        Self {
            queue,
            running: BTreeMap::new(),
            later: BTreeMap::new(),
            unwanted: BTreeSet::new(),
            pending: pending.collect(),
            recovered,
            closed: false,
        }
    }

    /// Nothing new begins from now on.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// No program runs.
    pub fn none_runs(&self) -> bool {
        !self.running.values().any(|one| one.has_slot)
    }

    /// Executions of an action that run.
    pub(super) fn running_of(&self, action: &str) -> impl Iterator<Item = &Execution> {
        let all = self.running.values().map(|one| &one.execution);
        all.filter(move |one| one.action == action)
    }

    /// The first time limit.
    pub fn deadline(&self) -> Option<Duration> {
        self.running.values().filter_map(|one| one.deadline).min()
    }

    /// When the first of those that wait for a time may begin.
    pub(super) fn next_due(&self) -> Option<Wall> {
        let open = !self.closed;
        self.later.keys().next().map(|(at, _)| *at).filter(|_| open)
    }

    /// Executions of an event that was a duplicate are not in the journal, and never run.
    pub fn drop_duplicates(&mut self, executions: &[u64]) {
        for seq in executions {
            match self.running.remove(seq) {
                Some(running) => self.release(&running),
                None => drop(self.forget(*seq)),
            }
        }
    }

    /// Takes one away that waits in memory.
    pub(super) fn forget(&mut self, seq: u64) -> Option<Execution> {
        self.queue.leave_turn_of(seq);
        let due = self.later.keys().find(|(_, one)| *one == seq).copied();
        let of_later = due.and_then(|key| self.later.remove(&key));
        let of_later = of_later.or_else(|| self.pending.remove(&seq));
        of_later.or_else(|| self.queue.forget(seq))
    }

    /// One that was handed over runs on.
    fn resume(&mut self, running: Running) {
        if running.has_slot {
            self.queue.begun(&running.execution);
        }
        self.queue.take_turn(&running.execution);
        self.running.insert(running.execution.seq, running);
    }

    fn release(&mut self, running: &Running) {
        if running.has_slot {
            self.queue.release(&running.execution.action);
        }
        self.queue.leave_turn(&running.execution);
    }
}

impl Core {
    /// Takes what a rule asked for on the event `event`, which is new if it `is_new` for sure; its
    /// number.
    pub(super) fn request(&mut self, event: u64, requested: Requested, is_new: bool) -> u64 {
        let secret = &requested.secrets;
        let parameters = self.seal_parameters(requested.parameters, secret);
        let (rule, action) = (&requested.rule, &requested.action);
        let step = format!("{} > {}", rule.reference, action.reference);
        let trail = self.trail.iter().cloned().chain([step]).collect();
        let nothing_to_do = is_new && self.is_nothing(action);
        let execution = Execution {
            event: Some(event),
            rule: rule.reference.clone(),
            rule_version: rule.version.clone(),
            cause: Cause {
                trail,
                turn: requested.turn,
                ..Cause::default()
            },
            ..blank(&action.reference, parameters)
        };
        let waits = execution.cause.turn.is_some() || execution.cause.too_deep().is_some();
        match nothing_to_do && !waits {
            true => self.over_at_once(execution),
            false => self.begin_execution(execution),
        }
    }

    /// It does nothing, no policy looks at it, and nobody hears of its end.
    fn is_nothing(&self, action: &Action) -> bool {
        let mut policies = self.catalog.policies.values();
        let open = !self.executions.closed && !self.holds;
        action.runner == Runner::Noop
            && open
            && action.notify.is_empty()
            && !self.rules.waits_for(ENDS)
            && !policies.any(|one| one.action == action.reference)
    }

    /// Asked for, begun and over in one transaction: it needs neither a slot nor a second commit.
    fn over_at_once(&mut self, mut execution: Execution) -> u64 {
        self.last_execution += 1;
        let (seq, now) = (self.last_execution, self.now.wall);
        execution.seq = seq;
        execution.requested = now;
        (execution.status, execution.started) = (Status::Succeeded, Some(now));
        execution.over = Some(now);
        let outcome = Outcome {
            status: Status::Succeeded,
            result: Value::Null,
            started: Some(now),
            ended: now,
        };
        self.stats.ended(&execution, &outcome);
        if self.hush.admits("execution.ended", self.now.mono) {
            let notice = ended_notice(&execution, &outcome);
            self.after.push(After::Notice(notice));
        }
        self.batch.executions.push(execution);
        seq
    }

    /// Takes a new execution into the batch: it gets its number, and a slot or a place to wait.
    pub(super) fn begin_execution(&mut self, mut execution: Execution) -> u64 {
        self.last_execution += 1;
        let seq = self.last_execution;
        execution.seq = seq;
        execution.requested = self.now.wall;
        (execution.status, execution.started) = (Status::Requested, None);
        let due = execution.cause.not_before.filter(|at| *at > self.now.wall);
        let too_deep = execution.cause.too_deep();
        let open = !self.executions.closed;
        if execution.cause.by == By::Retry && too_deep.is_none() {
            self.executions.queue.take_turn(&execution);
        }
        if too_deep.is_some() {
            execution.status = Status::Running;
        } else if let Some(at) = due.filter(|_| open) {
            self.executions.later.insert((at, seq), execution.clone());
        } else if open && self.admit(&execution) {
            execution.status = Status::Running;
            execution.started = Some(self.now.wall);
            self.hold_slot(execution.clone());
        }
        self.batch.executions.push(execution.clone());
        if let Some(why) = too_deep {
            self.stop_circle(&execution, why);
        }
        seq
    }

    /// A chain waits for nobody's slot, but for its turn.
    fn admit(&mut self, execution: &Execution) -> bool {
        if self.begins_at_once(execution) {
            return true;
        }
        let held = self.holds || self.held(execution).is_some();
        let runs = self.executions.queue.admit(execution, held) == Admitted::Runs;
        if runs && self.is_chain(&execution.action) {
            self.executions.queue.needs_no_slot();
        }
        runs
    }

    fn begins_at_once(&self, execution: &Execution) -> bool {
        execution.cause.turn.is_none() && self.is_chain(&execution.action)
    }

    /// Its end is told to people, and to no rule: that would be the next turn.
    fn stop_circle(&mut self, execution: &Execution, why: String) {
        let notice = Notice::new(
            Level::Error,
            "execution.loop",
            &execution.action,
            why.clone(),
        );
        self.after
            .push(After::Notice(notice.execution(execution.id())));
        let (seq, outcome) = (execution.seq, failed(why, self.now.wall));
        self.task_over(execution, &outcome, None);
        self.batch
            .changes
            .push(ExecutionChange::Ended { seq, outcome });
    }

    pub(super) fn is_chain(&self, action: &str) -> bool {
        let action = self.catalog.actions.get(action);
        action.is_some_and(|action| action.runner == Runner::ActionChain)
    }

    /// Gives free slots to those that wait, and fetches more where memory runs low.
    pub(super) fn claim(&mut self) {
        if self.executions.closed || self.holds {
            return;
        }
        self.wake_due();
        loop {
            self.apply_limits();
            let Some(mut execution) = self.next_to_run() else {
                break;
            };
            if self.is_chain(&execution.action) {
                self.executions.queue.needs_no_slot();
            }
            let at = self.now.wall;
            let seq = execution.seq;
            self.batch
                .changes
                .push(ExecutionChange::Claimed { seq, at });
            execution.status = Status::Running;
            execution.started = Some(at);
            self.hold_slot(execution);
        }
        let wanted = self.executions.queue.wants();
        if !wanted.is_empty() {
            self.seal();
            self.out.extend(wanted.into_iter().map(Effect::Refill));
        }
    }

    fn next_to_run(&mut self) -> Option<Execution> {
        // The policies look at what runs, and at nothing of the queue.
        let mut queue = std::mem::replace(&mut self.executions.queue, Queue::new(1));
        let next = queue.claim(|one| self.held(one).is_none());
        self.executions.queue = queue;
        next
    }

    fn wake_due(&mut self) {
        let now = self.now.wall;
        while let Some(entry) = self.executions.later.first_entry()
            && entry.key().0 <= now
        {
            let execution = entry.remove();
            self.executions.queue.put(execution);
        }
    }

    /// Fetched from the journal.
    pub(super) fn refilled(&mut self, of: &Whose, executions: Vec<Execution>, all: bool) {
        let unwanted = std::mem::take(&mut self.executions.unwanted);
        let last = executions.last().map(|one| one.seq);
        let wanted = executions
            .into_iter()
            .filter(|one| !unwanted.contains(&one.seq));
        let (chains, others): (Vec<_>, Vec<_>) = wanted.partition(|one| self.begins_at_once(one));
        let due = |one: &Execution| one.cause.not_before.filter(|at| *at > self.now.wall);
        let (later, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|one| due(one).is_some());
        for execution in later {
            let at = due(&execution).unwrap_or_default();
            self.executions.later.insert((at, execution.seq), execution);
        }
        self.executions.queue.refill(of, others, last, all);
        if self.executions.queue.is_fetching() {
            // They may be in what is still on its way.
            self.executions.unwanted = unwanted;
        }
        for mut execution in chains {
            let (seq, at) = (execution.seq, self.now.wall);
            self.batch
                .changes
                .push(ExecutionChange::Claimed { seq, at });
            (execution.status, execution.started) = (Status::Running, Some(at));
            self.hold_slot(execution);
        }
    }

    pub(super) fn hold_slot(&mut self, execution: Execution) {
        let seq = execution.seq;
        self.executions.queue.take_turn(&execution);
        self.stats.claimed(&execution);
        let running = Running {
            has_slot: !self.is_chain(&execution.action),
            execution,
            deadline: None,
            timed_out: None,
            canceled: None,
            secrets: Vec::new(),
            limit: Duration::MAX,
            chain: None,
        };
        self.executions.running.insert(seq, running);
        self.after.push(After::Run(seq));
    }

    /// The claim is on disk: begin. A duplicate's claim is gone by now.
    pub(super) fn run(&mut self, seq: u64) {
        let Some(running) = self.executions.running.get(&seq) else {
            return;
        };
        if let Some(user) = running.canceled.clone() {
            let outcome = canceled(&user, self.now.wall);
            return self.action_ended(seq, outcome);
        }
        if self.phase == Phase::StoppingNow {
            return self.give_back(seq);
        }
        let execution = running.execution.clone();
        match self.order(execution) {
            Ok(order) => self.begin_run(seq, order),
            Err(why) => self.action_ended(seq, failed(why, self.now.wall)),
        }
    }

    /// All that a runner needs.
    pub(super) fn order(&self, execution: Execution) -> Result<RunOrder, String> {
        let name = &execution.action;
        let action = self.catalog.actions.get(name).map(Arc::clone);
        let action = action.ok_or_else(|| format!("action \"{name}\" does not exist any more"))?;
        let given = self.open_parameters(&execution.parameters)?;
        let config = match self.catalog.packs.get(&action.pack) {
            Some(pack) => self.config_of_pack(pack)?,
            None => Map::new(),
        };
        Ok(RunOrder {
            parameters: parameters::with_defaults(&action, &given),
            config,
            secrets: seal::names(&action, &execution),
            action,
            execution,
        })
    }

    fn begin_run(&mut self, seq: u64, order: RunOrder) {
        let limit = timeout(order.action.runner, &order.parameters);
        let secrets = self.secret_texts(&order);
        let Some(running) = self.executions.running.get_mut(&seq) else {
            return;
        };
        running.secrets = secrets;
        if let Some(chain) = order.action.chain.clone() {
            return self.start_chain(&order, &chain);
        }
        running.limit = limit;
        running.deadline = Some(self.now.mono + limit);
        self.out.push(Effect::Run(Box::new(order)));
    }

    /// Claimed, but the supervisor is leaving: owed again.
    fn give_back(&mut self, seq: u64) {
        if let Some(running) = self.executions.running.remove(&seq) {
            self.executions.release(&running);
        }
        self.batch.changes.push(ExecutionChange::Returned { seq });
    }

    pub(super) fn time_out_actions(&mut self) {
        let now = self.now.mono;
        for (seq, running) in &mut self.executions.running {
            if running.deadline.is_none_or(|deadline| now < deadline) {
                continue;
            }
            running.deadline = None;
            running.timed_out = Some(running.limit);
            self.out.push(Effect::StopAction {
                execution: *seq,
                now: false,
            });
        }
    }

    pub(super) fn stop_actions(&mut self, now: bool) {
        let programs = self
            .executions
            .running
            .iter()
            .filter(|(_, one)| one.has_slot);
        for (seq, _) in programs {
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
        self.executions.release(&running);
        if let Some(limit) = running.timed_out
            && outcome.status != Status::Succeeded
        {
            mark_timeout(&mut outcome, limit);
        }
        if running.canceled.is_some() {
            outcome.status = Status::Canceled;
        }
        let execution = running.execution;
        if outcome.is_unknown() && self.phase == Phase::Running {
            match self.unknown(&execution) {
                Unknown::Again(again) => {
                    self.executions.queue.take_turn(&again);
                    return self.executions.queue.put(*again);
                }
                Unknown::Asks => return self.pend(execution),
                Unknown::Over => {}
            }
        }
        let is_task = execution.cause.by == By::Task;
        let whole = is_task.then(|| match &running.chain {
            Some(progress) => progress.whole(outcome.result.clone()),
            None => outcome.result.clone(),
        });
        let hidden = self.check_output(&execution, &mut outcome);
        seal::hide(&mut outcome.result, &running.secrets);
        let secrets = [running.secrets, hidden].concat();
        let kept = whole.and_then(|whole| Kept::of(whole, &outcome, secrets));
        self.finish(&execution, outcome, kept);
    }

    /// Writes down an end, and tells of it all who have a use for it; what was `kept` of its result
    /// is for the chain that it is a task of.
    pub(super) fn finish(&mut self, execution: &Execution, outcome: Outcome, kept: Option<Kept>) {
        let seq = execution.seq;
        self.stats.ended(execution, &outcome);
        let before = std::mem::replace(&mut self.trail, execution.cause.trail.clone());
        let well = outcome.status == Status::Succeeded;
        let is_shown = !well || self.hush.admits("execution.ended", self.now.mono);
        let notice = is_shown.then(|| ended_notice(execution, &outcome));
        self.tell_of_end(execution, &outcome);
        self.notify_routes(execution, &outcome);
        self.task_over(execution, &outcome, kept);
        self.retry(execution, &outcome);
        self.trail = before;
        self.batch
            .changes
            .push(ExecutionChange::Ended { seq, outcome });
        self.after.push(After::Settled(seq));
        self.after.extend(notice.map(After::Notice));
    }

    /// The crash table, at start-up. A chain goes on where it was: its tasks have rows of their own.
    pub(super) fn settle_recovered(&mut self) {
        for Recovered { execution, found } in std::mem::take(&mut self.executions.recovered) {
            let seq = execution.seq;
            if let Found::Runs(handed) = found {
                self.executions.resume(handed.with(execution));
                continue;
            }
            if self.is_chain(&execution.action) {
                self.resume_chain(execution);
                continue;
            }
            match found {
                Found::Runs(_) => {}
                Found::NeverBegan => {
                    self.executions.queue.returned(&execution);
                    self.batch.changes.push(ExecutionChange::Returned { seq });
                    self.after.push(After::Settled(seq));
                }
                Found::Ended(outcome) => {
                    let (outcome, kept) = self.hidden(&execution, outcome);
                    self.finish(&execution, outcome, kept);
                }
                Found::Unknown => self.settle_unknown(&execution),
            }
        }
    }
}

/// How long an execution may take. The remote runners give each host its time by themselves, so that
/// what the other hosts said is kept; theirs is what all of them may take.
fn timeout(runner: Runner, parameters: &Map<String, Value>) -> Duration {
    let seconds = parameters.get("timeout").and_then(Value::as_f64);
    let seconds = seconds.filter(|seconds| *seconds > 0.0);
    let seconds = match runner {
        Runner::RemoteShellCmd | Runner::RemoteShellScript => {
            let hosts = parameters.get("hosts").and_then(Value::as_str);
            let hosts = hosts.unwrap_or_default().split(',').count();
            let hosts = f64::from(u32::try_from(hosts).unwrap_or(u32::MAX));
            seconds.map(|seconds| hosts * (seconds + CONNECT_S))
        }
        _ => seconds,
    };
    Duration::try_from_secs_f64(seconds.unwrap_or(TIMEOUT_S))
        .unwrap_or(Duration::from_secs_f64(TIMEOUT_S))
}

/// An execution of an action that has no number yet.
pub(super) fn blank(action: &str, parameters: Map<String, Value>) -> Execution {
    Execution {
        seq: 0,
        event: None,
        rule: String::new(),
        rule_version: String::new(),
        action: action.to_owned(),
        parameters,
        status: Status::Requested,
        requested: Wall(0),
        started: None,
        cause: Cause::default(),
        progress: None,
        over: None,
    }
}

/// StackStorm's result of an action that took too long: the same members, and an error.
fn mark_timeout(outcome: &mut Outcome, limit: Duration) {
    let text = format!(
        "Action failed to complete in {} seconds",
        limit.as_secs_f64()
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

/// The outcome of an execution that is not wanted any more.
pub(super) fn canceled(user: &str, at: Wall) -> Outcome {
    Outcome {
        status: Status::Canceled,
        result: json!({"message": "Action canceled by user.", "user": user}),
        started: None,
        ended: at,
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

pub(super) fn abandoned(at: Wall) -> Outcome {
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
