//! How long the journal keeps what is settled: what it is to remove, when, and in which order.
//!
//! The journal does it in small [`Chore`]s between its commits, one at a time, and says after each
//! how much room all takes. A *pass* goes from the oldest event on: one for age ends at the first
//! that is too young; one for want of room ends as soon as there is enough, and the next one goes on
//! where it stopped. Where all that is settled is gone and there is still too little room, what is
//! not settled fills it: then the sensors of its triggers wait ([`Dam`]).
//!
//! Nobody is woken to look: a pass for age has its moment, and how much was written is counted here.

mod dam;
pub mod fate;
#[cfg(test)]
mod tests;
mod tidy;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::clock::{Now, Wall};
use crate::config::Retention;
pub use dam::Dam;

/// Of the budget, what is made free beyond it, so that not every event has to make room for itself.
const SLACK: u64 = 32;

/// Free pages that are not given back to the disk: this part of the budget, for they are used again.
const RESERVE: u64 = 16;

/// Free bytes that are not given back where there is no budget.
const RESERVE_BYTES: u64 = 64 << 20;

/// Bytes that are written between two looks at the room, at least and at most.
const LOOK_EVERY: (u64, u64) = (64 << 10, 16 << 20);

/// Pages that are given back in one go: some milliseconds.
const PAGES: u32 = 128;

/// Least time between two passes that find nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long after an execution's end an event that had waited for it is looked at again.
const SETTLES: Duration = Duration::from_secs(60);

/// What the journal's thread does beside the commits.
#[derive(Clone, Debug, PartialEq)]
pub enum Chore {
    /// Say how much room all takes.
    Measure,
    /// Remove some of what may go.
    Remove(Remove),
    /// Give so many free pages back to the disk.
    Shrink {
        /// At most.
        pages: u32,
    },
}

/// What may go.
#[derive(Clone, Debug, PartialEq)]
pub struct Remove {
    /// Where to begin.
    pub from: Place,
    /// What is accepted later than this was accepted when the clock was wrong.
    pub now: Wall,
    /// What was accepted before this, if it is settled.
    pub before: Wall,
    /// Where an execution failed: what ended before this.
    pub failed_before: Wall,
    /// Hash of the rules that judge now; texts of others go with their last event.
    pub rule_set: String,
}

/// As far as a pass is; events first, then executions that no event asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// From the event of this number on.
    Events(u64),
    /// From the execution of this number on.
    Executions(u64),
    /// Refused messages, the oldest first.
    Rejected,
}

/// The front.
pub const FRONT: Place = Place::Events(0);

/// How a chore went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tended {
    /// Of [`Chore::Remove`].
    pub removed: Option<Removed>,
    /// How much room all takes now.
    pub space: Space,
}

/// What was removed, and what was seen on the way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Removed {
    /// Where to go on; none at the end.
    pub next: Option<Place>,
    /// Events.
    pub events: u64,
    /// Executions.
    pub executions: u64,
    /// Refused messages.
    pub rejected: u64,
    /// What was looked at and is not settled.
    pub unsettled: Vec<Unsettled>,
    /// When the first was accepted that is too young to go.
    pub young: Option<Wall>,
    /// When the first execution ended that failed and is kept for that.
    pub failed: Option<Wall>,
}

/// Events of a trigger whose executions are not over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unsettled {
    /// Reference of the trigger type; empty for executions that no event asked for.
    pub trigger: String,
    /// How many.
    pub events: u64,
    /// What they take, about.
    pub bytes: u64,
}

/// How much room the journal takes, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// By what is in it.
    pub used: u64,
    /// Of the file, free for what comes.
    pub free: u64,
    /// By what is not moved into the file yet.
    pub wal: u64,
    /// Free on its disk.
    pub disk_free: u64,
    /// Its disk.
    pub disk: u64,
    /// Free pages can be given back while it is written to.
    pub can_shrink: bool,
}

/// Why a pass goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// What is old.
    Age,
    /// Room is wanted: what is settled, but for what failed of late.
    Settled,
    /// And what failed.
    Failed,
    /// And what was refused.
    Rejected,
}

#[derive(Debug)]
struct Pass {
    stage: Stage,
    at: Place,
    from_front: bool,
    began: Duration,
    young: Option<Wall>,
    failed: Option<Wall>,
    unsettled: BTreeMap<String, Unsettled>,
}

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    settings: Retention,
    space: Option<Space>,
    /// The journal is at a chore.
    busy: bool,
    pass: Option<Pass>,
    /// When the next pass for age begins.
    due: Option<Wall>,
    /// Where the next pass for room begins.
    cursor: Place,
    /// Bytes handed to the journal since it was looked at.
    written: u64,
    /// Executions ended since the last pass, and might settle what it could not remove.
    ended: bool,
    /// The last pass saw what is old and not settled.
    waits: bool,
    /// The last pass for room found nothing more: not before this.
    fruitless: Option<Duration>,
    /// So much is to be used at most where the disk is to have room.
    goal: u64,
    dam: Option<Dam>,
    shrinking: bool,
    /// Who waits for the file to be small, and what was free when they asked.
    compacting: Vec<(u64, u64)>,
    unsettled: Vec<Unsettled>,
    /// When the first execution failed that is kept longer for that.
    failed: Option<Wall>,
    /// That the disk lacks room was told.
    told_of_disk: bool,
    /// Since the start.
    removed: (u64, u64, u64),
}

/// What changed for others.
#[derive(Debug, PartialEq)]
pub enum Change {
    /// Sensors of triggers wait, for this reason.
    Full(String),
    /// They go on.
    Open,
    /// There is too little room, and nobody to wait.
    TooSmall(String),
    /// The disk has less room than it is to have.
    Poor(String),
    /// The file is as small as it gets: who asked, and the bytes that were given back.
    Compact(u64, u64),
}

impl Keeper {
    /// Of a journal that nobody has looked at yet.
    pub fn new(settings: Retention, now: Wall) -> Self {
        Self {
            settings,
            space: None,
            busy: false,
            pass: None,
            due: Some(now),
            cursor: FRONT,
            written: 0,
            ended: false,
            waits: false,
            fruitless: None,
            goal: u64::MAX,
            dam: None,
            shrinking: false,
            compacting: Vec::new(),
            unsettled: Vec::new(),
            failed: None,
            told_of_disk: false,
            removed: (0, 0, 0),
        }
    }

    /// petrel.yaml says something else from now on.
    pub fn set(&mut self, settings: Retention, now: Wall) {
        if settings != self.settings {
            self.settings = settings;
            (self.pass, self.due) = (None, Some(now));
            (self.fruitless, self.ended) = (None, true);
            // It is looked at anew.
            self.space = None;
        }
    }

    /// So many bytes are on their way to the journal.
    pub fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
    }

    /// An execution is over.
    pub fn ended(&mut self, now: Wall) {
        self.ended = true;
        if self.waits && self.settings.age.is_some() {
            let soon = now.after(SETTLES);
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// Nothing is under way.
    pub fn is_idle(&self) -> bool {
        !self.busy
    }

    /// Whose sensors wait, and why.
    pub fn dam(&self) -> Option<&Dam> {
        self.dam.as_ref()
    }

    /// When it is to be asked by the calendar.
    pub fn alarm(&self) -> Option<Wall> {
        let idle = !self.busy && self.pass.is_none();
        self.due.filter(|_| idle && self.settings.age.is_some())
    }

    /// When it is to be asked.
    pub fn deadline(&self) -> Option<Duration> {
        let again = self.ended || self.written > 0;
        self.fruitless
            .filter(|_| again && !self.busy && self.is_pressed())
    }

    /// What the journal is to do now; it is told once, and then waited for.
    pub fn next(&mut self, now: Now, rule_set: &str) -> Option<Chore> {
        if self.busy {
            return None;
        }
        self.begin_pass(now);
        let chore = match &self.pass {
            Some(pass) => Some(Chore::Remove(self.order(pass, now, rule_set))),
            None => self.tidy(),
        };
        self.busy = chore.is_some();
        chore
    }

    fn begin_pass(&mut self, now: Now) {
        if self.pass.is_some() || self.space.is_none() {
            return;
        }
        let is_due = self.settings.age.is_some() && self.due.is_some_and(|due| due <= now.wall);
        if is_due {
            self.due = None;
            self.pass = Some(Pass::new(Stage::Age, FRONT, now));
        } else if self.is_pressed() && self.may_press(now.mono) {
            self.fruitless = None;
            self.goal = self.wanted();
            self.pass = Some(Pass::new(Stage::Settled, self.cursor, now));
        }
    }

    fn may_press(&self, now: Duration) -> bool {
        let again = self.ended || self.written > 0;
        self.fruitless.is_none_or(|at| again && at <= now)
    }

    fn order(&self, pass: &Pass, now: Now, rule_set: &str) -> Remove {
        let since = |time: Option<Duration>| {
            let micros = time.and_then(|time| i64::try_from(time.as_micros()).ok());
            micros.map_or(Wall(i64::MIN), |micros| {
                Wall(now.wall.0.saturating_sub(micros))
            })
        };
        let all = Wall(i64::MAX);
        let (before, failed_before) = match pass.stage {
            Stage::Age => (since(self.settings.age), since(self.settings.failed)),
            Stage::Settled => (all, since(self.settings.failed)),
            Stage::Failed | Stage::Rejected => (all, all),
        };
        Remove {
            from: pass.at,
            now: now.wall,
            before,
            failed_before,
            rule_set: rule_set.to_owned(),
        }
    }

    /// The journal did its chore.
    pub fn tended(&mut self, tended: Tended, now: Now) -> Vec<Change> {
        self.busy = false;
        self.space = Some(tended.space);
        self.written = 0;
        let mut changes = Vec::new();
        if let Some(removed) = tended.removed {
            self.removed.0 += removed.events;
            self.removed.1 += removed.executions;
            self.removed.2 += removed.rejected;
            changes.extend(self.went_on(removed, now));
        }
        if self.dam.is_some() && self.is_open() {
            self.dam = None;
            changes.push(Change::Open);
        }
        changes.extend(self.told_of_disk());
        changes.extend(self.compacted());
        changes
    }

    fn went_on(&mut self, removed: Removed, now: Now) -> Option<Change> {
        let mut pass = self.pass.take()?;
        let next = removed.next;
        pass.note(removed);
        match (pass.stage, next) {
            (Stage::Age, None) => self.end_of_age(&pass, now.wall),
            (Stage::Age, Some(next)) => self.pass = Some(pass.at(next)),
            (_, next) if self.is_relieved() => self.cursor = next.unwrap_or(FRONT),
            (_, Some(next)) => self.pass = Some(pass.at(next)),
            (_, None) => return self.end_of_round(pass, now),
        }
        None
    }

    fn end_of_age(&mut self, pass: &Pass, now: Wall) {
        self.waits = !pass.unsettled.is_empty();
        self.failed = pass.failed;
        self.unsettled = pass.unsettled.values().cloned().collect();
        let Some(age) = self.settings.age else { return };
        let young = pass.young.map(|at| at.after(age));
        let failed = pass.failed.zip(self.settings.failed);
        let failed = failed.map(|(at, time)| at.after(time));
        // Not for each event by itself.
        let step = (age / 100).clamp(Duration::from_secs(1), Duration::from_secs(3600));
        let next = young.into_iter().chain(failed).min();
        let next = next.map(|at| at.max(now.after(step)));
        // What is accepted from now on is young for as long.
        self.due = Some(next.unwrap_or_else(|| now.after(age)));
    }

    /// All was looked at, and there is still too little room.
    fn end_of_round(&mut self, pass: Pass, now: Now) -> Option<Change> {
        let stage = match pass.stage {
            stage if !pass.from_front => stage,
            Stage::Age | Stage::Settled => Stage::Failed,
            Stage::Failed => {
                self.unsettled = pass.unsettled.values().cloned().collect();
                Stage::Rejected
            }
            Stage::Rejected => return self.give_up(pass.began, now),
        };
        let at = match stage {
            Stage::Rejected => Place::Rejected,
            _ => FRONT,
        };
        self.pass = Some(Pass {
            began: pass.began,
            ..Pass::new(stage, at, now)
        });
        None
    }

    fn give_up(&mut self, began: Duration, now: Now) -> Option<Change> {
        let took = now.mono.saturating_sub(began);
        self.fruitless = Some(now.mono + PATIENCE.max(took * 10));
        (self.cursor, self.ended) = (FRONT, false);
        let space = self.space.unwrap_or_default();
        let size = self.settings.size.filter(|size| space.used > *size)?;
        let before = self.dam.take();
        self.dam = Dam::of(&self.unsettled, size, space.used);
        match (&self.dam, before) {
            (Some(dam), Some(before)) if dam.triggers == before.triggers => None,
            (Some(dam), _) => Some(Change::Full(dam.why.clone())),
            (None, before) => before
                .map(|_| Change::Open)
                .or_else(|| Some(Change::TooSmall(dam::too_small(size, space.used)))),
        }
    }

    /// What people see.
    pub fn view(&self) -> Value {
        let unsettled = self
            .unsettled
            .iter()
            .map(|one| json!({"trigger": one.trigger, "events": one.events, "bytes": one.bytes}));
        let (events, executions, rejected) = self.removed;
        json!({
            "retention": self.settings.shown(),
            "unsettled": unsettled.collect::<Vec<_>>(),
            "oldest_failed": self.failed.map(Wall::rfc3339),
            "full": self.dam.as_ref().map(|dam| &dam.why),
            "waiting": self.dam.as_ref().map(|dam| &dam.triggers),
            "next_removal": self.due.filter(|_| self.settings.age.is_some()).map(Wall::rfc3339),
            "removed": {"events": events, "executions": executions, "rejected": rejected},
        })
    }
}

impl Pass {
    fn new(stage: Stage, at: Place, now: Now) -> Self {
        Self {
            stage,
            at,
            from_front: at == FRONT || stage == Stage::Rejected,
            began: now.mono,
            young: None,
            failed: None,
            unsettled: BTreeMap::new(),
        }
    }

    fn at(self, at: Place) -> Self {
        Self { at, ..self }
    }

    fn note(&mut self, removed: Removed) {
        let first = |one: Option<Wall>, other: Option<Wall>| one.into_iter().chain(other).min();
        self.young = first(self.young, removed.young);
        self.failed = first(self.failed, removed.failed);
        for one in removed.unsettled {
            let all = self.unsettled.entry(one.trigger.clone()).or_default();
            all.trigger = one.trigger;
            all.events += one.events;
            all.bytes += one.bytes;
        }
    }
}
