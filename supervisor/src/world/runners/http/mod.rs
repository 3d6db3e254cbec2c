//! `http-request`, once `http-runner`: one request, by a child that is `petrel` itself, so that time
//! limits, cancelling and crashes are those of every action, and no secret is an argument.
//!
//! Behaviour of StackStorm 3.10's HTTP runner: the result is `{status_code, body, parsed, headers}`,
//! and 200 to 206 are a success. Names of headers are written `Like-This`, whatever the server did.

pub mod child;
mod forward;
mod proxy;
mod request;
mod response;

use serde_json::json;

use super::{Place, Plan, environment};
use crate::core::effect::RunOrder;

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
