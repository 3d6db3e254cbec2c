//! `petrel reload`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hyper::Method;
use serde_json::Value;

use super::{Client, client, print};

/// See [`super::Command::Reload`].
#[derive(Debug, Args)]
pub struct Reload {
    #[command(flatten)]
    client: Client,
}

/// Has the supervisor of a data folder read its packs again; what came, went and changed.
///
/// # Errors
/// When none answers, or the packs have new errors.
pub fn now(data: Option<PathBuf>) -> anyhow::Result<Value> {
    Ok(client::send(data, Method::POST, "/v1/reload", None)?.body)
}

impl Reload {
    /// Prints what came, went and changed.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let changes = now(self.client.data.clone())?;
        if self.client.json {
            print::json(&changes)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut nothing = true;
        for (kind, what) in changes.as_object().into_iter().flatten() {
            for (word, names) in what.as_object().into_iter().flatten() {
                for name in names.as_array().into_iter().flatten() {
                    let name = name.as_str().unwrap_or_default();
                    print::line(&format!("{word:8} {kind:9} {name}"))?;
                    nothing = false;
                }
            }
        }
        let kept = told(
            &changes["kept"],
            "stays as it was, for its new version has errors",
        );
        let refused = told(
            &changes["refused"],
            "goes on as it was, for the change cannot run",
        );
        if kept || refused {
            return Ok(ExitCode::FAILURE);
        }
        if nothing {
            print::line("nothing changed")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What was not taken, and why.
fn told(what: &Value, words: &str) -> bool {
    let all = what.as_object().into_iter().flatten();
    let told = all.map(|(name, why)| {
        eprintln!("{name} {words}\n{}\n", why.as_str().unwrap_or_default());
    });
    told.count() > 0
}
