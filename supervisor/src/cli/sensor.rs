//! `petrel sensor`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{self, escaped};
use super::lists::{List, SENSORS};
use super::{Client, print};

/// See [`super::Command::Sensor`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them.
    List(List),
    /// Show one: its state, its process, its policy and where each value came from.
    #[command(visible_alias = "get")]
    Show(Show),
}

/// Names a sensor.
#[derive(Debug, Args)]
pub struct Show {
    /// Its reference, pack.ClassName
    reference: String,
    #[command(flatten)]
    client: Client,
}

/// Members shown in order, before the policy.
const PROPERTIES: [&str; 14] = [
    "ref",
    "description",
    "enabled",
    "state",
    "status",
    "pid",
    "uptime",
    "restarts",
    "last_exit.text",
    "last_exit.at",
    "last_exit.reason",
    "next_start",
    "events",
    "rejected",
];

impl Command {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(&SENSORS),
            Self::Show(show) => show.run(),
        }
    }
}

impl Show {
    fn run(self) -> anyhow::Result<ExitCode> {
        let path = format!("/v1/sensortypes/{}", escaped(&self.reference));
        let mut sensor = client::get(self.client.data.clone(), &path)?.body;
        if !self.client.json && !self.client.yaml && self.client.attr.is_empty() {
            return show_text(&mut sensor);
        }
        print::one(&self.client, &sensor, &PROPERTIES)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Aligned lines; of the policy, each knob with the place that it came from.
fn show_text(sensor: &mut Value) -> anyhow::Result<ExitCode> {
    let sources = sensor["policy_sources"].take();
    for path in PROPERTIES {
        let value = path.split('.').fold(&*sensor, |value, name| &value[name]);
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(seconds) if path == "uptime" => {
                format!("{:.1} s", seconds.as_f64().unwrap_or_default())
            }
            other => other.to_string(),
        };
        print::line(&format!("{:<18} {text}", path.replace('.', " ")))?;
    }
    print::line("policy")?;
    for (path, value) in knobs(&sensor["policy"], "") {
        let source = sources[&path].as_str().unwrap_or("built in");
        print::line(&format!("  {path:<28} {value:<12} {source}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn knobs(policy: &Value, prefix: &str) -> Vec<(String, String)> {
    let members = policy.as_object().into_iter().flatten();
    members
        .flat_map(|(name, value)| match value {
            Value::Object(_) => knobs(value, &format!("{prefix}{name}.")),
            Value::String(text) => vec![(format!("{prefix}{name}"), text.clone())],
            other => vec![(format!("{prefix}{name}"), other.to_string())],
        })
        .collect()
}
