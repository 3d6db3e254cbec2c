//! Lines in the middle of which an upgrade in place came.

use petrel_sdk::line::{LineBuffer, Unfinished};
use serde::{Deserialize, Serialize};

use super::bytes::Bytes;

/// What is read of a line and is not yet a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HandedLine {
    held: Bytes,
    #[serde(default)]
    passed: Option<(u64, Bytes)>,
    first_line: bool,
}

impl HandedLine {
    /// As it stands.
    pub fn of(buffer: &LineBuffer) -> Self {
        let there = buffer.unfinished();
        Self {
            held: Bytes(there.held),
            passed: there.passed.map(|(bytes, hash)| (bytes, Bytes(hash))),
            first_line: there.first_line,
        }
    }

    /// To be read on.
    ///
    /// # Errors
    /// When it is no state that a buffer can have.
    pub fn buffer(self, limit_bytes: usize) -> Result<LineBuffer, String> {
        let there = Unfinished {
            held: self.held.0,
            passed: self.passed.map(|(bytes, hash)| (bytes, hash.0)),
            first_line: self.first_line,
        };
        let buffer = LineBuffer::resume(limit_bytes, there);
        buffer.ok_or_else(|| "half a line that was handed over cannot be read on".to_owned())
    }
}

/// What intake knows that nobody else does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HandedIntake {
    /// One for each start whose output is not at its end.
    pub readers: Vec<HandedReader>,
    /// Trigger types whose payloads were told to be not quite as their schemas say.
    #[serde(default)]
    pub lenient: Vec<String>,
    /// Number of the last batch.
    #[serde(default)]
    pub batches: u64,
}

/// The output of one start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HandedReader {
    /// Index of the sensor.
    pub sensor: usize,
    /// Its start.
    pub generation: u64,
    /// Payload lines count.
    pub payloads: bool,
    /// The present line.
    pub line: HandedLine,
}
