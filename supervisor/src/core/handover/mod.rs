//! What one supervisor hands over to the next in the same process, when it is upgraded in place.
//!
//! Only what the journal does not have, and only at a moment when nothing is in flight: every piece
//! of output is settled, every batch is on disk, whoever asked is answered ([`Core::is_settled`]).
//! Times are of the steady clock, whose origin is handed over, too. The next one has the sensors
//! under the same indexes. Members that a version does not know it ignores, those that it misses it
//! fills with defaults, so that neighbouring versions understand each other.

mod bytes;
mod lines;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use petrel_sdk::protocol::FailKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use bytes::Bytes;
pub use lines::{HandedIntake, HandedLine, HandedReader};

use super::batches::Batches;
use super::clock::Wall;
use super::executions::Running;
use super::intake::Reply;
use super::isolation::Isolation;
use super::lifecycle::{Lifecycle, State};
use super::logs::LogRecord;
use super::progress::Progress;
use super::recent::Recent;
use super::record::{Execution, SensorMemory};
use super::sensor::{Counters, SensorIx, Slot};
use super::step::{Core, Phase};
use super::tally::Counted;
use crate::catalog::policy::Policy;
use crate::catalog::{Catalog, Protocol, Reload, Sensor};

/// The core's part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Handed {
    /// In the order of their indexes.
    pub sensors: Vec<HandedSensor>,
    /// Those that run.
    pub executions: Vec<HandedExecution>,
    /// What trigger types had of events, where the journal does not know it yet.
    #[serde(default)]
    pub counts: Vec<Counted>,
}

/// A sensor as it is, whatever its files say by now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HandedSensor {
    /// Its reference.
    pub reference: String,
    made: Made,
    life: Lifecycle,
    /// As its files said when they were read last.
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    retired: bool,
    #[serde(default)]
    pid: Option<u32>,
    #[serde(default)]
    started: Option<Duration>,
    #[serde(default)]
    config: Arc<Map<String, Value>>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    misuses: VecDeque<Duration>,
    #[serde(default)]
    converses: bool,
    #[serde(default)]
    hears_triggers: bool,
    #[serde(default)]
    hears_config: bool,
    #[serde(default)]
    can_poll: bool,
    #[serde(default)]
    undrained: Vec<u64>,
    #[serde(default)]
    held_hello: Option<Reply>,
    #[serde(default)]
    last_words: Option<String>,
    #[serde(default)]
    fail: Option<FailKind>,
    #[serde(default)]
    learnt: Vec<String>,
    #[serde(default)]
    interpreter: Option<String>,
    /// The last of its log.
    #[serde(default)]
    log: Vec<Arc<LogRecord>>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    isolation: Option<Isolation>,
    #[serde(default)]
    survivors: Option<String>,
    #[serde(default)]
    noisy_generation: u64,
    #[serde(default)]
    batches: Batches,
    #[serde(default)]
    counters: Counters,
    #[serde(default)]
    last_event: Option<Wall>,
}

/// Of what its process was made; where the files say something else, it is to be replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Made {
    file_path: PathBuf,
    class_name: String,
    code: String,
    is_command: bool,
    poll_interval: Option<u32>,
    trigger_types: Vec<String>,
}

/// What is known of a running execution beside its row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HandedExecution {
    /// Its number.
    pub seq: u64,
    #[serde(default)]
    deadline: Option<Duration>,
    #[serde(default)]
    timed_out: Option<Duration>,
    #[serde(default)]
    canceled: Option<String>,
    #[serde(default)]
    has_slot: bool,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    limit: Duration,
    #[serde(default)]
    chain: Option<Progress>,
}

impl HandedExecution {
    pub(super) fn of(running: &Running) -> Self {
        Self {
            seq: running.execution.seq,
            deadline: running.deadline,
            timed_out: running.timed_out,
            canceled: running.canceled.clone(),
            has_slot: running.has_slot,
            secrets: running.secrets.clone(),
            limit: running.limit,
            chain: running.chain.clone(),
        }
    }

    pub(super) fn with(self, execution: Execution) -> Running {
        Running {
            execution,
            deadline: self.deadline,
            timed_out: self.timed_out,
            canceled: self.canceled,
            has_slot: self.has_slot,
            secrets: self.secrets,
            limit: self.limit,
            chain: self.chain,
        }
    }
}

impl HandedSensor {
    fn of(slot: &Slot) -> Self {
        let spec = &slot.spec;
        Self {
            reference: spec.reference.clone(),
            made: Made {
                file_path: spec.file_path.clone(),
                class_name: spec.class_name.clone(),
                code: spec.code.clone(),
                is_command: spec.is_command,
                poll_interval: spec.poll_interval,
                trigger_types: spec.trigger_types.clone(),
            },
            life: slot.life.clone(),
            enabled: Some(spec.enabled),
            retired: slot.retired,
            pid: slot.pid,
            started: slot.started,
            config: Arc::clone(&slot.config),
            secrets: slot.secrets.clone(),
            misuses: slot.misuses.clone(),
            converses: slot.converses,
            hears_triggers: slot.hears_triggers,
            hears_config: slot.hears_config,
            can_poll: slot.can_poll,
            undrained: slot.undrained.clone(),
            held_hello: slot.held_hello.clone(),
            last_words: slot.last_words.clone(),
            fail: slot.fail,
            learnt: slot.learnt.clone(),
            interpreter: slot.interpreter.clone(),
            log: slot
                .recent
                .as_ref()
                .map_or_else(Vec::new, |recent| recent.newest_log()),
            status: slot.status.clone(),
            isolation: slot.isolation.clone(),
            survivors: slot.survivors.clone(),
            noisy_generation: slot.noisy_generation,
            batches: slot.batches.clone(),
            counters: slot.counters,
            last_event: slot.last_event,
        }
    }

    fn slot(self, catalog: &Catalog, memory: SensorMemory) -> Slot {
        let mut spec = as_made(catalog, self.reference, self.made);
        spec.enabled = self.enabled.unwrap_or(spec.enabled);
        let recent = Recent::resumed(&spec.policy.limits.log, &self.log).map(Box::new);
        Slot {
            life: self.life,
            retired: self.retired,
            pid: self.pid,
            started: self.started,
            config: self.config,
            secrets: self.secrets,
            misuses: self.misuses,
            converses: self.converses,
            hears_triggers: self.hears_triggers,
            hears_config: self.hears_config,
            can_poll: self.can_poll,
            undrained: self.undrained,
            held_hello: self.held_hello,
            last_words: self.last_words,
            fail: self.fail,
            learnt: self.learnt,
            interpreter: self.interpreter,
            recent,
            status: self.status,
            isolation: self.isolation,
            survivors: self.survivors,
            noisy_generation: self.noisy_generation,
            batches: self.batches,
            counters: self.counters,
            last_event: self.last_event,
            ..Slot::new(Arc::new(spec), memory)
        }
    }
}

/// What the files say, but for that of which the process was made: the reload that follows sees the
/// difference, and a sensor whose files are gone is retired by it.
fn as_made(catalog: &Catalog, reference: String, made: Made) -> Sensor {
    let known = catalog.sensors.get(&reference);
    let pack = reference.split('.').next().unwrap_or_default().to_owned();
    let spec = known.map_or_else(
        || Sensor {
            reference,
            pack,
            class_name: String::new(),
            description: String::new(),
            enabled: true,
            enabled_source: None,
            file_path: PathBuf::new(),
            poll_interval: None,
            trigger_types: Vec::new(),
            is_command: false,
            protocol: Protocol::Auto,
            reload: Reload::Restart,
            code: String::new(),
            instance: None,
            policy: Policy::default(),
            policy_sources: BTreeMap::new(),
            metadata_file: String::new(),
        },
        |known| Sensor::clone(known),
    );
    Sensor {
        file_path: made.file_path,
        class_name: made.class_name,
        code: made.code,
        is_command: made.is_command,
        poll_interval: made.poll_interval,
        trigger_types: made.trigger_types,
        ..spec
    }
}

impl Core {
    /// Nothing is started from now on, until it is taken back; what runs goes on.
    pub fn hold(&mut self, holds: bool) {
        self.holds = holds;
        self.open_dam();
        // What is not read for being too fast would never come to rest.
        self.fleet.unfreeze(self.now.mono);
    }

    /// Why it cannot be handed over whatever else comes to rest; none where it can.
    pub fn why_not(&self) -> Option<&'static str> {
        if self.phase != Phase::Running {
            return Some("petrel is stopping");
        }
        self.journal_trouble
            .is_some()
            .then_some("the journal cannot write")
    }

    /// All is on disk, all is answered, no sensor is tried or about to be replaced.
    pub fn is_settled(&self) -> bool {
        self.commits_under_way() == 0
            && self.under_trial.is_empty()
            && self.keeper.is_idle()
            && self.sensors.iter().all(|slot| slot.replaces.is_none())
    }

    /// What the next one needs to know.
    pub fn hand_over(&self) -> Handed {
        let running = self.executions.running.values();
        Handed {
            sensors: self.sensors.iter().map(HandedSensor::of).collect(),
            executions: running.map(HandedExecution::of).collect(),
            counts: self.tally.unwritten(),
        }
    }

    /// The sensors of the one before.
    pub(super) fn resume(&mut self, handed: Handed) {
        self.tally.resume(handed.counts);
        for (index, one) in handed.sensors.into_iter().enumerate() {
            let memory = match one.retired {
                true => {
                    let own = self.forgotten.get(&one.reference);
                    own.filter(|memory| memory.generation == one.life.generation)
                        .cloned()
                }
                false => self.forgotten.remove(&one.reference),
            };
            let memory = memory.unwrap_or_default();
            let slot = one.slot(&self.catalog, memory);
            if !slot.retired {
                let reference = slot.spec.reference.clone();
                self.names.insert(reference, SensorIx(index));
            }
            self.sensors.push(slot);
        }
        let mut order: Vec<_> = (0..self.sensors.len()).collect();
        order.sort_by_key(|index| self.sensors[*index].started);
        for index in order {
            let slot = &self.sensors[index];
            let now = (slot.life.state, slot.life.deadline(&slot.spec.policy));
            let since = slot.started.unwrap_or_default();
            self.fleet
                .moved(SensorIx(index), (State::Down, None), now, since);
        }
    }
}
