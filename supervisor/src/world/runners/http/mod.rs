//! `http-request`, once `http-runner`: one request, by a child that is `petrel` itself, so that time
//! limits, cancelling and crashes are those of every action, and no secret is an argument.
//!
//! Behaviour of StackStorm 3.10's HTTP runner: the result is `{status_code, body, parsed, headers}`,
//! and 200 to 206 are a success. Names of headers are written `Like-This`, whatever the server did.

pub mod child;
mod request;
mod response;

use serde_json::{Value, json};

use super::{Ending, Place, Plan, environment};
use crate::core::effect::RunOrder;
use crate::core::record::Status;

/// The hidden command of `petrel` that runs the child.
pub const COMMAND: &str = "http-request";

/// The command: the request goes through standard input.
pub fn plan(order: &RunOrder, place: &Place) -> Plan {
    let asked = json!({
        "parameters": order.parameters,
        "action": order.action.reference,
    });
    Plan {
        program: place.petrel.clone(),
        args: ["runner", COMMAND].map(Into::into).into(),
        cwd: None,
        env: environment(order, place).into_iter().collect(),
        stdin: Some(asked.to_string()),
    }
}

/// What the child wrote down, or that it did not.
pub fn result(ending: &Ending) -> (Status, Value) {
    let Some(said) = &ending.result else {
        let error = match ending.stderr.trim() {
            "" => "the request was not made",
            said => said,
        };
        return (Status::Failed, json!({"error": error}));
    };
    let status = said["status"].as_str().and_then(Status::from_word);
    (status.unwrap_or(Status::Failed), said["result"].clone())
}
