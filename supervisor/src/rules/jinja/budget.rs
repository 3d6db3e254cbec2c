//! What one rendering may use. Counted, not timed, so that the same template and the same event
//! always end alike.

use std::cell::Cell;

use super::error::{Result, limit};

/// Steps of work: expressions, statements, items visited.
const FUEL: usize = 1_500_000;
/// Bytes of values made, all together.
const BYTES: usize = 64 << 20;
/// Longest text that one rendering may give, bytes.
pub const MAX_OUTPUT: usize = 4 << 20;
/// Deepest nesting of what is evaluated at one moment.
pub const MAX_DEPTH: usize = 400;
/// Deepest nesting of a value that is written, compared or hashed.
pub const MAX_VALUE_DEPTH: usize = 500;
/// Largest integer, in bits; Python refuses to print one of more than 4300 digits.
pub const MAX_BITS: u64 = 100_000;

/// What is left for one rendering.
#[derive(Debug)]
pub struct Budget {
    fuel: Cell<usize>,
    bytes: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            fuel: Cell::new(FUEL),
            bytes: Cell::new(BYTES),
        }
    }
}

fn take(from: &Cell<usize>, amount: usize) -> bool {
    let left = from.get().checked_sub(amount);
    from.set(left.unwrap_or(0));
    left.is_some()
}

impl Budget {
    /// Steps that were paid for.
    pub fn used(&self) -> usize {
        FUEL - self.fuel.get()
    }

    /// Pays for work.
    ///
    /// # Errors
    /// When none is left.
    pub fn work(&self, steps: usize) -> Result<()> {
        match take(&self.fuel, steps) {
            true => Ok(()),
            false => Err(limit("the template does too much")),
        }
    }

    /// Pays for text or bytes that are about to be made.
    ///
    /// # Errors
    /// When none is left.
    pub fn text(&self, bytes: usize) -> Result<()> {
        match take(&self.bytes, bytes) {
            true => self.work(bytes / 256),
            false => Err(limit(format!(
                "the template makes more than {} MiB of values",
                BYTES >> 20
            ))),
        }
    }

    /// Pays for a list of so many items.
    ///
    /// # Errors
    /// When none is left.
    pub fn items(&self, count: usize) -> Result<()> {
        self.work(count)?;
        self.text(count.saturating_mul(24))
    }
}
