//! `step(input, now) -> effects`: everything that happens goes through here.
//!
//! What one input writes is one batch. What may follow only once it is on disk (an answer, a run, a
//! line of the stream) is kept as an [`After`] beside the batch's number, and done when the journal
//! says that this number is written.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use petrel_sdk::protocol::RpcError;
use serde_json::{Value, json};

use super::clock::{Now, Wall};
use super::datastore::{Datastore, Key};
use super::effect::Effect;
use super::executions::{Executions, Recovered};
use super::fleet::Fleet;
use super::handover::Handed;
use super::hush::Hush;
use super::ids;
use super::input::{Ask, Duplicate, Input};
use super::intake::Reply;
use super::lifecycle::Event;
use super::notice::{Level, Notice};
use super::queue::Owed;
use super::record::{Batch, ExecutionChange, KvItem, SensorMemory};
use super::reload::Trial;
use super::retention::Keeper;
use super::schedule::Schedule;
use super::sensor::{SensorIx, Slot};
use super::stats::Stats;
use super::tally::{Counted, Tally};
use crate::catalog::policy::Durability;
use crate::catalog::schema::Validation;
use crate::catalog::{Catalog, Sensor};
use crate::config::Retention;
use crate::rules::RuleSet;
use crate::rules::cipher::Cipher;

/// Being called so much later than was asked for means that we were not running.
const LAG: Duration = Duration::from_secs(1);

/// What is known before the first input.
#[derive(Debug, Default)]
pub struct Boot {
    /// The packs.
    pub catalog: Arc<Catalog>,
    /// Their rules.
    pub rules: Arc<RuleSet>,
    /// The datastore's key.
    pub cipher: Option<Arc<Cipher>>,
    /// Beginnings of the names of system items that sensors may read decrypted.
    pub decrypt: Vec<String>,
    /// Sensors that may be in the middle of their start at a time.
    pub start_slots: usize,
    /// How long an ordered stop of everything may take before what is left is ended.
    pub shutdown_timeout: Duration,
    /// Slots for actions.
    pub parallel: usize,
    /// What happens to payloads that their schema does not allow.
    pub validation: Validation,
    /// What actions return is checked against their `output_schema`.
    pub validate_output: bool,
    /// What the journal kept of the sensors, by reference.
    pub memories: HashMap<String, SensorMemory>,
    /// Timers, by reference: up to when they are settled.
    pub timers: HashMap<String, Wall>,
    /// The datastore.
    pub kv: Vec<(Key, KvItem)>,
    /// Trigger types with what they had of events, ever.
    pub counts: Vec<Counted>,
    /// How long what is settled stays in the journal.
    pub retention: Retention,
    /// When this is.
    pub now: Wall,
    /// Highest number of an event so far.
    pub last_event: u64,
    /// Highest number of an execution so far.
    pub last_execution: u64,
    /// Executions that are owed.
    pub owed: Owed,
    /// Executions that were running when the last supervisor ended, and what was found of them.
    pub recovered: Vec<Recovered>,
    /// What the one before handed over, in an upgrade in place.
    pub handed: Option<Handed>,
}

/// Where the supervisor is in its own life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// At work.
    Running,
    /// Stopping in order; what is left at this time is ended.
    Stopping(Duration),
    /// Stopping at once.
    StoppingNow,
    /// All is at rest.
    Stopped,
}

/// What follows once a batch is on disk.
#[derive(Debug)]
pub(super) enum After {
    /// Answer a sensor's request.
    Answer {
        sensor: SensorIx,
        generation: u64,
        reply: Reply,
        result: Value,
    },
    /// Answer a sensor's request with an error.
    Refusal {
        sensor: SensorIx,
        generation: u64,
        reply: Reply,
        error: RpcError,
    },
    /// An event is accepted: answer it, show it.
    Event(Box<AcceptedEvent>),
    /// A piece of output is settled.
    Credit { sensor: SensorIx, generation: u64 },
    /// A claimed execution begins.
    Run(u64),
    /// The result of an execution is kept.
    Settled(u64),
    /// Tell people.
    Notice(Notice),
    /// Answer the API.
    Reply { ask: u64, answer: Value },
}

/// An event on its way to the disk.
#[derive(Debug)]
pub(super) struct AcceptedEvent {
    pub seq: u64,
    pub received: Wall,
    /// Who said it, in which start; none for an event of Petrel itself.
    pub sensor: Option<(SensorIx, u64)>,
    pub reply: Option<Reply>,
    pub executions: Vec<u64>,
    pub notices: Vec<Notice>,
    /// It has a row.
    pub kept: bool,
    /// Where its trigger type is counted.
    pub counted: usize,
}

/// The state of everything.
#[derive(Debug)]
pub struct Core {
    pub(super) catalog: Arc<Catalog>,
    pub(super) rules: Arc<RuleSet>,
    pub(super) cipher: Option<Arc<Cipher>>,
    pub(super) decrypt: Vec<String>,
    pub(super) validation: Validation,
    pub(super) validate_output: bool,
    pub(super) last_secret: u64,
    /// Time of the last record of a log.
    pub(super) last_log: Wall,
    pub(super) sensors: Vec<Slot>,
    /// Sensors by reference; those without one here are on their way out.
    pub(super) names: BTreeMap<String, SensorIx>,
    /// What is known of sensors that are not there.
    pub(super) forgotten: HashMap<String, SensorMemory>,
    pub(super) under_trial: HashMap<u64, Trial>,
    pub(super) trials: u64,
    /// When the first switch is over.
    pub(super) switch_expiry: Option<Wall>,
    pub(super) fleet: Fleet,
    pub(super) escalated: bool,
    /// Nothing is started: all is to come to rest, and to go on elsewhere.
    pub(super) holds: bool,
    /// Taken over from another one: its sensors are at work already.
    taken_over: bool,
    shutdown_timeout: Duration,
    pub(super) store: Datastore,
    pub(super) schedule: Schedule,
    pub(super) settled_timers: HashMap<String, Wall>,
    pub(super) executions: Executions,
    /// What led to what happens in this step: see [`Cause`](super::cause::Cause).
    pub(super) trail: Vec<String>,
    /// What of the usual course of things is shown.
    pub(super) hush: Hush,
    pub(super) phase: Phase,
    pub(super) journal_trouble: Option<String>,
    pub(super) keeper: Keeper,
    pub(super) tally: Tally,
    pub(super) last_event: u64,
    pub(super) last_execution: u64,
    pub(super) now: Now,
    pub(super) out: Vec<Effect>,
    pub(super) batch: Batch,
    /// How durable the events of this step are to be.
    pub(super) durability: Durability,
    pub(super) after: Vec<After>,
    /// The version of the datastore that intake has.
    shown_store: Option<u64>,
    pending: VecDeque<Pending>,
    last_commit: u64,
    pub(super) stats: Stats,
    /// When it began.
    pub(super) begun: Duration,
}

/// A batch that is not on disk yet.
#[derive(Debug)]
struct Pending {
    number: u64,
    after: Vec<After>,
    /// When it was given to the journal.
    since: Duration,
}

impl Core {
    /// A supervisor that has not begun.
    pub fn new(boot: Boot) -> Self {
        let specs: Vec<_> = boot.catalog.sensors.values().cloned().collect();
        let mut core = Self {
            catalog: boot.catalog,
            rules: boot.rules,
            cipher: boot.cipher,
            decrypt: boot.decrypt,
            validation: boot.validation,
            validate_output: boot.validate_output,
            last_secret: 0,
            last_log: Wall(0),
            shown_store: None,
            sensors: Vec::new(),
            names: BTreeMap::new(),
            forgotten: boot.memories,
            under_trial: HashMap::new(),
            trials: 0,
            switch_expiry: None,
            fleet: Fleet::new(boot.start_slots),
            escalated: false,
            holds: false,
            taken_over: boot.handed.is_some(),
            shutdown_timeout: boot.shutdown_timeout,
            store: Datastore::new(boot.kv),
            schedule: Schedule::default(),
            settled_timers: boot.timers,
            executions: Executions::new(boot.parallel, boot.owed, boot.recovered),
            trail: Vec::new(),
            hush: Hush::default(),
            phase: Phase::Running,
            journal_trouble: None,
            keeper: Keeper::new(boot.retention, boot.now),
            tally: Tally::new(boot.counts),
            last_event: boot.last_event,
            last_execution: boot.last_execution,
            now: Now::default(),
            out: Vec::new(),
            batch: Batch::default(),
            durability: Durability::Disk,
            after: Vec::new(),
            pending: VecDeque::new(),
            last_commit: 0,
            stats: Stats::default(),
            begun: Duration::ZERO,
        };
        match boot.handed {
            Some(handed) => core.resume(handed),
            None => core.add_slots(specs),
        }
        core.note_expiry();
        core
    }

    fn add_slots(&mut self, specs: Vec<Arc<Sensor>>) {
        for spec in specs {
            let memory = self.forgotten.remove(&spec.reference).unwrap_or_default();
            self.add_slot(spec, memory);
        }
    }

    /// A place for a sensor; its name leads here from now on.
    pub(super) fn add_slot(&mut self, spec: Arc<Sensor>, memory: SensorMemory) -> SensorIx {
        let sensor = SensorIx(self.sensors.len());
        self.names.insert(spec.reference.clone(), sensor);
        self.sensors.push(Slot::new(spec, memory));
        sensor
    }

    /// Takes one input; the effects are to be performed in order.
    pub fn step(&mut self, input: Input, now: Now) -> Vec<Effect> {
        self.now = now;
        self.take(input);
        self.try_parked_if_changed();
        self.start_waiting();
        self.claim();
        self.tell_hidden();
        self.show_store();
        self.count_alone();
        self.seal();
        self.tend();
        self.rest();
        std::mem::take(&mut self.out)
    }

    /// The place of a sensor.
    pub fn sensor_named(&self, reference: &str) -> Option<SensorIx> {
        self.names.get(reference).copied()
    }

    /// When [`Input::Timer`] is wanted.
    pub fn deadline(&self) -> Option<Duration> {
        let lives = match self.holds {
            true => self.fleet.first_due(),
            false => self.fleet.deadline(),
        };
        let whole = match self.phase {
            Phase::Stopping(until) => Some(until),
            _ => None,
        };
        let actions = self.executions.deadline();
        let hidden = self.hush.deadline();
        let counts = self.tally.deadline();
        let keeper = self.keeper.deadline().filter(|_| self.may_tend());
        lives
            .into_iter()
            .chain(actions)
            .chain(whole)
            .chain(hidden)
            .chain(counts)
            .chain(keeper)
            .min()
    }

    fn try_parked_if_changed(&mut self) {
        if self.shown_store != Some(self.store.version()) && self.phase == Phase::Running {
            self.try_parked();
        }
    }

    /// Intake judges by the datastore that it was shown last.
    fn show_store(&mut self) {
        let version = Some(self.store.version());
        if std::mem::replace(&mut self.shown_store, version) != version {
            self.out.push(Effect::Datastore(self.store.view()));
        }
    }

    /// When [`Input::Timer`] is wanted by the calendar: what depends on it follows the clock when
    /// that is set.
    pub fn alarm(&self) -> Option<Wall> {
        let timers = match self.timers_rest() {
            true => None,
            false => self.schedule.next(),
        };
        let due = self.executions.next_due().filter(|_| !self.holds);
        let all = timers.into_iter().chain(self.store.next_expiry());
        let keeper = self.keeper.alarm().filter(|_| self.may_tend());
        all.chain(due).chain(self.switch_expiry).chain(keeper).min()
    }

    /// Batches that are not on disk yet.
    pub(super) fn commits_under_way(&self) -> usize {
        self.pending.len()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Begin => self.begin(),
            Input::Spawned {
                sensor,
                generation,
                pid,
                interpreter,
            } => self.spawned(sensor, generation, pid, interpreter),
            Input::Executed { sensor, generation } => self.executed(sensor, generation),
            Input::Notified { sensor, generation } => {
                self.live(sensor, Event::Notified { generation });
            }
            Input::Isolated {
                sensor,
                generation,
                isolation,
            } => self.isolated(sensor, generation, *isolation),
            Input::Survived {
                sensor,
                generation,
                text,
            } => self.survived(sensor, generation, text),
            Input::Said {
                sensor,
                generation,
                said,
            } => self.said(sensor, generation, said),
            Input::Drained { sensor, generation } => self.drained(sensor, generation),
            Input::Logged {
                sensor,
                generation,
                lines,
            } => self.logged(sensor, generation, lines),
            Input::Ended {
                sensor,
                generation,
                end,
            } => self.ended(sensor, generation, *end),
            Input::News(news) => self.reload(None, *news),
            Input::Tried {
                sensor,
                spec,
                fault,
            } => self.tried(sensor, &spec, fault),
            Input::Measured {
                sensor,
                generation,
                rss,
            } => self.live(sensor, Event::Measured { generation, rss }),
            Input::Committed { upto, duplicates } => self.committed(upto, &duplicates),
            Input::Written {
                numbers,
                duplicates,
            } => self.written(&numbers, &duplicates),
            Input::Transaction(written) => self.stats.written(written),
            Input::Tended(tended) => self.tended(*tended),
            Input::JournalStuck(trouble) => self.journal_stuck(trouble),
            Input::Refilled {
                of,
                executions,
                all,
            } => self.refilled(&of, executions, all),
            Input::ActionEnded { execution, outcome } => self.action_ended(execution, outcome),
            Input::Ask { ask, question } => self.answer_api(ask, question),
            Input::Stop => self.stop(),
            Input::StopNow => self.stop_now(),
            Input::Timer => self.timer(),
        }
    }

    fn begin(&mut self) {
        self.begun = self.now.mono;
        self.settle_recovered();
        self.arm_timers();
        if self.taken_over {
            return;
        }
        for index in 0..self.sensors.len() {
            if self.sensors[index].is_enabled() {
                self.live(SensorIx(index), Event::Start);
            }
        }
    }

    pub(super) fn stop(&mut self) {
        if self.phase != Phase::Running {
            return self.stop_now();
        }
        self.phase = Phase::Stopping(self.now.mono + self.shutdown_timeout);
        self.open_dam();
        self.executions.close();
        self.each_sensor(Event::Stop);
    }

    fn stop_now(&mut self) {
        self.phase = Phase::StoppingNow;
        self.open_dam();
        self.executions.close();
        self.each_sensor(Event::StopNow);
        self.stop_actions(true);
    }

    fn timer(&mut self) {
        self.forgive_lag();
        self.forgive_dammed();
        for sensor in self.fleet.due(self.now.mono) {
            self.live(sensor, Event::Timer);
        }
        self.time_out_actions();
        self.thaw();
        self.batch.kv.extend(self.store.expire(self.now.wall));
        self.expire_switches();
        self.fire_timers();
        if let Phase::Stopping(until) = self.phase
            && self.now.mono >= until
        {
            self.phase = Phase::StoppingNow;
            self.each_sensor(Event::StopNow);
            self.stop_actions(false);
        }
    }

    fn each_sensor(&mut self, event: Event) {
        for index in 0..self.sensors.len() {
            self.live(SensorIx(index), event);
        }
    }

    /// Time in which we did not run, though something was due, says nothing of the sensors.
    fn forgive_lag(&mut self) {
        let due = self.deadline().unwrap_or(self.now.mono);
        let lag = self.now.mono.saturating_sub(due);
        if lag >= LAG {
            self.each_sensor(Event::Lag(lag));
        }
    }

    /// Starts those that wait, as far as there are slots.
    fn start_waiting(&mut self) {
        while self.phase == Phase::Running
            && !self.holds
            && let Some(sensor) = self.fleet.grant(self.now.mono)
        {
            self.live(sensor, Event::Slot);
        }
    }

    /// Closes the batch of this step, if there is anything to write or to follow.
    pub(super) fn seal(&mut self) {
        if self.batch.is_empty() && self.after.is_empty() {
            return;
        }
        let after = std::mem::take(&mut self.after);
        let durability = std::mem::take(&mut self.durability);
        let of_events = self.batch.is_of_events() && self.batch.counts.is_empty();
        self.batch.unsynced = durability != Durability::Disk && of_events;
        // What overtakes has none: older ones would come after them.
        if !self.batch.is_empty() && !self.batch.unsynced && self.batch.counts.is_empty() {
            self.batch.counts = self.tally.along(self.now.mono);
        }
        if self.batch.is_empty() {
            self.batch.passed = 0;
            // Nothing to write, but what was said before comes first.
            return match self.pending.back_mut() {
                Some(last) => last.after.extend(after),
                None => self.follow(after, self.now.mono, &[]),
            };
        }
        self.last_commit += 1;
        self.keeper.wrote(self.batch.bytes());
        let ends = |one: &ExecutionChange| matches!(one, ExecutionChange::Ended { .. });
        if self.batch.changes.iter().any(ends) {
            self.keeper.ended(self.now.wall);
        }
        self.pending.push_back(Pending {
            number: self.last_commit,
            after,
            since: self.now.mono,
        });
        self.out.push(Effect::Commit {
            number: self.last_commit,
            batch: std::mem::take(&mut self.batch),
        });
    }

    fn committed(&mut self, upto: u64, duplicates: &[Duplicate]) {
        while self.pending.front().is_some_and(|one| one.number <= upto) {
            let first = self.pending.pop_front().expect("it was just seen");
            self.follow(first.after, first.since, duplicates);
        }
    }

    /// What overtook others is done; its place stays until theirs are.
    fn written(&mut self, numbers: &[u64], duplicates: &[Duplicate]) {
        for number in numbers {
            let place = self
                .pending
                .binary_search_by_key(number, |batch| batch.number);
            if let Ok(place) = place {
                let batch = &mut self.pending[place];
                let (after, since) = (std::mem::take(&mut batch.after), batch.since);
                self.follow(after, since, duplicates);
            }
        }
    }

    /// What follows a batch that was given to the journal then.
    fn follow(&mut self, after: Vec<After>, since: Duration, duplicates: &[Duplicate]) {
        for after in after {
            match after {
                After::Answer {
                    sensor,
                    generation,
                    reply,
                    result,
                } => self.answer(sensor, generation, &reply, result),
                After::Refusal {
                    sensor,
                    generation,
                    reply,
                    error,
                } => self.answer_error(sensor, generation, &reply, error),
                After::Event(event) => {
                    self.stats.ack.took(self.now.mono.saturating_sub(since));
                    self.event_kept(*event, duplicates);
                }
                After::Credit { sensor, generation } => self.out.push(Effect::Credit {
                    sensor,
                    generation,
                    pieces: 1,
                }),
                After::Run(seq) => self.run(seq),
                After::Settled(seq) => self.out.push(Effect::Forget { execution: seq }),
                After::Notice(notice) => self.out.push(Effect::Notice(notice)),
                After::Reply { ask, answer } => self.out.push(Effect::Reply {
                    ask,
                    answer: Ok(answer),
                }),
            }
        }
    }

    /// An event is on disk, or was there before: then its executions are dropped and it is answered
    /// with the first one's identifier.
    fn event_kept(&mut self, event: AcceptedEvent, duplicates: &[Duplicate]) {
        let first = duplicates.iter().find(|known| known.event == event.seq);
        self.stats.kept(first.is_none());
        if let (None, Some((sensor, _))) = (first, event.sensor) {
            let slot = &mut self.sensors[sensor.0];
            slot.counters.events += 1;
            slot.last_event = Some(self.now.wall);
        }
        if first.is_some() {
            self.count_back(&event);
        }
        if first.is_some() {
            self.executions.drop_duplicates(&event.executions);
        } else {
            self.out
                .extend(event.notices.into_iter().map(Effect::Notice));
        }
        if let (Some((sensor, generation)), Some(reply)) = (event.sensor, &event.reply) {
            let id = || ids::format(ids::Kind::Event, event.received, event.seq);
            let result = match first {
                Some(known) => json!({"event": known.first, "duplicate": true}),
                None if !event.kept => unkept(),
                None => json!({"event": id()}),
            };
            self.answer(sensor, generation, reply, result);
        }
    }

    fn journal_stuck(&mut self, trouble: Option<String>) {
        let (level, text) = match &trouble {
            Some(why) => (
                Level::Error,
                format!("the journal cannot write: {why}; sensors wait until it can"),
            ),
            None => (Level::Warning, "the journal writes again".to_owned()),
        };
        self.journal_trouble = trouble;
        self.notify(Notice::new(level, "journal", "journal", text));
    }

    fn answer_api(&mut self, ask: u64, question: Ask) {
        match question {
            Ask::Kv(question) => self.ask_kv(ask, question),
            Ask::Reload(news) => self.reload(Some(ask), *news),
            Ask::Control(control) => self.ask_control(ask, &control),
            Ask::Run(wanted) => self.ask_run(ask, *wanted),
            Ask::Inject(injected) => self.ask_inject(ask, injected),
            Ask::Rejected(refusal) => self.ask_rejected(ask, refusal),
            Ask::Decide {
                execution,
                verdict,
                user,
            } => self.ask_decide(ask, execution, verdict, &user),
            Ask::Hide { execution, whole } => self.ask_hide(ask, execution, whole),
            Ask::Compact => self.ask_compact(ask),
            Ask::Cancel { execution, user } => self.ask_cancel(ask, execution, &user),
            Ask::By {
                execution,
                question,
            } => {
                self.trail = self.trail_of(execution);
                self.answer_api(ask, *question);
                self.trail.clear();
            }
        }
    }

    /// When everything is down and on disk, there is nothing left to do.
    fn rest(&mut self) {
        let leaving = matches!(self.phase, Phase::Stopping(_) | Phase::StoppingNow);
        let at_rest = self.sensors.iter().all(|slot| !slot.life.state.is_live())
            && self.sensors.iter().all(|slot| slot.undrained.is_empty())
            && self.executions.none_runs()
            && self.pending.is_empty()
            && self.tally.deadline().is_none();
        if leaving && at_rest {
            self.phase = Phase::Stopped;
            self.leave_trials();
            let escalated = self.escalated;
            self.out.push(Effect::Exit { escalated });
        }
    }

    pub(super) fn notify(&mut self, notice: Notice) {
        self.out.push(Effect::Notice(notice));
    }
}

/// The answer to an event that is counted, and has no row that an identifier could name.
pub(super) fn unkept() -> Value {
    json!({"event": null, "kept": false})
}
