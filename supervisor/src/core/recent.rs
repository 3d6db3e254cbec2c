//! What a sensor did of late, for the record of its crash: its log and its messages both ways,
//! within 64 KiB. A sensor that says nothing has none of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{Wall, rfc3339};
use super::logs::bucket::Bucket;
use super::logs::{LogLine, LogRecord, dropped};
use super::sensor::SensorIx;
use crate::catalog::policy::LogLimits;

/// Records of a log that are kept, and how many bytes of them.
const LOG: (usize, usize) = (200, 40 << 10);

/// Messages of a direction that are kept, and how many bytes of them.
const MESSAGES: (usize, usize) = (20, 12 << 10);

/// What is kept of one record, bytes.
const RECORD_BYTES: usize = 16 << 10;

/// What is kept of one message, bytes.
const MESSAGE_BYTES: usize = 2 << 10;

/// Records that are handed over by an upgrade in place.
const HANDED: usize = 20;

/// The last of something, within bounds.
#[derive(Clone, Debug)]
pub struct Last<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    most: (usize, usize),
}

impl<T> Last<T> {
    /// At most so many of so many bytes in all.
    pub fn new(most: (usize, usize)) -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
            most,
        }
    }

    /// One more, of so many bytes.
    pub fn push(&mut self, item: T, bytes: usize) {
        self.items.push_back((item, bytes));
        self.bytes += bytes;
        while self.items.len() > self.most.0 || self.bytes > self.most.1 {
            let Some((_, gone)) = self.items.pop_front() else {
                break;
            };
            self.bytes -= gone;
        }
    }

    /// Takes the oldest out, where one more would push it out.
    fn oldest(&mut self) -> Option<T> {
        let (item, bytes) = match self.items.len() >= self.most.0 {
            true => self.items.pop_front()?,
            false => return None,
        };
        self.bytes -= bytes;
        Some(item)
    }

    /// The oldest first.
    pub fn into_items(self) -> Vec<T> {
        self.items.into_iter().map(|(item, _)| item).collect()
    }

    /// The newest first.
    pub fn newest(&self) -> impl Iterator<Item = &T> {
        self.items.iter().rev().map(|(item, _)| item)
    }
}

/// A line of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// When.
    #[serde(with = "rfc3339")]
    pub time: Wall,
    /// The line.
    pub text: String,
    /// So many bytes were cut off its end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Message {
    /// As much of a line as is kept.
    pub fn new(time: Wall, line: &[u8]) -> Self {
        let line = line.trim_ascii_end();
        let kept = &line[..line.len().min(MESSAGE_BYTES)];
        let text = String::from_utf8_lossy(kept);
        let cut = (line.len() - kept.len()) as u64;
        // A character in the middle of which it was cut.
        let whole = match cut {
            0 => &text,
            _ => text.trim_end_matches('\u{fffd}'),
        };
        Self {
            time,
            text: whole.to_owned(),
            cut,
        }
    }

    /// Another one in the same room.
    fn again(mut self, time: Wall, text: &str) -> Self {
        self.text.clear();
        self.text.push_str(text);
        Self {
            time,
            text: self.text,
            cut: 0,
        }
    }
}

/// A line that is kept whole.
fn as_text(line: &[u8]) -> Option<&str> {
    let line = line.trim_ascii_end();
    let fits = line.len() <= MESSAGE_BYTES;
    fits.then(|| std::str::from_utf8(line).ok()).flatten()
}

/// The beginning of a text, of at most so many bytes.
fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Of one start of a sensor, in the core.
#[derive(Clone, Debug)]
pub struct Recent {
    /// Its log.
    pub log: Last<Arc<LogRecord>>,
    /// What it was told.
    pub told: Last<Message>,
    bucket: Bucket,
    dropped: (u64, u64),
}

impl Recent {
    /// Of a start that has done nothing yet.
    pub fn new(limits: &LogLimits, now: Duration) -> Self {
        Self {
            log: Last::new(LOG),
            told: Last::new(MESSAGES),
            bucket: Bucket::new(limits, now),
            dropped: (0, 0),
        }
    }

    /// Of one that was handed over with the end of its log; none where it had none.
    pub fn resumed(limits: &LogLimits, log: &[Arc<LogRecord>]) -> Option<Self> {
        let mut recent = (!log.is_empty()).then(|| Self::new(limits, Duration::ZERO))?;
        log.iter().for_each(|record| recent.logged(record));
        Some(recent)
    }

    /// The end of its log, to be handed over.
    pub fn newest_log(&self) -> Vec<Arc<LogRecord>> {
        let newest = self.log.newest().take(HANDED);
        let mut newest: Vec<_> = newest.cloned().collect();
        newest.reverse();
        newest
    }

    /// A `log` message or a line on its standard output, if it does not come too fast; before it, what
    /// was dropped.
    pub fn admit(&mut self, line: LogLine, now: Duration) -> Vec<LogLine> {
        let bytes = line.text.len();
        if !self.bucket.admits(now) {
            self.dropped.0 += 1;
            self.dropped.1 += bytes as u64;
            return Vec::new();
        }
        self.bucket.spend(bytes);
        let at = line.at;
        self.dropped(at).into_iter().chain([line]).collect()
    }

    /// The record of what was dropped and not yet told.
    pub fn dropped(&mut self, at: Wall) -> Option<LogLine> {
        let (lines, bytes) = std::mem::take(&mut self.dropped);
        (lines > 0).then(|| dropped(at, lines, bytes))
    }

    /// A record of its log.
    pub fn logged(&mut self, record: &Arc<LogRecord>) {
        let text = beginning(&record.message, RECORD_BYTES);
        let kept = match text.len() == record.message.len() {
            true => Arc::clone(record),
            false => Arc::new(LogRecord {
                message: format!("{text} ..."),
                ..LogRecord::clone(record)
            }),
        };
        let bytes = kept.message.len();
        self.log.push(kept, bytes);
    }

    /// A message to it.
    pub fn tell(&mut self, message: Message) {
        let bytes = message.text.len();
        self.told.push(message, bytes);
    }
}

/// What sensors said of late, where intake reads it: by sensor and start, until that start ends.
#[derive(Debug, Default)]
pub struct Heard {
    by_start: HashMap<Start, Last<Message>>,
    /// Starts whose output is at its end, and which are not over.
    drained: HashSet<Start>,
    /// Starts that are over, and whose output goes on: somebody else has their pipe.
    over: HashSet<Start>,
}

/// A sensor, and which start of it.
pub type Start = (SensorIx, u64);

impl Heard {
    /// A line of it. Of a flood each one is kept only until twenty more have come, so the room of the
    /// oldest is used again.
    pub fn line(&mut self, start: Start, at: Wall, line: &[u8]) {
        if self.over.contains(&start) {
            return;
        }
        let last = self
            .by_start
            .entry(start)
            .or_insert_with(|| Last::new(MESSAGES));
        let message = match (last.oldest(), as_text(line)) {
            (Some(oldest), Some(text)) => oldest.again(at, text),
            _ => Message::new(at, line),
        };
        let bytes = message.text.len();
        last.push(message, bytes);
    }

    /// There is no more output of this start.
    pub fn drained(&mut self, start: Start) {
        if !self.over.remove(&start) {
            self.drained.insert(start);
        }
    }

    /// All of a start, which is over.
    pub fn take(&mut self, start: Start) -> Vec<Message> {
        if !self.drained.remove(&start) {
            self.over.insert(start);
        }
        let last = self.by_start.remove(&start);
        last.map(Last::into_items).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_bounded_in_number_and_in_bytes() {
        let mut last = Last::new((3, 10));
        for number in 0..5 {
            last.push(number, 1);
        }
        assert_eq!(last.clone().into_items(), [2, 3, 4]);
        last.push(9, 9);
        assert_eq!(last.clone().into_items(), [4, 9]);
        last.push(10, 11);
        assert!(last.into_items().is_empty());
    }

    #[test]
    fn a_message_is_cut_at_a_character() {
        let message = Message::new(Wall(0), format!("x{}", "é".repeat(2000)).as_bytes());
        assert_eq!(message.text.len(), MESSAGE_BYTES - 1);
        assert_eq!(message.cut, 4001 - MESSAGE_BYTES as u64);
    }

    #[test]
    fn what_is_heard_of_a_start_that_is_over_is_not_kept() {
        let (mut heard, start) = (Heard::default(), (SensorIx(0), 1));
        let message = |text: &str| Message::new(Wall(0), text.as_bytes());
        heard.line(start, Wall(0), b"a");
        assert_eq!(heard.take(start), [message("a")]);
        heard.line(start, Wall(0), b"b");
        heard.drained(start);
        let next = (SensorIx(0), 2);
        heard.line(next, Wall(0), b"c");
        heard.drained(next);
        assert_eq!(heard.take(next), [message("c")]);
        assert!(heard.by_start.is_empty() && heard.over.is_empty() && heard.drained.is_empty());
    }

    #[test]
    fn of_a_flood_the_last_lines_are_kept_each_in_its_own_words() {
        let (mut heard, start) = (Heard::default(), (SensorIx(0), 1));
        for n in 0..55_i64 {
            let line = format!("{}{n}", "x".repeat(usize::try_from(n % 7).unwrap_or(0)));
            heard.line(start, Wall(n), line.as_bytes());
        }
        heard.line(start, Wall(55), b"\xff");
        let kept = heard.take(start);
        let wanted = (36..55).map(|n: i64| {
            let text = format!("{}{n}", "x".repeat(usize::try_from(n % 7).unwrap_or(0)));
            Message::new(Wall(n), text.as_bytes())
        });
        let wanted: Vec<_> = wanted.chain([Message::new(Wall(55), b"\xff")]).collect();
        assert_eq!(kept, wanted);
    }

    #[test]
    fn all_of_a_sensor_is_within_64_kib() {
        assert!(LOG.1 + 2 * MESSAGES.1 <= 64 << 10);
        assert!(RECORD_BYTES < LOG.1 && MESSAGE_BYTES < MESSAGES.1);
    }
}
