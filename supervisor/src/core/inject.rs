//! Events that somebody sends by hand or from an action: `core.inject_trigger`, StackStorm's
//! `POST /v1/webhooks/st2`. Unlike there, the answer comes when the event is on disk, and one that
//! no rule could ever see is refused.

use serde_json::{Map, Value, json};

use super::effect::Effect;
use super::ids;
use super::input::Injected;
use super::step::{After, Core};
use crate::catalog::TriggerType;
use crate::catalog::diagnostics::did_you_mean;
use crate::catalog::schema::Checked;
use crate::rules::Trigger;

impl Core {
    pub(super) fn ask_inject(&mut self, ask: u64, injected: Injected) {
        let payload = Value::Object(injected.payload);
        match self.injectable(&injected.trigger, &payload) {
            Ok(trigger) => {
                self.tell_rules(&trigger, injected.trace_tag, &payload);
                let id = ids::format(ids::Kind::Event, self.now.wall, self.last_event);
                let answer = json!({"trigger": injected.trigger, "payload": payload, "id": id});
                self.after.push(After::Reply { ask, answer });
            }
            Err(why) => self.out.push(Effect::Reply {
                ask,
                answer: Err(why),
            }),
        }
    }

    /// The trigger of this name, where the payload fits it.
    pub(super) fn injectable(&self, name: &str, payload: &Value) -> Result<Trigger, String> {
        let with_parameters = self.rules.trigger(name);
        let kind = with_parameters.map_or(name, |trigger| &trigger.trigger_type);
        let kind = self.catalog.trigger_types.get(kind);
        let kind = kind.ok_or_else(|| self.no_trigger(name))?;
        self.fits(kind, payload)?;
        let bare = || Trigger::new(name, Map::new());
        Ok(with_parameters.map_or_else(bare, |trigger| Trigger::clone(trigger)))
    }

    fn fits(&self, kind: &TriggerType, payload: &Value) -> Result<(), String> {
        match kind.payload_check.check(payload, self.validation) {
            Checked::Rejected { path, message } => Err(format!(
                "the payload does not fit the schema of {}: {path}: {message}",
                kind.reference
            )),
            Checked::Accepted | Checked::Coerced(_) | Checked::Warned(_) => Ok(()),
        }
    }

    fn no_trigger(&self, name: &str) -> String {
        let known = self.catalog.trigger_types.keys().map(String::as_str);
        let near = did_you_mean(name, known);
        let near = near.map_or_else(String::new, |near| format!("; {near}"));
        format!("trigger \"{name}\" does not exist{near}")
    }
}
