//! Public packs, from the folder `PETREL_PUBLIC_PACKS`: clones of their repositories by their names
//! (`st2`, `stackstorm-csv`). They are no part of this repository: where the folder is not set, or
//! a pack is not in it, the test says so and ends.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{PATIENCE, Place, repository, skipped, wait_within};

/// The folder of a pack: of StackStorm's own by their names, of the Exchange's likewise.
pub fn folder(name: &str) -> Option<PathBuf> {
    let all = std::env::var_os("PETREL_PUBLIC_PACKS").map(PathBuf::from);
    let of_exchange = format!("stackstorm-{name}");
    let places = ["st2/contrib".as_ref(), Path::new("")];
    let paths = places
        .iter()
        .flat_map(|above| [above.join(name), above.join(&of_exchange)]);
    let found = all.and_then(|all| {
        let mut paths = paths.map(|path| all.join(path));
        paths.find(|path| path.join("pack.yaml").is_file())
    });
    if found.is_none() {
        skipped(name, "the pack is not in PETREL_PUBLIC_PACKS");
    }
    found
}

/// A place into which packs were installed, with their environments, beside `core`.
///
/// # Panics
/// When one cannot be installed although the index of Python packages answers.
pub fn installed(names: &[&str]) -> Option<Place> {
    let folders: Option<Vec<PathBuf>> = names.iter().map(|name| folder(name)).collect();
    let place = place();
    place.copy_pack("core");
    for (folder, name) in folders?.iter().zip(names) {
        let output = place.petrel(&["pack", "install", &folder.display().to_string()]);
        let said = String::from_utf8_lossy(&output.stderr);
        if said.contains("The package index cannot be reached") {
            skipped(name, "the index of Python packages cannot be reached");
            return None;
        }
        assert!(output.status.success(), "{name}: {said}");
    }
    Some(place)
}

/// A place whose environments outlive the test, since many packs want the same and they take long.
///
/// # Panics
/// When it cannot be made.
pub fn place() -> Place {
    let place = Place::new();
    let kept = repository::root().join("target/public-environments");
    fs::create_dir_all(&kept).expect("a folder for environments");
    fs::create_dir(place.path("data")).expect("a folder");
    symlink(kept, place.path("data/environments")).expect("a link");
    place
}

/// Our part around a pack: the rule `mine.rule` on a trigger type, whose parameters are these (YAML,
/// in braces), and the action `mine.keep`, which returns what the rule gives it.
pub fn around(place: &Place, trigger: &str, parameters: &str, what: &str) {
    place.pack("mine");
    place.write(
        "packs/mine/rules/rule.yaml",
        &format!(
            "name: rule\npack: mine\ndescription: A test\nenabled: true\n\
             trigger:\n  type: {trigger}\n  parameters: {parameters}\n\
             action:\n  ref: mine.keep\n  parameters:\n    what: \"{what}\"\n"
        ),
    );
    place.write(
        "packs/mine/actions/keep.yaml",
        "name: keep\nrunner_type: python-script\nentry_point: keep.py\n\
         parameters: {what: {type: string, required: true}}\n",
    );
    place.write(
        "packs/mine/actions/keep.py",
        "from st2common.runners.base_action import Action\n\n\n\
         class Keep(Action):\n    def run(self, what):\n        return True, what\n",
    );
}

/// What `mine.keep` returned, the first first, once it did so this many times.
///
/// # Panics
/// When it does not, or fails.
pub fn kept(place: &Place, times: usize) -> Vec<String> {
    wait_within(PATIENCE * 2, "what mine.keep returned", || {
        let all = place.executions();
        let ended = all
            .iter()
            .rev()
            .filter(|one| one["action"]["ref"] == "mine.keep" && !one["end_timestamp"].is_null());
        let texts: Vec<String> = ended
            .map(|one| {
                assert_eq!(one["status"], "succeeded", "{one}");
                one["result"]["result"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        (texts.len() >= times).then_some(texts)
    })
}

/// `petrel run-action`: the execution.
///
/// # Panics
/// When there is none.
pub fn run_action(place: &Place, args: &[&str]) -> Value {
    let output = place.petrel(&[&["run-action", "--json"], args].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

/// A port of this host that nobody listens on.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

/// Runs a Python program to its end; what it printed.
///
/// # Panics
/// When it fails.
pub fn python(program: &str, args: &[&str]) -> String {
    let done = Command::new("python3")
        .args(["-c", program])
        .args(args)
        .output();
    let done = done.expect("python3 runs");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{args:?}: {errors}");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
