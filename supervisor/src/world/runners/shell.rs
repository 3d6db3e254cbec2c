//! `local-shell-cmd`, once `run-local`: a command line through bash.
//!
//! Behaviour of StackStorm 3.10's local runner: the result is `{succeeded, failed, return_code,
//! stdout, stderr}`, one final newline is dropped, and output that is JSON becomes its value.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{Ending, Place, Plan, add_given, environment};
use crate::core::effect::RunOrder;

/// What a program behind `sudo -S` does first: a password that sudo had no use for is not its input.
pub const AFTER_SUDO: &str = "IFS= read -r -d '' _; ";

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
    let password = sudo_input(parameters);
    let first = if password.is_some() { AFTER_SUDO } else { "" };
    let line = if hidden { FROM_INPUT } else { command };
    let line = format!("{first}{line}");
    let words = ["/bin/bash", "-c", &line].map(Into::into);
    let (program, args) = with_sudo(parameters, words.into());
    let hidden = hidden.then(|| format!("{command}\0"));
    let stdin = match (password, hidden) {
        (None, None) => None,
        (password, hidden) => Some(password.unwrap_or_default() + &hidden.unwrap_or_default()),
    };
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
    let before: &[&str] = match (sudo, sudo_password(parameters)) {
        (true, Some(_)) => &["sudo", "-S", "-p", "", "-E", "--"],
        (true, None) => &["sudo", "-E", "-n", "--"],
        (false, _) => &[],
    };
    let mut all = before.iter().map(Into::into).chain(words);
    let program = all.next().unwrap_or_default();
    (program.into(), all.collect())
}

fn sudo_password(parameters: &Map<String, Value>) -> Option<&str> {
    let given = parameters.get("sudo_password").and_then(Value::as_str);
    given.filter(|password| !password.is_empty())
}

/// What `sudo -S` reads: the password as one line, so that it is in no argument and no environment;
/// behind it the end of what [`AFTER_SUDO`] skips.
pub fn sudo_input(parameters: &Map<String, Value>) -> Option<String> {
    let sudo = parameters.get("sudo") == Some(&Value::Bool(true));
    let password = sudo_password(parameters).filter(|_| sudo);
    password.map(|password| format!("{password}\n\0"))
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
    fn a_password_for_sudo_is_input_and_no_argument() {
        let given = json!({"sudo": true, "sudo_password": "hunter2"});
        let given = given.as_object().unwrap();
        let (program, args) = with_sudo(given, vec!["true".into()]);
        assert_eq!(program, PathBuf::from("sudo"));
        assert_eq!(args, ["-S", "-p", "", "-E", "--", "true"]);
        assert_eq!(sudo_input(given).as_deref(), Some("hunter2\n\0"));
        let unused = json!({"sudo": false, "sudo_password": "hunter2"});
        assert_eq!(sudo_input(unused.as_object().unwrap()), None);
    }

    #[test]
    fn output_that_is_json_becomes_its_value() {
        assert_eq!(output("5\n"), json!(5));
        assert_eq!(output("five\r\n"), json!("five"));
        assert_eq!(output("a\n\n"), json!("a\n"));
    }
}
