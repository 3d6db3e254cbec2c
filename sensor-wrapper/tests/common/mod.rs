//! Real processes in a fresh folder.
#![allow(dead_code, reason = "every test file uses its own part")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests make children and may fail"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const WRAPPER: &str = env!("CARGO_BIN_EXE_sensor-wrapper");

/// A folder with a pack `p` in it.
pub struct Pack(tempfile::TempDir);

impl Pack {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("p/sensors")).unwrap();
        Self(root)
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    /// An executable shell sensor.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        self.file(name, &format!("#!/bin/sh\n{body}\n"), 0o755)
    }

    pub fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.root().join("p/sensors").join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

/// The wrapper, in sensor mode, about to run this file.
pub fn sensor(file: &Path) -> Command {
    let mut command = Command::new(WRAPPER);
    command
        .args(["--pack=p", "--class-name=C"])
        .arg(format!("--file-path={}", file.display()));
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asserts an exit code and one line on standard error that holds a text.
#[track_caller]
pub fn fails(command: &mut Command, code: i32, with: &str) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = text(&stderr);
    assert_eq!(status.code(), Some(code), "{said}");
    assert!(
        said.starts_with("sensor-wrapper: ") && said.contains(with),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// Waits until a condition holds; half a minute is only there to end a broken test.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never: {what}");
}

/// Whether a process lives; a zombie does not.
pub fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

pub fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// The pid in a file, once it is there as a whole line.
#[track_caller]
pub fn pid_in(path: &Path) -> i32 {
    let read = || fs::read_to_string(path).unwrap_or_default();
    until(&format!("a pid in {}", path.display()), || {
        read().ends_with('\n')
    });
    read().trim().parse().unwrap()
}
