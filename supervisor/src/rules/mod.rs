//! Rules: from a catalog and an event to the actions that are asked for. Nothing here knows of
//! sensors, processes, files or clocks.

pub mod cast;
mod compile;
pub mod criteria;
mod dates;
mod engine;
pub mod jinja;
pub mod literal;
mod loose_dates;
pub mod operators;
pub mod parameters;
pub mod path;
pub mod python;
pub mod regex;
pub mod store;
pub mod template;
pub mod verdict;

pub use engine::{Compiled, Failed, Judgement, Missed, Requested, RuleSet, Slot};
pub use operators::known_operators;
pub use verdict::{Miss, Verdict};
