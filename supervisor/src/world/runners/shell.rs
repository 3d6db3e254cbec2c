//! `local-shell-cmd`, once `run-local`: a command line through bash.
//!
//! Behaviour of StackStorm 3.10's local runner: the result is `{succeeded, failed, return_code,
//! stdout, stderr}`, one final newline is dropped, and output that is JSON becomes its value.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{Ending, Place, Plan, add_given, environment};
use crate::core::effect::RunOrder;
use crate::core::record::Status;

/// What a program behind `sudo -S` does first: a password that sudo had no use for is not its input.
pub const AFTER_SUDO: &str = "IFS= read -r -d '' _; ";

/// What `sudo -S` asks with, on standard error: sudo's own words, which [`sudo_fault`] reads.
pub const SUDO_PROMPT: &str = "[sudo] password for %p: ";

/// A command line with a secret in it is no argument, which every user of the host could read.
const FROM_INPUT: &str = r#"IFS= read -r -d '' line; eval "$line""#;

/// The code of a program that SIGTERM ended.
const ENDED_BY_TERM: i32 = -15;

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
        (true, Some(_)) => &["sudo", "-S", "-p", SUDO_PROMPT, "-E", "--"],
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

/// Its status and its result, by the exit code as StackStorm has it; the parameters with defaults.
pub fn result(parameters: &Map<String, Value>, ending: &Ending) -> (Status, Value) {
    let code = match (ending.exit.code, ending.exit.signal) {
        (Some(code), _) => code,
        (None, Some(signal)) => -signal,
        (None, None) => -1,
    };
    // Of a row of the journal it is sealed, and no text.
    let password = parameters.get("sudo_password");
    let has_password = password.is_some_and(|given| !given.is_null() && given != "");
    if has_password && let Some(error) = sudo_fault(&ending.stderr) {
        let mut result = shown(-1, &ending.stdout, &ending.stderr);
        result["error"] = json!(error);
        return (Status::Failed, result);
    }
    let status = match code {
        0 => Status::Succeeded,
        ENDED_BY_TERM => Status::Abandoned,
        _ => Status::Failed,
    };
    (status, shown(code, &ending.stdout, &ending.stderr))
}

/// The members of every shell's result.
pub fn shown(code: i32, stdout: &str, stderr: &str) -> Value {
    json!({
        "succeeded": code == 0,
        "failed": code != 0,
        "return_code": code,
        "stdout": output(stdout),
        "stderr": output(stderr),
    })
}

/// StackStorm's words for a password that `sudo` did not take, with the user whose it should be.
pub fn sudo_fault(stderr: &str) -> Option<String> {
    let refused = |line: &str| {
        let (_, said) = line.split_once("sudo: ")?;
        let rest = said.trim_start_matches(|c: char| c.is_ascii_digit());
        let refused = rest.starts_with(" incorrect password attempt");
        (refused || said == "no password was provided").then_some(())
    };
    stderr.lines().find_map(refused)?;
    let user = stderr.split_once("[sudo] password for ");
    let user = user.and_then(|(_, rest)| rest.split_once(':'));
    let user = user.map_or("unknown", |(user, _)| user);
    Some(format!(
        "Invalid sudo password provided or sudo is not configured for this user ({user})"
    ))
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
        assert_eq!(args, ["-S", "-p", SUDO_PROMPT, "-E", "--", "true"]);
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
