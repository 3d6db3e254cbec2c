//! `petrel run`.

use std::process::ExitCode;

use clap::Args;

use super::Folders;
use crate::daemon;
use crate::world::paths::Paths;
use crate::world::stream::{self, LogFormat};

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
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let paths = Paths::resolve(self.folders.into())?;
        let _written_out = stream::start(self.log_format);
        daemon::run(&paths)?;
        Ok(ExitCode::SUCCESS)
    }
}
