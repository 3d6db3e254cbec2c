//! Events of which the journal keeps no more than their number (`keep: matched`, `keep: counters`).
//!
//! Intake gathers those of a piece that no rule matched: they cost neither a row nor a number, and
//! the core looks at them one by one only where they were judged by what is old by now.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::intake::{JudgedEvent, Reply, payload_text};
use super::notice::{Level, Notice};
use super::sensor::SensorIx;
use super::step::{Core, unkept};
use super::tally::Counts;
use crate::catalog::policy::Keep;
use crate::rules::Judgement;

/// Events of one trigger that came in a row, and that no rule matched or failed on.
#[derive(Debug)]
pub struct Passed {
    /// Reference of the trigger type.
    pub trigger: String,
    /// Reference of the trigger, where it is the type with parameters.
    pub trigger_ref: Option<String>,
    /// What is kept of its events.
    pub keep: Keep,
    /// Which rules judged.
    pub rule_set: Arc<str>,
    /// The version of the datastore that they saw.
    pub store_version: u64,
    /// In the order written.
    pub events: Vec<PassedEvent>,
}

/// One of them: all that is needed to judge it again, and to answer it.
#[derive(Debug)]
pub struct PassedEvent {
    /// Who wants to know.
    pub reply: Option<Reply>,
    /// JSON text as written.
    pub payload: Box<RawValue>,
    /// The sensor's time.
    pub time: Option<String>,
    /// Trace tag.
    pub trace_tag: Option<String>,
}

/// Whether an event with these verdicts has a row.
pub fn keeps(keep: Keep, judgement: &Judgement) -> bool {
    let (matched, failed) = (!judgement.matched.is_empty(), !judgement.failed.is_empty());
    match keep {
        Keep::All => true,
        Keep::Matched => matched || failed,
        Keep::Counters => matched,
    }
}

/// Nothing follows from it, and nothing need be told.
pub fn passes(keep: Keep, judgement: &Judgement) -> bool {
    keep != Keep::All && judgement.matched.is_empty() && judgement.failed.is_empty()
}

impl Core {
    pub(super) fn passed(&mut self, sensor: SensorIx, generation: u64, passed: Passed) {
        let name = passed.trigger_ref.as_ref().unwrap_or(&passed.trigger);
        if self.is_outdated(name, &passed.rule_set, passed.store_version) {
            for event in passed.each() {
                self.event(sensor, generation, event);
            }
            return;
        }
        let count = passed.events.len() as u64;
        let counted = self.tally.place(&passed.trigger);
        let more = Counts {
            accepted: count,
            matched: 0,
            dropped: count,
        };
        self.tally.count(counted, more, self.now.mono);
        self.note_passed(sensor, count);
        for event in passed.events {
            self.answer_later(sensor, generation, event.reply, unkept());
        }
    }

    /// One that was judged here, and has no row.
    pub(super) fn pass(&mut self, from: (SensorIx, u64), judged: JudgedEvent) {
        for failed in &judged.judgement.failed {
            let text = format!("could not be applied: {}", failed.reason);
            let rule = &failed.rule.reference;
            self.notify(Notice::new(Level::Warning, "rule.failed", rule, text));
        }
        self.note_passed(from.0, 1);
        self.answer_later(from.0, from.1, judged.reply, unkept());
    }

    fn note_passed(&mut self, sensor: SensorIx, count: u64) {
        let slot = &mut self.sensors[sensor.0];
        slot.counters.events += count;
        slot.last_event = Some(self.now.wall);
        self.batch.passed += count;
        self.stats.passed += count;
    }
}

impl Passed {
    /// As if none of them passed: for whoever judges them again.
    fn each(self) -> impl Iterator<Item = JudgedEvent> {
        let (trigger, trigger_ref) = (self.trigger, self.trigger_ref);
        self.events.into_iter().map(move |event| JudgedEvent {
            reply: event.reply,
            trigger: trigger.clone(),
            trigger_ref: trigger_ref.clone(),
            payload: payload_text(event.payload),
            key: None,
            time: event.time,
            trace_tag: event.trace_tag,
            state: None,
            verdict: "{}".to_owned(),
            judgement: Judgement::default(),
            rule_set: Arc::clone(&self.rule_set),
            store_version: self.store_version,
            keep: self.keep,
        })
    }
}
