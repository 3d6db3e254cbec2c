//! Executions whose end is not known: they may have run.

use super::executions::abandoned;
use super::notice::{Level, Notice};
use super::record::{Execution, ExecutionChange, Status};
use super::step::{After, Core};
use crate::catalog::OnUnknown;

/// Most times that one is begun again: an action that ends whoever watches over it would go on for
/// ever.
const MOST: u32 = 4;

impl Core {
    /// Found at the start, after the supervisor before had ended.
    pub(super) fn settle_unknown(&mut self, execution: &Execution) {
        match self.owe_again(execution) {
            Some(again) => self.executions.queue.returned(&again),
            None => self.finish(execution, abandoned(self.now.wall), None),
        }
    }

    /// Where its action says that this does no harm, it is owed again: as it is now.
    pub(super) fn owe_again(&mut self, execution: &Execution) -> Option<Execution> {
        let action = self.catalog.actions.get(&execution.action)?;
        if action.on_unknown != OnUnknown::Retry || execution.cause.unknown >= MOST {
            return None;
        }
        let mut again = execution.clone();
        again.cause.unknown += 1;
        (again.status, again.started) = (Status::Requested, None);
        let (seq, cause) = (again.seq, Box::new(again.cause.clone()));
        self.batch
            .changes
            .push(ExecutionChange::Again { seq, cause });
        let text = format!(
            "its end is not known; its action is idempotent, so it is begun again (attempt {})",
            again.cause.attempt()
        );
        let notice = Notice::new(Level::Warning, "execution.again", &execution.action, text);
        self.after
            .push(After::Notice(notice.execution(execution.id())));
        Some(again)
    }
}
