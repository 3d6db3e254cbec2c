//! All that decides, pure: [`Core::step`] takes what happened and the time, and returns what to do.
//!
//! Nothing here does I/O, reads a clock or draws a random number; chance comes in with the input
//! that needs it. [`step`] is the table of contents, [`lifecycle`] a sensor's life, [`queue`] the
//! owed actions, [`intake`] the way from bytes to judged events, [`view`] what users see.

mod answers;
mod asks;
pub mod batches;
pub mod cause;
mod chain;
pub mod clock;
#[cfg(test)]
mod conformance;
pub mod control;
pub mod crash;
pub mod datastore;
pub mod effect;
pub mod executions;
pub mod fleet;
pub mod handover;
mod hush;
pub mod ids;
mod inject;
pub mod input;
pub mod intake;
pub mod isolation;
pub mod kv;
mod life;
pub mod lifecycle;
mod limits;
mod logged;
pub mod logs;
pub mod notice;
mod notify;
mod output;
pub mod passed;
mod progress;
pub mod queue;
pub mod rate;
pub mod recent;
pub mod record;
mod rejected;
pub mod reload;
pub mod retention;
mod said;
pub mod schedule;
mod seal;
pub mod sensor;
#[cfg(test)]
mod sim;
pub mod stats;
pub mod step;
mod system;
pub mod tally;
mod tend;
mod unknown;
pub mod view;

pub use effect::{Effect, Signal};
pub use input::Input;
pub use step::Core;
