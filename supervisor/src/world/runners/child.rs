//! Runners that are programs of ours: they are told what to do by standard input, and write the
//! outcome down.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::Ending;
use crate::core::record::Status;

/// Does what standard input says, and writes the outcome into the result file. An error is an
/// outcome.
///
/// # Errors
/// When there is nobody to tell the outcome to.
pub fn run(work: impl FnOnce(&str) -> anyhow::Result<(Status, Value)>) -> anyhow::Result<()> {
    let file = std::env::var_os("PETREL_RESULT_FILE").context("PETREL_RESULT_FILE is not set")?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let (status, result) = work(&text).unwrap_or_else(|error| (Status::Failed, failure(&error)));
    let said = json!({"status": status.word(), "result": result});
    std::fs::write(Path::new(&file), said.to_string()).context("failed to write the result")
}

/// `{error, traceback}`: in one line, and as a line for each cause, the first of all last. There are
/// no frames of Python behind it.
fn failure(error: &anyhow::Error) -> Value {
    let mut causes: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors tell their cause in their own text too.
        if causes.last().is_none_or(|last| !last.ends_with(&cause)) {
            causes.push(cause);
        }
    }
    json!({"error": causes.join(": "), "traceback": causes.join("\n  caused by: ")})
}

/// What the child wrote down, or that it did not.
pub fn result(ending: &Ending) -> (Status, Value) {
    let Some(said) = &ending.result else {
        let error = match ending.stderr.trim() {
            "" => "its child ended without a result",
            said => said,
        };
        let result = json!({"error": error, "traceback": ending.stderr.trim()});
        return (Status::Failed, result);
    };
    let status = said["status"].as_str().and_then(Status::from_word);
    (status.unwrap_or(Status::Failed), said["result"].clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn each_cause_of_a_failure_is_a_line_once() {
        let error = anyhow!("refused")
            .context("io: refused")
            .context("GET http://h failed");
        let told = failure(&error);
        assert_eq!(told["error"], "GET http://h failed: io: refused");
        assert_eq!(
            told["traceback"],
            "GET http://h failed\n  caused by: io: refused"
        );
    }
}
