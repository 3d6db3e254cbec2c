//! The house stands on its floors: an import goes down, never up, and what is pure names nothing
//! of the outside. Read from the sources, so that it fails with a file and a line.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground; each may name itself and what stands before it.
const FLOORS: [&str; 7] = [
    "catalog", "config", "rules", "core", "world", "daemon", "cli",
];

/// `config` reads files with the means of `catalog`, and `catalog` resolves policies from `config`:
/// they are one floor.
const SAME_FLOOR: [(&str, &str); 1] = [("catalog", "config")];

/// What nothing below `world` may name.
const OUTSIDE: [&str; 12] = [
    "tokio::",
    "std::fs",
    "fs::read",
    "std::process",
    "std::thread",
    "std::net",
    "std::env",
    "Instant",
    "SystemTime",
    "rusqlite::",
    "tracing::",
    "rustix::",
];

/// What the floors above `core` may name of it where they only show things.
const SHOWN: [&str; 8] = [
    "view", "ids", "input", "record", "clock", "kv", "control", "logs",
];

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("tests/ lies in the repository").into()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// The lines of a file that are code, numbered from 1; a test module at the end is left out.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).expect("a source");
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim().to_owned()))
        .take_while(|(_, line)| line != "#[cfg(test)]")
        .filter(|(_, line)| !line.starts_with("//"))
        .collect()
}

/// The floor of a file of the supervisor; none for `main.rs` and `lib.rs`.
fn floor(path: &Path) -> Option<usize> {
    let supervisor = root().join("supervisor/src");
    let inside = path.strip_prefix(supervisor).ok()?;
    let first = inside.iter().next()?.to_str()?.trim_end_matches(".rs");
    FLOORS.iter().position(|floor| *floor == first)
}

/// The floors that a line names by `crate::<floor>`.
fn named(line: &str) -> Vec<usize> {
    line.match_indices("crate::")
        .filter_map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let name = &rest[..end.unwrap_or(rest.len())];
            FLOORS.iter().position(|floor| *floor == name)
        })
        .collect()
}

fn is_same_floor(one: usize, other: usize) -> bool {
    let pair = (FLOORS[one], FLOORS[other]);
    SAME_FLOOR.contains(&pair) || SAME_FLOOR.contains(&(pair.1, pair.0))
}

/// Every fault as `file:line: what`.
fn faults(check: impl Fn(&Path, &str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for path in sources(&root().join("supervisor/src")) {
        for (number, line) in code(&path) {
            if let Some(what) = check(&path, &line) {
                faults.push(format!("{}:{number}: {what}", path.display()));
            }
        }
    }
    faults
}

fn is_test_file(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with("_tests.rs")
        || name.ends_with("/tests.rs")
        || ["/sim/", "/conformance.rs"]
            .iter()
            .any(|part| name.contains(part))
}

#[test]
fn an_import_goes_down() {
    let faults = faults(|path, line| {
        let own = floor(path)?;
        if line.contains("super::super::") {
            return Some(format!("imports name their floor: {line}"));
        }
        let up = named(line)
            .into_iter()
            .find(|other| *other > own && !is_same_floor(own, *other))?;
        Some(format!("{} names {}: {line}", FLOORS[own], FLOORS[up]))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn below_world_nothing_names_the_outside() {
    let world = FLOORS.iter().position(|floor| *floor == "world");
    let faults = faults(|path, line| {
        if floor(path) >= world || floor(path).is_none() || is_test_file(path) {
            return None;
        }
        let word = OUTSIDE.iter().find(|word| {
            line.match_indices(*word).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            })
        })?;
        Some(format!("{word} is of the outside: {line}"))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_journal_does_not_interpret_what_it_stores() {
    let faults = faults(|path, line| {
        let in_journal = path.to_string_lossy().contains("world/journal");
        let wrong = line.contains("crate::rules") || line.contains("crate::catalog");
        (in_journal && wrong).then(|| line.to_owned())
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn api_and_cli_see_views_and_queries_only() {
    let faults = faults(|path, line| {
        let name = path.to_string_lossy();
        if !name.contains("world/api") && !name.contains("src/cli/") {
            return None;
        }
        let (_, rest) = line.split_once("crate::core::")?;
        let words = rest
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .find(|word| !word.is_empty())?;
        let listed = rest.starts_with('{') || SHOWN.contains(&words);
        (!listed).then(|| format!("core::{words} is the core's own: {line}"))
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_lower_crates_know_nothing_of_the_supervisor() {
    for crate_dir in ["sdk/src", "sensor-wrapper/src"] {
        for path in sources(&root().join(crate_dir)) {
            for (number, line) in code(&path) {
                assert!(
                    !line.contains("petrel_supervisor"),
                    "{}:{number}: {line}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn a_broken_floor_is_seen() {
    assert_eq!(named("use crate::world::sensor;"), [4]);
    assert_eq!(
        named("let x = crate::core::ids::parse(crate::cli::a);"),
        [3, 6]
    );
    assert!(named("use super::world;").is_empty());
}
