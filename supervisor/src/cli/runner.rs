//! `petrel runner`: what petrel starts itself as, to run one action.

use std::process::ExitCode;

use clap::Subcommand;

use crate::world::runners::{http, remote};

/// Kinds of runners that are programs of ours.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make one HTTP request.
    #[command(name = http::COMMAND)]
    HttpRequest,
    /// Run one command or script on other hosts.
    #[command(name = remote::COMMAND)]
    Remote,
    /// Answer a question of ssh.
    Askpass {
        /// What it asks.
        prompt: String,
    },
}

impl Command {
    /// Runs the action that standard input describes.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::HttpRequest => http::child::run()?,
            Self::Remote => remote::child::run()?,
            Self::Askpass { prompt } => remote::askpass::run(&prompt)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
