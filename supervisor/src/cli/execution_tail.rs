//! `petrel execution tail`.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::client::{self, escaped};
use super::{Client, print};

/// Names an execution.
#[derive(Debug, Args)]
pub struct Tail {
    /// Its id; "last" is the newest
    #[arg(default_value = "last")]
    id: String,
    #[command(flatten)]
    client: Client,
}

/// A line as the API tells it.
#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    action: String,
    task: Option<String>,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum What {
    Wrote { stream: Stream, line: String },
    Became { status: String },
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Stream {
    Stdout,
    Stderr,
}

impl Tail {
    /// Prints what it writes until it is over, each stream to the same of ours; what becomes of it is
    /// told on standard error. Fails when it failed.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let id = self.id()?;
        let mut last = String::new();
        let path = format!("/v1/executions/{}/tail", escaped(&id));
        client::lines(self.client.data.clone(), &path, |line| {
            let row: Row = serde_json::from_str(line)?;
            if self.client.json {
                print::line(line)?;
            } else {
                row.show()?;
            }
            match row.what {
                What::Became { status } if row.id == id => last = status,
                _ => {}
            }
            Ok(())
        })?;
        Ok(match last.as_str() {
            "succeeded" => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }

    fn id(&self) -> anyhow::Result<String> {
        if self.id != "last" {
            return Ok(self.id.clone());
        }
        let newest = client::get(self.client.data.clone(), "/v1/executions?limit=1")?;
        let id = newest.body.pointer("/0/id").and_then(Value::as_str);
        Ok(id.context("there is no execution yet")?.to_owned())
    }
}

impl Row {
    fn show(&self) -> anyhow::Result<()> {
        match &self.what {
            What::Wrote {
                stream: Stream::Stdout,
                line,
            } => print::line(line)?,
            What::Wrote { line, .. } => eprintln!("{line}"),
            What::Became { status } => eprintln!("{}", self.became(status)),
        }
        Ok(())
    }

    fn became(&self, status: &str) -> String {
        let Self { id, action, .. } = self;
        match &self.task {
            Some(task) => format!("== {action} (task {task}) {id}: {status}"),
            None => format!("== {action} {id}: {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_of_a_stream_or_what_became_of_it() {
        let wrote =
            r#"{"id": "x1", "action": "p.a", "task": null, "stream": "stderr", "line": "no"}"#;
        let wrote: Row = serde_json::from_str(wrote).unwrap();
        assert!(matches!(wrote.what, What::Wrote { stream: Stream::Stderr, line } if line == "no"));
        let became = r#"{"id": "x2", "action": "p.a", "task": "t", "status": "running"}"#;
        let became: Row = serde_json::from_str(became).unwrap();
        assert_eq!(became.became("running"), "== p.a (task t) x2: running");
    }
}
