//! The only reader of pack files: folders to texts. What the texts mean is the catalog's business.

mod code;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog::diagnostics::{Diagnostic, Severity};
use crate::catalog::sources::{EntryPoint, PackSource, SourceFile, Sources};
use crate::catalog::yaml::MAX_BYTES;

/// Most names of a folder that are kept for hints about a missing entry point.
const SIBLINGS: usize = 1000;

/// Reads the packs of several folders. A folder with a `pack.yaml` is one pack; of any other, the
/// folders in it that have one are, sorted by name. `configs` holds `<pack>.yaml` files and may
/// be absent. What cannot be read is a diagnostic.
pub fn read(pack_dirs: &[PathBuf], configs: &Path) -> Sources {
    let mut sources = Sources::default();
    let (packs, out) = (&mut sources.packs, &mut sources.diagnostics);
    each(pack_dirs, out, |pack| packs.push(pack));
    sources.configs = self::configs(configs, out);
    sources
}

/// The same packs, one after another, so that not all of them are in memory as texts.
pub fn each(pack_dirs: &[PathBuf], out: &mut Vec<Diagnostic>, mut take: impl FnMut(PackSource)) {
    for dir in pack_dirs {
        let overrides = Arc::new(overrides(dir, out));
        for pack in packs_of(dir, out) {
            if let Some(mut pack) = read_pack(&pack, out) {
                pack.overrides = Arc::clone(&overrides);
                take(pack);
            }
        }
    }
}

/// `configs/<pack>.yaml` by pack name.
pub fn configs(dir: &Path, out: &mut Vec<Diagnostic>) -> BTreeMap<String, SourceFile> {
    by_name(dir, out)
}

/// The files of the folder `overrides` beside the folder of packs, as in /opt/stackstorm.
fn overrides(dir: &Path, out: &mut Vec<Diagnostic>) -> BTreeMap<String, SourceFile> {
    let above = match dir.join("pack.yaml").exists() {
        true => dir.parent().and_then(Path::parent),
        false => dir.parent(),
    };
    above.map_or_else(BTreeMap::new, |above| {
        by_name(&above.join("overrides"), out)
    })
}

/// The YAML files of a folder that may be absent, by their name without suffix.
fn by_name(dir: &Path, out: &mut Vec<Diagnostic>) -> BTreeMap<String, SourceFile> {
    let mut files = BTreeMap::new();
    for path in yaml_files(dir, out) {
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let shown = path.display().to_string();
        if let (Some(name), Some(text)) = (name, text(&path, out)) {
            files.insert(name, SourceFile::new(shown.clone(), shown, text));
        }
    }
    files
}

fn packs_of(dir: &Path, out: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    if dir.join("pack.yaml").exists() {
        return vec![dir.to_owned()];
    }
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            out.push(unreadable(dir, &error));
            return Vec::new();
        }
    };
    let mut packs: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join("pack.yaml").exists())
        .collect();
    packs.sort();
    packs
}

fn read_pack(dir: &Path, out: &mut Vec<Diagnostic>) -> Option<PackSource> {
    let absolute = match std::path::absolute(dir) {
        Ok(path) => path.components().collect(),
        Err(error) => {
            out.push(unreadable(dir, &error));
            return None;
        }
    };
    let mut source = PackSource {
        dir: absolute,
        shown: dir.display().to_string(),
        manifest: file(dir, "pack.yaml", out)?,
        config_schema: optional(dir, "config.schema.yaml", out),
        local_config: optional(dir, "config.yaml", out),
        sensors: folder(dir, "sensors", out),
        triggers: folder(dir, "triggers", out),
        rules: folder(dir, "rules", out),
        actions: folder(dir, "actions", out),
        policies: folder(dir, "policies", out),
        chains: BTreeMap::new(),
        overrides: Arc::default(),
        entry_points: BTreeMap::new(),
        siblings: BTreeMap::new(),
    };
    look_for_entry_points(&mut source);
    read_chains(&mut source, out);
    Some(source)
}

fn folder(pack: &Path, name: &str, out: &mut Vec<Diagnostic>) -> Vec<SourceFile> {
    let legacy = ["config.yaml", "config.yml"];
    yaml_files(&pack.join(name), out)
        .iter()
        .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
        .filter(|file| name != "actions" || !legacy.contains(&file.as_str()))
        .filter_map(|file_name| file(pack, &format!("{name}/{file_name}"), out))
        .collect()
}

/// `*.yaml` and `*.yml` directly in a folder, hidden ones left out, sorted.
fn yaml_files(dir: &Path, out: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            out.push(unreadable(dir, &error));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
            yaml && !name.starts_with('.') && !path.is_dir()
        })
        .collect();
    files.sort();
    files
}

fn optional(pack: &Path, relative: &str, out: &mut Vec<Diagnostic>) -> Option<SourceFile> {
    match pack.join(relative).exists() {
        true => file(pack, relative, out),
        false => None,
    }
}

fn file(pack: &Path, relative: &str, out: &mut Vec<Diagnostic>) -> Option<SourceFile> {
    let path = pack.join(relative);
    let text = text(&path, out)?;
    Some(SourceFile::new(path.display().to_string(), relative, text))
}

/// A regular file's text, never more of it than a YAML file may have.
fn text(path: &Path, out: &mut Vec<Diagnostic>) -> Option<String> {
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            out.push(unreadable(path, &error));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("line {line} is not valid UTF-8");
            let shown = path.display().to_string();
            out.push(
                Diagnostic::of_file(Severity::Error, shown, message)
                    .help("save the file in the encoding UTF-8"),
            );
            None
        }
    }
}

fn bytes(path: &Path) -> std::io::Result<Vec<u8>> {
    // Opening a named pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() > MAX_BYTES {
        true => Err(std::io::Error::other(format!(
            "larger than {} MiB",
            MAX_BYTES >> 20
        ))),
        false => Ok(bytes),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    let message = format!("cannot be read: {error}");
    Diagnostic::of_file(Severity::Error, path.display().to_string(), message)
}

/// The chains of the actions that are chains.
fn read_chains(source: &mut PackSource, out: &mut Vec<Diagnostic>) {
    let is_chain = |file: &&SourceFile| file.top_level_text("runner_type") == Some("action-chain");
    let chains: Vec<(PathBuf, String)> = source
        .actions
        .iter()
        .filter(is_chain)
        .filter_map(|file| {
            let written = file.top_level_text("entry_point")?;
            let path = source.entry_point(file, written);
            let relative = Path::new("actions").join(written);
            Some((path, relative.to_string_lossy().into_owned()))
        })
        .collect();
    for (path, relative) in chains {
        if source.entry_points.contains_key(&path)
            && let Some(text) = text(&path, out)
        {
            let shown = Path::new(&source.shown).join(&relative);
            let file = SourceFile::new(shown.display().to_string(), relative, text);
            source.chains.insert(path, file);
        }
    }
}

/// Which of the entry points that sensors and actions name are there.
fn look_for_entry_points(source: &mut PackSource) {
    let named = source.sensors.iter().chain(&source.actions);
    let paths: Vec<PathBuf> = named
        .filter_map(|file| Some(source.entry_point(file, file.top_level_text("entry_point")?)))
        .collect();
    for path in paths {
        match fs::metadata(&path) {
            Ok(found) if found.is_file() => {
                let executable = found.permissions().mode() & 0o111 != 0;
                let of_sensor = path.starts_with(source.dir.join("sensors"));
                let code = match of_sensor {
                    true => code::hash(&source.dir, &path),
                    false => String::new(),
                };
                let found = EntryPoint { executable, code };
                source.entry_points.insert(path, found);
            }
            _ => {
                if let Some(dir) = path.parent()
                    && !source.siblings.contains_key(dir)
                    && let Some(names) = names(dir)
                {
                    source.siblings.insert(dir.to_owned(), names);
                }
            }
        }
    }
}

fn names(dir: &Path) -> Option<Vec<String>> {
    let entries = fs::read_dir(dir).ok()?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .take(SIBLINGS)
        .collect();
    names.sort();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn a_folder_of_packs_and_a_single_pack_are_both_read() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "b/pack.yaml", "name: b");
        write(root.path(), "a/pack.yaml", "name: a");
        write(
            root.path(),
            "a/sensors/x.yaml",
            "class_name: X\nentry_point: x.py\n",
        );
        write(root.path(), "a/sensors/w.yml", "entry_point: gone.py");
        write(root.path(), "a/sensors/x.py", "");
        write(root.path(), "a/sensors/.hidden.yaml", "");
        write(root.path(), "a/sensors/deep/y.yaml", "");
        write(root.path(), "not_a_pack/x.yaml", "");
        write(root.path(), "configs/a.yaml", "k: 1");
        let packs = root.path().join("packs");
        write(&packs, "c/pack.yaml", "name: c");
        write(root.path(), "overrides/c.yaml", "rules: {}");
        for dir in [&packs, &packs.join("c")] {
            let sources = read(std::slice::from_ref(dir), Path::new("/nowhere"));
            assert!(sources.packs[0].overrides.contains_key("c"));
        }
        let sources = read(&[root.path().to_owned()], &root.path().join("configs"));
        assert!(sources.diagnostics.is_empty(), "{:?}", sources.diagnostics);
        let shown: Vec<_> = sources
            .packs
            .iter()
            .map(|p| p.dir.file_name().unwrap())
            .collect();
        assert_eq!(shown, ["a", "b"]);
        let a = &sources.packs[0];
        let sensors: Vec<_> = a.sensors.iter().map(|f| f.relative.as_str()).collect();
        assert_eq!(sensors, ["sensors/w.yml", "sensors/x.yaml"]);
        assert_eq!(
            a.entry_points.keys().collect::<Vec<_>>(),
            [&a.dir.join("sensors/x.py")]
        );
        assert!(a.siblings.contains_key(&a.dir.join("sensors")));
        assert!(sources.configs.contains_key("a"));
        let single = read(&[root.path().join("b")], Path::new("/nowhere"));
        assert_eq!(single.packs.len(), 1);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_stops_nothing() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "a/pack.yaml", "name: a");
        write(root.path(), "a/rules/ok.yaml", "name: ok");
        fs::write(root.path().join("a/rules/bad.yaml"), b"name: \xff\n").ok();
        let big = "x".repeat(MAX_BYTES + 1);
        write(root.path(), "a/rules/big.yaml", &big);
        let sources = read(
            &[root.path().to_owned(), root.path().join("gone")],
            Path::new("/nowhere"),
        );
        let messages: Vec<_> = sources
            .diagnostics
            .iter()
            .map(|d| d.message.as_str())
            .collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(
            messages
                .iter()
                .any(|m| m.contains("line 1 is not valid UTF-8"))
        );
        assert!(messages.iter().any(|m| m.contains("larger than 4 MiB")));
        assert_eq!(sources.packs[0].rules.len(), 1);
    }
}
