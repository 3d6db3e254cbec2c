//! `limits.log`: so many bytes per second, so many at once.

use std::time::Duration;

use crate::catalog::policy::LogLimits;

/// Bytes that may come. Once it is empty nothing may come before a second's worth is there again,
/// so that what is dropped is told once a second and not line by line.
#[derive(Clone, Debug)]
pub struct Bucket {
    bytes_per_s: f64,
    burst: f64,
    bytes: f64,
    filled: Duration,
    is_empty: bool,
}

impl Bucket {
    /// A full one.
    pub fn new(limits: &LogLimits, now: Duration) -> Self {
        Self {
            bytes_per_s: limits.bytes_per_s as f64,
            burst: limits.burst as f64,
            bytes: limits.burst as f64,
            filled: now,
            is_empty: false,
        }
    }

    /// Whether something may come now.
    pub fn admits(&mut self, now: Duration) -> bool {
        if self.bytes_per_s == 0.0 {
            return true;
        }
        let time = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.bytes = (self.bytes + time * self.bytes_per_s).min(self.burst);
        let enough = match self.is_empty {
            true => self.bytes_per_s.min(self.burst),
            false => 1.0,
        };
        self.is_empty = self.bytes < enough;
        !self.is_empty
    }

    /// So much came; it may be more than there was, which is then owed.
    pub fn spend(&mut self, bytes: usize) {
        self.bytes -= bytes as f64;
    }
}
