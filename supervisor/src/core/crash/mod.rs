//! The record of an end that nobody asked for.

pub mod class;
pub mod modules;
#[cfg(test)]
mod tests;
pub mod traceback;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::clock::{Wall, rfc3339};
use super::logs::LogRecord;
use super::recent::{Last, Message, Recent};
use super::record::{CrashRow, End, Exit, LastExit};
use super::sensor::{SensorIx, Slot};
use super::step::Core;
use class::{Seen, Verdict, classify};

/// Digits of a hash that are shown.
const HASH_DIGITS: usize = 12;

/// Lines of a log that are told at once.
const TAIL_LINES: usize = 20;

/// The most memory that a process had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    /// Resident, bytes.
    pub bytes: u64,
    /// False where it is only known that it was not more.
    pub exact: bool,
}

/// What is listed of a crash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Which of the sensor: the number of its start.
    pub id: u64,
    /// The sensor.
    #[serde(rename = "ref")]
    pub sensor: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: Wall,
    /// How.
    #[serde(flatten)]
    pub exit: Exit,
    /// How, in words.
    pub text: String,
    /// What made us end it.
    pub ended_by: Option<String>,
    /// What kind of end.
    pub class: String,
    /// What to do about it.
    pub hint: String,
    /// Its last words.
    pub reason: Option<String>,
    /// How long it had run, seconds.
    pub uptime: f64,
    /// Its process.
    pub pid: Option<u32>,
    /// The most memory that it had.
    pub peak_memory: Option<Peak>,
    /// Hash of its code.
    pub code: String,
    /// Hash of its configuration, without what is secret in it.
    pub config: String,
    /// What ran its program.
    pub interpreter: Option<String>,
}

/// What is shown of one crash besides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// Its last records, the oldest first.
    pub log: Vec<Arc<LogRecord>>,
    /// What it said last.
    pub said: Vec<Message>,
    /// What it was told last.
    pub told: Vec<Message>,
}

impl Core {
    /// What kind of end it was, if nobody asked for it; it is kept with the sensor's memory.
    pub(super) fn crashed(
        &mut self,
        sensor: SensorIx,
        end: &mut End,
        exit: &LastExit,
        wanted: bool,
    ) -> Option<Verdict> {
        let verdict = self.verdict(sensor, end, exit, wanted)?;
        let row = self.crash_row(sensor, end, exit, &verdict);
        self.batch.crashes.push(row);
        Some(verdict)
    }

    fn verdict(
        &self,
        sensor: SensorIx,
        end: &End,
        exit: &LastExit,
        wanted: bool,
    ) -> Option<Verdict> {
        let slot = &self.sensors[sensor.0];
        let ended_by = slot.life.ended_by;
        if !wanted && ended_by.is_none_or(|by| by == super::lifecycle::EndedBy::Age) {
            return None;
        }
        let pack = self.pack_of(&slot.spec);
        let folder = pack.map_or_else(String::new, |pack| pack.dir.display().to_string());
        let records = slot.recent.iter().flat_map(|recent| recent.log.newest());
        // What is only the last line of its log says nothing that the log does not say.
        let words = slot.last_words.is_some() || end.hint.is_some();
        let seen = Seen {
            exit: end.exit,
            never_began: end.never_began,
            ended_by,
            fail: slot.fail,
            words: exit.reason.as_deref().filter(|_| words),
            log: records.map(|record| record.message.as_str()).collect(),
            pack: &slot.spec.pack,
            folder: &folder,
        };
        Some(classify(&seen))
    }

    fn crash_row(
        &self,
        sensor: SensorIx,
        end: &mut End,
        exit: &LastExit,
        verdict: &Verdict,
    ) -> CrashRow {
        let slot = &self.sensors[sensor.0];
        let summary = Summary {
            id: slot.life.generation,
            sensor: slot.spec.reference.clone(),
            at: exit.at,
            exit: exit.exit,
            text: exit.exit.words(),
            ended_by: slot.life.ended_by.map(|by| by.words().to_owned()),
            class: verdict.class.word().to_owned(),
            hint: slot.shown(verdict.hint.clone(), 0),
            reason: exit.reason.clone(),
            uptime: exit.uptime,
            pid: slot.pid,
            peak_memory: end.peak,
            code: slot.spec.code.chars().take(HASH_DIGITS).collect(),
            config: self.config_hash(slot),
            interpreter: slot.interpreter.clone(),
        };
        let details = Details {
            log: slot
                .recent
                .as_ref()
                .map_or_else(Vec::new, |recent| recent.log.clone().into_items()),
            said: slot.masked(std::mem::take(&mut end.said)),
            told: slot.masked(told(slot.recent.as_deref())),
        };
        CrashRow {
            sensor: summary.sensor.clone(),
            generation: summary.id,
            summary: json!(summary).to_string(),
            details: json!(details).to_string(),
        }
    }

    /// Two ends with one hash had one configuration, but for what is secret.
    fn config_hash(&self, slot: &Slot) -> String {
        let public = match self.pack_of(&slot.spec) {
            Some(pack) => json!(pack.public_of(&slot.config)),
            None => json!(*slot.config),
        };
        let hash = blake3::hash(public.to_string().as_bytes());
        hash.to_hex()[..HASH_DIGITS].to_owned()
    }
}

fn told(recent: Option<&Recent>) -> Vec<Message> {
    recent.map_or_else(Vec::new, |recent| Last::into_items(recent.told.clone()))
}

impl Slot {
    fn masked(&self, messages: Vec<Message>) -> Vec<Message> {
        let shown = |message: Message| Message {
            text: self.shown_beginning(message.text, message.cut > 0),
            ..message
        };
        messages.into_iter().map(shown).collect()
    }

    /// The last lines of its log, the oldest first.
    pub(super) fn tail(&self) -> Vec<String> {
        let records = self.recent.iter().flat_map(|recent| recent.log.newest());
        let lines = records.flat_map(|record| record.message.lines().rev());
        let mut tail: Vec<_> = lines.take(TAIL_LINES).map(str::to_owned).collect();
        tail.reverse();
        tail
    }
}
