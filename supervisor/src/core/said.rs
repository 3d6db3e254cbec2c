//! What follows from what a sensor said.

use std::time::Duration;

use petrel_sdk::protocol::{Capabilities, Fail, FailKind, RpcError};
use serde_json::{Value, json};

use super::ids;
use super::intake::{JudgedEvent, RefusedEvent, Reply, Said, seconds};
use super::lifecycle::{EndedBy, Event};
use super::logs::LogLine;
use super::notice::{Level, Notice};
use super::passed::keeps;
use super::record::Rejected;
use super::sensor::SensorIx;
use super::step::{After, Core};
use crate::catalog::policy::Durability;

impl Core {
    /// A piece of a sensor's output, and the credit for the next one.
    pub(super) fn said(&mut self, sensor: SensorIx, generation: u64, said: Vec<Said>) {
        if self.sensors[sensor.0].life.is_watched() && !said.is_empty() {
            self.live(sensor, Event::Sign { generation });
        }
        let events = said.iter().map(|one| match one {
            Said::Event(_) | Said::Refused(_) => 1,
            Said::Passed(passed) => passed.events.len(),
            _ => 0,
        });
        let events = events.sum();
        self.durability = self.sensors[sensor.0].spec.policy.journal.durability;
        for one in said {
            self.hear(sensor, generation, one);
        }
        self.credit(sensor, generation, events);
    }

    fn hear(&mut self, sensor: SensorIx, generation: u64, said: Said) {
        match said {
            Said::Batch { number, answers } => {
                self.sensors[sensor.0].batches.open(number, answers);
            }
            Said::Hello {
                reply,
                capabilities,
            } => self.hello(sensor, generation, reply, capabilities),
            Said::Ready => self.live(sensor, Event::Ready { generation }),
            Said::Event(event) => self.event(sensor, generation, *event),
            Said::Passed(passed) => self.passed(sensor, generation, *passed),
            Said::Refused(refused) => self.refused(sensor, generation, *refused),
            Said::State { reply, state } => {
                self.keep_state(sensor, state);
                self.answer_later(sensor, generation, reply, Value::Null);
            }
            Said::Kv { reply, call } => self.kv(sensor, generation, reply, call),
            Said::Log(log) => self.log_message(sensor, generation, log),
            Said::Status(text) if self.is_present(sensor, generation) => {
                self.sensors[sensor.0].status = Some(text);
            }
            Said::Status(_) => {}
            Said::Heartbeat { extend, poll } => {
                let beat = Event::Beat {
                    generation,
                    extend,
                    poll,
                };
                self.live(sensor, beat);
            }
            Said::Fail(fail) if self.is_present(sensor, generation) => {
                self.fail(sensor, generation, fail);
            }
            Said::Fail(_) => {}
            Said::Noise { text, is_utf8 } => self.noise(sensor, generation, text, is_utf8),
            Said::Taken { reply } => self.answer(sensor, generation, &reply, Value::Null),
            Said::Misused { reply, error } => self.misused(sensor, generation, reply, error),
            Said::Lenient { trigger, what } => {
                let text = format!("payloads do not quite fit their schema, and pass: {what}");
                let notice = Notice::new(Level::Warning, "trigger.lenient", trigger, text);
                self.notify(notice);
            }
        }
    }

    /// A log line; that it was written to the wrong place is told once for each start.
    fn noise(&mut self, sensor: SensorIx, generation: u64, text: String, is_utf8: bool) {
        let slot = &mut self.sensors[sensor.0];
        slot.counters.noise += 1;
        if std::mem::replace(&mut slot.noisy_generation, generation) != generation {
            let what = match is_utf8 {
                true => "is neither an event nor a message",
                false => "is not UTF-8",
            };
            let file = slot.spec.file_path.display();
            let told = format!(
                "{file} wrote a line to its standard output that {what}; such lines are kept as \
                 its log (told once): {text:?}"
            );
            let subject = slot.spec.reference.clone();
            self.notify(Notice::new(Level::Warning, "sensor.noise", subject, told));
        }
        let line = LogLine {
            at: self.now.wall,
            level: Level::Info,
            logger: None,
            text,
            cut: 0,
        };
        self.log_bounded(sensor, generation, line);
    }

    fn hello(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: Reply,
        capabilities: Capabilities,
    ) {
        let slot = &mut self.sensors[sensor.0];
        if slot.life.generation != generation {
            return;
        }
        slot.converses = true;
        slot.hears_triggers = capabilities.triggers;
        slot.hears_config = capabilities.config;
        slot.can_poll = capabilities.poll;
        if slot.has_older_output() {
            slot.held_hello = Some(reply);
        } else {
            self.greet(sensor, generation, &reply);
        }
        let hello = Event::Hello {
            generation,
            beats: capabilities.heartbeat,
            pauses: capabilities.pause,
        };
        self.live(sensor, hello);
    }

    pub(super) fn greet(&mut self, sensor: SensorIx, generation: u64, reply: &Reply) {
        let greeting = self.sensors[sensor.0].greeting(&self.catalog, &self.rules);
        self.answer(sensor, generation, reply, json!(greeting));
    }

    pub(super) fn event(&mut self, sensor: SensorIx, generation: u64, mut judged: JudgedEvent) {
        self.judge_again(&mut judged);
        self.answer_unwritten(sensor, generation, &mut judged);
        let slot = &mut self.sensors[sensor.0];
        let reference = slot.spec.reference.clone();
        if let Some(state) = judged.state.take() {
            self.keep_state(sensor, state);
        }
        self.accept(&reference, Some((sensor, generation)), judged);
    }

    /// Who does not want to wait is answered at once; only the journal knows whether a key was there.
    fn answer_unwritten(&mut self, sensor: SensorIx, generation: u64, judged: &mut JudgedEvent) {
        if self.durability == Durability::None
            && judged.key.is_none()
            && keeps(judged.keep, &judged.judgement)
            && let Some(reply) = judged.reply.take()
        {
            let id = ids::format(ids::Kind::Event, self.now.wall, self.last_event + 1);
            self.answer(sensor, generation, &reply, json!({"event": id}));
        }
    }

    /// A cursor is its name's: until the one that replaces it is ready, that one goes on from here.
    fn keep_state(&mut self, sensor: SensorIx, state: String) {
        let keeper = self.keeper(sensor);
        self.sensors[keeper.0].memory.state = Some(state);
        self.remember(keeper);
    }

    /// What the rules said may be out of date where they read the datastore.
    fn judge_again(&mut self, judged: &mut JudgedEvent) {
        let trigger = judged.trigger_ref.as_deref().unwrap_or(&judged.trigger);
        if self.is_outdated(trigger, &judged.rule_set, judged.store_version) {
            let payload = serde_json::from_str(&judged.payload).unwrap_or_default();
            judged.judgement = self.judgement(trigger, &payload);
            judged.rule_set = self.rules.hash().into();
            judged.verdict = judged.judgement.verdict_text();
        }
    }

    /// Who judged events of this trigger did not see what holds now.
    pub(super) fn is_outdated(&self, trigger: &str, rule_set: &str, store_version: u64) -> bool {
        let old_store = store_version != self.store.version();
        rule_set != self.rules.hash() || old_store && self.rules.reads_store(trigger)
    }

    fn refused(&mut self, sensor: SensorIx, generation: u64, refused: RefusedEvent) {
        let slot = &mut self.sensors[sensor.0];
        slot.counters.rejected += 1;
        self.stats.rejected += 1;
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
            self.after.push(After::Refusal {
                sensor,
                generation,
                reply,
                error: refused.error,
            });
        }
    }

    fn misused(
        &mut self,
        sensor: SensorIx,
        generation: u64,
        reply: Option<Reply>,
        error: RpcError,
    ) {
        // Whoever sends a request waits for an answer, even when its `hello` was wrong.
        let present = self.is_present(sensor, generation);
        self.sensors[sensor.0].converses |= reply.is_some() && present;
        let subject = self.sensors[sensor.0].spec.reference.clone();
        let text = format!("a message that cannot be used: {}", error.message);
        self.notify(Notice::new(
            Level::Warning,
            "sensor.protocol",
            subject,
            text,
        ));
        if let Some(reply) = reply {
            self.answer_error(sensor, generation, &reply, error);
        }
        if present {
            self.count_misuse(sensor, generation);
        }
    }

    /// It is of the last start; the output of one before may still come, and says nothing of this one.
    fn is_present(&self, sensor: SensorIx, generation: u64) -> bool {
        self.sensors[sensor.0].life.generation == generation
    }

    /// More unusable messages than the policy bears end the conversation.
    fn count_misuse(&mut self, sensor: SensorIx, generation: u64) {
        let now = self.now.mono;
        let slot = &mut self.sensors[sensor.0];
        let limit = &slot.spec.policy.limits.protocol_errors;
        if limit.burst == 0 {
            return;
        }
        let is_old = |at: &Duration| now.saturating_sub(*at) >= limit.interval;
        while slot.misuses.front().is_some_and(is_old) {
            slot.misuses.pop_front();
        }
        slot.misuses.push_back(now);
        if slot.misuses.len() > limit.burst as usize {
            let by = EndedBy::Protocol;
            self.live(sensor, Event::Fault { generation, by });
        }
    }

    fn fail(&mut self, sensor: SensorIx, generation: u64, fail: Fail) {
        let mut words = fail.message;
        for (what, text) in [("in", fail.path), ("hint:", fail.hint)] {
            if let Some(text) = text {
                words.push_str(&format!("\n    | {what} {text}"));
            }
        }
        let slot = &mut self.sensors[sensor.0];
        (slot.last_words, slot.fail) = (Some(words), Some(fail.kind));
        match fail.kind {
            FailKind::Config => self.live(sensor, Event::ConfigFault { generation }),
            FailKind::Transient => {
                let retry_after = fail.retry_after_s.and_then(seconds);
                let event = Event::Transient {
                    generation,
                    retry_after,
                };
                self.live(sensor, event);
            }
            FailKind::Bug => {}
        }
    }
}
