//! Programs of actions: they begin, end or do not, and leave an `exit.json`.

use serde_json::json;

use super::agenda::Happening;
use super::world::{PARALLEL, World};
use crate::core::clock::Wall;
use crate::core::effect::RunOrder;
use crate::core::executions::{Found, Recovered};
use crate::core::handover::Handed;
use crate::core::record::{Execution, Outcome, Status};

impl World {
    pub fn run_action(&mut self, order: &RunOrder) {
        let seq = order.execution.seq;
        let row = self.journal.executions.get(&seq);
        let claimed = row.is_some_and(|row| row.status == Status::Running);
        assert!(claimed, "{seq} runs and is not claimed on disk");
        assert!(self.is_its_turn(&order.execution), "{seq} overtakes");
        self.seen.in_turn += usize::from(order.execution.cause.turn.is_some());
        assert!(self.running.insert(seq), "{seq} runs twice at a time");
        assert!(self.running.len() <= PARALLEL, "more than the slots");
        self.later(20, Happening::Begin(seq));
    }

    /// Of those that keep an order, all before it are over.
    fn is_its_turn(&self, execution: &Execution) -> bool {
        let before = self.journal.executions.range(..execution.seq);
        let alike = |one: &&Execution| {
            let turn = &one.cause.turn;
            turn.is_some() && *turn == execution.cause.turn && one.rule == execution.rule
        };
        let mut alike = before.map(|(_, one)| one).filter(alike);
        alike.all(|one| one.status.is_final())
    }

    pub fn begin_action(&mut self, seq: u64) {
        if !self.running.contains(&seq) {
            return;
        }
        let may = self.begun.insert(seq) || self.begins_again.remove(&seq);
        assert!(may, "{seq} begins a second time");
        // Some never end by themselves.
        if self.rng.percent(92) {
            let status = match self.rng.percent(80) {
                true => Status::Succeeded,
                false => Status::Failed,
            };
            self.end_action(seq, status, 200);
        }
    }

    /// The end is written down, then told: sometimes twice.
    pub fn end_action(&mut self, seq: u64, status: Status, most_ms: u64) {
        let outcome = Outcome {
            status,
            result: json!({}),
            started: None,
            ended: Wall(0),
        };
        self.running.remove(&seq);
        if self.begun.contains(&seq) {
            self.exits.entry(seq).or_insert_with(|| outcome.clone());
        }
        let told = 1 + u64::from(self.rng.percent(10));
        for _ in 0..told {
            self.later(most_ms, Happening::ActionEnded(seq, outcome.clone()));
        }
    }

    /// What is found of the executions that ran when the core before ended.
    pub fn recovered(&self, handed: Option<&Handed>) -> Vec<Recovered> {
        let all = self.journal.executions.values();
        let was_running = all.filter(|one| one.status == Status::Running);
        let found = |seq: &u64| {
            let kept = handed.and_then(|all| all.executions.iter().find(|one| one.seq == *seq));
            if let Some(kept) = kept {
                return Found::Runs(Box::new(kept.clone()));
            }
            match self.exits.get(seq) {
                Some(outcome) => Found::Ended(outcome.clone()),
                None if !self.begun.contains(seq) || self.begins_again.contains(seq) => {
                    Found::NeverBegan
                }
                None => Found::Unknown,
            }
        };
        let all = was_running.map(|execution| Recovered {
            found: found(&execution.seq),
            execution: execution.clone(),
        });
        all.collect()
    }
}
