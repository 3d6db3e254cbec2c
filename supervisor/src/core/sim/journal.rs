//! The disk: what survives every crash, by the rules of the journal's writer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::packs;
use crate::core::clock::Wall;
use crate::core::datastore::Key;
use crate::core::input::Duplicate;
use crate::core::queue::{Fetch, Owed, Whose};
use crate::core::record::{
    Batch, Event, Execution, ExecutionChange, KvItem, Rejected, SensorMemory, Status,
};
use crate::core::retention::fate::Fate;
use crate::core::retention::{Chore, Place, Remove, Removed, Space, Tended, Unsettled};
use crate::core::tally::Counts;

/// What an event takes.
pub const ROW: u64 = 1 << 16;

/// Events that are looked at in one chore.
const SLICE: usize = 5;

#[derive(Debug, Default)]
pub struct Journal {
    /// Identifiers, by number.
    pub events: BTreeMap<u64, String>,
    /// Identifiers, by the number that the sensor gave.
    pub said: HashMap<u64, String>,
    /// What sensors said that was known already, or was refused.
    pub known: HashSet<u64>,
    pub refusals: HashSet<u64>,
    seen: HashMap<(String, String), String>,
    /// The last event of each start: its number here, and the one that the sensor gave.
    last_said: HashMap<String, (u64, u64)>,
    pub executions: BTreeMap<u64, Execution>,
    pub memories: HashMap<String, SensorMemory>,
    pub kv: BTreeMap<Key, KvItem>,
    /// Every value, and every cursor, that was ever there.
    pub values: HashSet<String>,
    /// When events were accepted, by number, and when executions were over.
    received: HashMap<u64, Wall>,
    ended: HashMap<u64, Wall>,
    /// What was removed, and the highest numbers that were ever given.
    gone: HashSet<String>,
    pub last: (u64, u64),
    pub counts: BTreeMap<String, Counts>,
    /// Events that are only counted, by the number that the sensor gave.
    pub passed: HashSet<u64>,
    /// The rule's version, by the hash of the set.
    rule_sets: HashMap<String, Option<String>>,
    /// Ends that nobody asked for.
    pub crashes: usize,
    /// Duplicates so far.
    pub refused: usize,
}

impl Journal {
    pub fn keep_rule_set(&mut self, hash: &str, text: &str) {
        let version = packs::version_in(text).map(str::to_owned);
        self.rule_sets.insert(hash.to_owned(), version);
    }

    /// Memories of sensors that are `old` are there in a newer form.
    pub fn write(&mut self, batch: Batch, old: impl Fn(&str) -> bool) -> Vec<Duplicate> {
        self.crashes(&batch);
        self.counts.extend(batch.counts.iter().cloned());
        for (hash, text) in &batch.rule_sets {
            self.keep_rule_set(hash, text);
        }
        let mut duplicates: Vec<Duplicate> = Vec::new();
        for event in batch.events {
            self.caused(&event, &batch.executions);
            duplicates.extend(self.event(event));
        }
        for execution in batch.executions {
            let of = |one: &Duplicate| Some(one.event) == execution.event;
            if !duplicates.iter().any(of) {
                self.execution(execution);
            }
        }
        for change in batch.changes {
            self.change(change);
        }
        for kv in batch.kv {
            match kv.item {
                Some(item) => {
                    self.values.insert(item.value.clone());
                    self.kv.insert(kv.key, item);
                }
                None => drop(self.kv.remove(&kv.key)),
            }
        }
        batch.rejected.iter().for_each(|one| self.reject(one));
        for (reference, memory) in batch.sensors {
            self.values.extend(memory.state.clone());
            if !old(&reference) {
                self.memories.insert(reference, memory);
            }
        }
        self.refused += duplicates.len();
        duplicates
    }

    /// A crash and the sensor's memory of it enter together.
    fn crashes(&mut self, batch: &Batch) {
        for crash in &batch.crashes {
            let memories = batch.sensors.iter();
            let mut own = memories.filter(|(name, _)| *name == crash.sensor);
            let told = own.any(|(_, memory)| {
                let last = memory.last_exit.as_ref();
                last.is_some_and(|exit| exit.class.is_some())
            });
            assert!(told, "a crash is told alone: {crash:?}");
            self.crashes += 1;
        }
    }

    /// An event and what its rules ask for enter together.
    fn caused(&self, event: &Event, executions: &[Execution]) {
        let version = self.rule_sets.get(&*event.rule_set);
        let version = version.unwrap_or_else(|| panic!("rules that nobody kept: {event:?}"));
        let matches = event.payload.contains("true");
        let wanted: Vec<&String> = version.iter().filter(|_| matches).collect();
        let caused = executions
            .iter()
            .filter(|one| one.event == Some(event.seq))
            .map(|one| &one.rule_version);
        assert_eq!(
            caused.collect::<Vec<_>>(),
            wanted,
            "executions of {event:?}"
        );
    }

    fn event(&mut self, event: Event) -> Option<Duplicate> {
        let payload: Value = serde_json::from_str(&event.payload).expect("it was judged");
        let number = payload["n"].as_u64().expect("each has a number");
        let by = format!("{} of {}", payload["by"], event.sensor);
        let key = event.key.clone().map(|key| (event.sensor.clone(), key));
        if let Some(first) = key.as_ref().and_then(|key| self.seen.get(key)) {
            self.known.insert(number);
            return Some(Duplicate {
                event: event.seq,
                first: first.clone(),
            });
        }
        let (seq, last) = self.last_said.get(&by).copied().unwrap_or_default();
        // What need not be on disk may have overtaken it.
        let in_order = (seq < event.seq) == (last < number);
        assert!(in_order, "{number} beside {last}: {event:?}");
        let newest = (seq, last).max((event.seq, number));
        self.last_said.insert(by, newest);
        self.seen.extend(key.map(|key| (key, event.id())));
        if !event.kept {
            self.passed.insert(number);
            self.gone.insert(event.id());
            self.last.0 = self.last.0.max(event.seq);
            return None;
        }
        self.received.insert(event.seq, event.received);
        self.last.0 = self.last.0.max(event.seq);
        let before = self.said.insert(number, event.id());
        assert_eq!(before, None, "{number} is there twice");
        let before = self.events.insert(event.seq, event.id());
        assert_eq!(before, None, "numbers of events are never used twice");
        None
    }

    fn execution(&mut self, execution: Execution) {
        let twin = |other: &Execution| {
            execution.event.is_some()
                && (other.event, &other.rule) == (execution.event, &execution.rule)
        };
        assert!(
            !self.executions.values().rev().take(50).any(twin),
            "an execution for each event and rule"
        );
        self.last.1 = self.last.1.max(execution.seq);
        self.executions.insert(execution.seq, execution);
    }

    /// Executions that a change names but that are no row (a duplicate's) stay no row, and somebody
    /// who cancels what is over changes nothing.
    fn change(&mut self, change: ExecutionChange) {
        if let ExecutionChange::Ended { seq, outcome } = &change {
            self.ended.insert(*seq, outcome.ended);
        }
        let (seq, from, to): (_, &[Status], _) = match change {
            ExecutionChange::Pending { seq } => (seq, &[Status::Running], Status::Pending),
            ExecutionChange::Delayed { seq } => (seq, &[Status::Requested], Status::Delayed),
            ExecutionChange::Progress { seq, .. } => (seq, &[Status::Running], Status::Running),
            ExecutionChange::Claimed { seq, .. } => (seq, &[Status::Requested], Status::Running),
            ExecutionChange::Returned { seq } => (seq, &[Status::Running], Status::Requested),
            ExecutionChange::Again { seq, .. } => {
                let from = &[Status::Running, Status::Pending];
                (seq, from, Status::Requested)
            }
            ExecutionChange::Ended { seq, outcome } if outcome.status == Status::Canceled => {
                let from = &[Status::Requested, Status::Running, Status::Pending];
                (seq, from, outcome.status)
            }
            ExecutionChange::Ended { seq, outcome } => {
                let from = &[Status::Running, Status::Pending];
                (seq, from, outcome.status)
            }
        };
        let Some(execution) = self.executions.get_mut(&seq) else {
            return;
        };
        if to == Status::Canceled && execution.status.is_final() {
            return;
        }
        let may = from.contains(&execution.status);
        assert!(may, "execution {seq}: {:?} to {to:?}", execution.status);
        execution.status = to;
    }

    /// The trigger that it names says which one it was.
    fn reject(&mut self, rejected: &Rejected) {
        let text = String::from_utf8_lossy(&rejected.data);
        let number = text.split("\"n\":").nth(1).unwrap_or_default();
        let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
        let number = digits.parse().expect("each has a number");
        let first = self.refusals.insert(number);
        assert!(first, "{number} is refused twice");
    }

    /// What a start finds of the owed.
    pub fn all_owed(&self) -> Owed {
        let all = self.executions.values();
        let owed: Vec<_> = all.filter(|one| one.status == Status::Requested).collect();
        let rules: BTreeSet<_> = owed.iter().map(|one| one.rule.clone()).collect();
        let again = owed
            .iter()
            .filter(|one| one.cause.parent.is_some() && one.cause.turn.is_some());
        Owed {
            rules: rules.into_iter().collect(),
            again: again.map(|one| (*one).clone()).collect(),
            pending: self
                .executions
                .values()
                .filter(|one| one.status == Status::Pending)
                .cloned()
                .collect(),
        }
    }

    pub fn owed(&self, fetch: &Fetch) -> Vec<Execution> {
        let is_meant = |one: &&Execution| match &fetch.of {
            Whose::Delayed(action) => one.status == Status::Delayed && one.action == *action,
            Whose::Rule(rule) => one.status == Status::Requested && one.rule == *rule,
        };
        self.executions
            .range(fetch.after + 1..)
            .map(|(_, execution)| execution)
            .filter(is_meant)
            .take(fetch.most)
            .cloned()
            .collect()
    }

    /// A line that was written wholly, and read to its end.
    pub fn has(&self, number: u64) -> bool {
        self.said.contains_key(&number)
            || self.known.contains(&number)
            || self.passed.contains(&number)
            || self.refusals.contains(&number)
    }

    /// Events that were accepted, ever.
    pub fn all(&self) -> u64 {
        (self.said.len() + self.passed.len()) as u64
    }

    /// After the last life.
    pub fn check(&self, answered: &BTreeSet<String>, begun: &BTreeSet<u64>) {
        let counts = self.counts.get("p.t").copied().unwrap_or_default();
        // A crash may come before a duplicate, which only the journal knows, is taken back.
        let most = self.all() + self.refused as u64;
        assert!(counts.accepted <= most && counts.dropped <= counts.accepted);
        let known: BTreeSet<&String> = self.events.values().chain(&self.gone).collect();
        for id in answered {
            assert!(known.contains(id), "{id} was answered and is not on disk");
        }
        for (seq, execution) in &self.executions {
            let its_event = execution.event;
            assert!(its_event.is_none_or(|event| self.events.contains_key(&event)));
            let waits = [Status::Requested, Status::Pending].contains(&execution.status);
            let settled = execution.status.is_final() || waits;
            assert!(settled, "execution {seq} is {:?}", execution.status);
            if execution.status == Status::Succeeded {
                assert!(begun.contains(seq), "execution {seq} never began");
            }
        }
    }

    /// By the rules of the journal's own removal; a chain's tasks there are none.
    pub fn tend(&mut self, chore: &Chore) -> Tended {
        let removed = match chore {
            Chore::Remove(order) => Some(self.remove(order)),
            Chore::Measure | Chore::Shrink { .. } => None,
        };
        let space = Space {
            used: self.events.len() as u64 * ROW,
            disk_free: u64::MAX,
            ..Space::default()
        };
        Tended { removed, space }
    }

    fn remove(&mut self, order: &Remove) -> Removed {
        let mut removed = Removed::default();
        let Place::Events(from) = order.from else {
            return removed;
        };
        let some: Vec<u64> = self
            .events
            .range(from..)
            .map(|(seq, _)| *seq)
            .take(SLICE)
            .collect();
        for seq in &some {
            let own = self
                .executions
                .values()
                .filter(|one| one.event == Some(*seq));
            let own: Vec<_> = own.map(|one| (one.seq, one.status)).collect();
            let ended = |seq: &u64| self.ended.get(seq).copied();
            let fate = Fate::of(own.iter().map(|(seq, status)| (*status, ended(seq))), order);
            match fate {
                _ if self.received[seq] >= order.before => {
                    removed.young = Some(self.received[seq]);
                    return removed;
                }
                Fate::Goes => {
                    removed.events += 1;
                    removed.executions += own.len() as u64;
                    self.gone.extend(self.events.remove(seq));
                    own.iter()
                        .for_each(|(seq, _)| drop(self.executions.remove(seq)));
                }
                Fate::Waits => removed.unsettled.push(Unsettled {
                    trigger: "p.t".into(),
                    events: 1,
                    bytes: ROW,
                }),
                Fate::Young(at) => removed.young = Some(at),
                Fate::Failed(at) => removed.failed = Some(at),
            }
        }
        removed.next = some.last().map(|last| Place::Events(last + 1));
        removed
    }
}
