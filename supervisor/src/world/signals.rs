//! The signals that stop us, held back for a moment: what comes while one program takes the place
//! of another in an upgrade is heard by the next one.
//!
//! Threads hold them back for ever, so that they reach the main thread, which alone can hold them
//! back over an exec. No child is made while the main thread does: it would inherit that.

use nix::sys::signal::{SigSet, Signal};

fn ours() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM].into_iter().collect()
}

/// Holds them back in this thread and in those that it starts.
pub fn defer() {
    // It fails only for signals that do not exist.
    let _ = ours().thread_block();
}

/// Lets them through in this thread; those that came meanwhile come now.
pub fn admit() {
    let _ = ours().thread_unblock();
}
