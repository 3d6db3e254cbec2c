//! What goes with a change of the files of a pack: its environment before, a word to petrel after.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::ensure;

use super::setup;
use crate::cli::client::Unreachable;
use crate::cli::{Folders, reload};

/// Makes the environment in which a pack's Python will run, before the pack takes its place.
///
/// # Errors
/// When it cannot be made, for which reason was told.
pub(super) fn environment(folders: Folders, name: &str, dir: &Path) -> anyhow::Result<()> {
    let made = setup::staged(folders, name, dir)?;
    ensure!(
        made == ExitCode::SUCCESS,
        "the Python packages that it needs could not be installed, so nothing was changed; \
         --skip-environment installs it without them"
    );
    Ok(())
}

/// Tells a running supervisor. That none runs is no failure: the next one reads the files.
pub(super) fn tell(data: Option<PathBuf>) {
    match reload::now(data) {
        Err(error) if error.downcast_ref::<Unreachable>().is_some() => {}
        Err(error) => eprintln!("warning: the running petrel did not take it: {error:#}"),
        Ok(_) => {}
    }
}
