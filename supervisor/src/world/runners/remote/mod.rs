//! `remote-shell-cmd` and `remote-shell-script`, once `run-remote` and `run-remote-script`: a command
//! line or a program of the pack on other hosts, through the system's `ssh`, by a child that is
//! `petrel` itself.
//!
//! Behaviour of StackStorm 3.10's remote runner: the result has a member for each host, each like
//! that of the local runner, and all must succeed; hosts come one after another unless `parallel`.
//! Unlike there, the shell of the far side reads all from its standard input, so that no secret is
//! an argument on either side (scripts come this way too: it needs `base64` and `tar`); and its host
//! key is remembered and compared.
//!
//! What was begun on a host that takes too long, or is cancelled, loses its connection and may go on.

pub mod askpass;
pub mod child;
mod command;
mod files;
mod hosts;
mod output;
mod ssh;

use serde_json::{Value, json};

use super::{Place, Plan, add_given, environment, script};
use crate::catalog::Runner;
use crate::core::effect::RunOrder;

/// The hidden command of `petrel` that runs the child.
pub const COMMAND: &str = "remote";

/// Where the keys of hosts are remembered, in the data folder.
const KNOWN_HOSTS: &str = "ssh/known_hosts";

/// The command: hosts, credentials and what to run go through standard input.
pub fn plan(order: &RunOrder, place: &Place) -> Result<Plan, String> {
    let own = environment(order, place);
    // What concerns this host stays here.
    let mut far: std::collections::BTreeMap<_, _> = own
        .iter()
        .filter(|(name, _)| name.starts_with("ST2_"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    add_given(&mut far, &order.parameters)?;
    let is_script = order.action.runner == Runner::RemoteShellScript;
    let entry_point = order.action.entry_point.as_ref();
    let (program, arguments) = match (is_script, entry_point) {
        (true, None) => return Err("the action has no entry_point".to_owned()),
        (true, Some(path)) => (Some(path), script::given_arguments(order)?),
        (false, _) => (None, Vec::new()),
    };
    let asked = json!({
        "parameters": order.parameters,
        "env": far,
        "script": program,
        "arguments": arguments,
        "execution": order.execution.id(),
        "data": place.data,
        "memory": place.memory,
        "petrel": place.petrel,
    });
    Ok(Plan {
        program: place.petrel.clone(),
        args: ["runner", COMMAND].map(Into::into).into(),
        cwd: None,
        env: own.into_iter().collect(),
        stdin: Some(asked.to_string()),
    })
}

/// What standard input says.
#[derive(Debug, serde::Deserialize)]
struct Asked {
    parameters: serde_json::Map<String, Value>,
    env: std::collections::BTreeMap<String, String>,
    script: Option<std::path::PathBuf>,
    arguments: Vec<String>,
    execution: String,
    data: std::path::PathBuf,
    memory: std::path::PathBuf,
    petrel: std::path::PathBuf,
}

impl Asked {
    /// A parameter that is text, and not empty.
    fn text(&self, name: &str) -> Option<&str> {
        let given = self.parameters.get(name).and_then(Value::as_str);
        given.filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str) -> bool {
        self.parameters.get(name) == Some(&Value::Bool(true))
    }
}
