//! The journal's thread: what waits for it, a full disk, and its answers.

use std::collections::HashMap;
use std::time::Duration;

use super::agenda::Happening;
use super::world::World;
use crate::core::Input;
use crate::core::input::Duplicate;
use crate::core::queue::Fetch;
use crate::core::record::{Batch, ExecutionChange};
use crate::core::retention::Chore;

#[derive(Debug)]
pub enum Order {
    Commit(u64, Box<Batch>),
    Refill(Fetch),
    Tend(Chore),
}

impl World {
    pub fn order(&mut self, order: Order) {
        if let Order::Commit(_, batch) = &order {
            let claims = |one: &ExecutionChange| matches!(one, ExecutionChange::Claimed { .. });
            let claimed = batch.changes.iter().any(claims);
            assert!(!claimed || !self.core.holds, "claimed: nothing may start");
            // Whatever intake went by, an event is judged by the rules of its moment.
            let now = self.core.rules.hash();
            let old = batch.events.iter().find(|event| *event.rule_set != *now);
            assert!(old.is_none(), "judged by old rules: {old:?}");
        }
        self.orders.push_back(order);
        self.later(30, Happening::Write);
    }

    /// Batches wait until there is room again.
    pub fn disk_is_full(&mut self, time: Duration) {
        self.seen.stuck += 1;
        self.is_full = true;
        self.agenda.at(self.now + time, Happening::Free);
        self.step(Input::JournalStuck(Some("no space left".into())));
    }

    pub fn disk_is_free(&mut self) {
        self.is_full = false;
        self.step(Input::JournalStuck(None));
        self.write();
        let time = self.rng.time(300);
        self.later(20_000, Happening::Full(time));
    }

    /// Everything that waited is written at once; the answers come late, but in order.
    pub fn write(&mut self) {
        if self.is_full {
            return;
        }
        let mut commits = Vec::new();
        let mut answers = Vec::new();
        for order in std::mem::take(&mut self.orders) {
            match order {
                Order::Commit(number, batch) => commits.push((number, batch)),
                Order::Tend(chore) => {
                    self.write_group(std::mem::take(&mut commits), &mut answers);
                    let tended = self.journal.tend(&chore);
                    self.seen.removed +=
                        tended.removed.as_ref().map_or(0, |one| one.events as usize);
                    answers.push(Input::Tended(Box::new(tended)));
                }
                Order::Refill(fetch) => {
                    self.write_group(std::mem::take(&mut commits), &mut answers);
                    let executions = self.journal.owed(&fetch);
                    answers.push(Input::Refilled {
                        all: executions.len() < fetch.most,
                        of: fetch.of,
                        executions,
                    });
                }
            }
        }
        self.write_group(commits, &mut answers);
        for answer in answers {
            let wait = Duration::from_millis(self.rng.below(20));
            self.agenda.written(self.now + wait, answer);
        }
    }

    /// Two transactions, as the writer makes them: what need not be on disk goes first, and is told
    /// of first. A crash may come between the two.
    fn write_group(&mut self, commits: Vec<Numbered>, answers: &mut Vec<Input>) {
        let Some(upto) = commits.last().map(|(number, _)| *number) else {
            return;
        };
        let (safe, fast): (Vec<_>, Vec<_>) =
            commits.into_iter().partition(|(_, batch)| !batch.unsynced);
        let overtakes = !safe.is_empty() && !fast.is_empty();
        let numbers: Vec<u64> = fast.iter().map(|(number, _)| *number).collect();
        let (newer, mut duplicates) = self.write_fast(&safe, fast);
        if overtakes {
            self.seen.overtaken += 1;
            answers.push(Input::Written {
                numbers,
                duplicates: std::mem::take(&mut duplicates),
            });
        }
        for (number, batch) in safe {
            let is_old = |name: &str| newer.get(name).is_some_and(|newer| *newer > number);
            duplicates.extend(self.journal.write(*batch, is_old));
        }
        if self.rng.percent(10) {
            answers.push(committed((upto, duplicates.clone())));
        }
        answers.push(committed((upto, duplicates)));
    }

    /// What overtakes, with the texts of the rules that judged it; and whose memory was written, by
    /// which batch.
    fn write_fast(
        &mut self,
        safe: &[Numbered],
        fast: Vec<Numbered>,
    ) -> (HashMap<String, u64>, Vec<Duplicate>) {
        if !fast.is_empty() {
            for (hash, text) in safe.iter().flat_map(|(_, batch)| &batch.rule_sets) {
                self.journal.keep_rule_set(hash, text);
            }
        }
        let mut newer = HashMap::new();
        let mut duplicates = Vec::new();
        for (number, batch) in fast {
            newer.extend(batch.sensors.iter().map(|(name, _)| (name.clone(), number)));
            duplicates.extend(self.journal.write(*batch, |_| false));
        }
        (newer, duplicates)
    }

    /// The last that the journal's thread does before a crash: nothing, or half of what waits.
    pub fn write_half(&mut self) {
        let orders = std::mem::take(&mut self.orders);
        if self.is_full || !self.rng.percent(30) {
            return;
        }
        let group = orders.into_iter().map_while(|order| match order {
            Order::Commit(number, batch) => Some((number, batch)),
            Order::Refill(_) | Order::Tend(_) => None,
        });
        let (safe, fast): (Vec<_>, Vec<_>) = group.partition(|(_, batch)| !batch.unsynced);
        self.write_fast(&safe, fast);
    }
}

/// A batch with its number.
type Numbered = (u64, Box<Batch>);

fn committed((upto, duplicates): (u64, Vec<Duplicate>)) -> Input {
    Input::Committed { upto, duplicates }
}
