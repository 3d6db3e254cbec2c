//! `core.st2.generic.notifytrigger`: messages about ends, for the rules that carry them on
//! (StackStorm's notifier; reference st2.md 7.8).

use serde_json::{Map, Value, json};

use super::clock::Wall;
use super::record::{Execution, Outcome, Status};
use super::seal::masked;
use super::step::Core;
use crate::catalog::Action;
use crate::catalog::notify::{Notify, When};
use crate::rules::parameters::with_defaults;

const TRIGGER: &str = "core.st2.generic.notifytrigger";

impl Core {
    /// One event for each route of the sections that fit the end.
    pub(super) fn notify_routes(&mut self, execution: &Execution, outcome: &Outcome) {
        if execution.cause.quiet || !self.rules.waits_for(TRIGGER) {
            return;
        }
        let Some(action) = self.catalog.actions.get(&execution.action).cloned() else {
            return;
        };
        let sections = match self.notify_of_task(execution) {
            Some(own) if !own.is_empty() => own,
            _ => action.notify.clone(),
        };
        let fits = |one: &&Notify| match one.when {
            When::Complete => true,
            When::Success => outcome.status == Status::Succeeded,
            When::Failure => {
                let bad = [Status::Failed, Status::Timeout, Status::Abandoned];
                bad.contains(&outcome.status)
            }
        };
        for section in sections.iter().filter(fits) {
            self.send(section, &action, execution, outcome);
        }
    }

    fn notify_of_task(&self, execution: &Execution) -> Option<Vec<Notify>> {
        let name = execution.cause.task.as_ref()?;
        let parent = execution.cause.parent_seq()?;
        let chain = &self.executions.running.get(&parent)?.execution.action;
        let chain = self.catalog.actions.get(chain)?.chain.as_ref()?;
        let task = chain.tasks.iter().find(|task| task.name == *name)?;
        Some(task.notify.clone())
    }

    fn send(
        &mut self,
        section: &Notify,
        action: &Action,
        execution: &Execution,
        outcome: &Outcome,
    ) {
        let (message, data) = self.words(section, action, execution, outcome);
        for route in &section.routes {
            let started = outcome.started.or(execution.started);
            self.emit(TRIGGER, || {
                json!({
                    "execution_id": execution.id(),
                    "status": outcome.status.word(),
                    "start_timestamp": started.map(Wall::rfc3339),
                    "end_timestamp": outcome.ended.rfc3339(),
                    "channel": route,
                    "route": route,
                    "message": message,
                    "data": data,
                    "action_ref": action.reference,
                    "runner_ref": action.runner_type,
                })
            });
        }
    }

    /// The message and the data, rendered; what cannot be rendered is told in the message.
    fn words(
        &self,
        section: &Notify,
        action: &Action,
        execution: &Execution,
        outcome: &Outcome,
    ) -> (String, Map<String, Value>) {
        let standard = format!("Action {} {}.", action.reference, section.when.word());
        let mut values = section.data.clone();
        let message = section.message.clone().unwrap_or_else(|| standard.clone());
        values.insert("message".to_owned(), json!(message));
        let shown = masked(&with_defaults(action, &execution.parameters));
        let mut names = shown.clone();
        names.insert("action_parameters".to_owned(), Value::Object(shown));
        names.insert("action_results".to_owned(), outcome.result.clone());
        names.insert("action_context".to_owned(), json!({"user": "petrel"}));
        let store = self.store.view().at(self.now.wall);
        let (message, mut data) = match self.rules.render(&values, &names, &store) {
            Ok(mut rendered) => {
                let message = rendered.remove("message");
                let message = message.and_then(|text| text.as_str().map(str::to_owned));
                (message.unwrap_or(standard), rendered)
            }
            Err(why) => (format!("{standard} ({why})"), Map::new()),
        };
        data.insert("result".to_owned(), json!(outcome.result.to_string()));
        (message, data)
    }
}
