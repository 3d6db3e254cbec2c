//! The owed executions: a bounded part in memory, the rest in the journal.
//!
//! A new execution runs at once when a slot is free and nothing waits before it. Otherwise it waits
//! in the line of its rule; those that no rule asked for have a line of their own. Lines take turns,
//! so a rule that asks for much holds up nobody but itself.
//!
//! What a policy delays is moved to a lane of its action, so that it stands in nobody's way however
//! many it is: its row then says `delayed`, by which the fetches of the lanes are told apart. What
//! must keep an order stays in its line.

mod lane;
mod turns;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use self::lane::Lane;
use self::turns::Turns;
use super::record::Execution;

/// Most executions that wait in memory, roughly: lines share it.
const MOST: usize = 4000;

/// Fewest of one line that may wait in memory, however many lines there are.
const FEWEST: usize = 8;

/// Where a new execution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It has a slot.
    Runs,
    /// It waits, here or in the journal.
    Waits,
}

/// Whose executions a lane has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This rule asked for them; empty: none did.
    Rule(String),
    /// They are of this action, and delayed.
    Delayed(String),
}

/// A fetch from the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Of which lane.
    pub of: Whose,
    /// Executions above this number.
    pub after: u64,
    /// At most so many.
    pub most: usize,
}

/// What the journal has of the owed at the start.
#[derive(Clone, Debug, Default)]
pub struct Owed {
    /// The rules that asked for them; empty: none did.
    pub rules: Vec<String>,
    /// Those of rules that are tried once more: where there is an order, it is their turn.
    pub again: Vec<Execution>,
    /// Those of which somebody is to say what becomes of them.
    pub pending: Vec<Execution>,
}

/// The waiting and the number of the running.
#[derive(Debug)]
pub struct Queue {
    parallel: usize,
    running: usize,
    /// By the rule that asked.
    lines: BTreeMap<String, Lane>,
    /// The line that was served last.
    last: String,
    turns: Turns,
    /// What policies delay, by action.
    delayed: BTreeMap<String, Lane>,
    /// Actions of which one may begin that was delayed.
    maybe: BTreeSet<String>,
    /// Actions of which something in a line may have to be delayed now.
    suspect: BTreeSet<String>,
}

impl Queue {
    /// A queue with `parallel` slots, at least one.
    pub fn new(parallel: usize) -> Self {
        Self {
            parallel: parallel.max(1),
            running: 0,
            lines: BTreeMap::new(),
            last: String::new(),
            turns: Turns::default(),
            delayed: BTreeMap::new(),
            maybe: BTreeSet::new(),
            suspect: BTreeSet::new(),
        }
    }

    /// Begins with what an earlier supervisor left owed, all of it still in the journal.
    pub fn leave_in_journal(&mut self, owed: &Owed) {
        for rule in &owed.rules {
            let line = self.lines.entry(rule.clone()).or_default();
            line.leave_in_journal(0);
        }
        for execution in owed.again.iter().chain(&owed.pending) {
            self.turns.take(execution);
        }
    }

    /// One that had begun is owed again, and is in the journal only.
    pub fn returned(&mut self, execution: &Execution) {
        let line = self.lines.entry(execution.rule.clone()).or_default();
        line.leave_in_journal(0);
        self.turns.take(execution);
    }

    /// Takes a new execution; one that is `held` back waits.
    pub fn admit(&mut self, execution: &Execution, held: bool) -> Admitted {
        if !held && self.has_slot() && self.is_next(execution) {
            self.begun(execution);
            return Admitted::Runs;
        }
        self.suspect.insert(execution.action.clone());
        let most = self.most();
        let line = self.lines.entry(execution.rule.clone()).or_default();
        line.push(execution.clone(), most);
        Admitted::Waits
    }

    /// Nothing waits that could begin before it.
    fn is_next(&self, execution: &Execution) -> bool {
        !self.lines.contains_key(&execution.rule)
            && !self.delayed.contains_key(&execution.action)
            && self.turns.is_free(execution)
            && self.lines.values().all(Lane::is_stuck)
    }

    /// Takes the next one, if a slot is free; the slot is then taken. `may` tells of those that
    /// policies hold back, or may hold back, which may begin now.
    pub fn claim(&mut self, may: impl Fn(&Execution) -> bool) -> Option<Execution> {
        if !self.has_slot() {
            return None;
        }
        let delayed = self.first_delayed(&may);
        let next = match (delayed, self.next_line(&may)) {
            (Some((seq, action, at)), line) if line.as_ref().is_none_or(|one| seq < one.0) => {
                self.take_delayed(&action, at)?
            }
            (_, Some((_, rule, at))) => self.take_of(rule, at)?,
            _ => return None,
        };
        self.begun(&next);
        Some(next)
    }

    /// The next line that has one which may begin: its number, its rule and its place.
    fn next_line(&mut self, may: impl Fn(&Execution) -> bool) -> Option<(u64, String, usize)> {
        let turns = &self.turns;
        let first = |lane: &mut Lane| {
            let at = lane.first(turns, &may)?;
            Some((lane.waiting[at].seq, at))
        };
        let later = (Excluded(self.last.clone()), Unbounded);
        let found = self.lines.range_mut::<String, _>(later);
        let mut found = found.filter_map(|(rule, lane)| Some((rule.clone(), first(lane)?)));
        if let Some((rule, (seq, at))) = found.next() {
            return Some((seq, rule, at));
        }
        drop(found);
        let earlier = self.lines.range_mut::<String, _>(..=self.last.clone());
        let mut found = earlier.filter_map(|(rule, lane)| Some((rule.clone(), first(lane)?)));
        found.next().map(|(rule, (seq, at))| (seq, rule, at))
    }

    fn take_of(&mut self, rule: String, at: usize) -> Option<Execution> {
        let line = self.lines.get_mut(&rule)?;
        let next = line.waiting.remove(at);
        if line.is_empty() {
            self.lines.remove(&rule);
        }
        self.last = rule;
        next
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

    /// One more of an action has a slot: others of it may have to wait for it.
    pub fn begun(&mut self, execution: &Execution) {
        self.running += 1;
        self.suspect.insert(execution.action.clone());
    }

    /// One that has begun needs no slot.
    pub fn needs_no_slot(&mut self) {
        self.running -= 1;
    }

    /// A claimed one of this action is over.
    pub fn release(&mut self, action: &str) {
        debug_assert!(self.running > 0, "a slot is released once");
        self.running -= 1;
        self.maybe.insert(action.to_owned());
    }

    /// It runs, or is to be tried once more: those behind it wait for it.
    pub fn take_turn(&mut self, execution: &Execution) {
        self.turns.take(execution);
    }

    /// It is over.
    pub fn leave_turn(&mut self, execution: &Execution) {
        self.turns.leave(execution);
        self.unstick();
    }

    /// It is not wanted any more, wherever it waits.
    pub fn leave_turn_of(&mut self, seq: u64) {
        self.turns.leave_by(seq);
        self.unstick();
    }

    fn unstick(&mut self) {
        self.lines.values_mut().for_each(Lane::look_again);
    }

    /// The policies are others: everything is looked at again.
    pub fn look_again(&mut self) {
        self.maybe.extend(self.delayed.keys().cloned());
        let waiting = self.lines.values().flat_map(|line| &line.waiting);
        self.suspect.extend(waiting.map(|one| one.action.clone()));
        self.unstick();
    }

    /// Those of the lines whose action began or came since this was last asked.
    pub fn suspects(&mut self) -> Vec<Execution> {
        let actions = std::mem::take(&mut self.suspect);
        let waiting = self.lines.values().flat_map(|line| &line.waiting);
        waiting
            .filter(|one| actions.contains(&one.action))
            .cloned()
            .collect()
    }

    /// There are no policies: nobody is suspected.
    pub fn suspect_nobody(&mut self) {
        self.suspect.clear();
    }

    /// Moves one of the lines to the lane of its action.
    pub fn delay(&mut self, execution: Execution) {
        self.forget_in_line(&execution.rule, execution.seq);
        let most = self.most();
        let lane = self.delayed.entry(execution.action.clone()).or_default();
        lane.push(execution, most);
    }

    /// Takes one back that is to be tried once more, or whose time has come.
    pub fn put(&mut self, execution: Execution) {
        self.suspect.insert(execution.action.clone());
        let line = self.lines.entry(execution.rule.clone()).or_default();
        line.put(execution);
    }

    /// Drops a waiting one that turned out to be a duplicate, or is not wanted any more.
    pub fn forget(&mut self, seq: u64) -> Option<Execution> {
        let rules: Vec<String> = self.lines.keys().cloned().collect();
        let found = rules.iter().find_map(|rule| self.forget_in_line(rule, seq));
        if found.is_some() {
            return found;
        }
        let found = self.delayed.values_mut().find_map(|lane| lane.forget(seq));
        self.delayed.retain(|_, lane| !lane.is_empty());
        found
    }

    fn forget_in_line(&mut self, rule: &str, seq: u64) -> Option<Execution> {
        let line = self.lines.get_mut(rule)?;
        let found = line.forget(seq);
        if line.is_empty() {
            self.lines.remove(rule);
        }
        found
    }

    /// What to fetch, where memory runs low and more is in the journal.
    pub fn wants(&mut self) -> Vec<Fetch> {
        let most = self.most();
        let lines = self.lines.iter_mut();
        let lines = lines.map(|(rule, lane)| (Whose::Rule(rule.clone()), lane));
        let delayed = self.delayed.iter_mut();
        let delayed = delayed.map(|(action, lane)| (Whose::Delayed(action.clone()), lane));
        let all = lines.chain(delayed).filter_map(|(of, lane)| {
            let (after, most) = lane.wants(most)?;
            Some(Fetch { of, after, most })
        });
        all.collect()
    }

    /// What was fetched, up to the number `last`; `all` when the journal had no more.
    pub fn refill(&mut self, of: &Whose, fetched: Vec<Execution>, last: Option<u64>, all: bool) {
        let (lanes, name) = match of {
            Whose::Rule(rule) => {
                let actions = fetched.iter().map(|one| one.action.clone());
                self.suspect.extend(actions);
                (&mut self.lines, rule)
            }
            Whose::Delayed(action) => {
                self.maybe.insert(action.clone());
                (&mut self.delayed, action)
            }
        };
        if let Some(lane) = lanes.get_mut(name) {
            lane.refill(fetched, last, all);
            if lane.is_empty() {
                lanes.remove(name);
            }
        }
    }

    /// Executions that wait in memory, and whether more wait in the journal.
    pub fn waiting(&self) -> (usize, bool) {
        let lanes = || self.lines.values().chain(self.delayed.values());
        let waiting = lanes().map(|lane| lane.waiting.len()).sum();
        (waiting, lanes().any(Lane::has_spilled))
    }

    /// A fetch is under way.
    pub fn is_fetching(&self) -> bool {
        let mut lanes = self.lines.values().chain(self.delayed.values());
        lanes.any(Lane::is_fetching)
    }

    /// Most that run at a time.
    pub fn slots(&self) -> usize {
        self.parallel
    }

    fn has_slot(&self) -> bool {
        self.running < self.parallel
    }

    /// Most of one lane that may wait in memory.
    fn most(&self) -> usize {
        let lanes = (self.lines.len() + self.delayed.len()).max(1);
        (MOST / lanes).clamp(FEWEST, Lane::MOST)
    }
}

#[cfg(test)]
mod tests;
