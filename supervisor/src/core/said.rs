//! What follows from what a sensor said, and from what happened to its process.

use petrel_sdk::protocol::{
    Call, Fail, FailKind, HelloResult, KvDelete, KvGet, KvList, KvSet, Log, RpcError,
    ShutdownReason, Wire, code,
};
use serde_json::{Value, json};

use super::datastore::{Scope, stored_text};
use super::effect::{Effect, Signal};
use super::intake::{JudgedEvent, RefusedEvent, Reply, Said};
use super::lifecycle::{Action, Event, State};
use super::log_line::LogLine;
use super::notice::{Level, Notice};
use super::record::{self, Exit, LastExit, Rejected};
use super::sensor::SensorIx;
use super::step::{AcceptedEvent, After, Core, Phase};

/// Longest payload in the stream, characters.
const PAYLOAD_SHOWN: usize = 160;

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
        slot.last_words = None;
        slot.held_hello = None;
        slot.started = Some(self.now.mono);
        self.remember(sensor);
        self.out.push(Effect::Spawn { sensor, generation });
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

    fn remember(&mut self, sensor: SensorIx) {
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
            self.greet(sensor, slot_generation(&self.sensors[sensor.0]), &reply);
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
        let uptime = slot.started.map_or(0.0, |at| {
            now.mono.saturating_sub(at).as_secs_f64()
        });
        let wanted = slot.life.desired == super::lifecycle::Desired::Up;
        let reason = slot.last_words.take().or(hint).or_else(|| last_line(tail));
        slot.memory.last_exit = Some(LastExit {
            exit,
            at: now.wall,
            uptime,
            reason: reason.clone(),
        });
        let pid = slot.pid.take();
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
        let level = if crashed { Level::Error } else { Level::Info };
        Notice::new(level, "sensor.ended", &slot.spec.reference, text)
    }

    fn what_next(&self, sensor: SensorIx) -> String {
        let slot = &self.sensors[sensor.0];
        let wait = slot.life.deadline().map_or(0.0, |at| {
            at.saturating_sub(self.now.mono).as_secs_f64()
        });
        let count = slot.memory.restarts + 1;
        match slot.life.state {
            State::Backoff { .. } => format!("next start in {wait:.1} s (restart {count})"),
            State::Cooldown { .. } => format!(
                "it failed too often: cooldown, one probe start in {wait:.0} s (restart {count})"
            ),
            State::Parked(super::lifecycle::ParkedBy::Config) => {
                "parked until its configuration or code changes".to_owned()
            }
            State::Parked(super::lifecycle::ParkedBy::Limit) => {
                "it failed too often: parked until it is started by hand".to_owned()
            }
            State::Completed => "its policy starts it no more".to_owned(),
            _ => format!("started again (restart {})", slot.memory.restarts),
        }
    }

    pub(super) fn logged(&mut self, sensor: SensorIx, line: LogLine) {
        let subject = self.sensors[sensor.0].spec.reference.clone();
        let notice = Notice::new(line.level, "sensor.log", subject, line.text);
        self.notify(notice);
    }

    /// A piece of a sensor's output, and the credit for the next one.
    pub(super) fn said(&mut self, sensor: SensorIx, generation: u64, said: Vec<Said>) {
        for one in said {
            self.hear(sensor, generation, one);
        }
        self.after.push(After::Credit { sensor, generation });
    }

    fn hear(&mut self, sensor: SensorIx, generation: u64, said: Said) {
        match said {
            Said::Batch { number, answers } => {
                self.sensors[sensor.0].batches.open(number, answers);
            }
            Said::Hello { reply, .. } => self.hello(sensor, generation, reply),
            Said::Ready => self.live(sensor, Event::Ready { generation }),
            Said::Event(event) => self.event(sensor, generation, *event),
            Said::Refused(refused) => self.refused(sensor, generation, *refused),
            Said::State { reply, state } => {
                self.sensors[sensor.0].memory.state = Some(state);
                self.remember(sensor);
                self.answer_later(sensor, generation, reply, Value::Null);
            }
            Said::Kv { reply, call } => self.kv(sensor, generation, reply, call),
            Said::Log(log) => self.logged(sensor, log_line(log)),
            Said::Status(text) => self.sensors[sensor.0].status = Some(text),
            Said::Heartbeat => {}
            Said::Fail(fail) => self.fail(sensor, generation, fail),
            Said::Noise(text) => {
                self.sensors[sensor.0].counters.noise += 1;
                let level = Level::Info;
                self.logged(sensor, LogLine { level, text });
            }
            Said::Taken { reply } => self.answer(sensor, generation, &reply, Value::Null),
            Said::Misused { reply, error } => self.misused(sensor, generation, reply, error),
            Said::Lenient { trigger, what } => {
                let text = format!("payloads do not quite fit their schema, and pass: {what}");
                let notice = Notice::new(Level::Warning, "trigger.lenient", trigger, text);
                self.notify(notice);
            }
        }
    }

    fn hello(&mut self, sensor: SensorIx, generation: u64, reply: Reply) {
        let slot = &mut self.sensors[sensor.0];
        if slot.life.generation != generation {
            return;
        }
        slot.converses = true;
        if slot.has_older_output() {
            slot.held_hello = Some(reply);
        } else {
            self.greet(sensor, generation, &reply);
        }
        self.live(sensor, Event::Hello { generation });
    }

    fn greet(&mut self, sensor: SensorIx, generation: u64, reply: &Reply) {
        let greeting: HelloResult = self.sensors[sensor.0].greeting(&self.catalog);
        self.answer(sensor, generation, reply, json!(greeting));
    }

    fn event(&mut self, sensor: SensorIx, generation: u64, judged: JudgedEvent) {
        self.last_event += 1;
        let slot = &mut self.sensors[sensor.0];
        let event = record::Event {
            seq: self.last_event,
            trigger: judged.trigger,
            sensor: slot.spec.reference.clone(),
            received: self.now.wall,
            time: judged.time,
            trace_tag: judged.trace_tag,
            key: judged.key,
            payload: judged.payload,
            verdict: judged.verdict,
            rule_set: judged.rule_set,
        };
        if let Some(state) = judged.state {
            slot.memory.state = Some(state);
            self.remember(sensor);
        }
        let id = event.id();
        let shown: String = event.payload.chars().take(PAYLOAD_SHOWN).collect();
        let mut notices =
            vec![Notice::new(Level::Info, "event", &event.trigger, shown).event(&id)];
        for failed in &judged.judgement.failed {
            let text = format!("could not be applied: {}", failed.reason);
            let rule = &failed.rule.reference;
            notices.push(Notice::new(Level::Warning, "rule.failed", rule, text).event(&id));
        }
        // Before the claims of its executions: a duplicate's must be gone when those are done.
        let at = self.after.len();
        let mut executions = Vec::new();
        for requested in judged.judgement.matched {
            let text = format!("matched, runs {}", requested.action.reference);
            let rule = requested.rule.reference.clone();
            notices.push(Notice::new(Level::Info, "rule.matched", rule, text).event(&id));
            executions.push(self.request(event.seq, requested));
        }
        let accepted = AcceptedEvent {
            seq: event.seq,
            id,
            sensor,
            generation,
            reply: judged.reply,
            executions,
            notices,
        };
        self.batch.events.push(event);
        self.after.insert(at, After::Event(Box::new(accepted)));
    }

    fn refused(&mut self, sensor: SensorIx, generation: u64, refused: RefusedEvent) {
        let slot = &mut self.sensors[sensor.0];
        slot.counters.rejected += 1;
        let reference = slot.spec.reference.clone();
        let subject = refused.trigger.clone().unwrap_or_else(|| reference.clone());
        let text = format!(
            "event of {reference} refused and kept: {}",
            refused.error.message
        );
        self.batch.rejected.push(Rejected {
            sensor: reference,
            at: self.now.wall,
            code: refused.error.code,
            reason: refused.error.message.clone(),
            trigger: refused.trigger,
            data: refused.data,
            sha256: refused.sha256,
        });
        let notice = Notice::new(Level::Warning, "event.rejected", subject, text);
        self.after.push(After::Notice(notice));
        if let Some(reply) = refused.reply {
            self.answer_error(sensor, generation, &reply, refused.error);
        }
    }

    fn misused(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: Option<Reply>,
        error: RpcError,
    ) {
        let subject = self.sensors[sensor.0].spec.reference.clone();
        let text = format!("a message that cannot be used: {}", error.message);
        self.notify(Notice::new(Level::Warning, "sensor.protocol", subject, text));
        if let Some(reply) = reply {
            self.answer_error(sensor, generation, &reply, error);
        }
    }

    fn fail(&mut self, sensor: SensorIx, generation: u64, fail: Fail) {
        let mut words = fail.message;
        for (what, text) in [("in", fail.path), ("hint:", fail.hint)] {
            if let Some(text) = text {
                words.push_str(&format!("\n    | {what} {text}"));
            }
        }
        self.sensors[sensor.0].last_words = Some(words);
        if fail.kind == FailKind::Config {
            self.live(sensor, Event::ConfigFault { generation });
        }
    }

    fn kv(&mut self, sensor: SensorIx, generation: u64, reply: Reply, call: Call) {
        match self.kv_result(sensor, call) {
            Ok((result, write)) => {
                let waits = write.is_some();
                self.batch.kv.extend(write);
                match waits {
                    true => self.answer_later(sensor, generation, Some(reply), result),
                    false => self.answer(sensor, generation, &reply, result),
                }
            }
            Err(error) => self.answer_error(sensor, generation, &reply, error),
        }
    }

    fn kv_result(
        &mut self,
        sensor: SensorIx,
        call: Call,
    ) -> Result<(Value, Option<record::KvWrite>), RpcError> {
        let reference = self.sensors[sensor.0].spec.reference.clone();
        let now = self.now.wall;
        match call {
            Call::KvGet(KvGet { key, scope, decrypt }) => {
                no_crypto(decrypt)?;
                let key = Scope::from(scope).full_key(&reference, &key);
                Ok((json!(self.store.get(&key, now)), None))
            }
            Call::KvSet(KvSet {
                key,
                scope,
                value,
                ttl_s,
                encrypt,
            }) => {
                no_crypto(encrypt)?;
                let key = Scope::from(scope).full_key(&reference, &key);
                let ttl = ttl_s.map(|seconds| seconds.ceil() as u64);
                let write = self.store.set(key, stored_text(&value), ttl, now);
                let write = write.map_err(datastore_error)?;
                Ok((Value::Null, Some(write)))
            }
            Call::KvDelete(KvDelete { key, scope }) => {
                let key = Scope::from(scope).full_key(&reference, &key);
                let write = self.store.delete(&key, now);
                Ok((json!(write.is_some()), write))
            }
            Call::KvList(KvList {
                prefix,
                scope,
                limit,
                offset,
                decrypt,
            }) => {
                no_crypto(decrypt)?;
                let scope = Scope::from(scope);
                let cut = scope.full_key(&reference, "").len();
                let prefix = scope.full_key(&reference, &prefix);
                let listed = self.store.list(&prefix, cut, limit, Some(offset), now);
                Ok((listed, None))
            }
            _ => Err(RpcError::new(code::INTERNAL, "not a datastore method")),
        }
    }

    fn answer_later(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: Option<Reply>,
        result: Value,
    ) {
        if let Some(reply) = reply {
            self.after.push(After::Answer {
                sensor,
                generation,
                reply,
                result,
            });
        }
    }

    pub(super) fn answer(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: &Reply,
        result: Value,
    ) {
        let Some(id) = reply.id.clone() else { return };
        let line = Wire::result(id, result).to_line();
        self.send_answer(sensor, generation, reply.batch, line);
    }

    fn answer_error(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: &Reply,
        error: RpcError,
    ) {
        let line = Wire::error(reply.id.clone(), error).to_line();
        self.send_answer(sensor, generation, reply.batch, line);
    }

    fn send_answer(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        batch: Option<u64>,
        line: String,
    ) {
        let whole = match batch {
            None => Some(line),
            Some(number) => self.sensors[sensor.0]
                .batches
                .add(number, line.trim_end().to_owned())
                .map(|array| array + "\n"),
        };
        if let Some(line) = whole {
            self.tell(sensor, generation, line);
        }
    }

    /// Only to the living, and only once it said `hello`.
    fn tell(&mut self, sensor: SensorIx, generation: u64, line: String) {
        let slot = &self.sensors[sensor.0];
        if slot.converses && slot.life.generation == generation && self.phase != Phase::Stopped {
            self.out.push(Effect::Tell {
                sensor,
                generation,
                line,
            });
        }
    }
}

impl From<petrel_sdk::protocol::Scope> for Scope {
    fn from(scope: petrel_sdk::protocol::Scope) -> Self {
        match scope {
            petrel_sdk::protocol::Scope::Sensor => Self::Sensor,
            petrel_sdk::protocol::Scope::Pack => Self::Pack,
            petrel_sdk::protocol::Scope::System => Self::System,
        }
    }
}

fn slot_generation(slot: &super::sensor::Slot) -> u64 {
    slot.life.generation
}

/// Programs that our hosts run always say `hello`.
fn speaks_by_its_host(spec: &crate::catalog::Sensor) -> bool {
    spec.file_path.extension().is_some_and(|ending| ending == "py")
}

fn datastore_error(reason: String) -> RpcError {
    let data = json!({"reason": reason});
    RpcError::new(code::DATASTORE, reason).with_data(data)
}

fn no_crypto(wanted: bool) -> Result<(), RpcError> {
    match wanted {
        false => Ok(()),
        true => Err(datastore_error(
            "encryption needs a key, and none is configured".to_owned(),
        )),
    }
}

fn log_line(log: Log) -> LogLine {
    use petrel_sdk::protocol::Level as Theirs;
    let level = match log.level {
        Theirs::Debug => Level::Debug,
        Theirs::Info => Level::Info,
        Theirs::Warning => Level::Warning,
        Theirs::Error | Theirs::Critical => Level::Error,
    };
    let text = match log.traceback {
        Some(traceback) => format!("{}\n{}", log.message, traceback.trim_end()),
        None => log.message,
    };
    LogLine { level, text }
}

fn last_line(tail: &[String]) -> Option<String> {
    tail.iter()
        .rev()
        .find(|line| !line.trim().is_empty())
        .cloned()
}
