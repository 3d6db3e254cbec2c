//! What will happen, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Rng;
use crate::core::Input;
use crate::core::record::{Exit, Outcome};
use crate::core::sensor::SensorIx;

/// A sensor's start.
pub type Start = (SensorIx, u64);

#[derive(Debug)]
pub enum Happening {
    /// Something outside is noticed.
    Input(Input),
    /// The journal's thread takes what waits.
    Write,
    /// The journal's thread answers.
    Written(Input),
    /// A child says something.
    Talk(Start),
    /// Its pipe is read.
    Read(Start),
    /// The intake thread judges the next piece.
    Judge,
    /// What it judged arrives.
    Judged(Input),
    /// A child dies.
    Die(Start, Exit),
    /// Its death is noticed.
    Reap(Start),
    /// An action's program begins.
    Begin(u64),
    /// An action's end is noticed.
    ActionEnded(u64, Outcome),
    /// Somebody does something.
    Person,
    /// The clock is set.
    ClockSet,
    /// The disk is full, for so long.
    Full(Duration),
    /// It is not any more.
    Free,
    /// Somebody wants another program in our place.
    Upgrade,
    /// The upgrade of this number takes too long.
    Late(u64),
}

#[derive(Debug, Default)]
pub struct Agenda {
    all: BTreeMap<(Duration, u64), Happening>,
    tickets: u64,
    /// When the last of those that come in order comes.
    written: Duration,
    judged: Duration,
}

impl Agenda {
    pub fn at(&mut self, at: Duration, happening: Happening) {
        self.tickets += 1;
        self.all.insert((at, self.tickets), happening);
    }

    /// Never before what the journal said earlier.
    pub fn written(&mut self, at: Duration, input: Input) {
        self.written = self.written.max(at);
        self.at(self.written, Happening::Written(input));
    }

    /// Never before what was judged earlier.
    pub fn judged(&mut self, at: Duration, input: Input) {
        self.judged = self.judged.max(at);
        self.at(self.judged, Happening::Judged(input));
    }

    pub fn first(&self) -> Option<Duration> {
        self.all.keys().next().map(|(at, _)| *at)
    }

    pub fn take(&mut self) -> Option<(Duration, Happening)> {
        let ((at, _), happening) = self.all.pop_first()?;
        Some((at, happening))
    }

    /// Nothing of the threads beside the loop is under way.
    pub fn is_settled(&self) -> bool {
        !self.all.values().any(|one| {
            matches!(
                one,
                Happening::Write | Happening::Written(_) | Happening::Judge | Happening::Judged(_)
            )
        })
    }

    /// What the next program does not hear of: answers to what this one wanted to know.
    pub fn forget_answers(&mut self) {
        let ours = |input: &Input| matches!(input, Input::Tried { .. } | Input::Measured { .. });
        self.all
            .retain(|_, one| !matches!(one, Happening::Input(input) if ours(input)));
    }
}

impl Rng {
    /// A time of up to so many milliseconds; now and then much longer.
    pub fn time(&mut self, most_ms: u64) -> Duration {
        let most = match self.below(40) {
            0 => most_ms * 200,
            1..4 => most_ms * 20,
            _ => most_ms,
        };
        Duration::from_millis(self.below(most + 1))
    }
}
