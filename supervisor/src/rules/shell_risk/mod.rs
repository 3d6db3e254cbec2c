//! Where the data of an event reaches a shell as it came: `{{ trigger.x }}` in a command lets the
//! sender of the event write part of the command. StackStorm's rendering is kept, so this is told
//! and not changed.

mod expression;
mod rule;
mod scan;

pub use rule::warnings;
pub use scan::{Place, unquoted};
