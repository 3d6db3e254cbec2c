//! A repository, and the version of it that was asked for. git runs neither hooks nor filters that
//! the repository brings, and speaks no other transports than [`PROTOCOLS`].

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};

use super::program::{Ended, Program};
use super::source::shown;
use crate::world::spawn::Wrapper;

const PROTOCOLS: &str = "https:ssh:file";
const PATIENCE: Duration = Duration::from_secs(600);
/// Versions that a message lists.
const LISTED: usize = 20;

/// A clone in the folder `tree` of `scratch`.
#[derive(Debug)]
pub struct Clone<'a> {
    wrapper: &'a Wrapper,
    scratch: &'a Path,
    runs: usize,
}

impl<'a> Clone<'a> {
    /// Fetches `url` and lays out the branch, the tag or the commit `reference`, or the tag
    /// `v<reference>`, in this order; without one, what the repository itself has checked out.
    ///
    /// # Errors
    /// What git says; for a reference that is not there, the versions that are.
    pub fn fetch(
        wrapper: &'a Wrapper,
        scratch: &'a Path,
        url: &str,
        reference: Option<&str>,
    ) -> anyhow::Result<()> {
        let mut clone = Self {
            wrapper,
            scratch,
            runs: 0,
        };
        let tree = scratch.join("tree");
        let mut args: Vec<OsString> = ["clone", "--quiet", "--no-checkout", "--template="]
            .map(OsString::from)
            .into();
        if reference.is_none() {
            args.extend(["--depth=1".into()]);
        }
        args.extend(["--".into(), url.into(), tree.into()]);
        let ended = clone.git(args)?;
        if !ended.succeeded {
            bail!(
                "failed to fetch {}\n{}",
                shown(url),
                masked(&ended.errors, url)
            );
        }
        let commit = clone.resolve(reference.unwrap_or("HEAD"), url)?;
        let ended = clone.inside(&["checkout", "--quiet", "--detach", &commit])?;
        match ended.succeeded {
            true => Ok(()),
            false => bail!("failed to lay out {}\n{}", shown(url), ended.errors),
        }
    }

    fn resolve(&mut self, reference: &str, url: &str) -> anyhow::Result<String> {
        let candidates = [
            format!("refs/remotes/origin/{reference}"),
            reference.to_owned(),
            format!("refs/tags/v{reference}"),
        ];
        for candidate in candidates {
            let commit = format!("{candidate}^{{commit}}");
            let args = [
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &commit,
            ];
            let ended = self.inside(&args)?;
            if ended.succeeded {
                let found = ended.stdout.lines().last().unwrap_or_default();
                return Ok(found.to_owned());
            }
        }
        let tags = self.inside(&["tag", "--list", "--sort=-version:refname"])?;
        let url = shown(url);
        bail!(
            "\"{reference}\" is not a valid version, hash, tag or branch in {url}.{}",
            available(&tags.stdout)
        )
    }

    fn inside(&mut self, args: &[&str]) -> anyhow::Result<Ended> {
        let tree = self.scratch.join("tree");
        let mut all: Vec<OsString> = vec!["--git-dir".into(), tree.join(".git").into()];
        all.extend(["--work-tree".into(), tree.into()]);
        all.extend(args.iter().map(OsString::from));
        self.git(all)
    }

    fn git(&mut self, args: Vec<OsString>) -> anyhow::Result<Ended> {
        self.runs += 1;
        let mut all: Vec<OsString> = Vec::new();
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "submodule.recurse=false",
        ] {
            all.extend(["-c".into(), setting.into()]);
        }
        all.extend(args);
        let scratch = self.scratch.join(format!("git-{}", self.runs));
        let program = Program {
            name: "git",
            args: all,
            env: environment(&self.scratch.join("index")),
            scratch: &scratch,
            patience: PATIENCE,
        };
        program.run(self.wrapper).context("failed to run git")
    }
}

/// Nobody is there to be asked, and a repository that we were started in is not meant.
fn environment(index: &Path) -> Vec<(String, String)> {
    let mut env = vec![
        ("GIT_ALLOW_PROTOCOL".to_owned(), PROTOCOLS.to_owned()),
        ("GIT_TERMINAL_PROMPT".to_owned(), "0".to_owned()),
        ("GIT_INDEX_FILE".to_owned(), index.display().to_string()),
        ("LC_ALL".to_owned(), "C".to_owned()),
    ];
    if std::env::var_os("GIT_SSH_COMMAND").is_none() {
        let ssh = "ssh -oBatchMode=yes".to_owned();
        env.push(("GIT_SSH_COMMAND".to_owned(), ssh));
    }
    env
}

fn available(tags: &str) -> String {
    let is_version = |tag: &&str| {
        let tag = tag.strip_prefix('v').unwrap_or(tag);
        tag.split('.').count() == 3 && tag.starts_with(|c: char| c.is_ascii_digit())
    };
    let versions: Vec<&str> = tags.lines().filter(is_version).take(LISTED).collect();
    match versions.is_empty() {
        true => String::new(),
        false => format!(" Available versions are: {}.", versions.join(", ")),
    }
}

fn masked(errors: &str, url: &str) -> String {
    errors.replace(url, &shown(url))
}
