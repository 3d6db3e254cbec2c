//! `petrel pack install`.

use std::collections::{BTreeSet, VecDeque};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::after;
use crate::cli::{Folders, print};
use crate::config::Settings;
use crate::world::install::source::Source;
use crate::world::install::{self, Installed, Options, index};
use crate::world::paths::Paths;
use crate::world::spawn::Wrapper;

/// How far dependencies of dependencies are followed; StackStorm's.
const DEPTH: usize = 10;

/// See [`super::Command::Install`].
#[derive(Debug, Args)]
pub struct Install {
    /// Git URL, OWNER/REPOSITORY or NAME of the index, each with =VERSION; a folder; an archive
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// Path or https URL of the index of packs; else packs.index of petrel.yaml, else StackStorm's
    #[arg(long, value_name = "INDEX", env = "PETREL_PACK_INDEX")]
    index: Option<String>,
    /// Replace packs that are installed; their configuration stays
    #[arg(long)]
    replace: bool,
    /// Install what asks for another StackStorm or Python
    #[arg(long)]
    force: bool,
    /// Leave out the packs on which a pack depends
    #[arg(long)]
    skip_dependencies: bool,
    /// Leave out the Python packages that it needs: `petrel pack setup` installs them later
    #[arg(long)]
    skip_environment: bool,
    #[command(flatten)]
    folders: Folders,
}

impl Install {
    /// Installs all that it can; exit code 1 when one could not be.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let packs = install::folder_of_packs(&self.folders.packs)?;
        let wrapper = Wrapper::find().context("failed to find the wrapper")?;
        let index = match self.index.clone() {
            Some(index) => index,
            None => index_of_file(&self.folders)?,
        };
        let options = Options {
            packs,
            index,
            replace: self.replace,
            force: self.force,
        };
        let folders = Folders {
            packs: vec![options.packs.clone()],
            ..self.folders.clone()
        };
        let prepare = |name: &str, dir: &Path| match self.skip_environment {
            true => Ok(()),
            false => after::environment(folders.clone(), name, dir),
        };
        let mut wanted: VecDeque<_> = self.sources.into_iter().map(|one| (one, 0)).collect();
        let (mut tried, mut done, mut failed) = (BTreeSet::new(), 0, false);
        while let Some((text, depth)) = wanted.pop_front() {
            if !tried.insert(text.clone()) || (depth > 0 && is_there(&text, &options)) {
                continue;
            }
            eprintln!("installing {}", install::source::shown(&text));
            match one(&text, &options, &wrapper, &prepare) {
                Ok(installed) => {
                    done += 1;
                    report(&installed)?;
                    if depth < DEPTH && !self.skip_dependencies {
                        let more = installed.dependencies.into_iter();
                        wanted.extend(more.map(|source| (source, depth + 1)));
                    }
                }
                Err(error) => {
                    failed = true;
                    let text = install::source::shown(&text);
                    eprintln!("error: failed to install {text}: {error:#}");
                }
            }
        }
        if done > 0 {
            after::tell(self.folders.data);
        }
        Ok(ExitCode::from(u8::from(failed)))
    }
}

/// `packs.index` of petrel.yaml, else StackStorm's.
fn index_of_file(folders: &Folders) -> anyhow::Result<String> {
    let paths = Paths::resolve(folders.clone().into())?;
    let Some(file) = paths.config else {
        return Ok(index::EXCHANGE.to_owned());
    };
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("failed to read {}", file.display()))?;
    let (settings, faults) = Settings::parse(&text, &file.display().to_string());
    for fault in faults {
        eprintln!("{}\n", fault.render(std::io::stderr().is_terminal()));
    }
    Ok(settings.index.unwrap_or_else(|| index::EXCHANGE.to_owned()))
}

fn one(
    text: &str,
    options: &Options,
    wrapper: &Wrapper,
    prepare: &dyn Fn(&str, &Path) -> anyhow::Result<()>,
) -> anyhow::Result<Installed> {
    let source = Source::parse(text)?;
    install::install(&source, options, wrapper, prepare)
}

/// Whether a pack on which another depends is there, whatever its version.
fn is_there(text: &str, options: &Options) -> bool {
    let place = text.split('=').next().unwrap_or(text);
    let last = place.trim_end_matches(".git").rsplit(['/', ':']).next();
    let name = last.unwrap_or(place).trim_start_matches("stackstorm-");
    options.packs.join(name).join("pack.yaml").is_file()
}

fn report(installed: &Installed) -> anyhow::Result<()> {
    let color = std::io::stderr().is_terminal();
    for fault in &installed.faults {
        eprintln!("{}\n", fault.render(color));
    }
    let pack = &installed.pack;
    let (name, version) = (&pack.name, &pack.version);
    let before = match &installed.replaced {
        Some(before) => format!(" (was {before})"),
        None => String::new(),
    };
    let dir = pack.dir.display();
    print::line(&format!("installed {name} {version}{before} in {dir}"))?;
    if installed.faults.iter().any(|fault| fault.is_error()) {
        eprintln!("note: what is faulty in it is left out, the rest works");
    }
    Ok(())
}
