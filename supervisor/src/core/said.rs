//! What follows from what a sensor said.

use petrel_sdk::protocol::{Capabilities, Fail, FailKind, Log, RpcError};
use serde_json::{Value, json};

use super::intake::{JudgedEvent, RefusedEvent, Reply, Said};
use super::lifecycle::Event;
use super::log_line::LogLine;
use super::notice::{Level, Notice};
use super::record::Rejected;
use super::seal::hide_text;
use super::sensor::SensorIx;
use super::step::{After, Core};

impl Core {
    pub(super) fn logged(&mut self, sensor: SensorIx, line: LogLine) {
        let subject = self.sensors[sensor.0].spec.reference.clone();
        let mut text = line.text;
        hide_text(&mut text, &self.sensors[sensor.0].secrets);
        let notice = Notice::new(line.level, "sensor.log", subject, text);
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
            Said::Hello {
                reply,
                capabilities,
            } => self.hello(sensor, generation, reply, capabilities),
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
        let level = Level::Info;
        self.logged(sensor, LogLine { level, text });
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
        if slot.has_older_output() {
            slot.held_hello = Some(reply);
        } else {
            self.greet(sensor, generation, &reply);
        }
        self.live(sensor, Event::Hello { generation });
    }

    pub(super) fn greet(&mut self, sensor: SensorIx, generation: u64, reply: &Reply) {
        let greeting = self.sensors[sensor.0].greeting(&self.catalog, &self.rules);
        self.answer(sensor, generation, reply, json!(greeting));
    }

    fn event(&mut self, sensor: SensorIx, generation: u64, mut judged: JudgedEvent) {
        self.judge_again(&mut judged);
        let slot = &mut self.sensors[sensor.0];
        let reference = slot.spec.reference.clone();
        if let Some(state) = judged.state.take() {
            slot.memory.state = Some(state);
            self.remember(sensor);
        }
        self.accept(&reference, Some((sensor, generation)), judged);
    }

    /// What the rules said may be out of date where they read the datastore.
    fn judge_again(&mut self, judged: &mut JudgedEvent) {
        let trigger = judged.trigger_ref.as_deref().unwrap_or(&judged.trigger);
        let old_store = judged.store_version != self.store.version();
        let old_rules = *judged.rule_set != *self.rules.hash();
        if old_rules || old_store && self.rules.reads_store(trigger) {
            let payload = serde_json::from_str(&judged.payload).unwrap_or_default();
            judged.judgement = self.judgement(trigger, &payload);
            judged.rule_set = self.rules.hash().into();
            judged.verdict = judged.judgement.verdict().to_string();
        }
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
        self.sensors[sensor.0].converses |= reply.is_some();
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
