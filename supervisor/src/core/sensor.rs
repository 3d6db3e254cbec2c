//! One sensor as the core knows it: its place in the catalog, its life, its memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use petrel_sdk::protocol::{FailKind, HelloResult, Limits, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::batches::Batches;
use super::clock::Wall;
use super::intake::Reply;
use super::isolation::Isolation;
use super::lifecycle::Lifecycle;
use super::rate::Bucket;
use super::recent::Recent;
use super::record::SensorMemory;
use super::reload::Next;
use crate::catalog::policy::{Watchdog, WatchdogMode};
use crate::catalog::{Catalog, Sensor};
use crate::rules::{self, RuleSet};

/// Index of a sensor, fixed while the supervisor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SensorIx(pub usize);

/// What a sensor did since the supervisor started.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Events that are on disk.
    pub events: u64,
    /// Events that were refused.
    pub rejected: u64,
    /// Lines that were neither payload nor message.
    pub noise: u64,
}

/// One sensor.
#[derive(Debug)]
pub struct Slot {
    /// From the catalog.
    pub spec: Arc<Sensor>,
    /// Its life.
    pub life: Lifecycle,
    /// What outlives the supervisor.
    pub memory: SensorMemory,
    /// The configuration with which it was started.
    pub config: Arc<Map<String, Value>>,
    /// Texts of it that no log may show.
    pub secrets: Vec<String>,
    /// Texts that it has from the datastore, which no log may show either.
    pub learnt: Vec<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// When the process was started.
    pub started: Option<Duration>,
    /// Moments of messages of late that could not be used, where they are counted.
    pub misuses: VecDeque<Duration>,
    /// It said `hello`: it may be written to.
    pub converses: bool,
    /// Where its rate is bounded, what it may still say now.
    pub bucket: Option<Bucket>,
    /// Starts of which a piece was taken and the next is not read yet, for the sensor is too fast.
    pub frozen: Vec<u64>,
    /// Starts of which a piece was taken and the next is not read yet, for its events have no room in
    /// the journal, and since when.
    pub dammed: (Vec<u64>, Duration),
    /// It takes `trigger.*`.
    pub hears_triggers: bool,
    /// It takes `config`.
    pub hears_config: bool,
    /// It takes `poll`.
    pub can_poll: bool,
    /// Its files are gone, or another slot has taken its place.
    pub retired: bool,
    /// What is to take its place once it was tried.
    pub next: Option<Next>,
    /// The slot whose sensor ends when this one is ready.
    pub replaces: Option<SensorIx>,
    /// Generations whose output is not yet read to its end.
    pub undrained: Vec<u64>,
    /// A `hello` that waits for an older generation to be read to its end.
    pub held_hello: Option<Reply>,
    /// Its last `fail` message.
    pub last_words: Option<String>,
    /// Of which kind that was.
    pub fail: Option<FailKind>,
    /// What it did of late; none where it did nothing.
    pub recent: Option<Box<Recent>>,
    /// What runs its program, where that is no program itself.
    pub interpreter: Option<String>,
    /// Its `status` line.
    pub status: Option<String>,
    /// How its last start is kept in.
    pub isolation: Option<Isolation>,
    /// Its processes that do not end.
    pub survivors: Option<String>,
    /// The last start that was told to write noise.
    pub noisy_generation: u64,
    /// Batches of messages that wait for answers.
    pub batches: Batches,
    /// What it did.
    pub counters: Counters,
    /// The last event.
    pub last_event: Option<Wall>,
}

impl Slot {
    /// A sensor that is down.
    pub fn new(spec: Arc<Sensor>, memory: SensorMemory) -> Self {
        Self {
            life: Lifecycle::new(memory.generation, seed(&spec.reference)),
            spec,
            memory,
            config: Arc::default(),
            secrets: Vec::new(),
            learnt: Vec::new(),
            pid: None,
            started: None,
            misuses: VecDeque::new(),
            converses: false,
            bucket: None,
            frozen: Vec::new(),
            dammed: (Vec::new(), Duration::ZERO),
            hears_triggers: false,
            hears_config: false,
            can_poll: false,
            retired: false,
            next: None,
            replaces: None,
            undrained: Vec::new(),
            held_hello: None,
            last_words: None,
            fail: None,
            recent: None,
            interpreter: None,
            status: None,
            isolation: None,
            survivors: None,
            noisy_generation: 0,
            batches: Batches::default(),
            counters: Counters::default(),
            last_event: None,
        }
    }

    /// Output of an older generation is still to come.
    pub fn has_older_output(&self) -> bool {
        self.undrained
            .iter()
            .any(|generation| *generation < self.life.generation)
    }

    /// The result of `hello`.
    pub fn greeting(&self, catalog: &Catalog, rules: &RuleSet) -> HelloResult {
        let spec = &self.spec;
        let state = self.memory.state.as_deref();
        HelloResult {
            protocol: petrel_sdk::protocol::PROTOCOL,
            sensor: spec.reference.clone(),
            instance: format!("{}/{}", spec.reference, self.life.generation),
            config: json!(*self.config),
            state: state
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or(Value::Null),
            triggers: triggers(catalog, rules, spec),
            poll_interval: spec.poll_interval.map(f64::from),
            heartbeat_interval: heartbeat(&spec.policy.watchdog),
            limits: Limits {
                line_bytes: spec.policy.limits.line_bytes,
                in_flight: spec.policy.limits.in_flight as usize,
            },
        }
    }
}

/// How often a sensor that announces `heartbeat` is to beat, seconds; 0 where nobody would look.
fn heartbeat(watchdog: &Watchdog) -> f64 {
    match watchdog.mode {
        WatchdogMode::Heartbeat => watchdog.interval.as_secs_f64(),
        WatchdogMode::Off => 0.0,
    }
}

/// From 0 to 1, another one for another sensor.
fn seed(reference: &str) -> f64 {
    let hash = blake3::hash(reference.as_bytes());
    f64::from(hash.as_bytes()[0]) / 255.0
}

/// The triggers of a sensor's types: one for each type without parameters (StackStorm's shadow
/// triggers), and one for each set of parameters that rules give to a type.
pub fn triggers(catalog: &Catalog, rules: &RuleSet, spec: &Sensor) -> Vec<Trigger> {
    let mut found = Vec::new();
    for reference in &spec.trigger_types {
        let kind = catalog.trigger_types.get(reference);
        let plain = kind.is_some_and(|kind| kind.parameters_schema == json!({}));
        if plain || rules.waits_for(reference) {
            found.push(told(&rules::Trigger::new(reference, Map::new())));
        }
        let own = rules
            .triggers()
            .filter(|one| one.trigger_type == *reference);
        found.extend(own.map(|one| told(one)));
    }
    found
}

/// A trigger as sensors hear of it.
pub fn told(trigger: &rules::Trigger) -> Trigger {
    Trigger {
        id: trigger.id.clone(),
        r#type: trigger.trigger_type.clone(),
        r#ref: trigger.reference.clone(),
        parameters: Value::Object(trigger.parameters.clone()),
    }
}
