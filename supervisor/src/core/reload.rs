//! New packs while everything runs: rules, actions, trigger types and configurations are swapped at
//! once, and what was judged by the old rules and is not yet accepted is judged again.
//!
//! A sensor that changed is first tried ([`Effect::Preflight`]): only when its new code can be
//! loaded does the new one take the place of the old one. What did not change is not touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_sdk::protocol::{Trigger, TriggerChange, Wire};
use serde_json::{Map, Value, json};

use super::effect::Effect;
use super::lifecycle::{Desired, Event, State};
use super::notice::{Level, Notice};
use super::sensor::{SensorIx, Slot, triggers};
use super::step::{After, Core};
use super::view;
use crate::catalog::{Catalog, Reload, Sensor};
use crate::config::Retention;
use crate::rules::RuleSet;

/// Number of the one request that we make of a sensor; its answer says nothing that we need.
const CONFIG_REQUEST: u64 = 1;

/// New packs.
#[derive(Clone, Debug)]
pub struct News {
    /// The packs.
    pub catalog: Catalog,
    /// Their rules.
    pub rules: Arc<RuleSet>,
    /// How long what is settled stays in the journal.
    pub retention: Retention,
    /// What could not be taken, and stays as it was: the pack, or petrel.yaml, and why.
    pub kept: BTreeMap<String, String>,
}

/// A reload that waits for sensors to be tried.
#[derive(Debug)]
pub(super) struct Trial {
    /// Who wants to know, if anybody.
    ask: Option<u64>,
    answer: Value,
    waiting: usize,
}

/// What is to take the place of a sensor.
#[derive(Clone, Debug)]
pub struct Next {
    /// The sensor.
    pub spec: Arc<Sensor>,
    /// Number of the reload that brought it.
    pub(super) trial: u64,
}

/// What differs between two versions of a kind of thing, by reference.
fn difference<T>(
    old: &BTreeMap<String, Arc<T>>,
    new: &BTreeMap<String, Arc<T>>,
    version: impl Fn(&T) -> Value,
) -> Value {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    let removed = old.keys().filter(|name| !new.contains_key(*name));
    let changed = new.iter().filter(|(name, one)| {
        let before = old.get(*name);
        before.is_some_and(|before| version(before) != version(one))
    });
    json!({
        "added": added.collect::<Vec<_>>(),
        "removed": removed.collect::<Vec<_>>(),
        "changed": changed.map(|(name, _)| name).collect::<Vec<_>>(),
    })
}

fn differences(old: &Catalog, new: &Catalog) -> Value {
    json!({
        "packs": difference(&old.packs, &new.packs, |one| json!([view::pack(one), one.written_config])),
        "sensors": difference(&old.sensors, &new.sensors, sensor_version),
        "triggers": difference(&old.trigger_types, &new.trigger_types, view::trigger_type),
        "rules": difference(&old.rules, &new.rules, view::rule),
        "actions": difference(&old.actions, &new.actions, view::action),
    })
}

fn sensor_version(sensor: &Sensor) -> Value {
    let own = sensor.instance.as_ref();
    json!([
        view::sensor_type(sensor),
        sensor.code,
        crate::catalog::knobs::shown(&sensor.policy),
        own.map(|one| &one.pack.written_config),
    ])
}

/// In a line each what came, went and changed; nothing where nothing did.
fn words(answer: &Value) -> Vec<String> {
    let kinds = answer.as_object().into_iter().flatten();
    let all = kinds.flat_map(|(kind, what)| {
        let words = what.as_object().into_iter().flatten();
        words.filter_map(move |(word, names)| {
            let names: Vec<_> = names.as_array()?.iter().filter_map(Value::as_str).collect();
            (!names.is_empty()).then(|| format!("{kind} {word}: {}", names.join(", ")))
        })
    });
    all.collect()
}

impl Core {
    /// Takes new packs. `ask` is answered when every changed sensor has been tried.
    pub(super) fn reload(&mut self, ask: Option<u64>, news: News) {
        let mut answer = differences(&self.catalog, &news.catalog);
        answer["kept"] = json!(news.kept);
        let before = self.all_triggers();
        self.keeper.set(news.retention, self.now.wall);
        self.catalog = Arc::new(news.catalog);
        self.rules = news.rules;
        self.executions.queue.look_again();
        self.settled_timers = self.schedule.known();
        self.arm_timers();
        let text = (self.rules.hash().to_owned(), self.rules.text());
        self.batch.rule_sets.push(text);
        self.tell_of_reload(&answer);
        self.trials += 1;
        let trial = self.trials;
        let waiting = self.take_sensors(trial);
        self.tell_triggers(&before);
        self.adopt();
        self.try_parked();
        let trial_of = Trial {
            ask,
            answer,
            waiting,
        };
        self.under_trial.insert(trial, trial_of);
        // Earlier ones too: what they waited for may be tried on behalf of this one now.
        let all: Vec<_> = self.under_trial.keys().copied().collect();
        all.into_iter().for_each(|number| self.conclude(number));
    }

    fn tell_of_reload(&mut self, answer: &Value) {
        let words = words(answer);
        if !words.is_empty() {
            let text = format!("taken while all runs\n    | {}", words.join("\n    | "));
            self.notify(Notice::new(Level::Info, "reload", "", text));
        }
    }

    /// By what intake judges from now on.
    fn adopt(&mut self) {
        self.out.push(Effect::Adopt {
            catalog: Arc::clone(&self.catalog),
            rules: Arc::clone(&self.rules),
            sensors: self.specs(),
        });
    }

    /// What each sensor is, by its index.
    pub fn specs(&self) -> Vec<Arc<Sensor>> {
        let slots = self.sensors.iter();
        slots.map(|slot| Arc::clone(&slot.spec)).collect()
    }

    /// Brings the sensors to what the catalog says; how many are to be tried first.
    fn take_sensors(&mut self, trial: u64) -> usize {
        let gone: Vec<_> = self
            .names
            .iter()
            .filter(|(name, _)| !self.catalog.sensors.contains_key(*name))
            .map(|(_, sensor)| *sensor)
            .collect();
        for sensor in gone {
            self.retire(sensor);
        }
        let specs: Vec<_> = self.catalog.sensors.values().cloned().collect();
        let tried = specs
            .into_iter()
            .filter(|spec| self.take_sensor(spec, trial));
        let tried: Vec<_> = tried.collect();
        tried.len()
    }

    /// True where it is tried first.
    fn take_sensor(&mut self, spec: &Arc<Sensor>, trial: u64) -> bool {
        let is_back = !self.names.contains_key(&spec.reference);
        let Some(sensor) = self.found_or_revived(&spec.reference) else {
            let memory = self.forgotten.remove(&spec.reference).unwrap_or_default();
            let sensor = self.add_slot(Arc::clone(spec), memory);
            self.follow_enabled(sensor);
            return false;
        };
        let slot = &mut self.sensors[sensor.0];
        slot.next = None;
        let same = slot.spec.runs_like(spec);
        let (was_enabled, is_enabled) = (slot.is_enabled(), slot.is_enabled_as(spec));
        if slot.life.state.is_up() && !same && is_enabled {
            slot.next = Some(Next {
                spec: Arc::clone(spec),
                trial,
            });
            self.preflight(sensor, spec);
            return true;
        }
        self.swap(sensor, Arc::clone(spec));
        if !same {
            self.try_again(sensor);
        }
        self.follow_config(sensor);
        // Who was stopped by hand is not started by files that say nothing new of that.
        if is_back || was_enabled != is_enabled {
            self.follow_enabled(sensor);
        }
        false
    }

    /// The slot of a sensor; one that is on its way out for want of its files is called back, so that
    /// there are never two processes of it.
    fn found_or_revived(&mut self, reference: &str) -> Option<SensorIx> {
        if let Some(&sensor) = self.names.get(reference) {
            return Some(sensor);
        }
        // One that another had replaced is not it: its numbers of starts were used since.
        let last = self.forgotten.get(reference);
        let last = last.map_or(0, |memory| memory.generation);
        let leaving = |slot: &Slot| {
            slot.retired
                && slot.spec.reference == reference
                && slot.life.state.is_live()
                && slot.life.generation >= last
        };
        let sensor = SensorIx(self.sensors.iter().position(leaving)?);
        self.sensors[sensor.0].retired = false;
        self.forgotten.remove(reference);
        self.names.insert(reference.to_owned(), sensor);
        Some(sensor)
    }

    fn preflight(&mut self, sensor: SensorIx, spec: &Arc<Sensor>) {
        let effect = Effect::Preflight {
            sensor,
            spec: Arc::clone(spec),
            config: self.config_of(spec).map(Arc::new),
        };
        self.out.push(effect);
    }

    /// A sensor was tried: it takes its place, or the old one goes on.
    pub(super) fn tried(&mut self, sensor: SensorIx, spec: &Arc<Sensor>, fault: Option<String>) {
        let slot = &mut self.sensors[sensor.0];
        let is_awaited = |next: &mut Next| Arc::ptr_eq(&next.spec, spec);
        let Some(next) = slot.next.take_if(is_awaited) else {
            // Another change came in between; who waited for this one waits for that one.
            return;
        };
        let reference = slot.spec.reference.clone();
        match &fault {
            Some(why) => {
                let text = format!("the change is not taken, the old one goes on\n    | {why}");
                let notice = Notice::new(Level::Error, "sensor.refused", &reference, text);
                self.notify(notice.pid(self.sensors[sensor.0].pid));
            }
            None => self.replace(sensor, next.spec),
        }
        if let Some(trial) = self.under_trial.get_mut(&next.trial) {
            trial.waiting -= 1;
            if let Some(why) = fault {
                trial.answer["refused"][&reference] = json!(why);
            }
            self.conclude(next.trial);
        }
    }

    fn conclude(&mut self, number: u64) {
        let awaited = |slot: &Slot| slot.next.as_ref().is_some_and(|next| next.trial == number);
        let is_over = |trial: &mut Trial| trial.waiting == 0;
        let over = match self.under_trial.get_mut(&number) {
            // A later reload may have taken over what was to be tried.
            Some(trial) => is_over(trial) || !self.sensors.iter().any(awaited),
            None => false,
        };
        if over
            && let Some(trial) = self.under_trial.remove(&number)
            && let Some(ask) = trial.ask
        {
            let answer = trial.answer;
            self.after.push(After::Reply { ask, answer });
        }
    }

    /// Who waits for sensors to be tried when all is at rest learns that they will not be.
    pub(super) fn leave_trials(&mut self) {
        let trials = std::mem::take(&mut self.under_trial);
        for ask in trials.into_values().filter_map(|trial| trial.ask) {
            let why = "petrel stopped before every changed sensor was tried";
            let answer = Err(why.to_owned());
            self.out.push(Effect::Reply { ask, answer });
        }
    }

    fn replace(&mut self, sensor: SensorIx, spec: Arc<Sensor>) {
        // It may have been stopped, paused or disabled while the new one was tried.
        let slot = &self.sensors[sensor.0];
        let (was_enabled, is_enabled) = (slot.is_enabled(), slot.is_enabled_as(&spec));
        let works = slot.life.desired == Desired::Up && slot.life.state.is_up();
        match spec.reload {
            Reload::Overlap if works && is_enabled => self.overlap(sensor, spec),
            Reload::Overlap | Reload::Restart => {
                self.swap(sensor, spec);
                self.live(sensor, Event::Renew);
                if was_enabled != is_enabled {
                    self.follow_enabled(sensor);
                }
            }
        }
        self.adopt();
    }

    /// The new one starts beside the old one, which ends when the new one is ready.
    fn overlap(&mut self, old: SensorIx, spec: Arc<Sensor>) {
        let slot = &mut self.sensors[old.0];
        slot.retired = true;
        let memory = slot.memory.clone();
        // One that was not ready yet has nothing to go on with: what it was to replace does.
        let working = slot.replaces.take();
        let new = self.add_slot(spec, memory);
        self.sensors[new.0].replaces = Some(working.unwrap_or(old));
        if working.is_some() {
            self.live(old, Event::Stop);
        }
        // Before it is started: what it says is read by what it is.
        self.adopt();
        self.live(new, Event::Start);
    }

    /// The one that a sensor replaces ends once the new one is ready.
    pub(super) fn end_replaced(&mut self, sensor: SensorIx) {
        if let Some(old) = self.sensors[sensor.0].replaces.take() {
            self.live(old, Event::Stop);
        }
    }

    /// From now on the slot is of this sensor; its process is another matter.
    fn swap(&mut self, sensor: SensorIx, spec: Arc<Sensor>) {
        let slot = &mut self.sensors[sensor.0];
        let before = (slot.life.state, slot.life.deadline(&slot.spec.policy));
        slot.spec = spec;
        let after = (slot.life.state, slot.life.deadline(&slot.spec.policy));
        self.fleet.moved(sensor, before, after, self.now.mono);
    }

    /// What failed before may go well now.
    fn try_again(&mut self, sensor: SensorIx) {
        let slot = &self.sensors[sensor.0];
        let waits = matches!(
            slot.life.state,
            State::Parked(_) | State::Backoff { .. } | State::Cooldown { .. } | State::Completed
        );
        if waits && slot.life.desired == Desired::Up && slot.is_enabled() {
            self.live(sensor, Event::Start);
        }
    }

    /// A running sensor with another configuration is told of it, or started again with it.
    fn follow_config(&mut self, sensor: SensorIx) {
        let slot = &self.sensors[sensor.0];
        if !slot.life.state.is_up() {
            return;
        }
        let spec = Arc::clone(&slot.spec);
        let Ok(config) = self.config_of(&spec) else {
            // It is told when it is started; the running one has a good one.
            return;
        };
        let slot = &mut self.sensors[sensor.0];
        if config == *slot.config {
            return;
        }
        if !slot.hears_config {
            return self.live(sensor, Event::Renew);
        }
        let changed = changed_paths(&slot.config, &config);
        let pack = self.pack_of(&spec);
        let secrets = super::seal::of_config(pack.as_ref(), &config);
        let slot = &mut self.sensors[sensor.0];
        slot.secrets.extend(secrets);
        slot.config = Arc::new(config);
        let config = json!(*slot.config);
        let generation = slot.life.generation;
        let line = Wire::config(CONFIG_REQUEST, &config, &changed).to_line();
        self.tell(sensor, generation, line);
    }

    /// Its files are gone: it ends, and what is known of it stays for the day that they come back.
    fn retire(&mut self, sensor: SensorIx) {
        let slot = &mut self.sensors[sensor.0];
        slot.retired = true;
        slot.next = None;
        let reference = slot.spec.reference.clone();
        self.forgotten
            .insert(reference.clone(), slot.memory.clone());
        self.names.remove(&reference);
        self.live(sensor, Event::Stop);
        let notice = Notice::new(
            Level::Info,
            "sensor.removed",
            reference,
            "its files are gone",
        );
        self.notify(notice);
    }

    fn all_triggers(&self) -> Vec<Vec<Trigger>> {
        let slots = self.sensors.iter();
        slots
            .map(|slot| triggers(&self.catalog, &self.rules, &slot.spec))
            .collect()
    }

    /// To the sensors that asked for it: triggers that rules do not wait for any more, and new ones.
    fn tell_triggers(&mut self, before: &[Vec<Trigger>]) {
        for (index, after) in self.all_triggers().into_iter().enumerate() {
            let slot = &self.sensors[index];
            let Some(before) = before.get(index).filter(|_| slot.hears_triggers) else {
                continue;
            };
            let generation = slot.life.generation;
            let gone = before.iter().filter(|one| !after.contains(one));
            let new = after.iter().filter(|one| !before.contains(one));
            let changes = gone.map(|one| (TriggerChange::Removed, one));
            for (change, trigger) in changes.chain(new.map(|one| (TriggerChange::Added, one))) {
                let line = Wire::trigger(change, trigger).to_line();
                self.tell(SensorIx(index), generation, line);
            }
        }
    }
}

/// Dotted paths at which two configurations differ.
fn changed_paths(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    let names = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(*name)));
    for name in names {
        match (old.get(name), new.get(name)) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                let inner = changed_paths(old, new);
                found.extend(inner.into_iter().map(|path| format!("{name}.{path}")));
            }
            (old, new) if old != new => found.push(name.clone()),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_configuration_that_differ() {
        let map = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let old = map(r#"{"a": 1, "b": {"c": 1, "d": [1]}, "gone": true}"#);
        let new = map(r#"{"a": 1, "b": {"c": 2, "d": [1, 2]}, "new": null}"#);
        assert_eq!(changed_paths(&old, &new), ["b.c", "b.d", "gone", "new"]);
        assert!(changed_paths(&old, &old).is_empty());
    }
}
