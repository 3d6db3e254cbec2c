//! `petrel pack setup`.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use crate::catalog::diagnostics::did_you_mean;
use crate::cli::Folders;
use crate::daemon;
use crate::world::environments::{BASE, Built, Environment, Environments, Options, build};
use crate::world::paths::{self, Paths};
use crate::world::python;
use crate::world::spawn::Wrapper;

/// See [`super::Command::Setup`].
#[derive(Debug, Args)]
pub struct Setup {
    /// Names of packs; all that have requirements when none is given
    #[arg(value_name = "PACK")]
    names: Vec<String>,
    /// Folder of wheels to install from before anything else
    #[arg(long, value_name = "DIR")]
    wheels: Option<PathBuf>,
    /// Install from the wheels alone
    #[arg(long, requires = "wheels")]
    offline: bool,
    /// Use pip even where uv is installed
    #[arg(long)]
    without_uv: bool,
    #[command(flatten)]
    folders: Folders,
}

/// Where packs lie and what they are set up with.
pub(super) struct Workshop {
    pub environments: Environments,
    python: PathBuf,
    pub sdk: PathBuf,
    options: Options,
    wrapper: Wrapper,
}

impl Setup {
    /// Makes what is missing; exit code 1 when one could not be made.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let options = Options {
            wheels: self.wheels.map(std::path::absolute).transpose()?,
            offline: self.offline,
            without_uv: self.without_uv,
        };
        let paths = Paths::resolve(self.folders.into())?;
        let (workshop, packs) = open(&paths, &self.names, options)?;
        workshop.set_up(&packs, false)
    }
}

/// Makes what a pack needs that is not in its place yet.
///
/// # Errors
/// When the folders cannot be read.
pub(super) fn staged(folders: Folders, name: &str, dir: &Path) -> anyhow::Result<ExitCode> {
    let paths = Paths::resolve(folders.into())?;
    let (workshop, _) = open(&paths, &[], Options::default())?;
    let packs = BTreeMap::from([(name.to_owned(), dir.to_owned())]);
    workshop.set_up(&packs, true)
}

/// The folders of the wanted packs, by name.
///
/// # Errors
/// When they cannot be read, or there is no such pack.
pub(super) fn open(
    paths: &Paths,
    wanted: &[String],
    options: Options,
) -> anyhow::Result<(Workshop, BTreeMap<String, PathBuf>)> {
    let (settings, built) = daemon::load(paths)?;
    let all = built.catalog.packs;
    let mut packs = BTreeMap::new();
    for name in wanted {
        let Some(pack) = all.get(name) else {
            let near = did_you_mean(name, all.keys().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; {near}"));
            bail!("there is no pack \"{name}\"{near}");
        };
        packs.insert(name.clone(), pack.dir.clone());
    }
    if wanted.is_empty() {
        packs = all
            .values()
            .map(|p| (p.name.clone(), p.dir.clone()))
            .collect();
    }
    paths::private_dir(&paths.data)?;
    let python = python::interpreter(settings.python.as_deref());
    let sdk = sensor_wrapper::sdk::unpack(&paths.data).context("failed to unpack the SDK")?;
    let workshop = Workshop {
        environments: Environments::new(&paths.data, &python),
        python,
        sdk,
        options,
        wrapper: Wrapper::find().context("failed to find the wrapper")?,
    };
    Ok((workshop, packs))
}

impl Workshop {
    fn set_up(&self, packs: &BTreeMap<String, PathBuf>, quiet: bool) -> anyhow::Result<ExitCode> {
        let mut failed = false;
        // Without an interpreter there is nothing to read, and what needs one says so below.
        let users = self.users_of_base(packs).unwrap_or_default();
        if !users.is_empty() {
            let what = format!("base (for {})", users.join(", "));
            failed |= !self.make(&what, &self.environments.base());
        }
        let mut none = true;
        for (name, dir) in packs {
            if let Some(own) = self.environments.of(dir)? {
                none = false;
                failed |= !self.make(name, &own);
            }
        }
        if none && users.is_empty() && !quiet {
            eprintln!("nothing to do: no Python package is needed");
        }
        Ok(ExitCode::from(u8::from(failed)))
    }

    /// Packs that import what only the base has.
    fn users_of_base(&self, packs: &BTreeMap<String, PathBuf>) -> anyhow::Result<Vec<String>> {
        let offered: Vec<&str> = BASE
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        let dirs: Vec<PathBuf> = packs.values().cloned().collect();
        let found = python::imports(&self.python, &self.sdk, &dirs, &offered)?;
        let needs = |dir: &PathBuf| found.get(dir).is_some_and(|names| !names.is_empty());
        let users = packs.iter().filter(|(_, dir)| needs(dir));
        Ok(users.map(|(name, _)| name.clone()).collect())
    }

    /// Makes one and says so; false when that failed.
    pub(super) fn make(&self, what: &str, wanted: &Environment) -> bool {
        let terminal = std::io::stderr().is_terminal();
        if terminal && !wanted.is_complete() {
            let count = wanted.requirements.lines().count();
            eprint!("{what}: installing {count} requirements …");
            let _ = std::io::stderr().flush();
        }
        let built = build(&self.environments, wanted, &self.options, &self.wrapper);
        let back = if terminal { "\r\x1b[K" } else { "" };
        match built {
            Ok(Built::Already) => eprintln!("{back}{what}: is there"),
            Ok(Built::By(tool, took)) => {
                eprintln!(
                    "{back}{what}: made by {tool} in {:.1} s",
                    took.as_secs_f64()
                );
            }
            Err(error) => {
                eprintln!("{back}error: {what}: {error:#}");
                return false;
            }
        }
        true
    }
}
