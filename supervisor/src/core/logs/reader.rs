//! The standard error of one start of a sensor, from bytes to records, within its limits.

use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::join::Joiner;
use super::lines::Lines;
use super::{LogLine, dropped};
use crate::catalog::policy::LogLimits;
use crate::core::clock::{Now, Wall};
use crate::core::handover::Bytes;

/// Reads it. What comes too fast is only counted, but for the last of it: how a sensor ended is told
/// even after a flood.
#[derive(Debug)]
pub struct LogReader {
    lines: Lines,
    joiner: Joiner,
    bucket: Bucket,
    flood: Option<Box<Flood>>,
}

/// A log in the middle of which an upgrade in place came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HandedLog {
    #[serde(default)]
    held: Bytes,
    #[serde(default)]
    cut: u64,
    #[serde(default)]
    open: Option<LogLine>,
    #[serde(default)]
    flood: Option<(u64, u64)>,
}

/// What is dropped.
#[derive(Debug, Default)]
struct Flood {
    lines: u64,
    bytes: u64,
    /// The last two chunks.
    tail: [Vec<u8>; 2],
}

impl LogReader {
    /// Of a start that begins now.
    pub fn new(limits: &LogLimits, now: Now) -> Self {
        Self {
            lines: Lines::new(usize::try_from(limits.line_bytes).unwrap_or(usize::MAX)),
            joiner: Joiner::default(),
            bucket: Bucket::new(limits, now.mono),
            flood: None,
        }
    }

    /// As it stands; of a flood only the count.
    pub fn hand_over(&self) -> HandedLog {
        let (held, cut) = self.lines.unfinished();
        let flood = self.flood.as_ref().map(|flood| (flood.lines, flood.bytes));
        HandedLog {
            held: Bytes(held.to_vec()),
            cut,
            open: self.joiner.held().cloned(),
            flood,
        }
    }

    /// To be read on.
    pub fn resume(handed: HandedLog, limits: &LogLimits, now: Now) -> Self {
        let mut reader = Self::new(limits, now);
        reader.lines.resume(handed.held.0, handed.cut);
        if let Some(line) = handed.open {
            reader.joiner.resume(line);
        }
        reader.flood = handed.flood.map(|(lines, bytes)| {
            Box::new(Flood {
                lines,
                bytes,
                ..Flood::default()
            })
        });
        reader
    }

    /// A record is held back: it is to be closed when nothing more comes for a while.
    pub fn is_open(&self) -> bool {
        self.joiner.is_open()
    }

    /// It writes faster than it may; there is no hurry to read on.
    pub fn is_flooded(&self) -> bool {
        self.flood.is_some()
    }

    /// The records that a chunk completes.
    pub fn push(&mut self, chunk: &[u8], now: Now) -> Vec<LogLine> {
        let mut out = Vec::new();
        let admitted = self.bucket.admits(now.mono);
        let rest = match (&self.flood, admitted) {
            (None, true) => chunk,
            (None, false) => self.begin_flood(chunk, now.wall, &mut out),
            (Some(_), false) => chunk,
            (Some(_), true) => self.end_flood(chunk, now.wall, &mut out),
        };
        match &mut self.flood {
            Some(flood) => flood.take(rest),
            None => {
                self.bucket.spend(rest.len());
                self.read(rest, now.wall, &mut out);
            }
        }
        out
    }

    /// The record that is held back.
    pub fn close(&mut self) -> Vec<LogLine> {
        self.joiner.close().into_iter().collect()
    }

    /// At the end: what is left.
    pub fn finish(&mut self, now: Now) -> Vec<LogLine> {
        let mut out = Vec::new();
        if let Some(flood) = self.flood.take() {
            let tail = flood.tail.concat();
            let from = tail.iter().position(|byte| *byte == b'\n');
            let last = &tail[from.map_or(0, |end| end + 1)..];
            let lines = flood.lines.saturating_sub(count(last));
            out.push(dropped(now.wall, lines, flood.bytes - last.len() as u64));
            self.read(last, now.wall, &mut out);
        }
        let Self { lines, joiner, .. } = self;
        lines.finish(|text, cut| out.extend(joiner.take(now.wall, text, cut)));
        out.extend(joiner.close());
        out
    }

    /// The line in the middle is read to its end; the rest of the chunk.
    fn begin_flood<'c>(&mut self, chunk: &'c [u8], at: Wall, out: &mut Vec<LogLine>) -> &'c [u8] {
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (first, rest) = match end {
            Some(end) if !self.lines.is_empty() => chunk.split_at(end + 1),
            Some(_) => (&chunk[..0], chunk),
            None => (chunk, &chunk[..0]),
        };
        self.read(first, at, out);
        if self.lines.is_empty() {
            out.extend(self.joiner.close());
            self.flood = Some(Box::default());
        }
        rest
    }

    /// From the beginning of a line on there are records again; the rest of the chunk.
    fn end_flood<'c>(&mut self, chunk: &'c [u8], at: Wall, out: &mut Vec<LogLine>) -> &'c [u8] {
        let Some(end) = chunk.iter().position(|byte| *byte == b'\n') else {
            return chunk;
        };
        let (skipped, rest) = chunk.split_at(end + 1);
        if let Some(mut flood) = self.flood.take() {
            flood.take(skipped);
            out.push(dropped(at, flood.lines, flood.bytes));
        }
        rest
    }

    fn read(&mut self, chunk: &[u8], at: Wall, out: &mut Vec<LogLine>) {
        let Self { lines, joiner, .. } = self;
        lines.push(chunk, |text, cut| out.extend(joiner.take(at, text, cut)));
    }
}

impl Flood {
    fn take(&mut self, chunk: &[u8]) {
        self.lines += count(chunk);
        self.bytes += chunk.len() as u64;
        if !chunk.is_empty() {
            self.tail.swap(0, 1);
            self.tail[1].clear();
            self.tail[1].extend_from_slice(chunk);
        }
    }
}

fn count(chunk: &[u8]) -> u64 {
    chunk.iter().filter(|byte| **byte == b'\n').count() as u64
}
