//! Which interpreter, and what it says of the packs' files without running them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

use super::spawn::run_python;
use crate::catalog::{Catalog, Diagnostic, Runner, Severity};

/// The interpreter: as configured, else `python3` of the PATH. A script in its place (pyenv's
/// shims) is asked once for the real one, for each start through it would cost tens of
/// milliseconds.
pub fn interpreter(configured: Option<&Path>) -> PathBuf {
    let named = configured.map_or_else(|| PathBuf::from("python3"), Path::to_owned);
    let found = on_path(&named).unwrap_or(named);
    if !is_script(&found) {
        return found;
    }
    let asked = run_python(&found, &["-c", "import sys; print(sys.executable)"], "");
    match asked {
        Ok((true, text)) if !text.trim().is_empty() => text.trim().into(),
        _ => found,
    }
}

fn on_path(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.to_owned());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    File::open(program)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| &start == b"#!")
}

/// The offered modules that the files of each of these packs import and do not bring along.
///
/// # Errors
/// When the interpreter cannot be run.
pub fn imports(
    python: &Path,
    sdk: &Path,
    packs: &[PathBuf],
    offered: &[&str],
) -> anyhow::Result<BTreeMap<PathBuf, Vec<String>>> {
    let script = sdk.join("petrel_sdk/imports.py");
    let input = json!({"packs": packs, "offered": offered}).to_string() + "\n";
    let (ok, text) = run_python(python, &["-I", &script.to_string_lossy()], &input)
        .with_context(|| format!("failed to run {}", python.display()))?;
    anyhow::ensure!(ok, "{} could not read the packs' files", python.display());
    Ok(serde_json::from_str(text.trim())?)
}

/// What `check.py` says of a file.
#[derive(Debug, Deserialize)]
struct Finding {
    path: String,
    line: usize,
    column: usize,
    message: String,
    hint: Option<String>,
    text: Option<String>,
}

/// Parses the Python files of all sensors and actions: syntax errors, and classes that are not
/// there.
///
/// # Errors
/// When the interpreter cannot be run.
pub fn check(python: &Path, sdk: &Path, catalog: &Catalog) -> anyhow::Result<Vec<Diagnostic>> {
    let sensors = catalog.sensors.values().map(|sensor| {
        json!({"path": sensor.file_path, "class_name": sensor.class_name, "kind": "sensor"})
    });
    let actions = catalog
        .actions
        .values()
        .filter(|action| action.runner == Runner::PythonScript)
        .filter_map(|action| action.entry_point.as_ref())
        .map(|path| json!({"path": path, "class_name": null, "kind": "action"}));
    let files: Vec<_> = sensors
        .chain(actions)
        .filter(|file| {
            let path = file["path"].as_str().unwrap_or_default();
            path.ends_with(".py") && Path::new(path).is_file()
        })
        .collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let script = sdk.join("petrel_sdk/check.py");
    let script = script.to_string_lossy();
    let input = json!({"files": files}).to_string() + "\n";
    let (ok, text) = run_python(python, &["-I", &script], &input)
        .with_context(|| format!("failed to run {}", python.display()))?;
    anyhow::ensure!(ok, "{} could not check the packs' files", python.display());
    let findings: Vec<Finding> = serde_json::from_str(text.trim())?;
    Ok(findings.into_iter().map(diagnostic).collect())
}

fn diagnostic(finding: Finding) -> Diagnostic {
    let mut diagnostic = Diagnostic::of_file(Severity::Error, finding.path, finding.message)
        .maybe_help(finding.hint);
    diagnostic.place.line = finding.line;
    diagnostic.place.column = finding.column;
    diagnostic.place.width = 1;
    diagnostic.place.source_line = finding.text;
    diagnostic
}
