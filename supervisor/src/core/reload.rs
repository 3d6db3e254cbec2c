//! New packs while everything runs: rules, actions, trigger types and configurations are swapped at
//! once. What was judged by the old rules and is not yet accepted is judged again.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_sdk::protocol::{Trigger, TriggerChange, Wire};
use serde_json::{Value, json};

use super::effect::Effect;
use super::sensor::{SensorIx, triggers};
use super::step::{After, Core};
use super::view;
use crate::catalog::Catalog;
use crate::rules::RuleSet;

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
        "sensors": difference(&old.sensors, &new.sensors, view::sensor_type),
        "triggers": difference(&old.trigger_types, &new.trigger_types, view::trigger_type),
        "rules": difference(&old.rules, &new.rules, view::rule),
        "actions": difference(&old.actions, &new.actions, view::action),
    })
}

impl Core {
    /// Takes new packs. The sensors stay those of the start; what changed of them is told and holds
    /// from the next start of the supervisor.
    pub(super) fn reload(&mut self, ask: u64, mut catalog: Catalog, rules: Arc<RuleSet>) {
        let answer = differences(&self.catalog, &catalog);
        catalog.sensors = self.catalog.sensors.clone();
        let before = self.all_triggers();
        self.catalog = Arc::new(catalog);
        self.rules = rules;
        self.tell_triggers(&before);
        self.settled_timers = self.schedule.known();
        self.arm_timers();
        let text = (self.rules.hash().to_owned(), self.rules.text());
        self.batch.rule_sets.push(text);
        self.out.push(Effect::Adopt {
            catalog: Arc::clone(&self.catalog),
            rules: Arc::clone(&self.rules),
        });
        self.try_parked();
        self.after.push(After::Reply { ask, answer });
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
            let (before, slot) = (&before[index], &self.sensors[index]);
            if !slot.hears_triggers {
                continue;
            }
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
