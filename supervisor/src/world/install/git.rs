//! A repository, and the version of it that was asked for. git runs neither hooks nor filters that
//! the repository brings, and speaks no other transports than [`PROTOCOLS`].

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::fs::{MemfdFlags, memfd_create};

use super::program::{Ended, Program};
use super::source::shown;
use super::tree::{MOST_BYTES, MOST_ENTRIES};
use crate::world::spawn::Wrapper;

const PROTOCOLS: &str = "https:ssh:file";
const PATIENCE: Duration = Duration::from_secs(600);
/// Most bytes of one file that git may write while it fetches: the packed history.
const MOST_PACKED: u64 = 1 << 30;
/// As much of a program's output as is kept, bytes.
const MOST_LISTED: usize = 16 << 20;
/// Versions that a message lists.
const LISTED: usize = 20;

/// A clone in the folder `tree` of `scratch`.
#[derive(Debug)]
pub struct Clone<'a> {
    wrapper: &'a Wrapper,
    scratch: &'a Path,
    runs: usize,
    /// See [`MOST_PACKED`].
    most_packed: u64,
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
            most_packed: MOST_PACKED,
        };
        clone.lay_out(url, reference)
    }

    fn lay_out(&mut self, url: &str, reference: Option<&str>) -> anyhow::Result<()> {
        let tree = self.scratch.join("tree");
        let login = Login::of(url)?;
        let mut args: Vec<OsString> = login.settings()?;
        args.extend(["clone", "--quiet", "--no-checkout", "--template="].map(OsString::from));
        if reference.is_none() {
            args.extend(["--depth=1".into()]);
        }
        args.extend(["--".into(), login.url.as_str().into(), tree.into()]);
        let ended = self.git(args)?;
        if !ended.succeeded {
            bail!(
                "failed to fetch {}\n{}",
                shown(url),
                too_large(&ended.errors, self.most_packed)
            );
        }
        let commit = self.resolve(reference.unwrap_or("HEAD"), url)?;
        self.check_size(&commit)?;
        let ended = self.inside(&["checkout", "--quiet", "--detach", &commit])?;
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

    /// What would be laid out, before it is: a repository of a few bytes may hold a file of any size.
    fn check_size(&mut self, commit: &str) -> anyhow::Result<()> {
        let listed = self.inside(&["ls-tree", "-r", "-l", "-t", "--full-tree", commit])?;
        ensure!(listed.succeeded, "failed to list it\n{}", listed.errors);
        let sizes = listed.stdout.lines().map(|line| {
            let size = line.split_ascii_whitespace().nth(3);
            size.and_then(|size| size.parse::<u64>().ok()).unwrap_or(0)
        });
        let (count, bytes) = sizes.fold((0, 0_u64), |(count, sum), size| {
            (count + 1, sum.saturating_add(size))
        });
        ensure!(
            bytes <= MOST_BYTES,
            "it has more than {} MiB of files",
            MOST_BYTES >> 20
        );
        ensure!(
            count <= MOST_ENTRIES && listed.stdout.len() < MOST_LISTED,
            "it has more than {MOST_ENTRIES} files and folders"
        );
        Ok(())
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
        // What git writes is bounded by the shell, which the wrapper of an action is not told to do.
        let blocks = self.most_packed / 512;
        let limited = format!("ulimit -f {blocks} && exec git \"$@\"");
        let mut all: Vec<OsString> = ["-c", &limited, "git"].map(Into::into).into();
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
            name: "sh",
            args: all,
            env: environment(&self.scratch.join("index")),
            scratch: &scratch,
            patience: PATIENCE,
        };
        let ended = program.run(self.wrapper).context("failed to run git")?;
        // What a shell says of what it does not find.
        ensure!(
            !ended.errors.contains("git: not found"),
            "install git first"
        );
        Ok(ended)
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

/// git's words, and ours for what became too large.
fn too_large(errors: &str, most_packed: u64) -> String {
    let cut = [
        "File too large",
        "died of signal 25",
        "invalid index-pack output",
    ];
    match cut.iter().any(|words| errors.contains(words)) {
        true => {
            let most = most_packed >> 20;
            format!("{errors}\nperhaps it has more than {most} MiB of history, which is the most")
        }
        false => errors.to_owned(),
    }
}

/// A URL without the user and the token in it, which every process of this machine could read among
/// git's arguments: they lie in a file in memory, whose path alone is there.
struct Login {
    url: String,
    host: String,
    secret: Option<File>,
}

impl Login {
    fn of(url: &str) -> anyhow::Result<Self> {
        let parts = url.strip_prefix("https://").and_then(|rest| {
            let host = rest.split('/').next().unwrap_or_default();
            let (user, host) = host.rsplit_once('@')?;
            Some((user, host, &rest[user.len() + 1..]))
        });
        let Some((user, host, rest)) = parts else {
            let (url, host) = (url.to_owned(), String::new());
            return Ok(Self {
                url,
                host,
                secret: None,
            });
        };
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        let [user, password] = [unescaped(user)?, unescaped(password)?];
        let mut secret = File::from(memfd_create("petrel", MemfdFlags::CLOEXEC)?);
        write!(secret, "username={user}\npassword={password}\n")?;
        Ok(Self {
            url: format!("https://{rest}"),
            host: host.to_owned(),
            secret: Some(secret),
        })
    }

    /// Settings of git. Other helpers would be told what worked, and may keep it.
    fn settings(&self) -> anyhow::Result<Vec<OsString>> {
        let Some(secret) = &self.secret else {
            return Ok(Vec::new());
        };
        let path = format!("/proc/{}/fd/{}", std::process::id(), secret.as_raw_fd());
        let helper = format!("!f() {{ [ \"$1\" != get ] || cat {path}; }}; f");
        let ours = format!("credential.https://{}.helper={helper}", self.host);
        let none = "credential.helper=".to_owned();
        let all = [none, ours].into_iter();
        Ok(all.flat_map(|one| ["-c".into(), one.into()]).collect())
    }
}

/// `%40` as `@`. A line's end would be another line for git.
fn unescaped(text: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..2).and_then(|hex| str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    let text = String::from_utf8(bytes).ok();
    let text = text.filter(|text| !text.contains(['\n', '\r', '\0']));
    text.context("the user or the password in the URL has a line break or is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with a file of 4 MiB that does not pack, and no clone of it that may have 1 MiB.
    #[test]
    fn what_is_fetched_is_bounded_while_it_is_fetched() {
        // Built beside the tests, where there is one.
        let Some(wrapper) = Wrapper::beside_tests() else {
            return;
        };
        let folder = tempfile::TempDir::new().unwrap();
        let (origin, scratch) = (folder.path().join("origin"), folder.path().join("scratch"));
        std::fs::create_dir_all(&origin).unwrap();
        std::fs::create_dir_all(&scratch).unwrap();
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        });
        let noise: Vec<u8> = noise.take(4 << 20).collect();
        std::fs::write(origin.join("noise"), noise).unwrap();
        let make = format!(
            "cd {} && git init -q && git add -A && \
             git -c user.name=t -c user.email=t@t.example commit -q -m noise",
            origin.display()
        );
        let program = Program {
            name: "sh",
            args: ["-c", &make].map(Into::into).into(),
            env: Vec::new(),
            scratch: &folder.path().join("make"),
            patience: PATIENCE,
        };
        assert!(program.run(&wrapper).unwrap().succeeded);
        let mut clone = Clone {
            wrapper: &wrapper,
            scratch: &scratch,
            runs: 0,
            most_packed: 1 << 20,
        };
        let url = format!("file://{}", origin.display());
        let error = clone.lay_out(&url, None).unwrap_err().to_string();
        assert!(error.contains("more than 1 MiB of history"), "{error}");
        clone.most_packed = 8 << 20;
        let _ = std::fs::remove_dir_all(scratch.join("tree"));
        clone.lay_out(&url, None).unwrap();
        assert!(scratch.join("tree/noise").exists());
    }

    #[test]
    fn a_token_is_no_argument() {
        let login = Login::of("https://me:to%40ken@host:8443/a/b@c.git").unwrap();
        assert_eq!(login.url, "https://host:8443/a/b@c.git");
        let settings = login.settings().unwrap();
        let shown = format!("{settings:?}");
        assert!(!shown.contains("ken") && shown.contains("credential.https://host:8443.helper"));
        let file = login.secret.as_ref().unwrap().as_raw_fd();
        let said = std::fs::read_to_string(format!("/proc/self/fd/{file}")).unwrap();
        assert_eq!(said, "username=me\npassword=to@ken\n");
        for url in [
            "https://host/x",
            "git@host:x",
            "ssh://me@host/x",
            "file:///x",
        ] {
            let login = Login::of(url).unwrap();
            assert_eq!((&*login.url, login.settings().unwrap().len()), (url, 0));
        }
        assert!(Login::of("https://a%0ab:c@host/x").is_err());
    }
}
