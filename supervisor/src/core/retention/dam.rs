//! What is not settled fills the journal: whose sensors wait.

use std::collections::BTreeSet;

use super::Unsettled;
use crate::catalog::knobs::units::{about_bytes, shown_bytes};

/// A trigger has its part in it from this share on.
const SHARE: u64 = 10;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dam {
    /// Trigger types whose sensors are not read.
    pub triggers: BTreeSet<String>,
    /// In a sentence.
    pub why: String,
}

impl Dam {
    /// Of those who fill it; none where no events do.
    pub fn of(unsettled: &[Unsettled], size: u64, used: u64) -> Option<Self> {
        let of_events = || unsettled.iter().filter(|one| !one.trigger.is_empty());
        let whole: u64 = of_events().map(|one| one.bytes).sum();
        let large = of_events().filter(|one| one.bytes * SHARE >= whole);
        let triggers: BTreeSet<String> = large.map(|one| one.trigger.clone()).collect();
        let events: u64 = of_events().map(|one| one.events).sum();
        let names = triggers.iter().cloned().collect::<Vec<_>>().join(", ");
        let why = format!(
            "the journal is full: {} of {} (journal.retention.size) are used, and {events} events \
             of {names} wait for their executions; the sensors of these triggers wait until some \
             are over",
            about_bytes(used),
            shown_bytes(size)
        );
        (!triggers.is_empty()).then_some(Self { triggers, why })
    }
}

/// Nothing is left that could go or wait.
pub fn too_small(size: u64, used: u64) -> String {
    format!(
        "the journal needs {} for what no event accounts for, and journal.retention.size is {}: \
         make it larger, or see `petrel journal info`",
        about_bytes(used),
        shown_bytes(size)
    )
}
