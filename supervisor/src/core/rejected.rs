//! What becomes of messages that were refused: they are given to the rules once more, or dropped.

use serde_json::{Value, json};

use super::effect::Effect;
use super::ids;
use super::input::Refusal;
use super::step::{After, Core};
use super::view::RejectedRow;

impl Core {
    pub(super) fn ask_rejected(&mut self, ask: u64, refusal: Refusal) {
        let done = match refusal {
            Refusal::Drop(seq) => {
                self.batch.unrejected.push(seq);
                Ok(json!({"dropped": seq}))
            }
            Refusal::Retry(row) => self.retry_rejected(&row),
        };
        match done {
            Ok(answer) => self.after.push(After::Reply { ask, answer }),
            Err(why) => self.out.push(Effect::Reply {
                ask,
                answer: Err(why),
            }),
        }
    }

    /// As if its sensor said it now; it stays refused where it does not fit yet.
    fn retry_rejected(&mut self, row: &RejectedRow) -> Result<Value, String> {
        if row.sha256.is_some() {
            let kept = row.data.len();
            return Err(format!(
                "only its first {kept} bytes are kept, for the line was too long: its sensor has to \
                 say it again"
            ));
        }
        let own = self.sensor_named(&row.sensor);
        let own = own.and_then(|at| self.sensors[at.0].spec.trigger_types.first().cloned());
        let trigger = row.trigger.clone().or(own);
        let trigger = trigger.ok_or_else(|| format!("{} names no trigger type", row.sensor))?;
        let payload: Value = serde_json::from_slice(&row.data)
            .map_err(|error| format!("its payload cannot be read: {error}"))?;
        if !payload.is_object() {
            return Err("its payload is not an object".to_owned());
        }
        let trigger = self.injectable(&trigger, &payload)?;
        self.tell_rules_as(&row.sensor, &trigger, None, &payload);
        self.batch.unrejected.push(row.seq);
        let id = ids::format(ids::Kind::Event, self.now.wall, self.last_event);
        Ok(json!({"retried": row.seq, "event": id}))
    }
}
