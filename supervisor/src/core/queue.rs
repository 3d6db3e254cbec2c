//! The owed executions: a bounded part in memory, the rest in the journal.
//!
//! A new execution runs at once when a slot is free and nothing waits before it. Otherwise it
//! waits; when [`Queue::MOST`] wait in memory, later ones are left in the journal (`spilled`) and
//! are fetched in order when there is room. A fetch follows the earlier commits through the same
//! channel, so it sees every execution that was spilled before it was asked for.

use std::collections::VecDeque;

use super::record::Execution;

/// Where a new execution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It has a slot.
    Runs,
    /// It waits, here or in the journal.
    Waits,
}

/// The waiting and the number of the running.
#[derive(Debug)]
pub struct Queue {
    parallel: usize,
    running: usize,
    waiting: VecDeque<Execution>,
    spilled: Option<Spilled>,
}

#[derive(Debug)]
struct Spilled {
    /// The last execution that is, or was, in memory.
    after: u64,
    /// A fetch is under way; how many were spilled since it was asked for.
    fetching: Option<usize>,
}

impl Queue {
    /// Most executions that wait in memory.
    pub const MOST: usize = 1000;

    /// A queue with `parallel` slots, at least one.
    pub fn new(parallel: usize) -> Self {
        Self {
            parallel: parallel.max(1),
            running: 0,
            waiting: VecDeque::new(),
            spilled: None,
        }
    }

    /// Begins with what an earlier supervisor left owed, all of it still in the journal.
    pub fn leave_in_journal(&mut self, after: u64) {
        self.spilled = Some(Spilled {
            after,
            fetching: None,
        });
    }

    /// Takes a new execution; one that is `held` back waits.
    pub fn admit(&mut self, execution: &Execution, held: bool) -> Admitted {
        if !held && self.has_slot() && self.waiting.is_empty() && self.spilled.is_none() {
            self.running += 1;
            return Admitted::Runs;
        }
        match &mut self.spilled {
            Some(Spilled {
                fetching: Some(since),
                ..
            }) => *since += 1,
            Some(_) => {}
            None if self.waiting.len() >= Self::MOST => {
                let after = self.waiting.back().map_or(0, |last| last.seq);
                self.leave_in_journal(after);
            }
            None => self.waiting.push_back(execution.clone()),
        }
        Admitted::Waits
    }

    /// The next one to claim that is not `held` back, if a slot is free; the slot is then taken.
    pub fn claim(&mut self, held: impl Fn(&Execution) -> bool) -> Option<Execution> {
        if !self.has_slot() {
            return None;
        }
        let at = self.waiting.iter().position(|one| !held(one))?;
        let next = self.waiting.remove(at)?;
        self.running += 1;
        Some(next)
    }

    /// A claimed one is over.
    pub fn release(&mut self) {
        debug_assert!(self.running > 0, "a slot is released once");
        self.running -= 1;
    }

    /// Takes one back whose time has come: it waits behind the others.
    pub fn put(&mut self, execution: Execution) {
        self.waiting.push_back(execution);
    }

    /// Those that wait in memory.
    pub fn waiting_mut(&mut self) -> impl Iterator<Item = &mut Execution> {
        self.waiting.iter_mut()
    }

    /// Drops a waiting one that turned out to be a duplicate, or is not wanted any more.
    pub fn forget(&mut self, seq: u64) -> Option<Execution> {
        let at = self.waiting.iter().position(|one| one.seq == seq)?;
        self.waiting.remove(at)
    }

    /// When memory runs low and more is in the journal: fetch up to the second number after the
    /// first.
    pub fn wants(&mut self) -> Option<(u64, usize)> {
        let room = Self::MOST - self.waiting.len().min(Self::MOST);
        let spilled = self.spilled.as_mut()?;
        if spilled.fetching.is_some() || room < Self::MOST / 2 {
            return None;
        }
        spilled.fetching = Some(0);
        Some((spilled.after, room))
    }

    /// What was fetched, up to the number `last`; `all` when the journal had no more.
    pub fn refill(&mut self, fetched: Vec<Execution>, last: Option<u64>, all: bool) {
        let Some(spilled) = &mut self.spilled else {
            return;
        };
        let missed = spilled.fetching.take().unwrap_or(0);
        if let Some(last) = last {
            spilled.after = last;
        }
        self.waiting.extend(fetched);
        if all && missed == 0 {
            self.spilled = None;
        }
    }

    /// Executions with a slot.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Executions that wait in memory, and whether more wait in the journal.
    pub fn waiting(&self) -> (usize, bool) {
        (self.waiting.len(), self.spilled.is_some())
    }

    fn has_slot(&self) -> bool {
        self.running < self.parallel
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::Wall;
    use crate::core::record::Status;

    fn execution(seq: u64) -> Execution {
        Execution {
            seq,
            event: Some(seq),
            rule: "p.r".into(),
            rule_version: "1".into(),
            action: "p.a".into(),
            parameters: serde_json::Map::new(),
            status: Status::Requested,
            requested: Wall(0),
            started: None,
            cause: crate::core::cause::Cause::default(),
            progress: None,
        }
    }

    #[test]
    fn slots_are_bounded_and_order_is_kept() {
        let mut queue = Queue::new(2);
        let admitted: Vec<_> = (1..=4)
            .map(|seq| queue.admit(&execution(seq), false))
            .collect();
        use Admitted::{Runs, Waits};
        assert_eq!(admitted, [Runs, Runs, Waits, Waits]);
        assert!(queue.claim(|_| false).is_none());
        queue.release();
        assert_eq!(queue.claim(|_| false).map(|e| e.seq), Some(3));
        assert_eq!(queue.running(), 2);
    }

    /// Plays the journal: everything admitted is there, in order.
    fn drain(queue: &mut Queue, journal: &[u64], late: &mut Vec<u64>) -> Vec<u64> {
        let mut journal = journal.to_vec();
        let mut ran = Vec::new();
        loop {
            while let Some(next) = queue.claim(|_| false) {
                ran.push(next.seq);
                queue.release();
            }
            let Some((after, most)) = queue.wants() else {
                return ran;
            };
            let found: Vec<_> = journal.iter().copied().filter(|seq| *seq > after).collect();
            for seq in late.drain(..) {
                queue.admit(&execution(seq), false);
                journal.push(seq);
            }
            let fetched: Vec<_> = found.iter().take(most).map(|seq| execution(*seq)).collect();
            let last = fetched.last().map(|one| one.seq);
            queue.refill(fetched, last, found.len() <= most);
        }
    }

    #[test]
    fn what_is_spilled_comes_back_in_order_even_when_more_arrives_during_the_fetch() {
        let mut queue = Queue::new(1);
        let most = Queue::MOST as u64;
        let all: Vec<u64> = (1..=3 * most).collect();
        for seq in &all {
            queue.admit(&execution(*seq), false);
        }
        queue.release();
        let mut late: Vec<u64> = (3 * most + 1..=3 * most + 5).collect();
        let ran = drain(&mut queue, &all, &mut late);
        assert_eq!(ran, (2..=3 * most + 5).collect::<Vec<_>>());
        assert_eq!(queue.waiting(), (0, false));
    }
}
