//! `petrel link`: the names under which StackStorm's users know us.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;

use super::{names, print};

/// See [`super::Command::Link`].
#[derive(Debug, Args)]
pub struct Link {
    /// A folder on the PATH, as /usr/local/bin
    dir: PathBuf,
    /// Replace files and links of these names
    #[arg(long)]
    force: bool,
}

impl Link {
    /// Makes all of them or, where one is taken, none.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let own = std::env::current_exe().context("failed to find this program")?;
        let own = fs::canonicalize(own)?;
        let paths = names::ALL.map(|name| self.dir.join(name));
        ensure!(self.dir.is_dir(), "{} is no folder", self.dir.display());
        for path in &paths {
            check(path, &own, self.force)?;
        }
        for path in &paths {
            if leads_to(path, &own) {
                continue;
            }
            let beside = path.with_extension("petrel-new");
            let _ = fs::remove_file(&beside);
            symlink(&own, &beside)
                .and_then(|()| fs::rename(&beside, path))
                .with_context(|| format!("failed to make {}", path.display()))?;
            print::line(&format!("{} -> {}", path.display(), own.display()))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn leads_to(path: &Path, own: &Path) -> bool {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    is_link && fs::canonicalize(path).is_ok_and(|target| target == own)
}

fn check(path: &Path, own: &Path, force: bool) -> anyhow::Result<()> {
    let shown = path.display();
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    ensure!(!found.is_dir(), "{shown} is a folder: nothing was linked");
    ensure!(
        force || leads_to(path, own),
        "{shown} is there and is something else: nothing was linked; --force replaces it"
    );
    ensure!(*path != *own, "{shown} is this program itself");
    Ok(())
}
