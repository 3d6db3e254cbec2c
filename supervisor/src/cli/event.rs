//! `petrel event`: what sensors reported, and what of it was refused.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::client::{self, escaped};
use super::lists::{self, Get, Newest, Recorded};
use super::{Client, print};

/// Commands of events.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the newest.
    List(Newest),
    /// Show one.
    Get(Get),
    /// What sensors said that was refused, and is kept.
    #[command(subcommand)]
    Rejected(Rejected),
}

/// Commands of what was refused.
#[derive(Debug, Subcommand)]
pub enum Rejected {
    /// List the newest.
    List(List),
    /// Show one, with what was said.
    Show(Numbers),
    /// Give it to the rules once more, as if its sensor said it now.
    Retry(Numbers),
    /// Throw it away.
    Drop(Numbers),
}

/// Narrows the list.
#[derive(Debug, Args)]
pub struct List {
    /// At most so many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Only of this sensor
    #[arg(long, value_name = "REF")]
    sensor: Option<String>,
    #[command(flatten)]
    client: Client,
}

/// Names some of them.
#[derive(Debug, Args)]
pub struct Numbers {
    /// Their numbers, as listed
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    #[command(flatten)]
    client: Client,
}

const PATH: &str = "/v1/rejected";
const COLUMNS: [&str; 6] = ["id", "sensor", "trigger", "rejected_at", "bytes", "reason"];
const PROPERTIES: [&str; 8] = [
    "id",
    "sensor",
    "trigger",
    "rejected_at",
    "code",
    "reason",
    "data",
    "sha256",
];

impl Command {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(newest) => Recorded::List(newest).run(&lists::EVENTS),
            Self::Get(get) => Recorded::Get(get).run(&lists::EVENTS),
            Self::Rejected(command) => command.run(),
        }
    }
}

impl Rejected {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run()?,
            Self::Show(numbers) => numbers.each(Method::GET, "", |client, one| {
                print::one(client, one, &PROPERTIES)
            })?,
            Self::Retry(numbers) => numbers.each(Method::POST, "/retry", |_, done| {
                print::line(&format!(
                    "{} is event {}",
                    done["retried"],
                    word(&done["event"])
                ))
            })?,
            Self::Drop(numbers) => numbers.each(Method::DELETE, "", |_, done| {
                print::line(&format!("{} is dropped", done["dropped"]))
            })?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> anyhow::Result<()> {
        let sensor = self.sensor.map(|one| format!("&sensor={}", escaped(&one)));
        let path = format!("{PATH}?limit={}{}", self.limit, sensor.unwrap_or_default());
        let answer = client::get(self.client.data.clone(), &path)?;
        print::list(&self.client, &answer.body, &COLUMNS)
    }
}

impl Numbers {
    /// One after another; the first that cannot be done ends it, and says which.
    fn each(
        self,
        method: Method,
        what: &str,
        show: impl Fn(&Client, &Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for id in &self.ids {
            let path = format!("{PATH}/{id}{what}");
            let answer = client::send(self.client.data.clone(), method.clone(), &path, None);
            let answer = answer.with_context(|| format!("refused message {id}"))?;
            show(&self.client, &answer.body)?;
        }
        Ok(())
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
