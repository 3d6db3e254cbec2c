//! The disk: what survives every crash, by the rules of the journal's writer.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::core::datastore::Key;
use crate::core::input::Duplicate;
use crate::core::record::{Batch, Execution, ExecutionChange, KvItem, SensorMemory, Status};

#[derive(Debug, Default)]
pub struct Journal {
    /// Identifiers, by number.
    pub events: BTreeMap<u64, String>,
    seen: HashMap<(String, String), String>,
    pub executions: BTreeMap<u64, Execution>,
    pub memories: HashMap<String, SensorMemory>,
    pub kv: BTreeMap<Key, KvItem>,
    /// Why events were refused.
    pub rejected: BTreeSet<String>,
    /// Duplicates so far.
    pub refused: usize,
}

impl Journal {
    pub fn write(&mut self, batch: Batch) -> Vec<Duplicate> {
        let mut duplicates: Vec<Duplicate> = Vec::new();
        for event in batch.events {
            let caused = batch
                .executions
                .iter()
                .filter(|one| one.event == Some(event.seq))
                .count();
            assert_eq!(
                caused,
                usize::from(event.payload.contains("true")),
                "event and executions enter together"
            );
            let key = event.key.clone().map(|key| (event.sensor.clone(), key));
            match key.as_ref().and_then(|key| self.seen.get(key)) {
                Some(first) => duplicates.push(Duplicate {
                    event: event.seq,
                    first: first.clone(),
                }),
                None => {
                    self.seen.extend(key.map(|key| (key, event.id())));
                    let before = self.events.insert(event.seq, event.id());
                    assert_eq!(before, None, "numbers of events are never used twice");
                }
            }
        }
        for execution in batch.executions {
            if duplicates
                .iter()
                .any(|one| Some(one.event) == execution.event)
            {
                continue;
            }
            let twin = self
                .executions
                .values()
                .any(|other| (other.event, &other.rule) == (execution.event, &execution.rule));
            assert!(
                execution.event.is_none() || !twin,
                "an execution for each event and rule"
            );
            self.executions.insert(execution.seq, execution);
        }
        for change in batch.changes {
            self.change(change);
        }
        for kv in batch.kv {
            match kv.item {
                Some(item) => self.kv.insert(kv.key, item),
                None => self.kv.remove(&kv.key),
            };
        }
        self.rejected
            .extend(batch.rejected.into_iter().map(|one| one.reason));
        self.memories.extend(batch.sensors);
        self.refused += duplicates.len();
        duplicates
    }

    /// Executions that a change names but that are no row (a duplicate's) stay no row.
    fn change(&mut self, change: ExecutionChange) {
        let (seq, from, to) = match change {
            ExecutionChange::Delayed { seq } => (seq, Status::Requested, Status::Delayed),
            ExecutionChange::Progress { seq, .. } => (seq, Status::Running, Status::Running),
            ExecutionChange::Claimed { seq, .. } => (seq, Status::Requested, Status::Running),
            ExecutionChange::Returned { seq } => (seq, Status::Running, Status::Requested),
            ExecutionChange::Ended { seq, outcome } => (seq, Status::Running, outcome.status),
        };
        if let Some(execution) = self.executions.get_mut(&seq) {
            assert_eq!(execution.status, from, "execution {seq} becomes {to:?}");
            execution.status = to;
        }
    }

    pub fn owed(&self, after: u64, most: usize) -> Vec<Execution> {
        self.executions
            .range(after + 1..)
            .map(|(_, execution)| execution)
            .filter(|execution| execution.status == Status::Requested)
            .take(most)
            .cloned()
            .collect()
    }

    /// After the last life.
    pub fn check(&self, answered: &BTreeSet<String>, begun: &BTreeSet<u64>) {
        let known: BTreeSet<&String> = self.events.values().collect();
        for id in answered {
            assert!(known.contains(id), "{id} was answered and is not on disk");
        }
        for (seq, execution) in &self.executions {
            let event = execution.event.expect("a rule asked for it");
            assert!(self.events.contains_key(&event));
            let settled = execution.status.is_final() || execution.status == Status::Requested;
            assert!(settled, "execution {seq} is {:?}", execution.status);
            if execution.status == Status::Succeeded {
                assert!(begun.contains(seq), "execution {seq} never began");
            }
        }
    }
}
