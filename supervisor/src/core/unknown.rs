//! Executions whose end is not known: they may have run.

use serde::Deserialize;
use serde_json::json;

use super::effect::Effect;
use super::executions::abandoned;
use super::notice::{Level, Notice};
use super::record::{Execution, ExecutionChange, Outcome, Status};
use super::step::{After, Core};
use crate::catalog::OnUnknown;

/// Most times that one is begun again by itself: an action that ends whoever watches over it would go
/// on for ever.
const MOST: u32 = 4;

/// What becomes of one.
pub(super) enum Unknown {
    /// It is owed again: as it is now.
    Again(Box<Execution>),
    /// Somebody is asked.
    Asks,
    /// It is over.
    Over,
}

/// What somebody says of an execution whose end is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is to begin again.
    Retry,
    /// It ran, and all is well.
    Succeeded,
    /// It did not, or not well.
    Failed,
}

impl Core {
    /// Found at the start, after the supervisor before had ended.
    pub(super) fn settle_unknown(&mut self, execution: &Execution) {
        match self.unknown(execution) {
            Unknown::Again(again) => self.executions.queue.returned(&again),
            Unknown::Asks => self.pend(execution.clone()),
            Unknown::Over => self.finish(execution, abandoned(self.now.wall), None),
        }
    }

    /// What its action says of it.
    pub(super) fn unknown(&mut self, execution: &Execution) -> Unknown {
        let action = self.catalog.actions.get(&execution.action);
        match action.map(|action| action.on_unknown) {
            Some(OnUnknown::Ask) => Unknown::Asks,
            Some(OnUnknown::Retry) if execution.cause.unknown < MOST => {
                Unknown::Again(Box::new(self.owe_again(execution)))
            }
            _ => Unknown::Over,
        }
    }

    fn owe_again(&mut self, execution: &Execution) -> Execution {
        let mut again = execution.clone();
        again.cause.unknown += 1;
        (again.status, again.started) = (Status::Requested, None);
        let (seq, cause) = (again.seq, Box::new(again.cause.clone()));
        self.batch
            .changes
            .push(ExecutionChange::Again { seq, cause });
        let text = format!(
            "its end is not known; it is begun again (attempt {})",
            again.cause.attempt()
        );
        let notice = Notice::new(Level::Warning, "execution.again", &execution.action, text);
        self.after
            .push(After::Notice(notice.execution(execution.id())));
        again
    }

    /// Nobody but a person knows what became of it.
    pub(super) fn pend(&mut self, mut execution: Execution) {
        let seq = execution.seq;
        execution.status = Status::Pending;
        self.batch.changes.push(ExecutionChange::Pending { seq });
        self.executions.queue.take_turn(&execution);
        let id = execution.id();
        let text = format!(
            "it may have run, and its end is not known: look, then  petrel execution decide {id} \
             retry|succeeded|failed"
        );
        let notice = Notice::new(Level::Warning, "execution.asks", &execution.action, text);
        self.after.push(After::Notice(notice.execution(id)));
        self.executions.pending.insert(seq, execution);
    }

    /// Somebody says what becomes of one.
    pub(super) fn ask_decide(&mut self, ask: u64, seq: u64, verdict: Verdict, user: &str) {
        let Some(execution) = self.executions.pending.remove(&seq) else {
            let why = "nobody is asked about this execution: it is not pending";
            let answer = Err(why.to_owned());
            return self.out.push(Effect::Reply { ask, answer });
        };
        let status = match verdict {
            Verdict::Retry => {
                let again = self.owe_again(&execution);
                self.executions.queue.take_turn(&again);
                self.executions.queue.put(again);
                Status::Requested
            }
            Verdict::Succeeded => self.decided(&execution, Status::Succeeded, user),
            Verdict::Failed => self.decided(&execution, Status::Abandoned, user),
        };
        let answer = json!({"status": status.word()});
        self.after.push(After::Reply { ask, answer });
    }

    fn decided(&mut self, execution: &Execution, status: Status, user: &str) -> Status {
        let text = "its end was not known; somebody decided";
        let outcome = Outcome {
            status,
            result: json!({"message": text, "user": user}),
            ..abandoned(self.now.wall)
        };
        self.executions.queue.leave_turn(execution);
        self.finish(execution, outcome, None);
        status
    }
}
