//! `petrel reload`.

use std::process::ExitCode;

use clap::Args;
use hyper::Method;

use super::{Client, client, print};

/// See [`super::Command::Reload`].
#[derive(Debug, Args)]
pub struct Reload {
    #[command(flatten)]
    client: Client,
}

impl Reload {
    /// Prints what came, went and changed.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let answer = client::send(self.client.data.clone(), Method::POST, "/v1/reload", None)?;
        if self.client.json {
            print::json(&answer.body)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut nothing = true;
        for (kind, what) in answer.body.as_object().into_iter().flatten() {
            for (word, names) in what.as_object().into_iter().flatten() {
                for name in names.as_array().into_iter().flatten() {
                    let name = name.as_str().unwrap_or_default();
                    print::line(&format!("{word:8} {kind:9} {name}"))?;
                    nothing = false;
                    if kind == "sensors" {
                        eprintln!("note: sensors are taken at the next start of petrel run");
                    }
                }
            }
        }
        if nothing {
            print::line("nothing changed")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
