//! JSON-RPC batches: the answers to one array go back as one array.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Batches whose answers are not complete.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Batches {
    open: HashMap<u64, Open>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    missing: usize,
    answers: Vec<String>,
}

impl Batches {
    /// A batch that wants `answers` answers; one without any is forgotten.
    pub fn open(&mut self, number: u64, answers: usize) {
        if answers > 0 {
            let open = Open {
                missing: answers,
                answers: Vec::with_capacity(answers),
            };
            self.open.insert(number, open);
        }
    }

    /// Adds an answer; the whole array once it was the last.
    pub fn add(&mut self, number: u64, answer: String) -> Option<String> {
        let open = self.open.get_mut(&number)?;
        open.answers.push(answer);
        open.missing -= 1;
        if open.missing > 0 {
            return None;
        }
        let open = self.open.remove(&number)?;
        Some(format!("[{}]", open.answers.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_goes_out_with_the_last_answer() {
        let mut batches = Batches::default();
        batches.open(7, 2);
        assert_eq!(batches.add(7, "{\"id\":1}".into()), None);
        let whole = batches.add(7, "{\"id\":2}".into());
        assert_eq!(whole.as_deref(), Some("[{\"id\":1},{\"id\":2}]"));
        assert_eq!(batches.add(7, "{}".into()), None);
    }
}
