//! `petrel run`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::Folders;
use crate::daemon::{self, JournalFailed, Turn};
use crate::world::paths::Paths;
use crate::world::stream::{self, LogFormat};
use crate::world::{clock, handover, signals, spawn};

/// A sensor's `restart.limit.on_limit: escalate` stopped the supervisor.
const ESCALATED: u8 = 3;

/// A journal that fails so soon after the start would fail again.
const SOON: Duration = Duration::from_secs(5);

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
        let begun = clock::now().mono;
        let written_out = stream::start(self.log_format);
        let failed = match daemon::run(&paths, turn) {
            Ok(true) => return Ok(ExitCode::from(ESCALATED)),
            Ok(false) => return Ok(ExitCode::SUCCESS),
            Err(error) if !error.is::<JournalFailed>() => return Err(error),
            Err(error) => error,
        };
        if clock::now().mono.saturating_sub(begun) < SOON {
            return Err(failed.context("twice in a short time"));
        }
        daemon::tell_of_anew(&failed);
        drop(written_out);
        let program = spawn::own_program().context("our own program has no name")?;
        let args: Vec<_> = std::env::args_os().collect();
        Err(handover::begin_anew(&program, &args))
    }
}
