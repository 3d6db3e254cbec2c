//! Rules: from a catalog and an event to the actions that are asked for. Nothing here knows of
//! sensors, processes, files or clocks.

mod ask;
pub mod cast;
pub mod cipher;
mod compile;
mod config;
pub mod criteria;
mod dates;
mod engine;
mod explain;
pub mod jinja;
pub mod literal;
mod loose_dates;
pub mod operators;
mod order;
pub mod parameters;
pub mod path;
pub mod python;
pub mod regex;
pub mod shell_risk;
pub mod store;
pub mod template;
pub mod timer;
mod trigger;
pub mod verdict;

pub use ask::{Asked, Asking};
pub use compile::Host;
pub use engine::{Compiled, Failed, Judgement, Missed, Requested, RuleSet, Slot, TimerRule};
pub use explain::{Explained, Told};
pub use operators::known_operators;
pub use order::Order;
pub use trigger::Trigger;
pub use verdict::{Miss, Verdict};
