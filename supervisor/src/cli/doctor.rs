//! `petrel doctor`: what holds on this host, with the cure for each lack.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::Client;
use super::print;
use crate::world::doctor::{self, Verdict};
use crate::world::paths;

/// See [`super::Command::Doctor`].
#[derive(Debug, Args)]
pub struct Doctor {
    /// The interpreter to look at [default: python3 of the PATH]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    #[command(flatten)]
    client: Client,
}

impl Doctor {
    /// Runs it; fails where something that is needed is missing.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let data = paths::data_dir(self.client.data.clone())?;
        let found = doctor::examine(&data, self.python.as_deref());
        let rows: Vec<Value> = found.iter().map(|one| json!(one)).collect();
        print::list(
            &self.client,
            &json!(rows),
            &["check", "verdict", "found", "cure"],
        )?;
        let missing = found.iter().any(|one| one.verdict == Verdict::Missing);
        Ok(if missing {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
