//! `python-script`, once `run-python`: a class with `run()`, on the SDK's action host.
//!
//! Behaviour of StackStorm 3.10's Python runner: the result is `{stdout, stderr, exit_code,
//! result}`; parameters and configuration go through standard input, never the arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Ending, Place, Plan, add_given, environment};
use crate::core::effect::RunOrder;
use crate::core::record::Status;

/// Parameters of the runner, which `run()` does not get, whatever the action says of them.
const RUNNER_PARAMETERS: [&str; 5] = ["timeout", "env", "log_level", "debug", "content_version"];

/// The command.
pub fn plan(order: &RunOrder, place: &Place) -> Result<Plan, String> {
    let action = &order.action;
    let file = action
        .entry_point
        .as_ref()
        .ok_or_else(|| format!("action {} has no entry_point", action.reference))?;
    let mut env = environment(order, place);
    env.insert("PYTHONUNBUFFERED".into(), "1".into());
    add_given(&mut env, &order.parameters)?;
    let pack = pack_dir(order, place);
    let python = match &pack {
        Some(pack) => place.environments.interpreter(&action.pack, pack)?,
        None => place.python.clone(),
    };
    env.insert("PYTHONPATH".into(), python_path(pack.as_deref(), place));
    if python != place.python
        && let Some(programs) = python.parent()
    {
        let path = std::env::var("PATH").unwrap_or_default();
        let first = format!("{}:{path}", programs.display());
        env.entry("PATH".into()).or_insert(first);
    }
    let level = order.parameters.get("log_level").and_then(Value::as_str);
    let mut args: Vec<OsString> = vec![
        "-u".into(),
        place.sdk.join("python_action_wrapper.py").into(),
        format!("--pack={}", action.pack).into(),
    ];
    let mut path = OsString::from("--file-path=");
    path.push(file);
    args.push(path);
    args.push("--user=petrel".into());
    args.push(format!("--log-level={}", level.unwrap_or("DEBUG")).into());
    Ok(Plan {
        program: python,
        args,
        cwd: None,
        env: env.into_iter().collect(),
        stdin: Some(message(order)),
    })
}

/// The folder of the action's pack.
fn pack_dir(order: &RunOrder, place: &Place) -> Option<PathBuf> {
    let pack = place
        .packs
        .iter()
        .map(|base| base.join(&order.action.pack))
        .find(|dir| dir.is_dir());
    let own = order
        .action
        .entry_point
        .as_deref()
        .and_then(|file| file.ancestors().find(|dir| dir.ends_with("actions")))
        .and_then(|actions| actions.parent().map(Into::into));
    own.or(pack)
}

/// The pack's `lib`, its `actions/lib`, the SDK, and what was there before.
fn python_path(pack: Option<&Path>, place: &Place) -> String {
    let dirs = pack
        .map(|pack| [pack.join("lib"), pack.join("actions/lib")])
        .into_iter()
        .flatten()
        .filter(|dir| dir.is_dir())
        .chain([place.sdk.clone()])
        .map(|dir| dir.to_string_lossy().into_owned());
    let before = std::env::var("PYTHONPATH").ok();
    let all: Vec<String> = dirs.chain(before.filter(|path| !path.is_empty())).collect();
    all.join(":")
}

/// What `run()` gets: `None` for each parameter of the action that nobody gave and that has no
/// default, as in StackStorm; nothing of the runner's.
fn parameters(order: &RunOrder) -> Map<String, Value> {
    let declared = order.action.all_parameters.iter();
    let nothing = |(name, _): (&str, &Value)| (name.to_owned(), Value::Null);
    let mut all: Map<String, Value> = declared.map(nothing).collect();
    all.extend(order.parameters.clone());
    all.retain(|name, _| !RUNNER_PARAMETERS.contains(&name.as_str()));
    all
}

/// The one line that the host reads.
fn message(order: &RunOrder) -> String {
    let message = json!({
        "parameters": parameters(order),
        "config": order.config,
        "action": order.action.reference,
        "execution_id": order.execution.id(),
        "context": {"user": "petrel", "rule": {"ref": order.execution.rule}},
    });
    format!("{message}\n")
}

/// The code of an action whose `run` returned a pair that does not begin with True or False.
const NO_STATUS: i32 = 220;

/// Its status and its result. As in StackStorm, `sys.exit(0)` is a success without a result, and what
/// was returned is kept where the program ended badly afterwards.
pub fn result(ending: &Ending) -> (Status, Value) {
    let code = match (ending.exit.code, ending.exit.signal) {
        (Some(code), _) => code,
        (None, Some(signal)) => -signal,
        (None, None) => -1,
    };
    if code == NO_STATUS {
        let result = json!({"error": ending.stderr.trim_end(), "traceback": ""});
        return (Status::Failed, result);
    }
    let returned = ending.result.as_ref();
    let status = returned.and_then(|returned| returned["status"].as_bool());
    let ok = code == 0 && status != Some(false);
    let value = returned.map_or_else(|| json!("None"), |returned| returned["result"].clone());
    let result = json!({
        "stdout": ending.stdout,
        "stderr": ending.stderr,
        "exit_code": code,
        "result": value,
    });
    let status = match ok {
        true => Status::Succeeded,
        false => Status::Failed,
    };
    (status, result)
}
