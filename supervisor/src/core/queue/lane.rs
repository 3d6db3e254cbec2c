//! Executions that wait for the same: some here, the rest in the journal.

use std::collections::{HashSet, VecDeque};

use super::turns::Turns;
use crate::core::record::Execution;

/// In the order in which they were asked for. When as many wait as may wait in memory, later ones are
/// left in the journal and fetched in order when there is room. A fetch follows the earlier commits
/// through the same channel, so it sees every execution that was left there before it was asked for.
#[derive(Debug, Default)]
pub struct Lane {
    pub(super) waiting: VecDeque<Execution>,
    spilled: Option<Spilled>,
    /// None of those in memory may begin, until something ends or comes.
    stuck: bool,
}

#[derive(Debug)]
struct Spilled {
    /// The last execution that is, or was, in memory.
    after: u64,
    /// A fetch is under way; how many were spilled since it was asked for.
    fetching: Option<usize>,
}

impl Lane {
    /// Most executions that wait in the memory of one lane.
    pub const MOST: usize = 1000;

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.spilled.is_none()
    }

    pub fn is_stuck(&self) -> bool {
        self.stuck
    }

    pub fn has_spilled(&self) -> bool {
        self.spilled.is_some()
    }

    pub fn is_fetching(&self) -> bool {
        matches!(&self.spilled, Some(one) if one.fetching.is_some())
    }

    /// Something ended: one that may not begin until then may begin now.
    pub fn look_again(&mut self) {
        self.stuck = false;
    }

    /// The place of the first that may begin: one whose turn it is and which `may`, as no policy
    /// holds it back. Those without an order were looked at by the policies already.
    pub fn first(&mut self, turns: &Turns, may: impl Fn(&Execution) -> bool) -> Option<usize> {
        if self.stuck {
            return None;
        }
        let mut passed = HashSet::new();
        let found = self.waiting.iter().position(|one| {
            let Some(turn) = &one.cause.turn else {
                return true;
            };
            if !turns.is_free(one) || passed.contains(turn) {
                return false;
            }
            let begins = may(one);
            if !begins {
                passed.insert(turn.clone());
            }
            begins
        });
        self.stuck = found.is_none();
        found
    }

    pub fn leave_in_journal(&mut self, after: u64) {
        self.spilled = Some(Spilled {
            after,
            fetching: None,
        });
    }

    /// One more, where `most` may wait in memory.
    pub fn push(&mut self, execution: Execution, most: usize) {
        match &mut self.spilled {
            // It is older than what was spilled: no fetch would find it.
            Some(spilled) if execution.seq <= spilled.after => self.put(execution),
            Some(spilled) => {
                if let Some(since) = &mut spilled.fetching {
                    *since += 1;
                }
            }
            None if self.waiting.len() >= most => {
                let last = self.waiting.iter().map(|one| one.seq).max();
                match last.filter(|last| *last < execution.seq) {
                    Some(last) => self.leave_in_journal(last),
                    None => self.put(execution),
                }
            }
            None => self.put(execution),
        }
    }

    /// One more, in memory.
    pub fn put(&mut self, execution: Execution) {
        self.waiting.push_back(execution);
        self.stuck = false;
    }

    pub fn forget(&mut self, seq: u64) -> Option<Execution> {
        let at = self.waiting.iter().position(|one| one.seq == seq)?;
        self.stuck = false;
        self.waiting.remove(at)
    }

    /// What to fetch, where memory runs low: those after a number, and how many.
    pub fn wants(&mut self, most: usize) -> Option<(u64, usize)> {
        let room = most.saturating_sub(self.waiting.len());
        let spilled = self.spilled.as_mut()?;
        if spilled.fetching.is_some() || room < most.div_ceil(2) {
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
        self.stuck = false;
        if all && missed == 0 {
            self.spilled = None;
        }
    }
}
