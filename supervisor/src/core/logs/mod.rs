//! A sensor's log: the lines of its standard error and its `log` messages as records. Pure.
//!
//! Bytes become lines ([`lines`]), lines get their level ([`parse`]), what belongs together is
//! joined ([`join`]), and what comes too fast is dropped and counted ([`bucket`]); [`reader`] is all
//! of it for one start of a sensor.

pub mod bucket;
pub mod join;
pub mod lines;
pub mod parse;
pub mod reader;
#[cfg(test)]
mod tests;
pub mod visible;

use serde::{Deserialize, Serialize};

use super::clock::{Wall, rfc3339};
pub use super::notice::Level;

/// A record on its way to the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When its first line was read.
    pub at: Wall,
    /// How grave.
    pub level: Level,
    /// Name of the logger, where it is known.
    pub logger: Option<String>,
    /// The text, of several lines where they belong together.
    pub text: String,
    /// So many bytes were cut off its end.
    pub cut: u64,
}

/// A record as it is kept and shown: secrets are masked, control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When.
    #[serde(with = "rfc3339")]
    pub time: Wall,
    /// How grave.
    pub level: Level,
    /// Name of the logger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logger: Option<String>,
    /// The text.
    pub message: String,
    /// The start of the sensor that wrote it.
    pub generation: u64,
    /// Its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// The record that tells of others that are not there.
pub fn dropped(at: Wall, lines: u64, bytes: u64) -> LogLine {
    LogLine {
        at,
        level: Level::Warning,
        logger: None,
        text: format!(
            "{lines} lines of its log were dropped ({bytes} bytes): it wrote faster than limits.log \
             allows"
        ),
        cut: 0,
    }
}
