//! What follows when the files of a pack have changed.

use std::path::{Path, PathBuf};

use crate::cli::client::Unreachable;
use crate::cli::reload;

/// The environment in which a pack's Python runs.
pub(super) fn environment(name: &str, dir: &Path) {
    if dir.join("requirements.txt").is_file() {
        eprintln!("note: it has a requirements.txt; its environment: petrel pack setup {name}");
    }
}

/// Tells a running supervisor. That none runs is no failure: the next one reads the files.
pub(super) fn tell(data: Option<PathBuf>) {
    match reload::now(data) {
        Err(error) if error.downcast_ref::<Unreachable>().is_some() => {}
        Err(error) => eprintln!("warning: the running petrel did not take it: {error:#}"),
        Ok(_) => {}
    }
}
