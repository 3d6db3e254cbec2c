//! What follows from what happens to a sensor's process.

use std::sync::Arc;
use std::time::Duration;

use petrel_sdk::protocol::{ShutdownReason, Wire};
use serde_json::{Map, Value};

use super::effect::{Effect, Signal};
use super::lifecycle::{Action, Desired, EndedBy, Event, ParkedBy, StalledBy, State};
use super::notice::{Level, Notice};
use super::record::{End, LastExit};
use super::seal::of_config;
use super::sensor::{SensorIx, Slot};
use super::step::{Core, Phase};
use crate::catalog::knobs::units::shown_duration;
use crate::catalog::policy::{Group, Policy};
use crate::catalog::{Pack, Sensor};

impl Core {
    /// Gives an event to a sensor's machine and does what it asks for.
    pub(super) fn live(&mut self, sensor: SensorIx, event: Event) {
        let now = self.now.mono;
        let slot = &mut self.sensors[sensor.0];
        let spec = Arc::clone(&slot.spec);
        let before = (slot.life.state, slot.life.deadline(&spec.policy));
        let actions = slot.life.step(event, now, &spec.policy);
        let after = (slot.life.state, slot.life.deadline(&spec.policy));
        self.fleet.moved(sensor, before, after, now);
        for action in actions {
            self.act(sensor, action, &spec.policy);
        }
        self.tell_of_change(sensor, before.0, after.0);
        if !after.0.is_up() {
            // What it said is read to its end.
            self.release(sensor);
        }
        let is_wanted = self.sensors[sensor.0].life.desired == Desired::Up;
        if matches!(after.0, State::Ready { .. }) || !is_wanted {
            self.end_replaced(sensor);
        }
    }

    fn act(&mut self, sensor: SensorIx, action: Action, policy: &Policy) {
        let (generation, signal) = match action {
            Action::Spawn(generation) => return self.spawn(sensor, generation),
            Action::Ask(generation) => return self.ask(sensor, generation),
            Action::Pause(generation) => return self.tell_pause(sensor, generation, true),
            Action::Resume(generation) => return self.tell_pause(sensor, generation, false),
            Action::Measure(generation) => {
                return self.out.push(Effect::Measure { sensor, generation });
            }
            Action::Escalate => return self.escalate(sensor),
            // To a program that does not expect it this signal is the end.
            Action::Trace(_) if !speaks_by_its_host(&self.sensors[sensor.0].spec) => return,
            Action::Trace(generation) => (generation, Signal::Trace),
            Action::Terminate(generation) => (generation, Signal::Stop(policy.stop.signal)),
            Action::TerminateGroup(generation) => {
                (generation, Signal::StopGroup(policy.stop.signal))
            }
            Action::Abort(generation) => (generation, Signal::Abort),
            Action::Kill(generation) => (generation, Signal::Kill),
        };
        self.out.push(Effect::Signal {
            sensor,
            generation,
            signal,
        });
    }

    /// What people want to hear of at once.
    fn tell_of_change(&mut self, sensor: SensorIx, before: State, after: State) {
        let slot = &self.sensors[sensor.0];
        let dog = &slot.spec.policy.watchdog;
        let (level, kind, text) = match (before, after) {
            (State::Stalled { .. }, State::Ready { .. }) => {
                (Level::Info, "sensor.ready", "it moves again".to_owned())
            }
            (State::Ready { .. }, State::Ready { .. }) => return,
            (_, State::Ready { .. }) => (Level::Info, "sensor.ready", "ready".to_owned()),
            (State::Ready { .. }, State::Stalled { by, until, .. }) => {
                let what = match by {
                    StalledBy::Silence => {
                        format!("no sign of life for {}", shown_duration(dog.soft_timeout))
                    }
                    StalledBy::Poll => "its poll() takes too long".to_owned(),
                };
                let left = until.saturating_sub(self.now.mono).as_secs_f64();
                let text = format!("stalled: {what}; it is ended in {left:.0} s");
                (Level::Warning, "sensor.stalled", text)
            }
            (_, State::Aborting { .. }) => {
                let text = "it did not move again: ended".to_owned();
                (Level::Error, "sensor.ending", text)
            }
            (State::Starting { .. }, State::Killing { .. })
                if slot.life.ended_by == Some(EndedBy::StartTimeout) =>
            {
                let limit = shown_duration(slot.spec.policy.start.ready_timeout);
                let text = format!("not ready within {limit}: ended");
                (Level::Error, "sensor.ending", text)
            }
            (State::Killing { .. }, State::Unkillable { .. }) => {
                let text = "SIGKILL does not end it; nothing new is started before it is gone";
                (Level::Error, "sensor.unkillable", text.to_owned())
            }
            _ => return,
        };
        let notice = Notice::new(level, kind, &slot.spec.reference, text);
        self.notify(notice.pid(slot.pid));
    }

    /// For whoever supervises the supervisor.
    fn escalate(&mut self, sensor: SensorIx) {
        let reference = &self.sensors[sensor.0].spec.reference;
        let text = "it fails again and again, and its policy stops the supervisor";
        self.notify(Notice::new(
            Level::Error,
            "sensor.escalated",
            reference,
            text,
        ));
        self.escalated = true;
        if self.phase == Phase::Running {
            self.stop();
        }
    }

    fn tell_pause(&mut self, sensor: SensorIx, generation: u64, pause: bool) {
        let line = match pause {
            true => Wire::pause(None),
            false => Wire::resume(None),
        };
        self.tell(sensor, generation, line.to_line());
    }

    fn spawn(&mut self, sensor: SensorIx, generation: u64) {
        let slot = &mut self.sensors[sensor.0];
        slot.memory.generation = generation;
        if slot.started.is_some() {
            slot.memory.restarts += 1;
            self.stats.restarts += 1;
        }
        let interval = slot.spec.poll_interval.map(u64::from);
        slot.life.polls_every(interval.map(Duration::from_secs));
        slot.misuses.clear();
        slot.bucket = None;
        slot.converses = false;
        slot.hears_triggers = false;
        slot.hears_config = false;
        slot.can_poll = false;
        slot.last_words = None;
        slot.fail = None;
        slot.recent = None;
        slot.interpreter = None;
        slot.held_hello = None;
        slot.started = Some(self.now.mono);
        self.remember(sensor);
        let spec = Arc::clone(&self.sensors[sensor.0].spec);
        let config = self.config_of(&spec).map(Arc::new);
        let given = config.clone().unwrap_or_default();
        let secrets = of_config(self.pack_of(&spec).as_ref(), &given);
        let slot = &mut self.sensors[sensor.0];
        (slot.config, slot.secrets) = (given, secrets);
        self.out.push(Effect::Spawn {
            sensor,
            generation,
            spec,
            config,
        });
    }

    /// `shutdown`, where it converses; the end of its input says the same to everybody.
    fn ask(&mut self, sensor: SensorIx, generation: u64) {
        let slot = &self.sensors[sensor.0];
        let stop = &slot.spec.policy.stop;
        let deadline = (stop.request_timeout + stop.grace).as_secs_f64();
        if slot.converses {
            let line = Wire::shutdown(deadline, ShutdownReason::Stop).to_line();
            self.tell(sensor, generation, line);
        }
        self.out.push(Effect::CloseInput { sensor, generation });
    }

    /// The pack as a sensor sees it.
    pub(super) fn pack_of(&self, spec: &Sensor) -> Option<Arc<Pack>> {
        match &spec.instance {
            Some(instance) => Some(Arc::clone(&instance.pack)),
            None => self.catalog.packs.get(&spec.pack).cloned(),
        }
    }

    /// The configuration of a sensor as it is now.
    pub(super) fn config_of(&self, spec: &Sensor) -> Result<Map<String, Value>, String> {
        match self.pack_of(spec) {
            Some(pack) => self.config_of_pack(&pack),
            None => Ok(Map::new()),
        }
    }

    /// The configuration of a pack as it is now.
    pub(super) fn config_of_pack(&self, pack: &Pack) -> Result<Map<String, Value>, String> {
        let store = self.store.view().at(self.now.wall);
        let config = self.rules.config(pack, &store);
        config.map_err(|fault| fault.to_string())
    }

    /// Sensors whose configuration was wrong may find it right after a change of the datastore.
    pub(super) fn try_parked(&mut self) {
        for index in 0..self.sensors.len() {
            let slot = &self.sensors[index];
            let parked = slot.life.state == State::Parked(ParkedBy::Config);
            if !parked || slot.life.desired != Desired::Up {
                continue;
            }
            let dynamic = self.pack_of(&slot.spec).is_some_and(|pack| pack.is_dynamic);
            if dynamic && self.config_of(&slot.spec).is_ok() {
                self.live(SensorIx(index), Event::Start);
            }
        }
    }

    /// Who has what is known of a sensor: the one that is to replace it, where there is one.
    pub(super) fn keeper(&self, sensor: SensorIx) -> SensorIx {
        let reference = &self.sensors[sensor.0].spec.reference;
        let replaces = |other: &SensorIx| self.sensors[other.0].replaces == Some(sensor);
        let next = self.names.get(reference).copied().filter(replaces);
        next.unwrap_or(sensor)
    }

    /// Also of one whose files are gone, as long as no newer one has its name.
    pub(super) fn remember(&mut self, sensor: SensorIx) {
        let slot = &self.sensors[sensor.0];
        let (reference, memory) = (slot.spec.reference.clone(), slot.memory.clone());
        if slot.retired {
            let kept = self.forgotten.get(&reference);
            let newer = kept.is_none_or(|kept| kept.generation > memory.generation);
            if newer || self.names.contains_key(&reference) {
                return;
            }
            self.forgotten.insert(reference.clone(), memory.clone());
        }
        self.batch.sensors.push((reference, memory));
    }

    pub(super) fn spawned(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        pid: u32,
        interpreter: Option<String>,
    ) {
        let slot = &mut self.sensors[sensor.0];
        slot.undrained.push(generation);
        if slot.life.generation != generation {
            return;
        }
        slot.pid = Some(pid);
        slot.interpreter = interpreter;
        self.tell_of_spawn(sensor, pid);
        let slot = &self.sensors[sensor.0];
        if speaks_by_its_host(&slot.spec) {
            // What it can will be known when it says so.
            let hello = Event::Hello {
                generation,
                beats: false,
                pauses: false,
            };
            self.live(sensor, hello);
        }
    }

    pub(super) fn executed(&mut self, sensor: SensorIx, generation: u64) {
        let hosted = speaks_by_its_host(&self.sensors[sensor.0].spec);
        self.live(sensor, Event::Executed { generation, hosted });
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

    pub(super) fn ended(&mut self, sensor: SensorIx, generation: u64, mut end: End) {
        let now = self.now;
        let slot = &mut self.sensors[sensor.0];
        if slot.life.generation != generation {
            return;
        }
        slot.survivors = None;
        let uptime = slot
            .started
            .map_or(0.0, |at| now.mono.saturating_sub(at).as_secs_f64());
        let wanted = slot.life.desired == Desired::Up && !slot.life.is_restarting();
        if let Some(line) = slot
            .recent
            .as_mut()
            .and_then(|recent| recent.dropped(now.wall))
        {
            self.logged(sensor, generation, vec![line]);
        }
        let slot = &self.sensors[sensor.0];
        let tail = slot.tail();
        let by_us = slot.life.ended_by.map(|by| by.words().to_owned());
        let words = slot.last_words.clone();
        let reason = words
            .or(by_us)
            .or_else(|| end.hint.clone())
            .or_else(|| last_line(&tail));
        let mut exit = LastExit {
            exit: end.exit,
            at: now.wall,
            uptime,
            reason: reason.map(|text| slot.shown(text, 0)),
            class: None,
            hint: None,
        };
        if let Some(verdict) = self.crashed(sensor, &mut end, &exit, wanted) {
            exit.class = Some(verdict.class.word().to_owned());
            exit.hint = Some(self.sensors[sensor.0].shown(verdict.hint, 0));
        }
        let slot = &mut self.sensors[sensor.0];
        (slot.recent, slot.last_words, slot.fail) = (None, None, None);
        let pid = slot.pid.take();
        self.tell_of_exit(sensor, &exit, pid);
        let ended = Event::Ended {
            generation,
            exit: end.exit,
            never_began: end.never_began,
            luck: end.luck,
        };
        let keeper = self.keeper(sensor);
        self.sensors[keeper.0].memory.last_exit = Some(exit.clone());
        self.live(sensor, ended);
        if keeper != sensor {
            // The changed one is on its way: two of one name would number their starts alike.
            self.sensors[keeper.0].replaces = None;
            self.live(sensor, Event::Stop);
        }
        self.remember(keeper);
        let notice = self.ended_notice(sensor, &exit, wanted, &tail);
        self.notify(notice.pid(pid));
        if wanted && end.exit.code != Some(0) {
            self.share_crash(sensor);
        }
    }

    /// Restarts those of the pack that are to share the fate of this one.
    fn share_crash(&mut self, crashed: SensorIx) {
        let spec = Arc::clone(&self.sensors[crashed.0].spec);
        let group = spec.policy.restart.group;
        let shares = |slot: &Slot| {
            let other = &slot.spec;
            let is_other = other.pack == spec.pack && other.reference != spec.reference;
            let in_order = group == Group::OneForAll || other.reference > spec.reference;
            is_other && in_order && slot.life.state.is_up()
        };
        if group == Group::OneForOne {
            return;
        }
        let all = self.sensors.iter().enumerate();
        let others: Vec<_> = all
            .filter(|(_, slot)| shares(slot))
            .map(|(ix, _)| ix)
            .collect();
        for other in others {
            self.live(SensorIx(other), Event::Renew);
        }
    }

    fn ended_notice(
        &self,
        sensor: SensorIx,
        last: &LastExit,
        wanted: bool,
        tail: &[String],
    ) -> Notice {
        let slot = &self.sensors[sensor.0];
        let (exit, uptime) = (last.exit, last.uptime);
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
            let why = last.reason.iter().chain(tail).cloned();
            let mut lines: Vec<String> = why.chain(looks_like(last)).collect();
            lines.dedup();
            for line in lines {
                text.push_str(&format!("\n    | {line}"));
            }
        }
        let level = if crashed { Level::Error } else { Level::Info };
        Notice::new(level, "sensor.ended", &slot.spec.reference, text)
    }

    fn what_next(&self, sensor: SensorIx) -> String {
        let slot = &self.sensors[sensor.0];
        let until = slot.life.deadline(&slot.spec.policy);
        let wait = until.map_or(0.0, |at| at.saturating_sub(self.now.mono).as_secs_f64());
        let count = slot.memory.restarts + 1;
        match slot.life.state {
            State::Backoff { .. } => format!("next start in {wait:.1} s (restart {count})"),
            State::Cooldown { .. } => format!(
                "it failed too often: cooldown, one probe start in {wait:.0} s (restart {count})"
            ),
            State::Parked(by) => parked(by).to_owned(),
            State::Completed => "its policy starts it no more".to_owned(),
            State::Down => "the changed one takes its place".to_owned(),
            _ => format!("started again (restart {})", slot.memory.restarts),
        }
    }
}

/// Why it waits for a person.
fn parked(by: ParkedBy) -> &'static str {
    match by {
        ParkedBy::Config => "parked until its configuration or code changes",
        ParkedBy::ExitCode => {
            "its exit code says that another start would not go better: parked until its \
             configuration or code changes, or it is started by hand"
        }
        ParkedBy::Start => {
            "it could not be started three times in a row: parked until its configuration or code \
             changes, or it is started by hand"
        }
        ParkedBy::Limit => "it failed too often: parked until it is started by hand",
        ParkedBy::Protocol => {
            "too many of its messages could not be used: parked until it is started by hand"
        }
        ParkedBy::Rate => "it said events too fast: parked until it is started by hand",
    }
}

/// Programs that our hosts run always say `hello`.
fn speaks_by_its_host(spec: &Sensor) -> bool {
    spec.file_path
        .extension()
        .is_some_and(|ending| ending == "py")
}

/// What kind of end it was, and what to do.
fn looks_like(last: &LastExit) -> Option<String> {
    let (class, hint) = last.class.as_ref().zip(last.hint.as_ref())?;
    Some(format!("looks like: {class}; {hint}"))
}

fn last_line(tail: &[String]) -> Option<String> {
    tail.iter()
        .rev()
        .find(|line| !line.trim().is_empty())
        .cloned()
}
