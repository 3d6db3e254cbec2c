//! `petrel execution`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::json;

use super::client::{self, escaped};
use super::execution_tail::Tail;
use super::lists::{EXECUTIONS, Get, Newest, Recorded};
use super::{Client, print, run_action};

/// Commands of executions.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the newest.
    List(Newest),
    /// Show one.
    Get(Get),
    /// Print what one writes, until it is over.
    Tail(Tail),
    /// Stop those that run, drop those that wait.
    Cancel(Cancel),
    /// Say what became of one whose end is not known (on_unknown: ask).
    Decide(Decide),
    /// Run one again, with its parameters.
    ReRun(ReRun),
}

/// See [`Command::Cancel`].
#[derive(Debug, Args)]
pub struct Cancel {
    /// Their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    client: Client,
}

/// See [`Command::Decide`].
#[derive(Debug, Args)]
pub struct Decide {
    /// Its id
    id: String,
    /// What becomes of it
    verdict: Verdict,
    #[command(flatten)]
    client: Client,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Verdict {
    /// It is begun again
    Retry,
    /// It ran, and all is well
    Succeeded,
    /// It did not, or not well
    Failed,
}

/// See [`Command::ReRun`].
#[derive(Debug, Args)]
pub struct ReRun {
    /// Its id
    id: String,
    /// name=value of parameters that are to be others
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// Do not wait for its end
    #[arg(short = 'd', long = "async", visible_alias = "detach")]
    detached: bool,
    #[command(flatten)]
    client: Client,
}

impl Command {
    /// Does it.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(newest) => Recorded::List(newest).run(&EXECUTIONS),
            Self::Get(get) => Recorded::Get(get).run(&EXECUTIONS),
            Self::Tail(tail) => tail.run(),
            Self::Cancel(cancel) => cancel.run(),
            Self::Decide(decide) => decide.run(),
            Self::ReRun(again) => again.run(),
        }
    }
}

impl Cancel {
    /// Each is tried, whatever becomes of the others.
    fn run(self) -> anyhow::Result<ExitCode> {
        let mut code = ExitCode::SUCCESS;
        for id in &self.ids {
            let path = format!("/v1/executions/{}", escaped(id));
            match client::send(self.client.data.clone(), Method::DELETE, &path, None) {
                Ok(answer) => {
                    let status = answer.body["status"].as_str().unwrap_or_default();
                    print::line(&format!("execution {id} is {status}"))?;
                }
                Err(error) if error.is::<client::Refused>() => {
                    eprintln!("error: {error:#}");
                    code = ExitCode::FAILURE;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(code)
    }
}

impl Decide {
    fn run(self) -> anyhow::Result<ExitCode> {
        let verdict = match self.verdict {
            Verdict::Retry => "retry",
            Verdict::Succeeded => "succeeded",
            Verdict::Failed => "failed",
        };
        let path = format!("/v1/executions/{}/decide", escaped(&self.id));
        let body = json!({"verdict": verdict});
        let answer = client::send(self.client.data, Method::POST, &path, Some(&body))?;
        let status = answer.body["status"].as_str().unwrap_or_default();
        print::line(&format!("execution {} is {status}", self.id))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl ReRun {
    fn run(self) -> anyhow::Result<ExitCode> {
        let data = self.client.data.clone();
        let path = format!("/v1/executions/{}", escaped(&self.id));
        let parameters = match self.words.is_empty() {
            true => json!({}),
            false => {
                let before = client::get(data.clone(), &path)?.body;
                let action = before["action"]["ref"].as_str().unwrap_or_default();
                run_action::given(data, action, &self.words)?
            }
        };
        let asked = json!({ "parameters": parameters });
        let path = format!("{path}/re_run");
        run_action::start(&self.client, &path, &asked, self.detached)
    }
}
