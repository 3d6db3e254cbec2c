//! What a sensor is kept from here, and what of that could not be had: told by the world, shown to
//! people.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::notice::{Level, Notice};
use super::sensor::{SensorIx, Slot};
use super::step::Core;

/// What could not be had on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    /// What, by the word of `sandbox.require`.
    pub feature: String,
    /// Why.
    pub why: String,
}

/// How a start of a sensor is kept in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// How its processes are held together.
    pub tree: Cow<'static, str>,
    /// The user that it becomes.
    pub user: Option<u32>,
    /// What could not be had.
    pub degraded: Vec<Degraded>,
}

impl Core {
    /// A start is kept in like this.
    pub(super) fn isolated(&mut self, sensor: SensorIx, generation: u64, isolation: Isolation) {
        let slot = &mut self.sensors[sensor.0];
        if slot.life.generation != generation {
            return;
        }
        let before = slot.isolation.replace(isolation);
        let now = slot.isolation.clone().unwrap_or_default();
        // Once, not at each start.
        let known = before.is_some_and(|before| before.degraded == now.degraded);
        if now.degraded.is_empty() || known {
            return;
        }
        let all = now.degraded.iter();
        let all: Vec<String> = all.map(|d| format!("{}: {}", d.feature, d.why)).collect();
        let text = format!("degraded: {}", all.join("; "));
        let reference = slot.spec.reference.clone();
        self.notify(Notice::new(
            Level::Warning,
            "sensor.degraded",
            reference,
            text,
        ));
    }

    /// Processes of a start do not end although they were killed.
    pub(super) fn survived(&mut self, sensor: SensorIx, generation: u64, text: String) {
        let slot = &mut self.sensors[sensor.0];
        if slot.life.generation != generation {
            return;
        }
        slot.survivors = Some(text.clone());
        let reference = slot.spec.reference.clone();
        self.notify(Notice::new(
            Level::Error,
            "sensor.survivors",
            reference,
            text,
        ));
    }
}

/// For `sensor show`.
pub(super) fn view(slot: &Slot) -> Value {
    let Some(isolation) = &slot.isolation else {
        return Value::Null;
    };
    let degraded = isolation.degraded.iter();
    let degraded: Vec<Value> = degraded
        .map(|one| json!({"feature": one.feature, "why": one.why}))
        .collect();
    json!({"tree": isolation.tree, "user": isolation.user, "degraded": degraded})
}
