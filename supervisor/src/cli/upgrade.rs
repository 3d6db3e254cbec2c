//! `petrel upgrade`, and what a program does that finds itself in the place of another.

use std::cell::RefCell;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Parser};
use hyper::Method;
use serde_json::{Value, json};

use super::{Cli, Client, Command, Folders, client, finish, print};
use crate::daemon;
use crate::world::clock;
use crate::world::handover::Handover;
use crate::world::paths::Paths;

/// How often it is asked how it went.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The longest that is waited for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// See [`super::Command::Upgrade`].
#[derive(Debug, Args)]
pub struct Upgrade {
    /// The program [default: the file at the path of the one that runs]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    #[command(flatten)]
    client: Client,
}

/// See [`super::Command::UpgradeCheck`].
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    folders: Folders,
}

impl Check {
    /// Prints what would be taken over, and how.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let paths = Paths::resolve(self.folders.into())?;
        print::json(&serde_json::to_value(daemon::upgrade_check(&paths)?)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Upgrade {
    /// Has it done, and prints how it went.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let binary = match &self.binary {
            None => Value::Null,
            Some(path) => {
                let path = std::fs::canonicalize(path);
                let shown = || {
                    format!(
                        "there is no {}",
                        self.binary.as_deref().unwrap_or("".as_ref()).display()
                    )
                };
                json!(path.with_context(shown)?)
            }
        };
        let data = self.client.data.clone();
        let body = json!({"binary": binary});
        let begun = client::send(data, Method::POST, "/v1/upgrade", Some(&body))?.body;
        let done = self.wait(&begun["number"])?;
        if self.client.json {
            print::json(&done)?;
        }
        let text = |name: &str| done[name].as_str().unwrap_or_default().to_owned();
        let pause = done["pause_ms"].as_f64().unwrap_or_default();
        if let Some(why) = done["error"].as_str() {
            bail!("petrel {} goes on, nothing was lost: {why}", text("from"));
        }
        if !self.client.json {
            print::line(&format!(
                "petrel {} goes on for petrel {}: {} sensors and {} actions were handed over, nothing \
                 was read for {pause:.1} ms",
                text("to"),
                text("from"),
                done["sensors"],
                done["actions"]
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Asks until that one is over. Whoever connects meanwhile waits; a connection that was cut is
    /// made again.
    fn wait(&self, number: &Value) -> anyhow::Result<Value> {
        let begun = clock::now().mono;
        loop {
            let told = client::get(self.client.data.clone(), "/v1/upgrade");
            if let Ok(told) = &told
                && told.body["number"] == *number
                && told.body["done"] == true
            {
                return Ok(told.body.clone());
            }
            if clock::now().mono.saturating_sub(begun) > PATIENCE {
                told.context("it is not known how the upgrade went")?;
                bail!("the upgrade is not over after {PATIENCE:?}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Goes on with what another program handed over, or gives it back.
pub(super) fn take_over(args: Vec<OsString>, handover: Handover) -> ExitCode {
    clock::go_on_from(handover.package.origin);
    // Who was given it back does not hand it on once more.
    let is_back = handover.package.upgrade.error.is_some();
    let turn = Rc::new(RefCell::new(Some(handover)));
    let attempt = AssertUnwindSafe(|| match Cli::try_parse_from(args)?.command {
        Command::Run(run) => run.run(&turn),
        _ => bail!("it was not called to run"),
    });
    let ended = catch_unwind(attempt);
    let Some(handover) = turn.take() else {
        return match ended {
            Ok(ended) => finish(ended),
            Err(panic) => resume_unwind(panic),
        };
    };
    let why = match ended {
        Ok(Ok(_)) => "it ended".to_owned(),
        Ok(Err(error)) => format!("{error:#}"),
        Err(_) => "it panicked; its standard error says where".to_owned(),
    };
    eprintln!(
        "error: petrel {} cannot take over: {why}",
        env!("CARGO_PKG_VERSION")
    );
    if !is_back {
        let failed = handover.go_back(&why);
        eprintln!("error: nor can the one before go on: {failed}");
    }
    ExitCode::FAILURE
}
