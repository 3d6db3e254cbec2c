//! `announcement`: a message to whoever follows the stream.
//!
//! StackStorm 3.10 publishes it on a route of its message bus; here it is a notice, and the result
//! is none, as there.

use serde_json::Value;

use crate::core::clock::Wall;
use crate::core::effect::RunOrder;
use crate::core::notice::{Level, Notice};
use crate::core::record::{Outcome, Status};
use crate::world::stream;

/// Parameters of the runner; all others are the message.
const RUNNER_PARAMETERS: [&str; 2] = ["experimental", "route"];

/// Says it.
///
/// # Errors
/// When the runner's one flag is not set, as in StackStorm.
pub fn outcome(order: &RunOrder, now: Wall) -> Result<Outcome, String> {
    let given = |name: &str| order.parameters.get(name);
    if given("experimental") != Some(&Value::Bool(true)) {
        return Err("Experimental flag is missing for action announcement".to_owned());
    }
    let route = given("route").and_then(Value::as_str).unwrap_or("general");
    let shown = order.parameters.iter().filter(|(name, _)| {
        !RUNNER_PARAMETERS.contains(&name.as_str()) && !order.secrets.contains(name)
    });
    let message: serde_json::Map<_, _> = shown.map(|(n, v)| (n.clone(), v.clone())).collect();
    let text = Value::Object(message).to_string();
    let notice = Notice::new(Level::Info, "announcement", route, text);
    stream::show(&notice.execution(order.execution.id()));
    Ok(Outcome {
        status: Status::Succeeded,
        result: Value::Null,
        started: Some(now),
        ended: now,
    })
}
