//! `petrel sensor start|stop|restart|pause|resume|poll|enable|disable`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{self, escaped};
use super::{Client, print};
use crate::catalog::knobs::units::duration_text;
use crate::core::input::Verb;
use crate::world::clock;

/// How often a sensor is looked at that is on its way.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The longest that is waited for a sensor to get where it is going.
const PATIENCE: Duration = Duration::from_secs(90);

/// Names sensors.
#[derive(Debug, Args)]
pub struct Named {
    /// References, pack.ClassName, or globs such as 'aws.*'
    #[arg(required = true)]
    sensors: Vec<String>,
    /// Do not wait until it has come about
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    client: Client,
}

/// Names sensors, with a reason and an end.
#[derive(Debug, Args)]
pub struct Switched {
    #[command(flatten)]
    named: Named,
    /// Why: shown wherever the sensor is
    #[arg(long)]
    reason: Option<String>,
    /// How long it holds: 30m, 2h, 7d, or a moment such as 2026-12-01T08:00+01:00
    #[arg(long)]
    until: Option<String>,
}

impl Switched {
    /// Has it done, and prints what became of it.
    pub fn run(self, verb: Verb) -> anyhow::Result<ExitCode> {
        let seconds = self.until.as_deref().map(until).transpose()?;
        let more = json!({"reason": self.reason, "for_seconds": seconds});
        self.named.order(verb, more)
    }
}

impl Named {
    /// Has it done, and prints what became of it.
    pub fn run(self, verb: Verb) -> anyhow::Result<ExitCode> {
        self.order(verb, json!({}))
    }

    fn order(self, verb: Verb, more: Value) -> anyhow::Result<ExitCode> {
        let mut body = json!({"verb": verb, "sensors": self.sensors, "user": user()});
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        let data = self.client.data.clone();
        let path = "/v1/sensortypes/control";
        let mut rows = client::send(data, Method::POST, path, Some(&body))?.body;
        if !self.no_wait {
            for row in rows.as_array_mut().into_iter().flatten() {
                self.wait(verb, row)?;
            }
        }
        print::list(&self.client, &rows, &["ref", "before", "state", "refused"])?;
        let mut all = rows.as_array().into_iter().flatten();
        Ok(match all.any(|row| row["refused"].is_string()) {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    }

    /// Waits until a sensor is where it was sent.
    fn wait(&self, verb: Verb, row: &mut Value) -> anyhow::Result<()> {
        let reference = row["ref"].as_str().unwrap_or_default().to_owned();
        let path = format!("/v1/sensortypes/{}", escaped(&reference));
        let begun = clock::now().mono;
        while row["refused"].is_null() && is_on_its_way(verb, &row["state"]) {
            if clock::now().mono.saturating_sub(begun) > PATIENCE {
                bail!(
                    "{reference} is still {}",
                    row["state"].as_str().unwrap_or_default()
                );
            }
            std::thread::sleep(LOOK_EVERY);
            let now = client::get(self.client.data.clone(), &path)?.body;
            row["state"] = now["state"].clone();
        }
        Ok(())
    }
}

/// What has no process, or one that is ready, has arrived.
fn is_on_its_way(verb: Verb, state: &Value) -> bool {
    let state = state.as_str().unwrap_or_default();
    let leaving = matches!(state, "stopping" | "killing");
    match verb {
        Verb::Poll => false,
        Verb::Start | Verb::Restart | Verb::Resume | Verb::Enable => {
            leaving || matches!(state, "waiting" | "starting")
        }
        Verb::Stop | Verb::Pause | Verb::Disable => leaving,
    }
}

/// Seconds from now to a moment, or a time as it is written.
fn until(text: &str) -> anyhow::Result<f64> {
    if let Some(time) = duration_text(text) {
        return Ok(time.as_secs_f64());
    }
    let moment: jiff::Timestamp = text
        .parse()
        .with_context(|| format!("--until {text}: write 30m, 2h, 7d, or a moment with its zone"))?;
    let seconds = (moment.as_microsecond() - clock::now().wall.0) as f64 / 1e6;
    match seconds > 0.0 {
        true => Ok(seconds),
        false => bail!("--until {text}: that is over"),
    }
}

/// Who asks, for the record.
fn user() -> Option<String> {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok())
}
