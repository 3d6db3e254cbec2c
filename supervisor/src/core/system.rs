//! Accepting events: what sensors said, and what Petrel itself tells (`core.st2.*`).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::clock::Wall;
use super::intake::JudgedEvent;
use super::notice::{Level, Notice};
use super::passed::keeps;
use super::record::{self, Execution, LastExit, Outcome};
use super::seal::masked;
use super::sensor::SensorIx;
use super::step::{AcceptedEvent, After, Core};
use super::tend::counts;
use crate::catalog::policy::Keep;
use crate::rules::{Judgement, Trigger};

/// An execution is over.
pub(super) const ENDS: &str = "core.st2.generic.actiontrigger";

/// Longest payload in the stream, characters.
const PAYLOAD_SHOWN: usize = 160;

impl Core {
    /// An event of Petrel itself. Without a rule that waits for it there is nothing to tell, and
    /// nothing is kept: StackStorm stores one for every write of the datastore.
    pub(super) fn emit(&mut self, trigger: &str, payload: impl FnOnce() -> Value) {
        if self.rules.waits_for(trigger) {
            let trigger = Trigger::new(trigger, Map::new());
            self.tell_rules(&trigger, None, &payload());
        }
    }

    /// Gives an event of Petrel itself to the rules that wait for it.
    pub(super) fn tell_rules(&mut self, trigger: &Trigger, tag: Option<String>, payload: &Value) {
        self.tell_rules_as("", trigger, tag, payload);
    }

    /// The same for an event of a sensor that is not there to be answered.
    pub(super) fn tell_rules_as(
        &mut self,
        sensor: &str,
        trigger: &Trigger,
        tag: Option<String>,
        payload: &Value,
    ) {
        let judgement = self.judgement(&trigger.reference, payload);
        let kind = &trigger.trigger_type;
        let judged = JudgedEvent {
            reply: None,
            trigger: kind.clone(),
            trigger_ref: Some(trigger.reference.clone()).filter(|one| one != kind),
            payload: payload.to_string(),
            key: None,
            time: None,
            trace_tag: tag,
            state: None,
            verdict: judgement.verdict_text(),
            judgement,
            rule_set: self.rules.hash().into(),
            store_version: self.store.version(),
            keep: Keep::All,
        };
        self.accept(sensor, None, judged);
    }

    /// `core.st2.generic.actiontrigger`: an execution is over.
    pub(super) fn tell_of_end(&mut self, execution: &Execution, outcome: &Outcome) {
        let action = self.catalog.actions.get(&execution.action).cloned();
        self.emit(ENDS, || {
            json!({
                "execution_id": execution.id(),
                "status": outcome.status.word(),
                "start_timestamp": outcome.started.or(execution.started).map(Wall::rfc3339),
                "action_name": execution.action,
                "action_ref": execution.action,
                "runner_ref": action.as_ref().map(|one| &one.runner_type),
                "parameters": masked(&execution.parameters),
                "result": outcome.result,
            })
        });
    }

    /// `core.st2.sensor.process_spawn`; StackStorm gives the class only, which two packs may share.
    pub(super) fn tell_of_spawn(&mut self, sensor: SensorIx, pid: u32) {
        let (spec, at) = (Arc::clone(&self.sensors[sensor.0].spec), self.now.wall);
        self.emit("core.st2.sensor.process_spawn", || {
            let object = json!({
                "id": spec.class_name,
                "ref": spec.reference,
                "timestamp": at.seconds(),
                "pid": pid,
                "cmd": spec.file_path,
            });
            with_object(object)
        });
    }

    /// `core.st2.sensor.process_exit`, also for a stop that was asked for.
    pub(super) fn tell_of_exit(&mut self, sensor: SensorIx, last: &LastExit, pid: Option<u32>) {
        let (spec, exit) = (Arc::clone(&self.sensors[sensor.0].spec), last.exit);
        self.emit("core.st2.sensor.process_exit", || {
            let object = json!({
                "id": spec.class_name,
                "ref": spec.reference,
                "timestamp": last.at.seconds(),
                "pid": pid,
                "exit_code": exit.code.or(exit.signal.map(|signal| -signal)),
                "signal": exit.signal,
                "class": last.class,
                "hint": last.hint,
            });
            with_object(object)
        });
    }

    /// What the rules say of an event that happens now.
    pub(super) fn judgement(&self, trigger: &str, payload: &Value) -> Judgement {
        let now = jiff::Timestamp::from_microsecond(self.now.wall.0).ok();
        let store = self.store.view().at(self.now.wall);
        self.rules.judge(trigger, payload, now, &store)
    }

    /// Takes a judged event into the batch, with the executions that it causes; of some that sensors
    /// say only the number is kept.
    pub(super) fn accept(
        &mut self,
        sensor: &str,
        from: Option<(SensorIx, u64)>,
        judged: JudgedEvent,
    ) {
        let kept = keeps(judged.keep, &judged.judgement);
        let counted = self.tally.place(&judged.trigger);
        let counts = counts(!judged.judgement.matched.is_empty(), kept);
        self.tally.count(counted, counts, self.now.mono);
        if let Some(from) = from.filter(|_| !kept && judged.key.is_none()) {
            return self.pass(from, judged);
        }
        self.last_event += 1;
        let event = record::Event {
            seq: self.last_event,
            trigger: judged.trigger,
            trigger_ref: judged.trigger_ref,
            sensor: sensor.to_owned(),
            received: self.now.wall,
            time: judged.time,
            trace_tag: judged.trace_tag,
            key: judged.key,
            payload: judged.payload,
            verdict: judged.verdict,
            rule_set: judged.rule_set,
            kept,
        };
        let judgement = &judged.judgement;
        self.stats
            .judged(!judgement.matched.is_empty(), !judgement.failed.is_empty());
        let is_shown = self.hush.admits("event", self.now.mono);
        let mut notices = match is_shown || !judged.judgement.failed.is_empty() {
            true => notices(&event, is_shown, &judged.judgement),
            false => Vec::new(),
        };
        // Before the claims of its executions: a duplicate's must be gone when those are done.
        let at = self.after.len();
        let mut executions = Vec::new();
        for requested in judged.judgement.matched {
            if self.hush.admits("rule.matched", self.now.mono) {
                let text = format!("matched, runs {}", requested.action.reference);
                let rule = requested.rule.reference.clone();
                notices
                    .push(Notice::new(Level::Info, "rule.matched", rule, text).event(event.id()));
            }
            let is_new = event.key.is_none();
            executions.push(self.request(event.seq, requested, is_new));
        }
        let accepted = AcceptedEvent {
            seq: event.seq,
            received: event.received,
            sensor: from,
            reply: judged.reply,
            executions,
            notices,
            kept,
            counted,
        };
        self.batch.events.push(event);
        self.after.insert(at, After::Event(Box::new(accepted)));
    }
}

/// StackStorm's schema of these payloads has one member `object`, what it sends has the others:
/// here it is both.
fn with_object(object: Value) -> Value {
    let mut payload = object.clone();
    payload["object"] = object;
    payload
}

fn notices(event: &record::Event, is_shown: bool, judgement: &Judgement) -> Vec<Notice> {
    let id = &event.id();
    let seen = is_shown.then(|| {
        let shown: String = event.payload.chars().take(PAYLOAD_SHOWN).collect();
        Notice::new(Level::Info, "event", &event.trigger, shown).event(id)
    });
    let failed = judgement.failed.iter().map(|failed| {
        let text = format!("could not be applied: {}", failed.reason);
        let rule = &failed.rule.reference;
        Notice::new(Level::Warning, "rule.failed", rule, text).event(id)
    });
    seen.into_iter().chain(failed).collect()
}
