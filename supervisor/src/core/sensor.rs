//! One sensor as the core knows it: its place in the catalog, its life, its memory.

use std::sync::Arc;
use std::time::Duration;

use petrel_sdk::protocol::{HelloResult, Limits, Trigger};
use serde_json::{Map, Value, json};

use super::batches::Batches;
use super::clock::Wall;
use super::intake::Reply;
use super::lifecycle::Lifecycle;
use super::record::SensorMemory;
use crate::catalog::{Catalog, Sensor};
use crate::rules::{self, RuleSet};

/// Index of a sensor, fixed while the supervisor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SensorIx(pub usize);

/// What a sensor did since the supervisor started.
#[derive(Clone, Copy, Debug, Default)]
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
    /// Its process.
    pub pid: Option<u32>,
    /// When the process was started.
    pub started: Option<Duration>,
    /// It said `hello`: it may be written to.
    pub converses: bool,
    /// It takes `trigger.*`.
    pub hears_triggers: bool,
    /// Generations whose output is not yet read to its end.
    pub undrained: Vec<u64>,
    /// A `hello` that waits for an older generation to be read to its end.
    pub held_hello: Option<Reply>,
    /// Its last `fail` message.
    pub last_words: Option<String>,
    /// Its `status` line.
    pub status: Option<String>,
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
            spec,
            life: Lifecycle::new(memory.generation),
            memory,
            config: Arc::default(),
            secrets: Vec::new(),
            pid: None,
            started: None,
            converses: false,
            hears_triggers: false,
            undrained: Vec::new(),
            held_hello: None,
            last_words: None,
            status: None,
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
            heartbeat_interval: HEARTBEAT_S,
            limits: Limits {
                line_bytes: spec.policy.limits.line_bytes,
                in_flight: spec.policy.limits.in_flight as usize,
            },
        }
    }
}

/// How often a sensor that announces `heartbeat` is to beat, seconds.
const HEARTBEAT_S: f64 = 10.0;

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
