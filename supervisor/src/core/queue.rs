//! The owed executions: a bounded part in memory, the rest in the journal.
//!
//! A new execution runs at once when a slot is free and nothing waits before it. Otherwise it waits
//! in a lane. When [`Lane::MOST`] wait there in memory, later ones are left in the journal (they are
//! spilled) and are fetched in order when there is room. A fetch follows the earlier commits through
//! the same channel, so it sees every execution that was spilled before it was asked for.
//!
//! What a policy delays is moved to a lane of its action, so that it stands in nobody's way however
//! many it is: its row then says `delayed`, by which the fetches of the lanes are told apart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::record::Execution;

/// Where a new execution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It has a slot.
    Runs,
    /// It waits, here or in the journal.
    Waits,
}

/// A fetch from the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Delayed executions of this action; none for those that no policy delays.
    pub of: Option<String>,
    /// Executions above this number.
    pub after: u64,
    /// At most so many.
    pub most: usize,
}

/// The waiting and the number of the running.
#[derive(Debug)]
pub struct Queue {
    parallel: usize,
    running: usize,
    main: Lane,
    /// What policies delay, by action.
    delayed: BTreeMap<String, Lane>,
    /// Actions of which one may begin that was delayed.
    maybe: BTreeSet<String>,
    /// Actions of which something in the main lane may have to be delayed now.
    suspect: BTreeSet<String>,
}

impl Queue {
    /// A queue with `parallel` slots, at least one.
    pub fn new(parallel: usize) -> Self {
        Self {
            parallel: parallel.max(1),
            running: 0,
            main: Lane::default(),
            delayed: BTreeMap::new(),
            maybe: BTreeSet::new(),
            suspect: BTreeSet::new(),
        }
    }

    /// Begins with what an earlier supervisor left owed, all of it still in the journal.
    pub fn leave_in_journal(&mut self, after: u64) {
        self.main.leave_in_journal(after);
    }

    /// Takes a new execution; one that is `held` back waits.
    pub fn admit(&mut self, execution: &Execution, held: bool) -> Admitted {
        let first = self.main.is_empty() && !self.delayed.contains_key(&execution.action);
        if !held && first && self.has_slot() {
            self.begun(execution);
            return Admitted::Runs;
        }
        self.suspect.insert(execution.action.clone());
        self.main.push(execution.clone());
        Admitted::Waits
    }

    /// Takes the next one, if a slot is free; the slot is then taken. `may` tells of those that were
    /// delayed which may begin now.
    pub fn claim(&mut self, may: impl Fn(&Execution) -> bool) -> Option<Execution> {
        if !self.has_slot() {
            return None;
        }
        let next = match self.first_delayed(may) {
            Some((seq, action, at)) if self.main.first().is_none_or(|first| seq < first) => {
                self.take_delayed(&action, at)?
            }
            _ => self.main.waiting.pop_front()?,
        };
        self.begun(&next);
        Some(next)
    }

    /// The oldest of the delayed that may begin: its number, its action and its place.
    fn first_delayed(&mut self, may: impl Fn(&Execution) -> bool) -> Option<(u64, String, usize)> {
        let mut found: Vec<(u64, String, usize)> = Vec::new();
        for action in std::mem::take(&mut self.maybe) {
            let lane = self.delayed.get(&action);
            let at = lane.and_then(|lane| lane.waiting.iter().position(&may));
            if let (Some(lane), Some(at)) = (lane, at) {
                found.push((lane.waiting[at].seq, action.clone(), at));
                self.maybe.insert(action);
            }
        }
        found.into_iter().min()
    }

    fn take_delayed(&mut self, action: &str, at: usize) -> Option<Execution> {
        let lane = self.delayed.get_mut(action)?;
        let next = lane.waiting.remove(at);
        if lane.is_empty() {
            self.delayed.remove(action);
        }
        next
    }

    /// One more of an action runs: others of it may have to wait for it.
    pub fn begun(&mut self, execution: &Execution) {
        self.running += 1;
        self.suspect.insert(execution.action.clone());
    }

    /// A claimed one of this action is over.
    pub fn release(&mut self, action: &str) {
        debug_assert!(self.running > 0, "a slot is released once");
        self.running -= 1;
        self.maybe.insert(action.to_owned());
    }

    /// The policies are others: everything is looked at again.
    pub fn look_again(&mut self) {
        self.maybe.extend(self.delayed.keys().cloned());
        let waiting = self.main.waiting.iter();
        self.suspect.extend(waiting.map(|one| one.action.clone()));
    }

    /// Those of the main lane whose action began or came since this was last asked.
    pub fn suspects(&mut self) -> Vec<Execution> {
        let actions = std::mem::take(&mut self.suspect);
        let waiting = self.main.waiting.iter();
        waiting
            .filter(|one| actions.contains(&one.action))
            .cloned()
            .collect()
    }

    /// Moves one of the main lane to the lane of its action.
    pub fn delay(&mut self, execution: Execution) {
        self.main.forget(execution.seq);
        let lane = self.delayed.entry(execution.action.clone()).or_default();
        lane.push(execution);
    }

    /// Takes one back whose time has come: it waits behind the others.
    pub fn put(&mut self, execution: Execution) {
        self.suspect.insert(execution.action.clone());
        self.main.waiting.push_back(execution);
    }

    /// Drops a waiting one that turned out to be a duplicate, or is not wanted any more.
    pub fn forget(&mut self, seq: u64) -> Option<Execution> {
        if let Some(found) = self.main.forget(seq) {
            return Some(found);
        }
        let found = self.delayed.values_mut().find_map(|lane| lane.forget(seq));
        self.delayed.retain(|_, lane| !lane.is_empty());
        found
    }

    /// What to fetch, where memory runs low and more is in the journal.
    pub fn wants(&mut self) -> Vec<Fetch> {
        let main = self.main.wants().map(|wanted| (None, wanted));
        let delayed = self.delayed.iter_mut().filter_map(|(action, lane)| {
            let wanted = lane.wants()?;
            Some((Some(action.clone()), wanted))
        });
        let all = main.into_iter().chain(delayed);
        all.map(|(of, (after, most))| Fetch { of, after, most })
            .collect()
    }

    /// What was fetched, up to the number `last`; `all` when the journal had no more.
    pub fn refill(
        &mut self,
        of: Option<&str>,
        fetched: Vec<Execution>,
        last: Option<u64>,
        all: bool,
    ) {
        let Some(action) = of else {
            self.suspect
                .extend(fetched.iter().map(|one| one.action.clone()));
            return self.main.refill(fetched, last, all);
        };
        if let Some(lane) = self.delayed.get_mut(action) {
            lane.refill(fetched, last, all);
            match lane.is_empty() {
                true => drop(self.delayed.remove(action)),
                false => drop(self.maybe.insert(action.to_owned())),
            }
        }
    }

    /// Executions that wait in memory, and whether more wait in the journal.
    pub fn waiting(&self) -> (usize, bool) {
        let lanes = || std::iter::once(&self.main).chain(self.delayed.values());
        let spilled = lanes().any(|lane| lane.spilled.is_some());
        (lanes().map(|lane| lane.waiting.len()).sum(), spilled)
    }

    /// A fetch is under way.
    pub fn is_fetching(&self) -> bool {
        let mut lanes = std::iter::once(&self.main).chain(self.delayed.values());
        lanes.any(|lane| matches!(&lane.spilled, Some(one) if one.fetching.is_some()))
    }

    fn has_slot(&self) -> bool {
        self.running < self.parallel
    }
}

/// Those that wait for the same.
#[derive(Debug, Default)]
pub struct Lane {
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

impl Lane {
    /// Most executions that wait in memory.
    pub const MOST: usize = 1000;

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.spilled.is_none()
    }

    fn first(&self) -> Option<u64> {
        self.waiting.front().map(|one| one.seq)
    }

    fn leave_in_journal(&mut self, after: u64) {
        self.spilled = Some(Spilled {
            after,
            fetching: None,
        });
    }

    fn push(&mut self, execution: Execution) {
        match &mut self.spilled {
            // It is older than what was spilled: no fetch would find it.
            Some(spilled) if execution.seq <= spilled.after => self.waiting.push_back(execution),
            Some(spilled) => {
                if let Some(since) = &mut spilled.fetching {
                    *since += 1;
                }
            }
            None if self.waiting.len() >= Self::MOST => {
                let last = self.waiting.iter().map(|one| one.seq).max();
                match last.filter(|last| *last < execution.seq) {
                    Some(last) => self.leave_in_journal(last),
                    None => self.waiting.push_back(execution),
                }
            }
            None => self.waiting.push_back(execution),
        }
    }

    fn forget(&mut self, seq: u64) -> Option<Execution> {
        let at = self.waiting.iter().position(|one| one.seq == seq)?;
        self.waiting.remove(at)
    }

    fn wants(&mut self) -> Option<(u64, usize)> {
        let room = Self::MOST - self.waiting.len().min(Self::MOST);
        let spilled = self.spilled.as_mut()?;
        if spilled.fetching.is_some() || room < Self::MOST / 2 {
            return None;
        }
        spilled.fetching = Some(0);
        Some((spilled.after, room))
    }

    fn refill(&mut self, fetched: Vec<Execution>, last: Option<u64>, all: bool) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::clock::Wall;
    use crate::core::record::Status;

    fn execution(seq: u64) -> Execution {
        of("p.a", seq)
    }

    fn of(action: &str, seq: u64) -> Execution {
        Execution {
            seq,
            event: Some(seq),
            rule: "p.r".into(),
            rule_version: "1".into(),
            action: action.into(),
            parameters: serde_json::Map::new(),
            status: Status::Requested,
            requested: Wall(0),
            started: None,
            cause: crate::core::cause::Cause::default(),
            progress: None,
            over: None,
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
        assert!(queue.claim(|_| true).is_none());
        queue.release("p.a");
        assert_eq!(queue.claim(|_| true).map(|e| e.seq), Some(3));
        assert_eq!(queue.running, 2);
    }

    /// Plays the journal: everything admitted is there, in order.
    fn drain(queue: &mut Queue, journal: &[u64], late: &mut Vec<u64>) -> Vec<u64> {
        let mut journal = journal.to_vec();
        let mut ran = Vec::new();
        loop {
            while let Some(next) = queue.claim(|_| true) {
                ran.push(next.seq);
                queue.release(&next.action);
            }
            let Some(Fetch { of, after, most }) = queue.wants().pop() else {
                return ran;
            };
            let found: Vec<_> = journal.iter().copied().filter(|seq| *seq > after).collect();
            for seq in late.drain(..) {
                queue.admit(&execution(seq), false);
                journal.push(seq);
            }
            let fetched: Vec<_> = found.iter().take(most).map(|seq| execution(*seq)).collect();
            let last = fetched.last().map(|one| one.seq);
            queue.refill(of.as_deref(), fetched, last, found.len() <= most);
        }
    }

    #[test]
    fn what_is_spilled_comes_back_in_order_even_when_more_arrives_during_the_fetch() {
        let mut queue = Queue::new(1);
        let most = Lane::MOST as u64;
        let all: Vec<u64> = (1..=3 * most).collect();
        for seq in &all {
            queue.admit(&execution(*seq), false);
        }
        queue.release("p.a");
        let mut late: Vec<u64> = (3 * most + 1..=3 * most + 5).collect();
        let ran = drain(&mut queue, &all, &mut late);
        assert_eq!(ran, (2..=3 * most + 5).collect::<Vec<_>>());
        assert_eq!(queue.waiting(), (0, false));
    }

    #[test]
    fn what_is_delayed_stands_in_nobodys_way_and_comes_back() {
        let mut queue = Queue::new(2);
        let most = Lane::MOST as u64;
        let last = 2 * most;
        assert_eq!(queue.admit(&execution(1), false), Admitted::Runs);
        for seq in 2..=last {
            queue.admit(&execution(seq), true);
            for held in queue.suspects() {
                queue.delay(held);
            }
        }
        // Half of them are in the journal, and another action begins at once.
        assert_eq!(queue.waiting(), (Lane::MOST, true));
        assert_eq!(queue.admit(&of("p.b", last + 1), false), Admitted::Runs);
        queue.release("p.b");
        assert!(queue.claim(|_| false).is_none());
        queue.release("p.a");
        let mut ran = Vec::new();
        loop {
            while let Some(next) = queue.claim(|_| true) {
                ran.push(next.seq);
                queue.release("p.a");
            }
            let Some(fetch) = queue.wants().pop() else {
                break;
            };
            assert_eq!(fetch.of.as_deref(), Some("p.a"));
            let found: Vec<_> = (fetch.after + 1..=last).take(fetch.most).collect();
            let all = found.last() == Some(&last);
            let fetched: Vec<_> = found.iter().map(|seq| execution(*seq)).collect();
            queue.refill(
                Some("p.a"),
                fetched,
                found.last().copied(),
                all && found.len() < fetch.most,
            );
        }
        assert_eq!(ran, (2..=last).collect::<Vec<_>>());
        assert_eq!(queue.waiting(), (0, false));
    }
}
