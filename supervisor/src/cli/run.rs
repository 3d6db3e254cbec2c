//! `petrel run`.

use std::process::ExitCode;

use clap::Args;

use super::Folders;
use crate::daemon::{self, Turn};
use crate::world::paths::Paths;
use crate::world::signals;
use crate::world::stream::{self, LogFormat};

/// A sensor's `restart.limit.on_limit: escalate` stopped the supervisor.
const ESCALATED: u8 = 3;

/// See [`super::Command::Run`].
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    folders: Folders,
    /// How the stream is written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Run {
    /// Runs until it is told to stop.
    pub fn run(self, turn: &Turn) -> anyhow::Result<ExitCode> {
        // The stream's thread begins here, and takes no signal either.
        signals::defer();
        let paths = Paths::resolve(self.folders.into())?;
        let _written_out = stream::start(self.log_format);
        Ok(match daemon::run(&paths, turn)? {
            true => ExitCode::from(ESCALATED),
            false => ExitCode::SUCCESS,
        })
    }
}
