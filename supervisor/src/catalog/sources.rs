//! The texts of the packs, as `world::packs` found them; the only input of the catalog.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostics::Diagnostic;
use super::yaml::{self, Node};

/// One YAML file: its text and what YAML makes of it.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The file as messages name it.
    pub shown: String,
    /// Relative to the pack's folder, with `/`.
    pub relative: String,
    /// The text.
    pub text: Arc<str>,
    /// The document; none when it is not valid YAML.
    pub document: Option<Node>,
    /// What the YAML itself has wrong.
    pub diagnostics: Vec<Diagnostic>,
}

impl SourceFile {
    /// Reads `text` as YAML. `shown` is for messages, `relative` is the place in the pack.
    pub fn new(
        shown: impl Into<String>,
        relative: impl Into<String>,
        text: impl Into<Arc<str>>,
    ) -> Self {
        let mut file = Self {
            shown: shown.into(),
            relative: relative.into(),
            text: text.into(),
            document: None,
            diagnostics: Vec::new(),
        };
        match yaml::parse(&file.text) {
            Ok(parsed) => {
                file.diagnostics = yaml::remarks(&file, &parsed.remarks);
                file.document = Some(parsed.root);
            }
            Err(fault) => file.diagnostics = vec![yaml::explain(&file, &fault)],
        }
        file
    }

    /// The `number`-th line (1-based) without its end.
    pub fn line(&self, number: usize) -> Option<&str> {
        let line = self.text.split('\n').nth(number.checked_sub(1)?)?;
        Some(
            line.strip_suffix('\r')
                .unwrap_or(line)
                .trim_start_matches('\u{feff}'),
        )
    }

    /// The text under a top-level key, where the document is a map that has it.
    pub fn top_level_text(&self, key: &str) -> Option<&str> {
        self.document.as_ref()?.get(key)?.as_text()
    }
}

/// What is known of an entry point without running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPoint {
    /// The file has an executable bit.
    pub executable: bool,
    /// Of a sensor: a hash of it and of what it may import from its pack, hexadecimal.
    pub code: String,
}

/// One folder with a `pack.yaml`.
#[derive(Clone, Debug)]
pub struct PackSource {
    /// The folder, absolute.
    pub dir: PathBuf,
    /// The folder as messages name it.
    pub shown: String,
    /// `pack.yaml`.
    pub manifest: SourceFile,
    /// `config.schema.yaml`.
    pub config_schema: Option<SourceFile>,
    /// The in-pack `config.yaml` that StackStorm stopped reading and old packs still carry.
    pub local_config: Option<SourceFile>,
    /// `sensors/*.yaml`, sorted.
    pub sensors: Vec<SourceFile>,
    /// `triggers/*.yaml`, sorted.
    pub triggers: Vec<SourceFile>,
    /// `rules/*.yaml`, sorted.
    pub rules: Vec<SourceFile>,
    /// `actions/*.yaml`, sorted.
    pub actions: Vec<SourceFile>,
    /// `policies/*.yaml`, sorted.
    pub policies: Vec<SourceFile>,
    /// What action chains have for an entry point, by absolute path.
    pub chains: BTreeMap<PathBuf, SourceFile>,
    /// Files of the folder `overrides` beside the folder of packs, by name without suffix.
    pub overrides: Arc<BTreeMap<String, SourceFile>>,
    /// Entry points that exist, by absolute path.
    pub entry_points: BTreeMap<PathBuf, EntryPoint>,
    /// Names of the files in folders where an entry point is missing, by absolute folder.
    pub siblings: BTreeMap<PathBuf, Vec<String>>,
}

impl PackSource {
    /// A pack that is no folder: for a rule that lies in none.
    pub fn lone(name: &str) -> Self {
        let manifest = format!(
            "{{ref: {name}, name: {name}, description: none, version: 0.0.0, author: none, email: none}}"
        );
        Self {
            dir: PathBuf::from("/nowhere").join(name),
            shown: name.to_owned(),
            manifest: SourceFile::new("pack.yaml", "pack.yaml", manifest),
            config_schema: None,
            local_config: None,
            sensors: Vec::new(),
            triggers: Vec::new(),
            rules: Vec::new(),
            actions: Vec::new(),
            policies: Vec::new(),
            chains: BTreeMap::new(),
            overrides: Arc::default(),
            entry_points: BTreeMap::new(),
            siblings: BTreeMap::new(),
        }
    }

    /// Where the program of a sensor or action file is looked for: StackStorm takes `entry_point`
    /// relative to the folder of the YAML.
    pub fn entry_point(&self, file: &SourceFile, written: &str) -> PathBuf {
        let here = Path::new(&file.relative).parent().unwrap_or(Path::new(""));
        self.dir.join(here).join(written)
    }
}

/// Everything that was read from disk.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// In the order found: the folders as given, packs within one sorted.
    pub packs: Vec<PackSource>,
    /// `configs/<pack>.yaml` by pack name.
    pub configs: BTreeMap<String, SourceFile>,
    /// What could not be read.
    pub diagnostics: Vec<Diagnostic>,
}

/// Packs made of texts, for tests of what stands above.
#[cfg(test)]
pub mod testing {
    use super::*;

    /// A pack `name` of the files given by their place in it. Programs beside the YAML files exist
    /// when they are given, too.
    pub fn pack(name: &str, files: &[(&str, &str)]) -> PackSource {
        let dir = PathBuf::from("/packs").join(name);
        let file = |relative: &str, text: &str| {
            SourceFile::new(format!("packs/{name}/{relative}"), relative, text)
        };
        let folder = |folder: &str| -> Vec<SourceFile> {
            let inside = files
                .iter()
                .filter(|(path, _)| path.starts_with(folder) && path.ends_with(".yaml"));
            let inside = inside.filter(|(path, _)| path.matches('/').count() == 1);
            inside.map(|(path, text)| file(path, text)).collect()
        };
        let chains = files
            .iter()
            .filter(|(path, _)| path.starts_with("actions/chains/"));
        let alone = |wanted: &str| {
            let found = files.iter().find(|(path, _)| *path == wanted);
            found.map(|(path, text)| file(path, text))
        };
        let programs = files.iter().filter(|(path, _)| !path.ends_with(".yaml"));
        let manifest = format!("name: {name}\nversion: 1.0.0\nauthor: a\ndescription: d\n");
        PackSource {
            shown: format!("packs/{name}"),
            manifest: alone("pack.yaml").unwrap_or_else(|| file("pack.yaml", &manifest)),
            config_schema: alone("config.schema.yaml"),
            local_config: alone("config.yaml"),
            sensors: folder("sensors/"),
            triggers: folder("triggers/"),
            rules: folder("rules/"),
            actions: folder("actions/"),
            policies: folder("policies/"),
            chains: chains
                .clone()
                .map(|(path, text)| (dir.join(path), file(path, text)))
                .collect(),
            overrides: Arc::default(),
            entry_points: programs
                .chain(chains)
                .map(|(path, _)| (dir.join(path), EntryPoint::default()))
                .collect(),
            siblings: BTreeMap::from([(dir.join("sensors"), vec!["a_sensor.py".to_owned()])]),
            dir,
        }
    }

    /// Sources of these packs.
    pub fn sources(packs: Vec<PackSource>) -> Sources {
        Sources {
            packs,
            ..Sources::default()
        }
    }
}
