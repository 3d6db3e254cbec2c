//! `petrel sensor`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{self, escaped};
use super::lists::{List, SENSORS};
use super::sensor_control::{Named, Switched};
use super::sensor_crashes::Crashes;
use super::sensor_logs::Logs;
use super::{Client, print};
use crate::core::input::Verb;

/// See [`super::Command::Sensor`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List them.
    List(List),
    /// Show one: its state, its process, its policy and where each value came from.
    #[command(visible_alias = "get")]
    Show(Show),
    /// Their logs: standard error and log messages, also of those that are down
    Logs(Logs),
    /// Ends of one that nobody asked for: why, and what it did last
    Crashes(Crashes),
    /// Start them now, also out of backoff, cooldown or parked
    Start(Named),
    /// Stop them, until they are started by hand or petrel is started again
    Stop(Named),
    /// Stop them in order and start them again
    Restart(Named),
    /// Let them rest: told so where they can be, else stopped
    Pause(Named),
    /// Let them go on
    Resume(Named),
    /// Have them look for events at once
    Poll(Named),
    /// Enable them, whatever the files say
    Enable(Switched),
    /// Disable them, whatever the files say
    Disable(Switched),
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
const PROPERTIES: [&str; 20] = [
    "ref",
    "description",
    "enabled",
    "override.by",
    "override.until",
    "override.reason",
    "state",
    "journal",
    "status",
    "pid",
    "uptime",
    "restarts",
    "last_exit.text",
    "last_exit.at",
    "last_exit.reason",
    "last_exit.class",
    "last_exit.hint",
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
            Self::Logs(logs) => logs.run(),
            Self::Crashes(crashes) => crashes.run(),
            Self::Start(named) => named.run(Verb::Start),
            Self::Stop(named) => named.run(Verb::Stop),
            Self::Restart(named) => named.run(Verb::Restart),
            Self::Pause(named) => named.run(Verb::Pause),
            Self::Resume(named) => named.run(Verb::Resume),
            Self::Poll(named) => named.run(Verb::Poll),
            Self::Enable(switched) => switched.run(Verb::Enable),
            Self::Disable(switched) => switched.run(Verb::Disable),
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
