//! Making an environment: by `uv` where it is there, else by `venv` and `pip`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};

use super::{COMPLETE, Environment, Environments};
use crate::world::clock;
use crate::world::install::{Ended, Program};
use crate::world::spawn::Wrapper;

/// How long an installation may take; StackStorm gives it as much.
const PATIENCE: Duration = Duration::from_secs(600);

/// Sorted last, as names of `.pth` files are.
const LINK: &str = "zzzz_petrel_base.pth";

/// How to install.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A folder of wheels to take from first.
    pub wheels: Option<PathBuf>,
    /// Take from there alone.
    pub offline: bool,
    /// Do not use `uv`.
    pub without_uv: bool,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Built {
    /// It was there already.
    Already,
    /// By `uv`, or by `venv` and `pip`.
    By(&'static str, Duration),
}

/// Makes an environment unless it is there. What is half made is made anew; two that want the same
/// wait for each other.
///
/// # Errors
/// What the installer said. Other environments are as they were.
pub fn build(
    all: &Environments,
    wanted: &Environment,
    options: &Options,
    wrapper: &Wrapper,
) -> anyhow::Result<Built> {
    fs::create_dir_all(&all.folder)?;
    let lock = File::create(wanted.dir.with_extension("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if wanted.is_complete() {
        return Ok(Built::Already);
    }
    let began = clock::now().mono;
    remove(&wanted.dir)?;
    let list = wanted.dir.with_extension("txt");
    fs::write(&list, &wanted.list)?;
    let work = Work {
        all,
        wanted,
        options,
        wrapper,
        list: &list,
    };
    let by = match !options.without_uv && on_path("uv") {
        true => work.by_uv()?,
        false => work.by_pip()?,
    };
    link_base(all, wanted)?;
    fs::write(wanted.dir.join(COMPLETE), &wanted.requirements)?;
    Ok(Built::By(by, clock::now().mono.saturating_sub(began)))
}

fn remove(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
}

/// The base comes after everything that the environment has itself, once it is there. It is named as
/// seen from the environment, so that the data folder may be moved, or have two names.
fn link_base(all: &Environments, wanted: &Environment) -> anyhow::Result<()> {
    let base = all.base();
    if base.dir == wanted.dir {
        return Ok(());
    }
    for place in packages(&wanted.dir)? {
        let version = place.parent().and_then(Path::file_name).unwrap_or_default();
        let name = base.dir.file_name().unwrap_or_default();
        let behind = Path::new("../../../..").join(name).join("lib");
        let behind = behind.join(version).join("site-packages");
        fs::write(place.join(LINK), format!("{}\n", behind.display()))?;
    }
    Ok(())
}

/// `lib/python3.x/site-packages`.
fn packages(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let inside = fs::read_dir(dir.join("lib")).context("the environment has no lib")?;
    let places = inside.filter_map(|entry| Some(entry.ok()?.path().join("site-packages")));
    Ok(places.filter(|place| place.is_dir()).collect())
}

struct Work<'a> {
    all: &'a Environments,
    wanted: &'a Environment,
    options: &'a Options,
    wrapper: &'a Wrapper,
    list: &'a Path,
}

impl Work<'_> {
    fn by_uv(&self) -> anyhow::Result<&'static str> {
        let (dir, python) = (&self.wanted.dir, &self.all.python);
        let make = ["venv".into(), "--python".into(), python.into(), dir.into()];
        self.run("uv", make.to_vec(), "uv venv")?;
        let mut args: Vec<OsString> = vec!["pip".into(), "install".into(), "--python".into()];
        args.push(self.wanted.python().into());
        args.extend(self.from());
        if self.options.offline {
            args.push("--offline".into());
        }
        self.run("uv", args, "uv pip install")?;
        Ok("uv")
    }

    fn by_pip(&self) -> anyhow::Result<&'static str> {
        let python = self.all.python.to_string_lossy().into_owned();
        let make = ["-m".into(), "venv".into(), (&self.wanted.dir).into()];
        self.run(&python, make.to_vec(), "python -m venv")
            .context("making the environment failed; install python3-venv, or uv")?;
        let own = self.wanted.python().to_string_lossy().into_owned();
        let pip = ["-m", "pip", "--disable-pip-version-check", "install"];
        let mut args: Vec<OsString> = pip.map(Into::into).into();
        args.extend(self.from());
        self.run(&own, args, "pip install")?;
        Ok("pip")
    }

    /// What to install, and from where.
    fn from(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["-r".into(), self.list.into()];
        if let Some(wheels) = &self.options.wheels {
            args.extend(["--find-links".into(), wheels.into()]);
        }
        if self.options.offline {
            args.push("--no-index".into());
        }
        args
    }

    fn run(&self, name: &str, args: Vec<OsString>, what: &str) -> anyhow::Result<()> {
        let scratch = self.wanted.dir.with_extension("build");
        remove(&scratch)?;
        let cache = self.all.folder.join("cache").to_string_lossy().into_owned();
        let program = Program {
            name,
            args,
            env: vec![("UV_CACHE_DIR".to_owned(), cache)],
            scratch: &scratch,
            patience: PATIENCE,
        };
        let ended = program.run(self.wrapper);
        let removed = remove(&scratch);
        let Ended {
            succeeded, errors, ..
        } = ended.with_context(|| format!("failed to run {what}"))?;
        removed?;
        if !succeeded {
            bail!("{what} failed:\n{errors}\n{}", advice(&errors));
        }
        Ok(())
    }
}

/// What to do about the faults that people meet most.
fn advice(errors: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| errors.contains(word));
    if says(&[
        "Connection",
        "resolve",
        "dns error",
        "Network",
        "timed out",
        "connect error",
    ]) {
        "The package index cannot be reached: look at the network or the proxy, or install from a \
         folder of wheels: --wheels DIR --offline"
    } else if says(&[
        "gcc",
        "fatal error",
        "Python.h",
        "pg_config",
        "Failed building wheel",
    ]) {
        "A package must be compiled: install its headers and a compiler, or ask for a newer version \
         that has a wheel"
    } else {
        "Look at the pack's requirements.txt. Nothing was changed: what was there before still runs."
    }
}
