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
pub mod public;
pub mod repository;
pub mod sshd;
pub mod storm;
pub mod web;

use std::fs::OpenOptions;
use std::io::Write;
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

/// Says that something was not tried, and why: to the file that `PETREL_SKIPPED` names, which
/// `tests/run` shows at its end, and to the real standard error, for a passing test's own is hidden.
///
/// # Panics
/// When it cannot be said.
pub fn skipped(what: &str, why: &str) {
    let line = format!("SKIPPED: {what}: {why}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error takes it");
    if let Some(path) = std::env::var_os("PETREL_SKIPPED") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let said = file.and_then(|mut file| file.write_all(line.as_bytes()));
        said.expect("PETREL_SKIPPED takes it");
    }
}

/// `many` in the long runs, whose figures go into the note, else `few`.
pub fn times(few: usize, many: usize) -> usize {
    match std::env::var_os("PETREL_FULL").is_some_and(|full| full == "1") {
        true => many,
        false => few,
    }
}
