//! Whose turn it is among executions of a rule that is to keep an order.

use std::collections::HashMap;

use crate::core::record::Execution;

/// Executions of one rule with the same turn begin one after the other, each when the one before it,
/// all its tries included, is over. So for each turn there is one that has it: it runs, or waits to
/// be tried again.
#[derive(Debug, Default)]
pub struct Turns {
    holders: HashMap<(String, String), u64>,
}

impl Turns {
    /// True where nobody else has the turn.
    pub fn is_free(&self, execution: &Execution) -> bool {
        let holder = key(execution).and_then(|key| self.holders.get(&key).copied());
        holder.is_none_or(|seq| seq == execution.seq)
    }

    /// It has the turn.
    pub fn take(&mut self, execution: &Execution) {
        if let Some(key) = key(execution) {
            self.holders.insert(key, execution.seq);
        }
    }

    /// It has the turn no more, where it had it.
    pub fn leave(&mut self, execution: &Execution) {
        if let Some(key) = key(execution)
            && self.holders.get(&key) == Some(&execution.seq)
        {
            self.holders.remove(&key);
        }
    }

    /// The same, by its number alone.
    pub fn leave_by(&mut self, seq: u64) {
        self.holders.retain(|_, holder| *holder != seq);
    }
}

fn key(execution: &Execution) -> Option<(String, String)> {
    let turn = execution.cause.turn.clone()?;
    Some((execution.rule.clone(), turn))
}
