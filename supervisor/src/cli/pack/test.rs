//! `petrel pack test`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::setup::{self, Workshop};
use crate::cli::Folders;
use crate::world::environments::Options;
use crate::world::paths::Paths;
use crate::world::spawn::become_program;

/// See [`super::Command::Test`].
#[derive(Debug, Args)]
pub struct Test {
    /// Its name, or its folder
    pack: String,
    /// For pytest
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
    /// Folder of wheels to install from before anything else
    #[arg(long, value_name = "DIR")]
    wheels: Option<PathBuf>,
    /// Install from the wheels alone
    #[arg(long, requires = "wheels")]
    offline: bool,
    #[command(flatten)]
    folders: Folders,
}

impl Test {
    /// Makes the environment and becomes pytest in it: its exit code is ours.
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        let folder = Path::new(&self.pack);
        let named: Vec<String> = match folder.join("pack.yaml").is_file() {
            true => {
                self.folders.packs = vec![folder.to_owned()];
                Vec::new()
            }
            false => vec![self.pack.clone()],
        };
        let paths = Paths::resolve(self.folders.into())?;
        let options = Options {
            wheels: self.wheels.map(std::path::absolute).transpose()?,
            offline: self.offline,
            without_uv: false,
        };
        let (workshop, packs) = setup::open(&paths, &named, options)?;
        let (name, dir) = packs.first_key_value().context("there is no such pack")?;
        if !dir.join("tests").is_dir() {
            // As StackStorm's own script: whoever tests all packs in a row goes on.
            eprintln!("pack {name} has no folder tests: no tests found");
            return Ok(ExitCode::SUCCESS);
        }
        let wanted = workshop.environments.of_tests(dir)?;
        let base = workshop.environments.base();
        let made =
            workshop.make("base", &base) && workshop.make(&format!("tests of {name}"), &wanted);
        if !made {
            return Ok(ExitCode::FAILURE);
        }
        let args = ["-m", "pytest", "-p", "no:cacheprovider"].map(OsString::from);
        let own = match self.arguments.is_empty() {
            true => vec!["tests".into()],
            false => self.arguments,
        };
        let args: Vec<OsString> = args.into_iter().chain(own).collect();
        let packs: Vec<_> = paths.packs.iter().map(|dir| dir.as_os_str()).collect();
        let env = [
            ("PYTHONPATH", python_path(dir, &workshop)),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ("PETREL_PACKS", packs.join(":".as_ref())),
        ];
        let error = become_program(&wanted.python(), &args, &env, dir);
        Err(error).context("failed to run pytest")
    }
}

/// In the order of StackStorm's own script for tests: what the pack shares, the SDK, the pack's other
/// folders; and what the caller has set comes last.
fn python_path(dir: &Path, workshop: &Workshop) -> OsString {
    let own = ["sensors", "actions", "actions/lib", "etc"].map(|name| dir.join(name));
    let all = [dir.join("lib"), workshop.sdk.clone()]
        .into_iter()
        .chain(own);
    let mut all: Vec<OsString> = all.map(PathBuf::into_os_string).collect();
    all.extend(std::env::var_os("PYTHONPATH"));
    all.join(":".as_ref())
}
