//! `petrel pack remove`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::after;
use crate::catalog::diagnostics::did_you_mean;
use crate::cli::{Folders, print};
use crate::daemon;
use crate::world::install;
use crate::world::paths::Paths;

/// See [`super::Command::Remove`].
#[derive(Debug, Args)]
pub struct Remove {
    /// The packs
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    folders: Folders,
}

impl Remove {
    /// Removes all or, where one is not there, none.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let data = self.folders.data.clone();
        let paths = Paths::resolve(self.folders.into())?;
        let (_, built) = daemon::load(&paths)?;
        let known = &built.catalog.packs;
        let mut dirs = Vec::new();
        let names: BTreeSet<&String> = self.names.iter().collect();
        for name in names {
            let pack = known.get(name.as_str()).with_context(|| {
                let near = did_you_mean(name, known.keys().map(|name| &**name));
                let near = near.map(|near| format!(": {near}")).unwrap_or_default();
                format!("there is no pack \"{name}\"{near}")
            })?;
            dirs.push((name, pack.dir.as_path()));
        }
        let all: Vec<_> = dirs.iter().map(|(_, dir)| *dir).collect();
        install::remove(&all)?;
        for (name, dir) in dirs {
            print::line(&format!("removed {name} from {}", dir.display()))?;
        }
        after::tell(data);
        Ok(ExitCode::SUCCESS)
    }
}
