//! What follows when the files of a pack have changed.

use std::path::PathBuf;
use std::process::ExitCode;

use super::setup;
use crate::cli::client::Unreachable;
use crate::cli::{Folders, reload};

/// Makes the environment in which a pack's Python runs; false where that failed.
pub(super) fn environment(name: &str, folders: Folders) -> bool {
    let made = setup::one(folders, name).unwrap_or_else(|error| {
        eprintln!("error: {name}: {error:#}");
        ExitCode::FAILURE
    });
    let failed = made != ExitCode::SUCCESS;
    if failed {
        eprintln!("note: its files are installed; try again with: petrel pack setup {name}");
    }
    !failed
}

/// Tells a running supervisor. That none runs is no failure: the next one reads the files.
pub(super) fn tell(data: Option<PathBuf>) {
    match reload::now(data) {
        Err(error) if error.downcast_ref::<Unreachable>().is_some() => {}
        Err(error) => eprintln!("warning: the running petrel did not take it: {error:#}"),
        Ok(_) => {}
    }
}
