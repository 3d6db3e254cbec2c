//! What a template makes or is given beside data: methods, macros, loops.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::value::Value;

/// A method of a value.
#[derive(Debug)]
pub struct Method {
    /// Whose it is.
    pub owner: Value,
    /// Its name.
    pub name: &'static str,
}

/// A macro, or the body of a call block.
#[derive(Debug)]
pub struct Macro {
    /// Which of the template's.
    pub index: usize,
    /// The scope that it was defined in.
    pub scope: usize,
}

/// `loop`.
#[derive(Debug)]
pub struct Loop {
    /// All items.
    pub items: Vec<Value>,
    /// Which one it is at.
    pub at: AtomicUsize,
    /// How deep in a recursive loop, from 0.
    pub depth: usize,
    /// Which loop of the template, where it is recursive.
    pub again: Option<usize>,
    /// The scope that it stands in.
    pub scope: usize,
    /// What `loop.changed` was last given.
    pub last: Mutex<Option<Value>>,
}

impl Loop {
    /// Which item it is at.
    pub fn place(&self) -> usize {
        self.at.load(Ordering::Relaxed)
    }

    /// Goes to an item.
    pub fn go_to(&self, at: usize) {
        self.at.store(at, Ordering::Relaxed);
    }

    /// Remembers a value and gives the one before.
    pub fn swap_last(&self, value: Value) -> Option<Value> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.replace(value)
    }
}

/// `cycler()`.
#[derive(Debug)]
pub struct Cycler {
    /// What it goes through.
    pub items: Vec<Value>,
    /// Where it is.
    pub at: AtomicUsize,
}

/// `joiner()`.
#[derive(Debug)]
pub struct Joiner {
    /// What it gives from the second time on.
    pub text: Value,
    /// It was used.
    pub used: AtomicBool,
}
