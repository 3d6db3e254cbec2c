//! What end-to-end tests need: a [`Place`] with packs in it, a [`Petrel`] that runs there, and a look
//! at the processes that it leaves.
//!
//! Tests see the binaries, the stream, the command line and `/proc`, never internals. They wait for
//! conditions, each with a bound that only a broken product reaches.
#![allow(
    clippy::disallowed_methods,
    reason = "tests make children and take times"
)]

pub mod article;
mod petrel;
mod place;
pub mod process;
pub mod repository;

use std::time::{Duration, Instant};

pub use petrel::Petrel;
pub use place::{Place, stdout};

/// No healthy machine needs that long for anything that tests wait for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Added to every promise in seconds: what a machine with two cores takes longer while it compiles
/// something else.
pub const MARGIN: Duration = Duration::from_secs(10);

/// How often a condition that nobody reports is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The first `Some` of `look`, which is asked again and again.
///
/// # Panics
/// After [`PATIENCE`].
pub fn wait_until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, look)
}

/// The first `Some` of `look` within `bound`.
///
/// # Panics
/// After `bound`.
pub fn wait_within<T>(bound: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < bound, "not within {bound:?}: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// `many` in the long runs, whose figures go into the note, else `few`.
pub fn times(few: usize, many: usize) -> usize {
    match std::env::var_os("PETREL_FULL").is_some_and(|full| full == "1") {
        true => many,
        false => few,
    }
}
