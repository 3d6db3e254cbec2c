//! `local-shell-cmd`, once `run-local`: a command line through bash.
//!
//! Behaviour of StackStorm 3.10's local runner: the result is `{succeeded, failed, return_code,
//! stdout, stderr}`, one final newline is dropped, and output that is JSON becomes its value.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{Ending, Place, Plan, add_given, environment};
use crate::core::effect::RunOrder;

/// A command line with a secret in it is no argument, which every user of the host could read.
const FROM_INPUT: &str = r#"IFS= read -r -d '' line; eval "$line""#;

/// The command.
pub fn plan(order: &RunOrder, place: &Place) -> Result<Plan, String> {
    let parameters = &order.parameters;
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let command = text("cmd").filter(|command| !command.is_empty());
    let command = command.ok_or("the parameter \"cmd\" is missing")?;
    let mut env = environment(order, place);
    add_given(&mut env, parameters)?;
    let hidden = order.secrets.iter().any(|name| name == "cmd");
    let (line, stdin) = match hidden {
        true => (FROM_INPUT, Some(format!("{command}\0"))),
        false => (command, None),
    };
    let words = ["/bin/bash", "-c", line].map(Into::into);
    let (program, args) = with_sudo(parameters, words.into());
    Ok(Plan {
        program,
        args,
        cwd: text("cwd").map(Into::into),
        env: env.into_iter().collect(),
        stdin,
    })
}

/// Program and arguments, behind `sudo` where the parameters ask for it.
pub fn with_sudo(
    parameters: &Map<String, Value>,
    words: Vec<OsString>,
) -> (PathBuf, Vec<OsString>) {
    let sudo = parameters.get("sudo") == Some(&Value::Bool(true));
    let before: &[&str] = match sudo {
        true => &["sudo", "-E", "-n", "--"],
        false => &[],
    };
    let mut all = before.iter().map(Into::into).chain(words);
    let program = all.next().unwrap_or_default();
    (program.into(), all.collect())
}

/// Whether it succeeded, and its result.
pub fn result(ending: &Ending) -> (bool, Value) {
    let code = match (ending.exit.code, ending.exit.signal) {
        (Some(code), _) => code,
        (None, Some(signal)) => -signal,
        (None, None) => -1,
    };
    let ok = code == 0;
    let result = json!({
        "succeeded": ok,
        "failed": !ok,
        "return_code": code,
        "stdout": output(&ending.stdout),
        "stderr": output(&ending.stderr),
    });
    (ok, result)
}

/// One final newline, and a carriage return before it, are dropped; JSON becomes its value.
fn output(text: &str) -> Value {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_is_json_becomes_its_value() {
        assert_eq!(output("5\n"), json!(5));
        assert_eq!(output("five\r\n"), json!("five"));
        assert_eq!(output("a\n\n"), json!("a\n"));
    }
}
