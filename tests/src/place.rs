//! A fresh folder with packs, and `petrel` in it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Petrel, repository, skipped};

/// The folder of a test: `packs`, `configs`, `data`. It outlives the supervisors that run in it.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    env: Vec<(String, String)>,
    /// `petrel` runs as nobody, though we are root.
    is_nobodys: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// An empty place.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("petrel-").tempdir();
        let folder = folder.expect("a folder for the test");
        let mut private = fs::DirBuilder::new();
        private.mode(0o700).recursive(true);
        for name in ["packs", "configs", "runtime"] {
            private.create(folder.path().join(name)).expect("a folder");
        }
        Self {
            folder,
            env: Vec::new(),
            is_nobodys: false,
        }
    }

    /// A place in which `petrel` runs without root: as we do, or as nobody where we are root. None,
    /// with a word why, where that cannot be.
    pub fn without_root(what: &str) -> Option<Self> {
        let is_root = rustix::process::getuid().is_root();
        let mut place = Self::new();
        place.is_nobodys = is_root;
        let ran = place.command(&["--version"]).output();
        match ran {
            Ok(output) if output.status.success() => Some(place),
            other => {
                skipped(what, &format!("petrel cannot be run as nobody: {other:?}"));
                None
            }
        }
    }

    /// Gives all that is in it to whoever `petrel` runs as; before each start.
    ///
    /// # Panics
    /// When it cannot be given.
    pub fn hand_over(&self) {
        if self.is_nobodys {
            give(self.folder());
        }
    }

    /// A variable for all commands.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file that appears whole.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_whole(&self, name: &str, text: &str) {
        let new = self.write(&format!("{name}.new"), text);
        fs::rename(new, self.path(name)).expect("the file");
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file; one that begins with `#!` may be executed.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder above")).expect("its folder");
        fs::write(&path, text).expect("the file");
        if text.starts_with("#!") {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&path, mode).expect("its mode");
        }
        path
    }

    /// The text of a file in it; empty when it is not there.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Copies a pack of the repository.
    pub fn copy_pack(&self, name: &str) {
        self.copy(&repository::root().join("packs").join(name), name);
    }

    /// Copies any folder as a pack.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn copy(&self, from: &Path, name: &str) {
        let to = self.path("packs").join(name);
        for file in repository::files(from, "") {
            let inside = file.strip_prefix(from).expect("below");
            let target = to.join(inside);
            fs::create_dir_all(target.parent().expect("a folder above")).expect("its folder");
            fs::copy(&file, &target).expect("a copy");
        }
    }

    /// A pack with nothing but its name.
    pub fn pack(&self, name: &str) {
        let text = format!(
            "name: {name}\nref: {name}\ndescription: A test\nversion: 1.0.0\n\
            author: Petrel\nemail: packs@petrel.example\n"
        );
        self.write(&format!("packs/{name}/pack.yaml"), &text);
    }

    /// The sensor `pack.Class`, a program `file` with this text, that speaks of the trigger type
    /// `pack.seen`; `more` goes into its YAML.
    pub fn sensor(&self, reference: &str, file: &str, program: &str, more: &str) {
        let (pack, class) = reference.split_once('.').expect("pack.Class");
        if !self.path(&format!("packs/{pack}/pack.yaml")).exists() {
            self.pack(pack);
        }
        let stem = file.split('.').next().unwrap_or(file);
        let yaml = format!(
            "class_name: {class}\nentry_point: {file}\n\
            description: A test\ntrigger_types:\n  - name: seen\n    description: A test\n{more}"
        );
        self.write(&format!("packs/{pack}/sensors/{stem}.yaml"), &yaml);
        self.write(&format!("packs/{pack}/sensors/{file}"), program);
    }

    /// The rule `pack.name`: on `pack.seen`, run `action` with these parameters (YAML, in braces).
    pub fn rule(&self, reference: &str, action: &str, parameters: &str) {
        let (pack, name) = reference.split_once('.').expect("pack.name");
        let yaml = format!(
            "name: {name}\npack: {pack}\ndescription: A test\nenabled: true\n\
            trigger: {{type: {pack}.seen}}\n\
            action:\n  ref: {action}\n  parameters: {parameters}\n"
        );
        self.write(&format!("packs/{pack}/rules/{name}.yaml"), &yaml);
    }

    /// The sensor `healthy.Pulse`, which delivers five events a second; for tests that break another.
    pub fn healthy(&self) {
        let program =
            "#!/bin/sh\nn=0\nwhile :; do n=$((n+1)); echo \"{\\\"n\\\": $n}\"; sleep 0.2; done\n";
        self.sensor("healthy.Pulse", "pulse.sh", program, "");
    }

    /// `petrel` with these arguments, told of this place by its environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program();
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PETREL_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.folder())
            .env("PETREL_PACKS", self.path("packs"))
            .env("PETREL_CONFIGS", self.path("configs"))
            .env("PETREL_DATA", self.path("data"))
            .env("XDG_RUNTIME_DIR", self.path("runtime"))
            .env("TEST_OF_PETREL", self.folder())
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if self.path("petrel.yaml").exists() {
            command.env("PETREL_CONFIG", self.path("petrel.yaml"));
        }
        command
    }

    fn program(&self) -> Command {
        let petrel = repository::binary("petrel");
        if !self.is_nobodys {
            return Command::new(petrel);
        }
        let mut command = Command::new("setpriv");
        let nobody = NOBODY.to_string();
        command.args([
            "--reuid",
            &nobody,
            "--regid",
            &nobody,
            "--clear-groups",
            "--",
        ]);
        command.arg(petrel);
        command
    }

    /// Runs `petrel` to its end.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn petrel(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("petrel runs")
    }

    /// What `petrel ... --json` prints.
    ///
    /// # Panics
    /// When it fails, or prints something else.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.push("--json");
        let output = self.petrel(&all);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "petrel {all:?}: {errors}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// `petrel sensor show`.
    pub fn show(&self, reference: &str) -> Value {
        self.json(&["sensor", "show", reference])
    }

    /// All executions, the newest first.
    ///
    /// # Panics
    /// When the answer is no list.
    pub fn executions(&self) -> Vec<Value> {
        let all = self.json(&["execution", "list", "--limit", "1000000"]);
        all.as_array().expect("a list").clone()
    }

    /// All events, the newest first.
    ///
    /// # Panics
    /// When the answer is no list.
    pub fn events(&self) -> Vec<Value> {
        let all = self.json(&["event", "list", "--limit", "1000000"]);
        all.as_array().expect("a list").clone()
    }

    /// Starts `petrel run` here.
    pub fn start(&self) -> Petrel {
        Petrel::start(self, &[])
    }
}

/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("we are root");
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a folder").flatten();
        entries.for_each(|entry| give(&entry.path()));
    }
}

/// Standard output as text.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
