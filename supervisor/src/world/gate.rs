//! Holds up the readers of all children between two reads, for an upgrade in place.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// The gate; all of its clones are one.
#[derive(Clone, Debug, Default)]
pub struct Gate(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_shut: Cell<bool>,
    opened: Notify,
}

impl Gate {
    /// Nobody passes from now on.
    pub fn shut(&self) {
        self.0.is_shut.set(true);
    }

    /// All pass again.
    pub fn open(&self) {
        self.0.is_shut.set(false);
        self.0.opened.notify_waiters();
    }

    /// Nobody passes.
    pub fn is_shut(&self) -> bool {
        self.0.is_shut.get()
    }

    /// Returns once it is open.
    pub async fn pass(&self) {
        while self.is_shut() {
            self.0.opened.notified().await;
        }
    }
}
