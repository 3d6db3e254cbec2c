//! What people do to sensors: start, stop, restart, pause, resume, poll, enable, disable.

use globset::{Glob, GlobMatcher};
use petrel_sdk::protocol::{PollReason, Wire};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::clock::Wall;
use super::effect::Effect;
use super::input::{Control, Verb};
use super::lifecycle::{Desired, Event, State};
use super::notice::{Level, Notice};
use super::sensor::{SensorIx, Slot};
use super::step::{After, Core};
use crate::catalog::Sensor;
use crate::catalog::diagnostics::did_you_mean;

/// What somebody switched at run time: it goes above the files until it is over or taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// It is to run.
    pub enabled: bool,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub by: String,
    /// Since when.
    pub at: Wall,
    /// Until when; for ever where there is none.
    pub until: Option<Wall>,
}

impl Switch {
    /// As users see it.
    pub fn view(&self) -> Value {
        json!({
            "enabled": self.enabled,
            "reason": self.reason,
            "by": self.by,
            "at": self.at.rfc3339(),
            "until": self.until.map(Wall::rfc3339),
        })
    }

    fn words(&self) -> String {
        let what = if self.enabled { "enabled" } else { "disabled" };
        let until = self.until.map(|at| format!(" until {}", at.rfc3339()));
        let reason = self.reason.as_ref().map(|why| format!(": {why}"));
        let (until, reason) = (until.unwrap_or_default(), reason.unwrap_or_default());
        format!("{what} by {}{until}{reason}", self.by)
    }
}

impl Slot {
    /// It is to run by itself: by what was switched, else by the files.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled_as(&self.spec)
    }

    /// The same, if its files said this.
    pub fn is_enabled_as(&self, spec: &Sensor) -> bool {
        let switched = self.memory.switch.as_ref().map(|switch| switch.enabled);
        switched.unwrap_or(spec.enabled)
    }
}

impl Core {
    pub(super) fn ask_control(&mut self, ask: u64, control: &Control) {
        let found = match self.named(&control.sensors) {
            Ok(found) => found,
            Err(why) => {
                let answer = Err(why);
                return self.out.push(Effect::Reply { ask, answer });
            }
        };
        let done: Vec<Value> = found
            .into_iter()
            .map(|sensor| self.control(sensor, control))
            .collect();
        let answer = json!(done);
        self.after.push(After::Reply { ask, answer });
    }

    /// The sensors that these references and globs name.
    fn named(&self, names: &[String]) -> Result<Vec<SensorIx>, String> {
        let mut found = Vec::new();
        for name in names {
            let glob = matcher(name)?;
            let known = self.names.iter();
            let matching = known.filter(|(reference, _)| glob.is_match(reference));
            let matching: Vec<_> = matching.map(|(_, sensor)| *sensor).collect();
            if matching.is_empty() {
                let near = did_you_mean(name, self.names.keys().map(String::as_str));
                let near = near.map_or_else(String::new, |near| format!("; {near}"));
                return Err(format!("Sensor \"{name}\" is not found{near}"));
            }
            found.extend(matching);
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn control(&mut self, sensor: SensorIx, control: &Control) -> Value {
        let before = self.sensors[sensor.0].shown_state();
        let refused = match control.verb {
            Verb::Start => self.start_by_hand(sensor, Event::Start),
            Verb::Restart => self.start_by_hand(sensor, Event::Restart),
            Verb::Resume => self.start_by_hand(sensor, Event::Resume),
            Verb::Stop => self.lived(sensor, Event::Stop),
            Verb::Pause => self.pause_by_hand(sensor),
            Verb::Poll => self.poll_by_hand(sensor),
            Verb::Enable => self.switch(sensor, true, control),
            Verb::Disable => self.switch(sensor, false, control),
        };
        let slot = &self.sensors[sensor.0];
        json!({
            "ref": slot.spec.reference,
            "before": before,
            "state": slot.shown_state(),
            "refused": refused,
        })
    }

    fn lived(&mut self, sensor: SensorIx, event: Event) -> Option<String> {
        self.live(sensor, event);
        None
    }

    /// Whoever starts what is disabled is told how to mean it.
    fn start_by_hand(&mut self, sensor: SensorIx, event: Event) -> Option<String> {
        let slot = &self.sensors[sensor.0];
        if !slot.is_enabled() {
            let reference = &slot.spec.reference;
            return Some(format!(
                "it is disabled: `petrel sensor enable {reference}` enables and starts it"
            ));
        }
        self.lived(sensor, event)
    }

    /// What is disabled is down, and is shown as that.
    fn pause_by_hand(&mut self, sensor: SensorIx) -> Option<String> {
        match self.sensors[sensor.0].is_enabled() {
            true => self.lived(sensor, Event::Pause),
            false => Some("it is disabled".to_owned()),
        }
    }

    fn poll_by_hand(&mut self, sensor: SensorIx) -> Option<String> {
        let slot = &self.sensors[sensor.0];
        if !slot.life.state.is_up() {
            return Some(format!("it is {}", slot.shown_state()));
        }
        if !slot.can_poll {
            return Some("it does not say that it can be told to poll".to_owned());
        }
        let generation = slot.life.generation;
        let line = Wire::poll(PollReason::Manual).to_line();
        self.tell(sensor, generation, line);
        None
    }

    fn switch(&mut self, sensor: SensorIx, enabled: bool, control: &Control) -> Option<String> {
        let time = control.for_seconds.and_then(super::intake::seconds);
        let until = time.map(|time| self.now.wall.after(time));
        let slot = &mut self.sensors[sensor.0];
        // Back to what the files say, without a date: nothing is left to be kept.
        let plain = enabled == slot.spec.enabled && until.is_none() && control.reason.is_none();
        slot.memory.switch = (!plain).then(|| Switch {
            enabled,
            reason: control.reason.clone(),
            by: control.user.clone().unwrap_or_else(|| "petrel".into()),
            at: self.now.wall,
            until,
        });
        let words = match &slot.memory.switch {
            Some(switch) => switch.words(),
            None => "as its files say again".to_owned(),
        };
        self.tell_of_switch(sensor, words);
        self.follow_enabled(sensor);
        None
    }

    fn tell_of_switch(&mut self, sensor: SensorIx, words: String) {
        self.remember(sensor);
        self.note_expiry();
        let reference = self.sensors[sensor.0].spec.reference.clone();
        let notice = Notice::new(Level::Info, "sensor.switched", reference, words);
        self.after.push(After::Notice(notice));
    }

    /// Starts or stops a sensor as its files, or a person, want it.
    pub(super) fn follow_enabled(&mut self, sensor: SensorIx) {
        let slot = &self.sensors[sensor.0];
        let (enabled, desired) = (slot.is_enabled(), slot.life.desired);
        match (enabled, desired) {
            (true, Desired::Down) => self.live(sensor, Event::Start),
            (false, Desired::Up | Desired::Paused) => self.live(sensor, Event::Stop),
            _ => {}
        }
    }

    /// When the first switch is over.
    pub(super) fn note_expiry(&mut self) {
        let switches = self.sensors.iter().filter(|slot| !slot.retired);
        let all = switches.filter_map(|slot| slot.memory.switch.as_ref()?.until);
        self.switch_expiry = all.min();
    }

    /// Takes back what was switched for a time that is over.
    pub(super) fn expire_switches(&mut self) {
        let now = self.now.wall;
        if self.switch_expiry.is_none_or(|at| now < at) {
            return;
        }
        let is_over = |slot: &Slot| {
            let until = slot.memory.switch.as_ref().and_then(|one| one.until);
            until.is_some_and(|at| at <= now)
        };
        let named: Vec<_> = self.names.values().copied().collect();
        for sensor in named {
            if is_over(&self.sensors[sensor.0]) {
                self.switch_back(sensor);
            }
        }
        self.note_expiry();
    }

    /// Who was stopped by hand, and is enabled as before, is not started by that.
    fn switch_back(&mut self, sensor: SensorIx) {
        let slot = &mut self.sensors[sensor.0];
        let before = slot.is_enabled();
        slot.memory.switch = None;
        let changed = slot.is_enabled() != before;
        let words = "what was switched is over: as its files say again";
        self.tell_of_switch(sensor, words.to_owned());
        if changed {
            self.follow_enabled(sensor);
        }
    }
}

impl Slot {
    /// The word for its state that people see.
    pub fn shown_state(&self) -> &'static str {
        let rests = self.life.desired == Desired::Paused;
        match self.life.state {
            State::Ready { .. } | State::Down if rests => "paused",
            State::Down if !self.is_enabled() => "disabled",
            state => state.word(),
        }
    }
}

/// A reference is its own glob, but for what a glob would read otherwise.
fn matcher(name: &str) -> Result<GlobMatcher, String> {
    let glob = Glob::new(name).map_err(|error| format!("\"{name}\" is no glob: {}", error.kind()));
    Ok(glob?.compile_matcher())
}
