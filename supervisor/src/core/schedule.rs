//! Timers: when they fire, and what becomes of the moments for which nobody was there.
//!
//! A moment is settled once it fired or was passed over, and that enters the journal together with
//! the event: so no moment fires twice, and after a restart it is known which ones are owed.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::clock::Wall;
use super::notice::{Level, Notice};
use super::step::Core;
use crate::catalog::WhenMissed;
use crate::rules::TimerRule;
use crate::rules::timer::Timer;

/// A moment that is so much in the past is missed, microseconds; APScheduler's grace.
const GRACE: i64 = 1_000_000;

/// Missed moments that are counted one by one; there may be a hundred million of them.
const MOST_COUNTED: u64 = 10_000;

/// Moments of one timer that fire in one step, with `missed: all`.
const MOST_AT_ONCE: usize = 100;

/// Commits under way above which no timer fires: a queue of missed moments waits for the disk.
pub(super) const MOST_PENDING: usize = 16;

/// All timers that rules wait for.
#[derive(Debug, Default)]
pub struct Schedule {
    timers: Vec<Armed>,
}

#[derive(Debug)]
struct Armed {
    rule: TimerRule,
    /// No moment up to this one is owed.
    settled: Timestamp,
    next: Option<Timestamp>,
}

/// A moment whose time has come.
#[derive(Clone, Debug)]
pub struct Firing {
    /// The timer.
    pub rule: TimerRule,
    /// The moment that it was due.
    pub due: Timestamp,
    /// How many earlier moments were missed and are made up by this one.
    pub missed: u64,
    /// It is told to the rules; a moment that is not is skipped.
    pub told: bool,
}

impl Schedule {
    /// Arms the timers of the rules; `settled` is what the journal knows of them, a timer that it
    /// does not know begins at `now`.
    pub fn new(
        rules: impl IntoIterator<Item = TimerRule>,
        settled: &HashMap<String, Wall>,
        now: Wall,
    ) -> Self {
        let arm = |rule: TimerRule| {
            let known = settled.get(&rule.trigger.reference);
            let settled = timestamp(known.copied().unwrap_or(now));
            let next = following(&rule.timer, settled);
            Armed {
                rule,
                settled,
                next,
            }
        };
        Self {
            timers: rules.into_iter().map(arm).collect(),
        }
    }

    /// The timers with the moment up to which each is settled.
    pub fn settled(&self) -> impl Iterator<Item = (&TimerRule, Wall)> {
        self.timers.iter().map(|one| (&one.rule, wall(one.settled)))
    }

    /// The same by reference.
    pub fn known(&self) -> HashMap<String, Wall> {
        let all = self.settled();
        all.map(|(rule, at)| (rule.trigger.reference.clone(), at))
            .collect()
    }

    /// Timers that will not fire any more, such as a date in the past.
    pub fn over(&self) -> impl Iterator<Item = &TimerRule> {
        let over = self.timers.iter().filter(|one| one.next.is_none());
        over.map(|one| &one.rule)
    }

    /// When the next timer fires.
    pub fn next(&self) -> Option<Wall> {
        self.timers
            .iter()
            .filter_map(|one| one.next)
            .min()
            .map(wall)
    }

    /// Takes the moments up to `now`.
    pub fn take(&mut self, now: Wall) -> Vec<Firing> {
        let now = timestamp(now);
        self.timers
            .iter_mut()
            .flat_map(|one| one.take(now))
            .collect()
    }
}

/// The first moment after a settled one. The journal keeps microseconds, a date may have more: all
/// that lies in a settled microsecond is settled.
fn following(timer: &Timer, settled: Timestamp) -> Option<Timestamp> {
    let whole = timestamp(wall(settled));
    let end = whole.checked_add(SignedDuration::from_nanos(999)).ok()?;
    timer.next(whole, end)
}

impl Armed {
    fn take(&mut self, now: Timestamp) -> Vec<Firing> {
        self.follow_the_clock(now);
        let mut firings = Vec::new();
        while let Some(next) = self.next.filter(|next| *next <= now)
            && firings.len() < MOST_AT_ONCE
        {
            let (due, missed) = match self.rule.missed {
                WhenMissed::All => (next, 0),
                WhenMissed::RunOnce | WhenMissed::Skip => self.latest(next, now),
            };
            self.settled = due;
            self.next = following(&self.rule.timer, due);
            let late = now.as_microsecond() - due.as_microsecond() > GRACE;
            firings.push(Firing {
                rule: self.rule.clone(),
                due,
                missed,
                told: !(late && self.rule.missed == WhenMissed::Skip),
            });
        }
        firings
    }

    /// When the clock was set back, an interval would be silent until it is where it was.
    fn follow_the_clock(&mut self, now: Timestamp) {
        if let Timer::Interval { every } = &self.rule.timer
            && self.settled > now
            && self.settled.duration_since(now) > *every
        {
            self.settled = now;
            self.next = following(&self.rule.timer, now);
        }
    }

    /// The last moment that is due, and how many from `first` on come before it.
    fn latest(&self, first: Timestamp, now: Timestamp) -> (Timestamp, u64) {
        let (mut due, mut missed) = (first, 0);
        while let Some(next) = following(&self.rule.timer, due).filter(|next| *next <= now) {
            if missed >= MOST_COUNTED {
                return (self.last_before(due, now), missed);
            }
            due = next;
            missed += 1;
        }
        (due, missed)
    }

    /// The last moment that is due, found from the end.
    fn last_before(&self, known: Timestamp, now: Timestamp) -> Timestamp {
        let next = |after| self.rule.timer.next(known, after).filter(|at| *at <= now);
        let mut back = 1;
        let mut due = loop {
            let from = now.as_second().saturating_sub(back);
            let from = Timestamp::from_second(from).unwrap_or(known).max(known);
            match next(from) {
                Some(due) => break due,
                None if from == known => return known,
                None => back *= 2,
            }
        };
        while let Some(later) = next(due) {
            due = later;
        }
        due
    }
}

impl Core {
    /// At the start: what is new or gone is written down, what will never fire is told.
    pub(super) fn arm_timers(&mut self) {
        let known = std::mem::take(&mut self.settled_timers);
        let rules = self.rules.timers().cloned();
        self.schedule = Schedule::new(rules, &known, self.now.wall);
        for (rule, settled) in self.schedule.settled() {
            let reference = &rule.trigger.reference;
            if !known.contains_key(reference) {
                self.batch.timers.push((reference.clone(), Some(settled)));
            }
        }
        let armed = |reference: &str| {
            self.schedule
                .settled()
                .any(|(r, _)| r.trigger.reference == reference)
        };
        let gone = known.into_keys().filter(|reference| !armed(reference));
        self.batch
            .timers
            .extend(gone.map(|reference| (reference, None)));
        for rule in self.schedule.over() {
            let schedule = Value::Object(rule.trigger.parameters.clone());
            let text = format!("fires no more: {schedule} is over");
            let notice = Notice::new(Level::Info, "timer.over", &rule.trigger.trigger_type, text);
            self.out.push(super::Effect::Notice(notice));
        }
    }

    pub(super) fn fire_timers(&mut self) {
        if self.timers_rest() {
            return;
        }
        for firing in self.schedule.take(self.now.wall) {
            let trigger = &firing.rule.trigger;
            let settled = (trigger.reference.clone(), Some(wall(firing.due)));
            self.batch.timers.push(settled);
            if firing.told {
                let tag = format!("{}-{}", trigger.trigger_type, trigger.id);
                let payload = payload(&firing, self.now.wall);
                self.tell_rules(trigger, Some(tag), &payload);
            }
            if let Some(text) = told_late(&firing) {
                let subject = &trigger.trigger_type;
                self.notify(Notice::new(Level::Warning, "timer.missed", subject, text));
            }
        }
    }

    /// Nothing new begins in a stop, nor when the disk is behind.
    pub(super) fn timers_rest(&self) -> bool {
        self.phase != super::step::Phase::Running
            || self.holds
            || self.commits_under_way() > MOST_PENDING
    }
}

/// StackStorm's payload, whose `schedule` is always null there, and what is ours beside it.
fn payload(firing: &Firing, now: Wall) -> Value {
    json!({
        "executed_at": python_time(timestamp(now)),
        "schedule": firing.rule.trigger.parameters,
        "scheduled_for": wall(firing.due).rfc3339(),
        "missed": firing.missed,
    })
}

fn told_late(firing: &Firing) -> Option<String> {
    let parameters = Value::Object(firing.rule.trigger.parameters.clone());
    let due = wall(firing.due).rfc3339();
    let count = match firing.missed {
        n if n >= MOST_COUNTED => format!("more than {n}"),
        n => n.to_string(),
    };
    match (firing.told, firing.missed) {
        (true, 0) => None,
        (true, _) => Some(format!(
            "{parameters}: {count} moments before {due} were missed, made up once"
        )),
        (false, 0) => Some(format!(
            "{parameters}: the moment {due} was missed and is skipped"
        )),
        (false, _) => Some(format!(
            "{parameters}: {due} and {count} moments before it were missed and are skipped"
        )),
    }
}

/// As `str()` of an aware datetime in UTC.
fn python_time(at: Timestamp) -> String {
    let fraction = match at.subsec_microsecond() {
        0 => "",
        _ => ".%6f",
    };
    let format = format!("%Y-%m-%d %H:%M:%S{fraction}+00:00");
    at.strftime(&format).to_string()
}

fn timestamp(wall: Wall) -> Timestamp {
    Timestamp::from_microsecond(wall.0).unwrap_or_default()
}

fn wall(at: Timestamp) -> Wall {
    Wall(at.as_microsecond())
}
