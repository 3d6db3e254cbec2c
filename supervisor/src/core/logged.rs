//! What sensors log: masked, made harmless for terminals, shown and kept.

use std::sync::Arc;

use petrel_sdk::protocol::Log;

use super::clock::Wall;
use super::effect::Effect;
use super::logs::visible::visible;
use super::logs::{LogLine, LogRecord};
use super::notice::Level;
use super::recent::Recent;
use super::seal::{hide_end, hide_text};
use super::sensor::{SensorIx, Slot};
use super::step::Core;

/// Secrets of the datastore that are remembered: more than the messages that are kept can hold.
const LEARNT: usize = 64;

impl Slot {
    /// What this start did of late.
    pub(super) fn recent(&mut self, now: std::time::Duration) -> &mut Recent {
        let limits = &self.spec.policy.limits.log;
        let new = || Box::new(Recent::new(limits, now));
        self.recent.get_or_insert_with(new)
    }

    /// Secrets that it got from the datastore, or brings there: from now on nothing shows them.
    pub(super) fn learn(&mut self, secrets: Vec<String>) {
        for secret in secrets {
            self.learnt.retain(|known| *known != secret);
            self.learnt.push(secret);
        }
        let old = self.learnt.len().saturating_sub(LEARNT);
        self.learnt.drain(..old);
    }

    /// A text of the sensor as people may see it; so many bytes of it were cut off.
    pub(super) fn shown(&self, text: String, cut: u64) -> String {
        let mut shown = self.shown_beginning(text, cut > 0);
        if cut > 0 {
            shown.push_str(&format!(" ... ({cut} bytes more)"));
        }
        shown
    }

    /// The same, without a word of what was cut off.
    pub(super) fn shown_beginning(&self, mut text: String, is_cut: bool) -> String {
        for secrets in [&self.secrets, &self.learnt] {
            hide_text(&mut text, secrets);
            if is_cut {
                hide_end(&mut text, secrets);
            }
        }
        match visible(&text) {
            std::borrow::Cow::Borrowed(_) => text,
            std::borrow::Cow::Owned(shown) => shown,
        }
    }
}

impl Core {
    /// Records of its standard error, which were bounded where they were read.
    pub(super) fn logged(&mut self, sensor: SensorIx, generation: u64, lines: Vec<LogLine>) {
        for line in lines {
            self.log(sensor, generation, line);
        }
    }

    /// A `log` message.
    pub(super) fn log_message(&mut self, sensor: SensorIx, generation: u64, log: Log) {
        let line = log_line(log, self.now.wall);
        self.log_bounded(sensor, generation, line);
    }

    /// What came on its standard output.
    pub(super) fn log_bounded(&mut self, sensor: SensorIx, generation: u64, line: LogLine) {
        let now = self.now.mono;
        let recent = self.sensors[sensor.0].recent(now);
        let admitted = recent.admit(line, now);
        self.logged(sensor, generation, admitted);
    }

    fn log(&mut self, sensor: SensorIx, generation: u64, line: LogLine) {
        let now = self.now.mono;
        self.last_log = Wall(line.at.0.max(self.last_log.0 + 1));
        let slot = &mut self.sensors[sensor.0];
        let is_current = generation == slot.life.generation && slot.life.state.is_live();
        let record = Arc::new(LogRecord {
            // No two records have one time: whoever reads on from a record misses none.
            time: self.last_log,
            level: line.level,
            logger: line.logger.map(|name| visible(&name).into_owned()),
            message: slot.shown(line.text, line.cut),
            generation,
            pid: slot.pid.filter(|_| is_current),
        });
        if is_current {
            slot.recent(now).logged(&record);
        }
        let spec = Arc::clone(&slot.spec);
        self.out.push(Effect::Log { spec, record });
    }
}

fn log_line(log: Log, at: Wall) -> LogLine {
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
    LogLine {
        at,
        level,
        logger: log.logger,
        text,
        cut: 0,
    }
}
