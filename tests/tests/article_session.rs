//! The article's session, command by command, on `/opt/stackstorm`: `git clone`, `make`, the four
//! lists, `ps`, `touch`, the line in the output. petrel is started once, before all of it, and the
//! address in `git clone` is the article's; git is told where it lies here.
//!
//! The test stays away from a folder in which there are packs already. `sudo` is a script that runs
//! its arguments.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use petrel_tests::article::{HOME, Home, OUTPUT, Published};
use petrel_tests::{PATIENCE, Petrel, Place, article, repository, skipped, stdout, wait_within};

const SENSOR: &str = "mypack.DirectorySensor";

/// What the article clones.
const REPOSITORY: &str = "https://github.com/userlocalhost/st2-pack-example.git";

/// What `make` does in the article: copies the pack, makes its environment, has it taken.
const MAKEFILE: &str = "\
all: copied prepared taken

copied:
\tsudo cp -r . /opt/stackstorm/packs/mypack

prepared:
\tst2 run packs.setup_virtualenv packs=mypack

taken:
\tsudo st2ctl reload --register-all
";

/// `/opt/stackstorm/packs` for the time of a test.
struct Packs {
    folder: PathBuf,
    _home: Home,
}

impl Packs {
    /// None, with a word why, where there is something, or nothing may be written.
    fn new(what: &str) -> Option<Self> {
        let home = Home::new(what)?;
        let folder = Path::new(HOME).join("packs");
        if Command::new("make").arg("--version").output().is_err() {
            skipped(what, "there is no make");
            return None;
        }
        if let Err(error) = fs::create_dir(&folder) {
            skipped(what, &format!("{}: {error}", folder.display()));
            return None;
        }
        Some(Self {
            folder,
            _home: home,
        })
    }
}

impl Drop for Packs {
    fn drop(&mut self) {
        // A failed test has more to tell than this.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A place whose packs are those of `/opt/stackstorm`, with the names of StackStorm in `bin`.
fn place() -> Place {
    let place = Place::new();
    fs::remove_dir(place.path("packs")).unwrap();
    symlink(Path::new(HOME).join("packs"), place.path("packs")).unwrap();
    place.copy_pack("core");
    place.copy_pack("packs");
    place.write("bin/sudo", "#!/bin/sh\nexec \"$@\"\n");
    let linked = place.petrel(&["link", "bin"]);
    assert!(linked.status.success(), "{linked:?}");
    place
}

fn in_shell(place: &Place, folder: &str, line: &str) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", place.path("bin").display());
    let instead = format!("url.{}.insteadOf", place.path("origin").display());
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(place.path(folder))
        .env("PATH", path)
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", instead)
        .env("GIT_CONFIG_VALUE_0", REPOSITORY)
        .env("PETREL_DATA", place.path("data"))
        .env("XDG_RUNTIME_DIR", place.path("runtime"));
    command.output().unwrap()
}

fn succeeds(place: &Place, folder: &str, line: &str) -> String {
    let output = in_shell(place, folder, line);
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = stdout(&output);
    assert!(output.status.success(), "$ {line}\n{said}{errors}");
    said
}

/// Runs the session on the repository `origin` of the place.
fn session(place: &Place, output: &Path) {
    succeeds(
        place,
        "origin",
        "git init -q && git add -A && \
         git -c user.name=t -c user.email=t@t.example commit -q -m pack",
    );
    let mut petrel = place.start();
    petrel.up();
    succeeds(place, "", &format!("git clone {REPOSITORY}"));
    assert_eq!(petrel.count("sensor.ready", SENSOR), 0);
    succeeds(place, "st2-pack-example", "make");
    petrel.ready(SENSOR);
    for (noun, expected) in article::LISTS {
        let line = format!("st2 {noun} list --pack=mypack");
        assert_eq!(succeeds(place, "st2-pack-example", &line), expected);
    }
    let shown = succeeds(place, "", "ps aux | grep DirectorySensor");
    let line = "--file-path=/opt/stackstorm/packs/mypack/sensors/directory_sensor.py \
                --class-name=DirectorySensor --trigger-type-refs=mypack.changed_file";
    assert!(shown.contains(line), "{shown}");
    touched(place, &petrel, output);
    assert!(petrel.stop().success());
}

fn touched(place: &Place, petrel: &Petrel, output: &Path) {
    succeeds(place, "", "sudo touch /opt/stackstorm/packs/hoge");
    let expected = "(created) /opt/stackstorm/packs/hoge";
    let line = wait_within(PATIENCE * 2, expected, || {
        let said = fs::read_to_string(output).unwrap_or_default();
        let line = said.lines().find(|line| line.ends_with(expected));
        line.map(str::to_owned)
    });
    let time = line
        .strip_prefix('[')
        .and_then(|line| line.split_once("] "));
    let (time, _) = time.expect(&line);
    assert!(time.parse::<f64>().is_ok_and(|time| time > 0.0), "{line}");
    assert_eq!(petrel.count("sensor.ended", SENSOR), 0);
}

#[test]
fn the_session_gives_the_articles_output() {
    let Some(packs) = Packs::new("the article's session") else {
        return;
    };
    let place = place();
    for file in repository::files(&repository::root().join("packs/mypack"), "") {
        let inside = file.strip_prefix(repository::root().join("packs/mypack"));
        let text = fs::read_to_string(&file).unwrap();
        place.write(&format!("origin/{}", inside.unwrap().display()), &text);
    }
    place.write("origin/Makefile", MAKEFILE);
    let output = place.path("output");
    let config = format!(
        "---\nsensor:\n    directories:\n        - {HOME}\n\n\
         # This parameter is used by output_context action\nlog: {}\n",
        output.display()
    );
    place.write("origin/config.yaml", &config);
    session(&place, &output);
    let tail = "tail -n2 /opt/stackstorm/packs/mypack/config.yaml";
    let expected = format!(
        "# This parameter is used by output_context action\nlog: {}\n",
        output.display()
    );
    assert_eq!(succeeds(&place, "", tail), expected);
    drop(packs);
    of_the_public_repository();
}

/// The same with the repository that the article publishes, and its own Makefile.
fn of_the_public_repository() {
    let what = "the article's repository";
    let Some(published) = Published::new(what) else {
        return;
    };
    let Some(_packs) = Packs::new(what) else {
        return;
    };
    let place = place();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(&published.pack)
        .arg(place.path("origin"))
        .status();
    assert!(copied.unwrap().success());
    let _ = fs::remove_dir_all(place.path("origin/.git"));
    session(&place, Path::new(OUTPUT));
}
