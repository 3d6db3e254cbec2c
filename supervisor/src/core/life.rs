//! What follows from what happens to a sensor's process.

use std::sync::Arc;

use petrel_sdk::protocol::{ShutdownReason, Wire};
use serde_json::{Map, Value};

use super::effect::{Effect, Signal};
use super::lifecycle::{Action, Desired, Event, ParkedBy, State};
use super::notice::{Level, Notice};
use super::record::{Exit, LastExit};
use super::seal::{hide_text, of_config};
use super::sensor::SensorIx;
use super::step::Core;

impl Core {
    /// Gives an event to a sensor's machine and does what it asks for.
    pub(super) fn live(&mut self, sensor: SensorIx, event: Event) {
        let now = self.now.mono;
        let slot = &mut self.sensors[sensor.0];
        let before = slot.life.state;
        let policy = slot.spec.policy;
        let actions = slot.life.step(event, now, &policy);
        for action in actions {
            self.act(sensor, action, before);
        }
        let after = self.sensors[sensor.0].life.state;
        if matches!(after, State::Ready { .. }) && !matches!(before, State::Ready { .. }) {
            let slot = &self.sensors[sensor.0];
            let notice = Notice::new(Level::Info, "sensor.ready", &slot.spec.reference, "ready");
            self.notify(notice.pid(slot.pid));
        }
    }

    fn act(&mut self, sensor: SensorIx, action: Action, before: State) {
        let effect = match action {
            Action::Spawn(generation) => return self.spawn(sensor, generation, before),
            Action::Ask(generation) => return self.ask(sensor, generation),
            Action::Terminate(generation) => Effect::Signal {
                sensor,
                generation,
                signal: Signal::Terminate,
            },
            Action::Kill(generation) => Effect::Signal {
                sensor,
                generation,
                signal: Signal::Kill,
            },
        };
        self.out.push(effect);
    }

    fn spawn(&mut self, sensor: SensorIx, generation: u64, before: State) {
        let slot = &mut self.sensors[sensor.0];
        slot.memory.generation = generation;
        if before != State::Down {
            slot.memory.restarts += 1;
        }
        slot.converses = false;
        slot.hears_triggers = false;
        slot.last_words = None;
        slot.held_hello = None;
        slot.started = Some(self.now.mono);
        self.remember(sensor);
        let pack = self.sensors[sensor.0].spec.pack.clone();
        let config = self.config_of(&pack).map(Arc::new);
        let given = config.clone().unwrap_or_default();
        let secrets = of_config(self.catalog.packs.get(&pack), &given);
        let slot = &mut self.sensors[sensor.0];
        (slot.config, slot.secrets) = (given, secrets);
        self.out.push(Effect::Spawn {
            sensor,
            generation,
            config,
        });
    }

    /// `shutdown`, where it converses; the end of its input says the same to everybody.
    fn ask(&mut self, sensor: SensorIx, generation: u64) {
        let slot = &self.sensors[sensor.0];
        let stop = slot.spec.policy.stop;
        let deadline = (stop.request_timeout + stop.grace).as_secs_f64();
        if slot.converses {
            let line = Wire::shutdown(deadline, ShutdownReason::Stop).to_line();
            self.tell(sensor, generation, line);
        }
        self.out.push(Effect::CloseInput { sensor, generation });
    }

    /// The configuration of a pack as it is now.
    pub(super) fn config_of(&self, pack: &str) -> Result<Map<String, Value>, String> {
        let Some(pack) = self.catalog.packs.get(pack) else {
            return Ok(Map::new());
        };
        let store = self.store.view().at(self.now.wall);
        let config = self.rules.config(pack, &store);
        config.map_err(|fault| fault.to_string())
    }

    /// Sensors whose configuration was wrong may find it right after a change of the datastore.
    pub(super) fn try_parked(&mut self) {
        for index in 0..self.sensors.len() {
            let slot = &self.sensors[index];
            let parked = slot.life.state == State::Parked(ParkedBy::Config);
            let pack = self.catalog.packs.get(&slot.spec.pack);
            let dynamic = pack.is_some_and(|pack| pack.is_dynamic);
            let wanted = slot.life.desired == Desired::Up;
            if parked && dynamic && wanted && self.config_of(&slot.spec.pack).is_ok() {
                self.live(SensorIx(index), Event::Start);
            }
        }
    }

    pub(super) fn remember(&mut self, sensor: SensorIx) {
        let slot = &self.sensors[sensor.0];
        let entry = (slot.spec.reference.clone(), slot.memory.clone());
        self.batch.sensors.push(entry);
    }

    pub(super) fn spawned(&mut self, sensor: SensorIx, generation: u64, pid: u32) {
        let slot = &mut self.sensors[sensor.0];
        slot.undrained.push(generation);
        if slot.life.generation != generation {
            return;
        }
        slot.pid = Some(pid);
        self.tell_of_spawn(sensor, pid);
        let slot = &self.sensors[sensor.0];
        if speaks_by_its_host(&slot.spec) {
            self.live(sensor, Event::Hello { generation });
        }
    }

    pub(super) fn executed(&mut self, sensor: SensorIx, generation: u64) {
        let slot = &self.sensors[sensor.0];
        if !speaks_by_its_host(&slot.spec) && !slot.converses {
            self.live(sensor, Event::Ready { generation });
        }
    }

    pub(super) fn drained(&mut self, sensor: SensorIx, generation: u64) {
        let slot = &mut self.sensors[sensor.0];
        slot.undrained.retain(|other| *other != generation);
        if !slot.has_older_output()
            && let Some(reply) = slot.held_hello.take()
        {
            let generation = slot.life.generation;
            self.greet(sensor, generation, &reply);
        }
    }

    pub(super) fn ended(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        exit: Exit,
        hint: Option<String>,
        tail: &[String],
        luck: f64,
    ) {
        let now = self.now;
        let slot = &mut self.sensors[sensor.0];
        if slot.life.generation != generation {
            return;
        }
        let uptime = slot
            .started
            .map_or(0.0, |at| now.mono.saturating_sub(at).as_secs_f64());
        let wanted = slot.life.desired == Desired::Up;
        let mut reason = slot.last_words.take().or(hint).or_else(|| last_line(tail));
        if let Some(text) = &mut reason {
            hide_text(text, &slot.secrets);
        }
        slot.memory.last_exit = Some(LastExit {
            exit,
            at: now.wall,
            uptime,
            reason: reason.clone(),
        });
        let pid = slot.pid.take();
        self.tell_of_exit(sensor, exit, pid);
        let ended = Event::Ended {
            generation,
            exit,
            luck,
        };
        self.live(sensor, ended);
        self.remember(sensor);
        let notice = self.ended_notice(sensor, exit, wanted, reason, tail);
        self.notify(notice.pid(pid));
    }

    fn ended_notice(
        &self,
        sensor: SensorIx,
        exit: Exit,
        wanted: bool,
        reason: Option<String>,
        tail: &[String],
    ) -> Notice {
        let slot = &self.sensors[sensor.0];
        let uptime = slot.memory.last_exit.as_ref().map_or(0.0, |e| e.uptime);
        let crashed = wanted && exit.code != Some(0);
        let mut text = match wanted {
            true if crashed => format!("crashed: {} after {uptime:.1} s", exit.words()),
            true => format!("ended after {uptime:.1} s"),
            false => format!("stopped ({})", exit.words()),
        };
        if wanted {
            text.push_str(&format!("; {}", self.what_next(sensor)));
        }
        if crashed {
            let why = reason.into_iter().chain(tail.iter().cloned());
            let mut lines: Vec<String> = why.collect();
            lines.dedup();
            for line in lines {
                text.push_str(&format!("\n    | {line}"));
            }
        }
        hide_text(&mut text, &slot.secrets);
        let level = if crashed { Level::Error } else { Level::Info };
        Notice::new(level, "sensor.ended", &slot.spec.reference, text)
    }

    fn what_next(&self, sensor: SensorIx) -> String {
        let slot = &self.sensors[sensor.0];
        let wait = slot
            .life
            .deadline()
            .map_or(0.0, |at| at.saturating_sub(self.now.mono).as_secs_f64());
        let count = slot.memory.restarts + 1;
        match slot.life.state {
            State::Backoff { .. } => format!("next start in {wait:.1} s (restart {count})"),
            State::Cooldown { .. } => format!(
                "it failed too often: cooldown, one probe start in {wait:.0} s (restart {count})"
            ),
            State::Parked(ParkedBy::Config) => {
                "parked until its configuration or code changes".to_owned()
            }
            State::Parked(ParkedBy::Limit) => {
                "it failed too often: parked until it is started by hand".to_owned()
            }
            State::Completed => "its policy starts it no more".to_owned(),
            _ => format!("started again (restart {})", slot.memory.restarts),
        }
    }
}

/// Programs that our hosts run always say `hello`.
fn speaks_by_its_host(spec: &crate::catalog::Sensor) -> bool {
    spec.file_path
        .extension()
        .is_some_and(|ending| ending == "py")
}

fn last_line(tail: &[String]) -> Option<String> {
    tail.iter()
        .rev()
        .find(|line| !line.trim().is_empty())
        .cloned()
}
