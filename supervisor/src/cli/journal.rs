//! `petrel journal`. Where no supervisor runs, the file itself is read; only what it would have to be
//! told needs one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{self, Unreachable, escaped};
use super::sensor_logs::since;
use super::{Client, print};
use crate::catalog::Catalog;
use crate::catalog::knobs::units::about_bytes;
use crate::core::clock::Wall;
use crate::world::journal::query::Span;
use crate::world::journal::{check, copy, info, open_read_only};
use crate::world::lock::Lock;
use crate::world::{export, paths};

/// See [`super::Command::Journal`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What it has, how much room that takes, how long it stays, and who waits for room
    Info(Info),
    /// Whether it is whole; exit code 1 where it is not
    Check(Check),
    /// Give the room back that it does not need
    Compact(Info),
    /// Print events as lines of JSON, with what the rules said and the executions
    Export(Export),
    /// Copy it as it is at this moment; petrel starts on the copy as DATA/journal.db
    Backup(Backup),
}

/// Nothing but whom to ask.
#[derive(Debug, Args)]
pub struct Info {
    #[command(flatten)]
    client: Client,
}

/// How thoroughly.
#[derive(Debug, Args)]
pub struct Check {
    /// Leave out what takes longest: tables against their indexes
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    client: Client,
}

/// Which events.
#[derive(Debug, Args)]
pub struct Export {
    /// Only from then on: 10m, 2h, 7d ago, or a moment such as 2026-12-01T08:00+01:00
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only before this
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only of this trigger type
    #[arg(long, value_name = "REF")]
    trigger: Option<String>,
    /// Only of this sensor
    #[arg(long, value_name = "REF")]
    sensor: Option<String>,
    #[command(flatten)]
    client: Client,
}

/// Where to.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file, which must not be there
    file: PathBuf,
    #[command(flatten)]
    client: Client,
}

impl Command {
    /// Runs it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Info(info) => info.run()?,
            Self::Check(check) => return check.run(),
            Self::Compact(compact) => compact.compact()?,
            Self::Export(export) => export.run()?,
            Self::Backup(backup) => backup.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What the supervisor says; where there is none, what its folder says.
fn asked_or_read<T>(
    asked: anyhow::Result<T>,
    data: Option<&Path>,
    read: impl FnOnce(&Path) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    match asked {
        Err(error) if error.is::<Unreachable>() => {
            read(&paths::data_dir(data.map(Path::to_owned))?)
        }
        asked => asked,
    }
}

fn opened(data: &Path) -> anyhow::Result<rusqlite::Connection> {
    open_read_only(data).with_context(|| copy::no_journal(data))
}

impl Info {
    fn run(self) -> anyhow::Result<()> {
        let data = &self.client.data;
        let asked = client::get(data.clone(), "/v1/journal").map(|answer| answer.body);
        let shown = asked_or_read(asked, data.as_deref(), |data| {
            Ok(json!(info::read(&opened(data)?)?))
        })?;
        if self.client.json || self.client.yaml || !self.client.attr.is_empty() {
            return print::one(&self.client, &shown, &[]);
        }
        show(&shown)
    }

    fn compact(self) -> anyhow::Result<()> {
        let data = &self.client.data;
        let path = "/v1/journal/compact";
        let asked = client::send(data.clone(), Method::POST, path, None);
        let asked = asked.map(|answer| answer.body);
        let done = asked_or_read(asked, data.as_deref(), |data| {
            anyhow::ensure!(data.join("journal.db").exists(), copy::no_journal(data));
            let _lock = Lock::take(data)?;
            let (before, after) = copy::compact(data)?;
            Ok(json!({"freed": before.saturating_sub(after)}))
        })?;
        match self.client.json || self.client.yaml {
            true => print::one(&self.client, &done, &[]),
            false => {
                let bytes = done["freed"].as_u64().unwrap_or_default();
                print::line(&format!("{} given back", about_bytes(bytes)))
            }
        }
    }
}

impl Check {
    fn run(self) -> anyhow::Result<ExitCode> {
        let data = &self.client.data;
        let path = format!("/v1/journal/check?quick={}", self.quick);
        let asked = client::get(data.clone(), &path).map(|answer| answer.body);
        let found = asked_or_read(asked, data.as_deref(), |data| {
            Ok(json!(check::check(&opened(data)?, self.quick)?))
        })?;
        let is_whole = found["ok"] == true;
        if self.client.json || self.client.yaml {
            print::one(&self.client, &found, &[])?;
        } else if is_whole {
            print::line("the journal is whole")?;
        }
        if !is_whole && !self.client.json {
            for fault in found["faults"].as_array().into_iter().flatten() {
                eprintln!("error: {}", fault.as_str().unwrap_or_default());
            }
        }
        Ok(if is_whole {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl Export {
    fn span(&self) -> anyhow::Result<Span> {
        Ok(Span {
            since: self.since.as_deref().map(since).transpose()?,
            until: self.until.as_deref().map(since).transpose()?,
            trigger: self.trigger.clone(),
            sensor: self.sensor.clone(),
        })
    }

    fn run(self) -> anyhow::Result<()> {
        let span = self.span()?;
        let data = &self.client.data;
        let asked = client::lines(data.clone(), &path(&span), |line| {
            // Half an export must not pass for a whole one.
            match line.strip_prefix("{\"error\":") {
                Some(why) => anyhow::bail!("{}", why.trim_end_matches('}')),
                None => print::line(line),
            }
        });
        asked_or_read(asked, data.as_deref(), |data| {
            let mut printed = Ok(());
            export::lines(&opened(data)?, &Catalog::default(), &span, |line| {
                printed = print::line(line.trim_end());
                printed.is_ok()
            })?;
            printed
        })
    }
}

fn path(span: &Span) -> String {
    let query = [
        ("since", span.since.map(Wall::rfc3339)),
        ("until", span.until.map(Wall::rfc3339)),
        ("trigger", span.trigger.clone()),
        ("sensor", span.sensor.clone()),
    ];
    let given = query.into_iter().filter_map(|(name, value)| {
        let value = escaped(&value?);
        Some(format!("{name}={value}"))
    });
    let given: Vec<_> = given.collect();
    format!("/v1/journal/export?{}", given.join("&"))
}

impl Backup {
    fn run(self) -> anyhow::Result<()> {
        let file = std::path::absolute(&self.file)?;
        let data = &self.client.data;
        let body = json!({ "file": file });
        let path = "/v1/journal/backup";
        let asked = client::send(data.clone(), Method::POST, path, Some(&body));
        let asked = asked.map(|answer| answer.body);
        let done = asked_or_read(asked, data.as_deref(), |data| {
            anyhow::ensure!(data.join("journal.db").exists(), copy::no_journal(data));
            let size = copy::backup(data, &file)?;
            Ok(json!({"file": file, "size": size}))
        })?;
        match self.client.json || self.client.yaml {
            true => print::one(&self.client, &done, &[]),
            false => {
                let bytes = done["size"].as_u64().unwrap_or_default();
                print::line(&format!("{}: {}", file.display(), about_bytes(bytes)))
            }
        }
    }
}

/// Aligned lines; of a supervisor that runs, also what it keeps and who waits.
fn show(info: &Value) -> anyhow::Result<()> {
    let bytes = |name: &str| about_bytes(info[name].as_u64().unwrap_or_default());
    let line = |name: &str, text: String| print::line(&format!("{name:<18} {text}"));
    line("path", info["path"].as_str().unwrap_or_default().to_owned())?;
    let (used, free, wal) = (bytes("used"), bytes("free"), bytes("wal"));
    line(
        "size",
        format!("{}: {used} used, {free} free", bytes("size")),
    )?;
    line("write-ahead log", wal)?;
    line("free on its disk", bytes("disk_free"))?;
    if info["can_shrink"] == false {
        let text = "no: stop petrel, and run `petrel journal compact` once".to_owned();
        line("gives room back", text)?;
    }
    line("events", info["events"].to_string())?;
    for name in ["oldest", "newest"] {
        if let Some(at) = info[name]["at"].as_str() {
            let id = info[name]["id"].as_str().unwrap_or_default();
            line(&format!("  {name}"), format!("{at}  {id}"))?;
        }
    }
    line("executions", executions(&info["executions"]))?;
    for name in ["rejected", "crashes", "datastore"] {
        line(name, info[name].to_string())?;
    }
    line("rule sets", info["rule_sets"].to_string())?;
    show_kept(info, line)
}

fn executions(by_status: &Value) -> String {
    let all = by_status.as_object().into_iter().flatten();
    let each: Vec<_> = all
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    match each.is_empty() {
        true => "0".to_owned(),
        false => each.join(", "),
    }
}

fn show_kept(
    info: &Value,
    line: impl Fn(&str, String) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let retention = info["retention"].as_object().into_iter().flatten();
    let bounds = retention.map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name} {text}"),
        None => format!("{name} {value}"),
    });
    let bounds: Vec<_> = bounds.collect();
    if !bounds.is_empty() {
        line("retention", bounds.join(", "))?;
    }
    for (name, text) in [("trouble", &info["trouble"]), ("full", &info["full"])] {
        if let Some(text) = text.as_str() {
            line(name, text.to_owned())?;
        }
    }
    let names = info["waiting_sensors"].as_array().into_iter().flatten();
    for name in names.filter_map(Value::as_str) {
        line("  waits", name.to_owned())?;
    }
    for one in info["unsettled"].as_array().into_iter().flatten() {
        let trigger = one["trigger"].as_str().filter(|name| !name.is_empty());
        let trigger = trigger.unwrap_or("(no event)");
        let bytes = about_bytes(one["bytes"].as_u64().unwrap_or_default());
        line(
            "not settled",
            format!("{} of {trigger}, {bytes}", one["events"]),
        )?;
    }
    if let Some(at) = info["oldest_failed"].as_str() {
        line("kept, for it failed", format!("since {at}"))?;
    }
    for one in info["counts"].as_array().into_iter().flatten() {
        let trigger = one["trigger"].as_str().unwrap_or_default();
        let (accepted, matched) = (&one["accepted"], &one["matched"]);
        let counts = format!(
            "{trigger}: {accepted} accepted, {matched} matched, {} counted only",
            one["dropped"]
        );
        line("counter", counts)?;
    }
    Ok(())
}
