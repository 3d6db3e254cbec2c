//! The journal's thread: what waits for it, a full disk, and its answers.

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

    /// Everything that waited is one transaction; its answers come late, but in order.
    pub fn write(&mut self) {
        if self.is_full {
            return;
        }
        let mut upto = None;
        let mut duplicates = Vec::new();
        let mut answers = Vec::new();
        for order in std::mem::take(&mut self.orders) {
            match order {
                Order::Commit(number, batch) => {
                    upto = Some(number);
                    duplicates.extend(self.journal.write(*batch));
                }
                Order::Tend(chore) => {
                    let upto = upto.take();
                    let duplicates = std::mem::take(&mut duplicates);
                    answers.extend(upto.map(|upto| (upto, duplicates)).map(committed));
                    let tended = self.journal.tend(&chore);
                    self.seen.removed +=
                        tended.removed.as_ref().map_or(0, |one| one.events as usize);
                    answers.push(Input::Tended(Box::new(tended)));
                }
                Order::Refill(fetch) => {
                    let upto = upto.take();
                    let duplicates = std::mem::take(&mut duplicates);
                    answers.extend(upto.map(|upto| (upto, duplicates)).map(committed));
                    let executions = self.journal.owed(&fetch);
                    answers.push(Input::Refilled {
                        all: executions.len() < fetch.most,
                        of: fetch.of,
                        executions,
                    });
                }
            }
        }
        if let Some(upto) = upto {
            if self.rng.percent(10) {
                answers.push(committed((upto, duplicates.clone())));
            }
            answers.push(committed((upto, duplicates)));
        }
        for answer in answers {
            let wait = Duration::from_millis(self.rng.below(20));
            self.agenda.written(self.now + wait, answer);
        }
    }
}

fn committed((upto, duplicates): (u64, Vec<Duplicate>)) -> Input {
    Input::Committed { upto, duplicates }
}
