//! Python environments of packs.
//!
//! A pack with a `requirements.txt` has one of its own, named by the content of its requirements and
//! by the interpreter, so that packs that ask for the same share it. Behind all of them lies a base
//! with what packs import and do not declare, since StackStorm has it: made only when a pack needs
//! it. An environment counts once the file `complete` is in it, which is written last.

mod build;
mod requirements;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

pub use build::{Built, Options, build};

/// Where environments lie, in the data folder.
const FOLDER: &str = "environments";

/// Written when everything is installed.
const COMPLETE: &str = "complete";

/// What StackStorm's own environment has and packs import undeclared: distributions, and the names
/// by which they are imported. `setuptools` still has `pkg_resources`.
pub const BASE: [(&str, &[&str]); 24] = [
    ("beautifulsoup4", &["bs4"]),
    ("chardet", &["chardet"]),
    ("cryptography", &["cryptography"]),
    ("eventlet", &["eventlet"]),
    ("flask", &["flask", "werkzeug"]),
    ("greenlet", &["greenlet"]),
    ("jinja2", &["jinja2"]),
    ("jsonpath-rw", &["jsonpath_rw"]),
    ("jsonschema", &["jsonschema"]),
    ("mock", &["mock"]),
    ("netaddr", &["netaddr"]),
    ("oslo.config", &["oslo_config"]),
    ("packaging", &["packaging"]),
    ("paramiko", &["paramiko"]),
    ("python-dateutil", &["dateutil"]),
    ("pytz", &["pytz"]),
    ("pyyaml", &["yaml"]),
    ("requests", &["requests"]),
    ("retrying", &["retrying"]),
    ("semver", &["semver"]),
    ("setuptools<81", &["setuptools", "pkg_resources"]),
    ("simplejson", &["simplejson"]),
    ("six", &["six"]),
    ("urllib3", &["urllib3"]),
];

/// What tests of packs are run with.
const TEST_TOOLS: [&str; 2] = ["pytest", "mock"];

/// A line that names a file of requirements.
fn named(file: &Path) -> String {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    format!("-r {}", file.display())
}

/// The environments of one data folder and one interpreter.
#[derive(Clone, Debug)]
pub struct Environments {
    folder: PathBuf,
    python: PathBuf,
}

/// What an environment is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its folder.
    pub dir: PathBuf,
    /// The content of its requirements: what it is known by.
    pub requirements: String,
    /// What is installed, in the form of a file of requirements.
    pub list: String,
}

impl Environment {
    /// Its interpreter.
    pub fn python(&self) -> PathBuf {
        self.dir.join("bin/python")
    }

    /// Everything is installed.
    pub fn is_complete(&self) -> bool {
        self.dir.join(COMPLETE).exists()
    }
}

impl Environments {
    /// The folder in which all of them lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Those in a data folder, made with this interpreter.
    pub fn new(data: &Path, python: &Path) -> Self {
        Self {
            folder: data.join(FOLDER),
            python: python.to_owned(),
        }
    }

    /// What a pack asks for; none where it has no requirements.
    ///
    /// # Errors
    /// When its requirements cannot be read.
    pub fn of(&self, pack: &Path) -> anyhow::Result<Option<Environment>> {
        self.of_file(&pack.join("requirements.txt"))
    }

    /// What a file of requirements asks for; none where it is absent or asks for nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(&self, file: &Path) -> anyhow::Result<Option<Environment>> {
        if !file.is_file() {
            return Ok(None);
        }
        let text = requirements::text(file)
            .with_context(|| format!("failed to read {}", file.display()))?;
        Ok((!text.is_empty()).then(|| self.environment(text, named(file), "")))
    }

    /// The base.
    pub fn base(&self) -> Environment {
        let lines: Vec<&str> = BASE.iter().map(|(name, _)| *name).collect();
        let list = lines.join("\n");
        self.environment(list.clone(), list, "base-")
    }

    /// That in which a pack is tested: what it asks for, to run and to be tested, and the tools.
    ///
    /// # Errors
    /// When its requirements cannot be read.
    pub fn of_tests(&self, pack: &Path) -> anyhow::Result<Environment> {
        let (mut text, mut list) = (String::new(), String::new());
        for name in ["requirements.txt", "requirements-tests.txt"] {
            let file = pack.join(name);
            if let Some(one) = self.of_file(&file)? {
                text.push_str(&(one.requirements + "\n"));
                list.push_str(&(one.list + "\n"));
            }
        }
        let tools = TEST_TOOLS.join("\n");
        Ok(self.environment(text + &tools, list + &tools, "tests-"))
    }

    fn environment(&self, requirements: String, list: String, prefix: &str) -> Environment {
        // `python3` of today and of after an upgrade are two.
        let python = fs::canonicalize(&self.python).unwrap_or_else(|_| self.python.clone());
        let mut hash = blake3::Hasher::new();
        hash.update(python.as_os_str().as_encoded_bytes());
        hash.update(b"\n");
        hash.update(requirements.as_bytes());
        let name = &hash.finalize().to_hex()[..20];
        Environment {
            dir: self.folder.join(format!("{prefix}{name}")),
            requirements,
            list,
        }
    }

    /// The interpreter for a pack's programs, as of now.
    ///
    /// # Errors
    /// When its environment was not made yet: how to do that.
    pub fn interpreter(&self, name: &str, pack: &Path) -> Result<PathBuf, String> {
        let base = self.base();
        match self.of(pack) {
            Ok(Some(own)) if own.is_complete() => Ok(own.python()),
            Ok(Some(_)) => Err(format!(
                "pack {name} has a requirements.txt and no environment yet: petrel pack setup {name}"
            )),
            Ok(None) if base.is_complete() => Ok(base.python()),
            Ok(None) => Ok(self.python.clone()),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requirements_share_and_a_half_built_environment_does_not_count() {
        let data = tempfile::tempdir().expect("a folder");
        let packs = Environments::new(data.path(), Path::new("python3"));
        let pack = |name: &str, text: &str| {
            let dir = data.path().join(name);
            fs::create_dir_all(&dir).expect("a pack");
            fs::write(dir.join("requirements.txt"), text).expect("its requirements");
            dir
        };
        let (a, b) = (pack("a", "six\n# why\n\n"), pack("b", "six # for y\n"));
        let (one, two) = (packs.of(&a).expect("read"), packs.of(&b).expect("read"));
        assert_eq!(
            one.as_ref().map(|it| &it.dir),
            two.as_ref().map(|it| &it.dir)
        );
        assert_eq!(packs.of(&pack("c", "# nothing\n")).expect("read"), None);
        let dir = one.expect("an environment").dir;
        fs::create_dir_all(&dir).expect("its folder");
        let told = packs.interpreter("a", &a).expect_err("not yet");
        assert!(told.contains("petrel pack setup a"), "{told}");
        fs::write(dir.join(COMPLETE), "").expect("the mark");
        assert_eq!(packs.interpreter("a", &a), Ok(dir.join("bin/python")));
        let plain = data.path().join("plain");
        assert_eq!(packs.interpreter("plain", &plain), Ok("python3".into()));
    }
}
