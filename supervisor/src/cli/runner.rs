//! `petrel runner`: what petrel starts itself as, to run one action.

use std::process::ExitCode;

use clap::Subcommand;

use crate::world::runners::http;

/// Kinds of runners that are programs of ours.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make one HTTP request.
    #[command(name = http::COMMAND)]
    HttpRequest,
}

impl Command {
    /// Runs the action that standard input describes.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::HttpRequest => http::child::run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
