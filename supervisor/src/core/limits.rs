//! Policies on actions: how many of one run at a time, and which ends are tried again.

use std::sync::Arc;

use serde_json::Value;

use super::cause::{By, Cause};
use super::executions::canceled;
use super::notice::{Level, Notice};
use super::record::{Execution, ExecutionChange, Outcome, Status};
use super::step::{After, Core};
use crate::catalog::action_policy::{ActionPolicy, Excess, Says};
use crate::rules::parameters::with_defaults;

impl Core {
    fn policies(&self, action: &str) -> Vec<Arc<ActionPolicy>> {
        let all = self.catalog.policies.values();
        all.filter(|one| one.enabled && one.action == action)
            .cloned()
            .collect()
    }

    /// What a policy does with one more execution; none when it may run.
    pub(super) fn held(&self, execution: &Execution) -> Option<(Excess, Arc<ActionPolicy>)> {
        if self.catalog.policies.is_empty() {
            return None;
        }
        self.policies(&execution.action)
            .into_iter()
            .find_map(|policy| {
                let Says::Concurrency {
                    threshold,
                    excess,
                    attributes,
                } = &policy.says
                else {
                    return None;
                };
                let running = self.executions.running_of(&execution.action);
                let values = |one: &Execution| self.values(one, attributes);
                let mine = values(execution);
                let alike = running.filter(|one| values(one) == mine).count() as u64;
                (alike >= *threshold).then(|| (*excess, Arc::clone(&policy)))
            })
    }

    /// The values of these parameters.
    fn values(&self, execution: &Execution, names: &[String]) -> Vec<Value> {
        if names.is_empty() {
            return Vec::new();
        }
        let given = self.open_parameters(&execution.parameters);
        let given = given.unwrap_or_default();
        let all = match self.catalog.actions.get(&execution.action) {
            Some(action) => with_defaults(action, &given),
            None => given,
        };
        let value = |name: &String| all.get(name).cloned().unwrap_or_default();
        names.iter().map(value).collect()
    }

    /// Those that a policy does not want are canceled, those that it delays wait apart. Only what
    /// changed is looked at: what waits may be much.
    pub(super) fn apply_limits(&mut self) {
        if self.catalog.policies.is_empty() {
            return self.executions.queue.suspect_nobody();
        }
        for execution in self.executions.queue.suspects() {
            match self.held(&execution) {
                Some((Excess::Cancel, policy)) => {
                    let why = format!("canceled by policy {}", policy.reference);
                    self.executions.forget(execution.seq);
                    let outcome = canceled(&why, self.now.wall);
                    self.finish(&execution, outcome, None);
                }
                // In its line it waits for its turn, and for the policy.
                Some((Excess::Delay, _)) if execution.cause.turn.is_some() => {}
                Some((Excess::Delay, policy)) => self.delay(execution, &policy),
                None => {}
            }
        }
    }

    fn delay(&mut self, mut execution: Execution, policy: &ActionPolicy) {
        let seq = execution.seq;
        execution.status = Status::Delayed;
        self.batch.changes.push(ExecutionChange::Delayed { seq });
        let text = format!("delayed by policy {}", policy.reference);
        let notice = Notice::new(Level::Info, "execution.delayed", &execution.action, text);
        self.after
            .push(After::Notice(notice.execution(execution.id())));
        self.executions.queue.delay(execution);
    }

    /// Once more, where a policy says so. Tasks of a chain are the chain's business, as in
    /// StackStorm.
    pub(super) fn retry(&mut self, execution: &Execution, outcome: &Outcome) {
        if execution.cause.by == By::Task || self.catalog.policies.is_empty() {
            return;
        }
        let ended = match outcome.status {
            Status::Failed => false,
            Status::Timeout => true,
            _ => return,
        };
        let found = self
            .policies(&execution.action)
            .into_iter()
            .find_map(|policy| match policy.says {
                Says::Retry {
                    on_timeout,
                    most,
                    delay,
                } if on_timeout == ended && execution.cause.retries < most => {
                    Some((policy, most, delay))
                }
                _ => None,
            });
        let Some((policy, most, delay)) = found else {
            return;
        };
        let mut again = execution.clone();
        again.event = None;
        again.cause = Cause {
            by: By::Retry,
            parent: Some(execution.id()),
            retries: execution.cause.retries + 1,
            unknown: 0,
            first: Some(execution.idempotency_key()),
            not_before: (!delay.is_zero()).then(|| self.now.wall.after(delay)),
            ..execution.cause.clone()
        };
        let text = format!(
            "tried again in {} s by policy {} ({} of {most})",
            delay.as_secs(),
            policy.reference,
            again.cause.retries
        );
        let notice = Notice::new(Level::Info, "execution.retry", &execution.action, text);
        self.after
            .push(After::Notice(notice.execution(execution.id())));
        self.begin_execution(again);
    }
}
