//! `noop`: does nothing, well.

use serde_json::Value;

use crate::core::clock::Wall;
use crate::core::record::{Outcome, Status};

/// Over at once.
pub fn outcome(now: Wall) -> Outcome {
    Outcome {
        status: Status::Succeeded,
        result: Value::Null,
        started: Some(now),
        ended: now,
    }
}
