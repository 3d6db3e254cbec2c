//! `petrel sensor crashes`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::client::{self, escaped};
use super::sensor_logs::local;
use super::{Client, print};
use crate::core::clock::Wall;

/// Names a sensor, and perhaps one of its crashes.
#[derive(Debug, Args)]
pub struct Crashes {
    /// Its reference, pack.ClassName
    reference: String,
    /// Show this one whole
    id: Option<u64>,
    /// The newest, at most so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    client: Client,
}

const COLUMNS: [&str; 7] = ["id", "at", "text", "uptime", "class", "hint", "reason"];

impl Crashes {
    /// Prints them.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let data = self.client.data.clone();
        let path = format!("/v1/sensortypes/{}/crashes", escaped(&self.reference));
        let Some(id) = self.id else {
            let path = format!("{path}?limit={}", self.limit);
            let rows = client::get(data, &path)?.body;
            print::list(&self.client, &rows, &COLUMNS)?;
            return Ok(ExitCode::SUCCESS);
        };
        let crash = client::get(data, &format!("{path}/{id}"))?.body;
        match self.client.json || self.client.yaml || !self.client.attr.is_empty() {
            true => print::one(&self.client, &crash, &COLUMNS)?,
            false => show(&crash)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(crash: &Value) -> anyhow::Result<()> {
    let text = |name: &str| crash[name].as_str();
    let title = format!(
        "crash {} of {}",
        crash["id"],
        text("ref").unwrap_or_default()
    );
    print::line(&title)?;
    let uptime = crash["uptime"].as_f64().unwrap_or_default();
    let ended = format!("{} after {uptime:.1} s", text("text").unwrap_or_default());
    let (memory, pid) = (memory(&crash["peak_memory"]), crash["pid"].as_u64());
    let pid = pid.map(|pid| pid.to_string());
    let facts = [
        ("at", text("at").map(str::to_owned)),
        ("ended", Some(ended)),
        ("by petrel", text("ended_by").map(str::to_owned)),
        ("class", text("class").map(str::to_owned)),
        ("hint", text("hint").map(str::to_owned)),
        ("reason", text("reason").map(str::to_owned)),
        ("pid", pid),
        ("peak memory", memory),
        ("code", text("code").map(str::to_owned)),
        ("config", text("config").map(str::to_owned)),
        ("interpreter", text("interpreter").map(str::to_owned)),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            print::line(&format!("  {name:<12} {}", value.replace('\n', "\n  ")))?;
        }
    }
    show_log(&crash["log"])?;
    show_messages(crash)
}

fn memory(peak: &Value) -> Option<String> {
    let mib = peak["bytes"].as_u64()? >> 20;
    Some(match peak["exact"] == true {
        true => format!("{mib} MiB"),
        false => format!("at most {mib} MiB"),
    })
}

fn show_log(log: &Value) -> anyhow::Result<()> {
    let records = log.as_array().map_or(&[][..], Vec::as_slice);
    if records.is_empty() {
        return Ok(());
    }
    print::line("last of its log")?;
    for record in records {
        let level = record["level"].as_str().unwrap_or_default().to_uppercase();
        let message = record["message"].as_str().unwrap_or_default();
        let message = message.replace('\n', "\n      ");
        print::line(&format!("  {} {level:<7} {message}", moment(record)))?;
    }
    Ok(())
}

/// Both directions, in the order of time.
fn show_messages(crash: &Value) -> anyhow::Result<()> {
    let both = [("said", '<'), ("told", '>')]
        .into_iter()
        .flat_map(|(name, sign)| {
            let list = crash[name].as_array().into_iter().flatten();
            list.map(move |message| (message, sign))
        });
    let mut both: Vec<_> = both.collect();
    if both.is_empty() {
        return Ok(());
    }
    both.sort_by_key(|(message, _)| message["time"].as_str());
    print::line("last messages (< from it, > to it)")?;
    for (message, sign) in both {
        let text = message["text"].as_str().unwrap_or_default();
        let cut = message["cut"].as_u64();
        let cut = cut.map_or_else(String::new, |cut| format!(" ... ({cut} bytes more)"));
        print::line(&format!("  {} {sign} {text}{cut}", moment(message)))?;
    }
    Ok(())
}

fn moment(of: &Value) -> String {
    let at = of["time"].as_str().and_then(|text| text.parse().ok());
    let at: jiff::Timestamp = at.unwrap_or_default();
    let shown = local(Wall(at.as_microsecond()));
    shown.split(' ').next_back().unwrap_or_default().to_owned()
}
