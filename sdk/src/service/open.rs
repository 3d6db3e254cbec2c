//! The requests that are open, and what else the reader and the senders share.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::Told;
use crate::protocol::{Id, LINE_BYTES, Limits, RpcError};

/// What becomes of an answer.
#[derive(Debug)]
pub(super) enum Slot {
    /// Nobody waits for it.
    Pipelined,
    /// A thread waits for it.
    Awaited,
    /// It is here for the thread.
    Answered(Result<Value, RpcError>),
}

#[derive(Debug)]
pub(super) struct Open {
    last_id: u64,
    slots: BTreeMap<u64, Slot>,
    pub limits: Limits,
    /// No answer will come any more.
    pub closed: bool,
    pub stopping: bool,
    pub refused: u64,
    pub told: VecDeque<Told>,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            last_id: 0,
            slots: BTreeMap::new(),
            // For `hello` itself; its answer brings the true ones.
            limits: Limits {
                line_bytes: LINE_BYTES,
                in_flight: 1,
            },
            closed: false,
            stopping: false,
            refused: 0,
            told: VecDeque::new(),
        }
    }
}

impl Open {
    /// The id that [`Self::add`] will give.
    pub fn next_id(&self) -> u64 {
        self.last_id + 1
    }

    pub fn add(&mut self, slot: Slot) -> u64 {
        self.last_id = self.next_id();
        self.slots.insert(self.last_id, slot);
        self.last_id
    }

    pub fn unanswered(&self) -> usize {
        self.slots.values().filter(|s| is_open(s)).count()
    }

    pub fn is_answered(&self, id: u64) -> bool {
        matches!(self.slots.get(&id), Some(Slot::Answered(_)))
    }

    /// The answer to a request, and an end to it in any case.
    pub fn take(&mut self, id: u64) -> Option<Result<Value, RpcError>> {
        match self.slots.remove(&id) {
            Some(Slot::Answered(answer)) => Some(answer),
            _ => None,
        }
    }

    /// Puts an answer where it belongs; one without an id belongs to the oldest open request.
    pub fn answered(&mut self, id: Option<&Id>, answer: Result<Value, RpcError>) {
        let id = match id {
            Some(Id::Number(number)) => number.as_u64(),
            Some(Id::Text(_)) => None,
            None => self
                .slots
                .iter()
                .find(|(_, s)| is_open(s))
                .map(|(id, _)| *id),
        };
        let Some(id) = id else { return };
        match (self.slots.remove(&id), answer) {
            (Some(Slot::Awaited), answer) => {
                self.slots.insert(id, Slot::Answered(answer));
            }
            (Some(Slot::Pipelined), Err(error)) => {
                self.refused += 1;
                eprintln!("W! an event was refused: {error}");
            }
            (Some(answered @ Slot::Answered(_)), _) => {
                self.slots.insert(id, answered);
            }
            (Some(Slot::Pipelined), Ok(_)) | (None, _) => {}
        }
    }
}

fn is_open(slot: &Slot) -> bool {
    !matches!(slot, Slot::Answered(_))
}
