//! What `petrel pack install` is told, taken apart. The forms are those of `st2 pack install`
//! (reference st2.md 9.4), and folders and archives besides.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// Where a pack comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A git repository, and the branch, tag, commit or version that is wanted of it.
    Git {
        /// As git takes it.
        url: String,
        /// As it was written; the default branch where it was not.
        reference: Option<String>,
    },
    /// A folder, taken as it is now.
    Folder(PathBuf),
    /// A `.tar.gz`, `.tgz` or `.zip` file.
    Archive(PathBuf),
    /// A name in the index, and the version that is wanted.
    Index {
        /// The pack.
        name: String,
        /// The index's own where it was not written.
        version: Option<String>,
    },
}

const ARCHIVES: [&str; 3] = [".tar.gz", ".tgz", ".zip"];
const SCHEMES: [&str; 3] = ["https", "ssh", "file"];

impl Source {
    /// Takes it apart. What lies here under that very name is meant before anything on a network.
    ///
    /// # Errors
    /// What cannot be meant, and what to write instead.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        ensure!(!text.is_empty(), "an empty text names no pack");
        ensure!(
            !text.starts_with('-') && !text.chars().any(char::is_control),
            "{text:?} names no pack"
        );
        let here = Path::new(text);
        match here.metadata() {
            Ok(found) if found.is_dir() => return Ok(Self::Folder(here.into())),
            Ok(_) if is_archive(text) => return Ok(Self::Archive(here.into())),
            Ok(_) => bail!("{text} is no pack: a folder, a .tar.gz, a .tgz or a .zip is one"),
            Err(_) => {}
        }
        let (place, reference) = match text.split_once('=') {
            Some((place, reference)) => (place, Some(checked(reference, text)?)),
            None => (text, None),
        };
        match place {
            _ if is_remote(place) => git(place, reference),
            _ if is_archive(place) || place.starts_with(['.', '/', '~']) => {
                bail!("there is no {text}")
            }
            _ if place.contains('/') => {
                let url = github(place).with_context(|| format!("there is no {text}"))?;
                Ok(Self::Git { url, reference })
            }
            _ => index(place, reference),
        }
    }
}

fn is_archive(text: &str) -> bool {
    ARCHIVES.iter().any(|ending| text.ends_with(ending))
}

/// A URL, or `user@host:path`.
fn is_remote(place: &str) -> bool {
    let scp = |(before, _): (&str, &str)| before.contains('@') && !before.contains('/');
    place.contains("://") || place.contains("::") || place.split_once(':').is_some_and(scp)
}

fn checked(reference: &str, text: &str) -> anyhow::Result<String> {
    ensure!(
        !reference.is_empty() && !reference.starts_with('-'),
        "{text}: after the = stands a version, a tag, a branch or a commit"
    );
    Ok(reference.to_owned())
}

fn git(place: &str, reference: Option<String>) -> anyhow::Result<Source> {
    let scheme = match place.split_once("://") {
        Some((scheme, _)) if !place.contains("::") => scheme,
        Some(_) => "ext",
        None if place.contains("::") => "ext",
        None => "ssh",
    };
    ensure!(
        SCHEMES.contains(&scheme),
        "{}: packs are fetched over https, ssh or from a file:// only",
        shown(place)
    );
    let host = place.split_once("://").map_or(place, |(_, rest)| rest);
    ensure!(
        !host.starts_with('-') && !host.contains("@-"),
        "{place} names no repository"
    );
    if let Some(path) = place.strip_prefix("file://")
        && reference.is_none()
        && Path::new(path).is_dir()
        && !is_repository(Path::new(path))
    {
        return Ok(Source::Folder(path.into()));
    }
    Ok(Source::Git {
        url: place.to_owned(),
        reference,
    })
}

/// A working tree with its repository, or a bare one.
fn is_repository(path: &Path) -> bool {
    path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("objects").is_dir())
}

/// `owner/repo`.
fn github(place: &str) -> anyhow::Result<String> {
    let is_word = |word: &str| {
        let of_words = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !word.is_empty() && word.chars().all(of_words)
    };
    let (owner, repository) = place.split_once('/').unwrap_or_default();
    ensure!(
        is_word(owner) && is_word(repository),
        "a pack is OWNER/REPOSITORY on GitHub, a URL, a folder, an archive, or NAME of the index"
    );
    Ok(format!("https://github.com/{owner}/{repository}"))
}

fn index(name: &str, version: Option<String>) -> anyhow::Result<Source> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    ensure!(name.chars().all(is_name), "{name:?} names no pack");
    Ok(Source::Index {
        name: name.to_owned(),
        version,
    })
}

/// A URL as messages show it: without the password or token of a user.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host = rest.split('/').next().unwrap_or_default();
    match host.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://***{}", &rest[user.len()..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_git(url: &str, reference: Option<&str>) -> Source {
        Source::Git {
            url: url.into(),
            reference: reference.map(str::to_owned),
        }
    }

    #[test]
    fn what_st2_takes_is_taken() {
        let check =
            |text: &str, expected: Source| assert_eq!(Source::parse(text).unwrap(), expected);
        let exchange = "https://github.com/StackStorm-Exchange/stackstorm-csv";
        check("StackStorm-Exchange/stackstorm-csv", of_git(exchange, None));
        check(
            "StackStorm-Exchange/stackstorm-csv=0.5.0",
            of_git(exchange, Some("0.5.0")),
        );
        check(&format!("{exchange}=a/b"), of_git(exchange, Some("a/b")));
        let scp = "git@host.example:packs/one.git";
        check(&format!("{scp}=v1"), of_git(scp, Some("v1")));
        let ssh = "ssh://git@host.example/one";
        check(ssh, of_git(ssh, None));
        let name = |version: Option<&str>| Source::Index {
            name: "csv".into(),
            version: version.map(str::to_owned),
        };
        check("csv", name(None));
        check("csv=0.5.0", name(Some("0.5.0")));
    }

    #[test]
    fn what_lies_here_comes_first() {
        let here = tempfile::TempDir::new().unwrap();
        let folder = here.path().display().to_string();
        let archive = format!("{folder}/a.tgz");
        std::fs::write(&archive, "").unwrap();
        std::fs::write(format!("{folder}/b.txt"), "").unwrap();
        assert_eq!(
            Source::parse(&folder).unwrap(),
            Source::Folder(folder.clone().into())
        );
        assert_eq!(
            Source::parse(&format!("file://{folder}")).unwrap(),
            Source::Folder(folder.clone().into())
        );
        assert_eq!(
            Source::parse(&archive).unwrap(),
            Source::Archive(archive.clone().into())
        );
        assert!(Source::parse(&format!("{folder}/b.txt")).is_err());
        std::fs::create_dir(format!("{folder}/.git")).unwrap();
        let url = format!("file://{folder}");
        assert_eq!(Source::parse(&url).unwrap(), of_git(&url, None));
    }

    #[test]
    fn what_could_run_a_command_is_refused() {
        for text in [
            "",
            "-u",
            "--upload-pack=x",
            "ext::sh -c id",
            "http://host.example/pack",
            "git://host.example/pack",
            "ssh://-oProxyCommand=id/x",
            "git@-oProxyCommand:x",
            "csv=-x",
            "csv=",
            "a b",
            "./nowhere",
            "/nowhere/at.tar.gz",
            "a/b/c",
        ] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(shown("https://me:token@host/x"), "https://***@host/x");
        assert_eq!(shown("https://host/x@y"), "https://host/x@y");
        assert_eq!(shown("git@host:x"), "git@host:x");
    }
}
