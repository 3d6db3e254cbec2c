//! Executions that the API asks for: run an action, run one again, cancel one.

use serde_json::{Map, Value, json};

use super::cause::{By, Cause};
use super::effect::Effect;
use super::executions::{blank, canceled};
use super::ids;
use super::input::Wanted;
use super::logs::visible::visible;
use super::record::{ExecutionChange, Outcome};
use super::seal::{hide_text, longest_first, sealed};
use super::step::{After, Core};
use crate::catalog::diagnostics::did_you_mean;
use crate::rules::parameters::Given;
use crate::rules::{Asked, Asking};

impl Core {
    /// What led to a running execution.
    pub(super) fn trail_of(&self, execution: u64) -> Vec<String> {
        let running = self.executions.running.get(&execution);
        running.map_or_else(Vec::new, |one| one.execution.cause.trail.clone())
    }

    pub(super) fn ask_run(&mut self, ask: u64, wanted: Wanted) {
        match self.wanted(&wanted) {
            Ok(asked) => {
                let cause = self.cause_of(&wanted);
                let seq = self.start(&wanted.action, asked, cause);
                let id = ids::format(ids::Kind::Execution, self.now.wall, seq);
                let answer = json!({"id": id});
                self.after.push(After::Reply { ask, answer });
            }
            Err(why) => self.out.push(Effect::Reply {
                ask,
                answer: Err(why),
            }),
        }
    }

    fn cause_of(&self, wanted: &Wanted) -> Cause {
        let by = match wanted.again {
            Some(_) => By::Rerun,
            None => By::Person,
        };
        let step = [wanted.action.clone()];
        Cause {
            by,
            parent: wanted.again.as_ref().map(|(id, _)| id.clone()),
            trail: self.trail.iter().cloned().chain(step).collect(),
            ..Cause::default()
        }
    }

    /// A new execution; its number.
    pub(super) fn start(&mut self, action: &str, asked: Asked, cause: Cause) -> u64 {
        let parameters = self.seal_parameters(asked.parameters, &asked.secrets);
        let mut execution = blank(action, parameters);
        execution.cause = cause;
        self.begin_execution(execution)
    }

    fn wanted(&self, wanted: &Wanted) -> Result<Asked, String> {
        let Some((_, before)) = &wanted.again else {
            let given = &wanted.parameters;
            return self.asked(&wanted.action, given, Given::Templates, &[], &wanted.user);
        };
        let mut given = self.open_parameters(before)?;
        given.extend(wanted.parameters.clone());
        // Fixed ones are what the action says, now as then.
        if let Some(action) = self.catalog.actions.get(&wanted.action) {
            let fixed = |name: &String| {
                let schema = action.all_parameters.get(name);
                schema.is_some_and(|one| one.get("immutable") == Some(&Value::Bool(true)))
            };
            given.retain(|name, _| !fixed(name) || wanted.parameters.contains_key(name));
        }
        // What was secret then is so now, whatever made it so.
        let mut secret = sealed(before);
        secret.retain(|name| !wanted.parameters.contains_key(name));
        self.asked(&wanted.action, &given, Given::Values, &secret, &wanted.user)
    }

    /// The parameters of an action, filled in and checked.
    pub(super) fn asked(
        &self,
        action: &str,
        given: &Map<String, Value>,
        as_given: Given,
        secret: &[String],
        user: &str,
    ) -> Result<Asked, String> {
        let Some(found) = self.catalog.actions.get(action) else {
            return Err(self.no_action(action));
        };
        let asking = Asking {
            action: found,
            given,
            as_given,
            secret,
            user,
        };
        let store = self.store.view().at(self.now.wall);
        self.rules.ask(&self.catalog, asking, &store)
    }

    fn no_action(&self, name: &str) -> String {
        if let Some(why) = self.catalog.left_out.get(name) {
            return format!("action \"{name}\" was left out: {why}");
        }
        let known = self.catalog.actions.keys().map(String::as_str);
        let near = did_you_mean(name, known);
        let near = near.map_or_else(String::new, |near| format!("; {near}"));
        format!("Action \"{name}\" doesn't exist{near}")
    }

    /// Masks what nobody may see, line by line, and makes the rest harmless for terminals.
    pub(super) fn ask_hide(&mut self, ask: u64, execution: u64, whole: Vec<String>) {
        let running = self.executions.running.get(&execution);
        let answer = running.ok_or("it does not run any more".to_owned());
        let answer = answer.map(|running| {
            let lines = running.secrets.iter().flat_map(|secret| secret.lines());
            let secrets: Vec<String> = lines.map(str::to_owned).collect();
            let secrets = longest_first([running.secrets.clone(), secrets].concat());
            let shown = whole.into_iter().map(|mut line| {
                hide_text(&mut line, &secrets);
                visible(&line).into_owned()
            });
            json!(shown.collect::<Vec<_>>())
        });
        self.out.push(Effect::Reply { ask, answer });
    }

    /// Cancels what waits at once; what runs is stopped, and canceled when it is over.
    pub(super) fn ask_cancel(&mut self, ask: u64, seq: u64, user: &str) {
        let state = match self.executions.running.get(&seq) {
            Some(_) => {
                self.cancel_running(seq, user);
                "canceling"
            }
            None => {
                self.cancel_waiting(seq, user);
                "canceled"
            }
        };
        let answer = json!({ "status": state });
        self.after.push(After::Reply { ask, answer });
    }

    fn cancel_running(&mut self, seq: u64, user: &str) {
        let Some(running) = self.executions.running.get_mut(&seq) else {
            return;
        };
        running.canceled = Some(user.to_owned());
        match running.chain.as_ref().map(|chain| chain.current()) {
            None => self.out.push(Effect::StopAction {
                execution: seq,
                now: false,
            }),
            Some(Some(task)) if self.executions.running.contains_key(&task) => {
                self.cancel_running(task, user);
            }
            Some(Some(task)) => {
                self.cancel_waiting(task, user);
                // A task that waits in the journal tells nobody of its end.
                if self.executions.running.contains_key(&seq) {
                    self.action_ended(seq, canceled(user, self.now.wall));
                }
            }
            Some(None) => self.action_ended(seq, canceled(user, self.now.wall)),
        }
    }

    fn cancel_waiting(&mut self, seq: u64, user: &str) {
        let outcome = canceled(user, self.now.wall);
        match self.executions.forget(seq) {
            Some(execution) => self.finish(&execution, outcome, None),
            None => self.cancel_in_journal(seq, outcome),
        }
    }

    /// It may be on its way from there.
    fn cancel_in_journal(&mut self, seq: u64, outcome: Outcome) {
        self.executions.queue.leave_turn_of(seq);
        if self.executions.queue.waiting().1 {
            self.executions.unwanted.insert(seq);
        }
        self.batch
            .changes
            .push(ExecutionChange::Ended { seq, outcome });
    }
}
