//! `petrel.yaml`: as written, with all its faults at once.

mod journal;
mod logs;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use globset::{Glob, GlobMatcher};
use serde_json::{Map, Value};

use crate::catalog::diagnostics::{Diagnostic, Severity};
use crate::catalog::fields::Fields;
use crate::catalog::knobs::{SECTIONS, Written, count, units};
use crate::catalog::schema::Validation;
use crate::catalog::sources::SourceFile;
use crate::catalog::yaml::Node;
pub use journal::{Free, JournalSettings, Retention, TriggerSettings, keep};
pub use logs::LogSettings;

/// What `petrel.yaml` says; [`Settings::default`] is what holds without one.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `defaults:`, below what sensors say of themselves.
    pub defaults: Written,
    /// `sensors:`, above it, in written order: of two globs that name a knob, the later one wins.
    pub sensors: Vec<SensorSettings>,
    /// `instances:`, by the reference of the sensor of which there are to be several.
    pub instances: BTreeMap<String, Vec<InstanceSettings>>,
    /// `payload_validation`.
    pub payload_validation: Validation,
    /// `actions:`.
    pub actions: ActionSettings,
    /// `supervisor:`.
    pub supervisor: SupervisorSettings,
    /// `datastore:`.
    pub datastore: DatastoreSettings,
    /// `logs:`.
    pub logs: LogSettings,
    /// `journal:`.
    pub journal: JournalSettings,
    /// `triggers:`, in written order: of two globs that match, the later one wins.
    pub triggers: Vec<TriggerSettings>,
    /// `packs.index`: path or https URL of the index of packs.
    pub index: Option<String>,
    /// `python`: the interpreter of packs that have none of their own.
    pub python: Option<PathBuf>,
}

/// What is said of the sensors whose reference a glob matches.
#[derive(Clone, Debug)]
pub struct SensorSettings {
    /// The glob as written.
    pub glob: String,
    /// `enabled` and where it stands, when written.
    pub enabled: Option<(bool, String)>,
    /// The knobs.
    pub written: Written,
    matcher: GlobMatcher,
}

impl SensorSettings {
    /// True when this speaks of the sensor `pack.ClassName`.
    pub fn matches(&self, reference: &str) -> bool {
        self.matcher.is_match(reference)
    }
}

/// One instance of a sensor.
#[derive(Clone, Debug)]
pub struct InstanceSettings {
    /// `name`: letters, digits, `_` and `-`.
    pub name: String,
    /// `config`, which lies over the pack's.
    pub config: Map<String, Value>,
    /// Where it stands, for messages.
    pub place: Diagnostic,
}

/// `actions:`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActionSettings {
    /// `parallel`: most actions at a time; 0 means twice the number of cores.
    pub parallel: u32,
    /// `validate_output_schema`: what an action returns must fit its `output_schema`.
    pub validate_output_schema: bool,
}

/// `supervisor:`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SupervisorSettings {
    /// `start_concurrency`: sensors in the middle of their start at a time; 0 means twice the number
    /// of cores.
    pub start_concurrency: u32,
    /// `watch`: changed files are taken by themselves.
    pub watch: bool,
    /// `shutdown_timeout`: how long an ordered stop of everything may take.
    pub shutdown_timeout: Duration,
}

impl Default for SupervisorSettings {
    fn default() -> Self {
        Self {
            start_concurrency: 0,
            watch: true,
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// `datastore:`.
#[derive(Clone, Debug, Default)]
pub struct DatastoreSettings {
    /// `encryption_key`: a key file in StackStorm's format; the data folder's own when not written.
    pub encryption_key: Option<PathBuf>,
    /// `decrypt`: beginnings of the names of system items that sensors may read decrypted.
    pub decrypt: Vec<String>,
}

const KEYS: &[&str] = &[
    "defaults",
    "sensors",
    "instances",
    "payload_validation",
    "actions",
    "supervisor",
    "datastore",
    "logs",
    "journal",
    "triggers",
    "packs",
    "python",
];
const VALIDATIONS: &[&str] = &["strict", "coerce", "warn", "off"];

impl Settings {
    /// Reads a file that messages call `shown`. What is faulty is reported and left out.
    pub fn parse(text: &str, shown: &str) -> (Self, Vec<Diagnostic>) {
        let file = SourceFile::new(shown, shown, text);
        let mut out = file.diagnostics.clone();
        let mut settings = Self::default();
        let root = file.document.as_ref().filter(|root| !root.is_null());
        if let Some(mut fields) =
            root.and_then(|root| Fields::of(root, &file, "this file", &mut out))
        {
            fields.only(KEYS, Severity::Error, "this file");
            settings.read(&mut fields);
        }
        (settings, out)
    }

    fn read(&mut self, fields: &mut Fields<'_, '_>) {
        if let Some(node) = fields.map("defaults") {
            self.defaults = knobs(node, fields, "\"defaults\"", SECTIONS);
        }
        if let Some(node) = fields.map("sensors") {
            for (key, value) in node.as_map().unwrap_or_default() {
                self.sensors.extend(sensor(key, value, fields));
            }
        }
        if let Some(node) = fields.map("instances") {
            for (key, value) in node.as_map().unwrap_or_default() {
                let reference = key.scalar_text().unwrap_or_default();
                let found = instances(&reference, value, fields);
                self.instances.insert(reference, found);
            }
        }
        if let Some(node) = fields.map("actions") {
            self.actions = actions(node, fields);
        }
        if let Some(node) = fields.map("supervisor") {
            self.supervisor = supervisor(node, fields);
        }
        if let Some(node) = fields.get("payload_validation") {
            self.payload_validation = validation(node, fields);
        }
        if let Some(node) = fields.map("datastore") {
            self.datastore = datastore(node, fields);
        }
        if let Some(node) = fields.map("logs") {
            self.logs = logs::read(node, fields);
        }
        if let Some(node) = fields.map("journal") {
            self.journal = journal::read(node, fields);
        }
        if let Some(node) = fields.map("triggers") {
            for (key, value) in node.as_map().unwrap_or_default() {
                self.triggers.extend(journal::trigger(key, value, fields));
            }
        }
        if let Some(node) = fields.map("packs")
            && let Some(mut inner) = Fields::of(node, fields.file, "\"packs\"", fields.out)
        {
            inner.only(&["index"], Severity::Error, "\"packs\"");
            let index = inner.text("index");
            self.index = (!index.is_empty()).then_some(index);
        }
        let python = fields.text("python");
        self.python = (!python.is_empty()).then(|| PathBuf::from(python));
    }
}

fn knobs(node: &Node, fields: &mut Fields<'_, '_>, what: &str, known: &[&str]) -> Written {
    let Some(mut inner) = Fields::of(node, fields.file, what, fields.out) else {
        return Written::default();
    };
    inner.only(known, Severity::Error, what);
    Written::read(&mut inner)
}

fn sensor(key: &Node, value: &Node, fields: &mut Fields<'_, '_>) -> Option<SensorSettings> {
    let glob = key.scalar_text()?;
    let matcher = match Glob::new(&glob) {
        Ok(glob) => glob.compile_matcher(),
        Err(error) => {
            fields.error(key.span, format!("not a glob: {}", error.kind()), None);
            return None;
        }
    };
    let known: Vec<&str> = SECTIONS.iter().copied().chain(["enabled"]).collect();
    let what = format!("\"sensors\" for \"{glob}\"");
    let written = knobs(value, fields, &what, &known);
    let mut enabled = None;
    if let Some(mut inner) = Fields::of(value, fields.file, &what, &mut Vec::new())
        && inner.get("enabled").is_some()
    {
        let flag = inner.flag("enabled", true);
        let line = inner.span_of("enabled").start.line;
        enabled = (!inner.faulty).then(|| (flag, format!("{}:{line}", inner.file.shown)));
        fields.out.append(inner.out);
    }
    Some(SensorSettings {
        glob,
        enabled,
        written,
        matcher,
    })
}

fn instances(reference: &str, node: &Node, fields: &mut Fields<'_, '_>) -> Vec<InstanceSettings> {
    let Some(list) = node.as_list().filter(|list| !list.is_empty()) else {
        let message = format!("the instances of \"{reference}\" must be a list, and not empty");
        let help = "write  - {name: eu, config: {…}}  for each";
        fields.error(node.span, message, Some(help.into()));
        return Vec::new();
    };
    let mut found: Vec<InstanceSettings> = Vec::new();
    for item in list {
        let Some(one) = instance(item, fields) else {
            continue;
        };
        if found.iter().any(|other| other.name == one.name) {
            let message = format!("\"{reference}\" has two instances \"{}\"", one.name);
            fields.error(item.span, message, None);
            continue;
        }
        found.push(one);
    }
    found
}

fn instance(node: &Node, fields: &mut Fields<'_, '_>) -> Option<InstanceSettings> {
    let mut inner = Fields::of(node, fields.file, "an instance", fields.out)?;
    inner.only(&["name", "config"], Severity::Error, "an instance");
    let (name, span) = inner.required_text("name", "an instance")?;
    if !name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    {
        let message = format!("\"{name}\" cannot name an instance");
        let help = "use letters, digits, _ and - only";
        inner.error(span, message, Some(help.into()));
        return None;
    }
    Some(InstanceSettings {
        config: inner.object("config"),
        place: Diagnostic::error(inner.file, inner.span_of("config"), ""),
        name,
    })
}

fn actions(node: &Node, fields: &mut Fields<'_, '_>) -> ActionSettings {
    let mut settings = ActionSettings::default();
    let Some(mut inner) = Fields::of(node, fields.file, "\"actions\"", fields.out) else {
        return settings;
    };
    let known = ["parallel", "validate_output_schema"];
    settings.validate_output_schema = inner.flag(known[1], false);
    inner.only(&known, Severity::Error, "\"actions\"");
    if let Some(node) = inner.get("parallel") {
        match count(node).filter(|n| (1..=10_000).contains(n)) {
            Some(number) => settings.parallel = number as u32,
            None => inner.error(
                node.span,
                "\"actions.parallel\" must be a whole number from 1 to 10000",
                Some("leave it out for twice the number of cores".into()),
            ),
        }
    }
    settings
}

fn supervisor(node: &Node, fields: &mut Fields<'_, '_>) -> SupervisorSettings {
    let mut settings = SupervisorSettings::default();
    let Some(mut inner) = Fields::of(node, fields.file, "\"supervisor\"", fields.out) else {
        return settings;
    };
    let known = ["start_concurrency", "shutdown_timeout", "watch"];
    settings.watch = inner.flag(known[2], true);
    inner.only(&known, Severity::Error, "\"supervisor\"");
    if let Some(node) = inner.get(known[0]) {
        match count(node).filter(|n| (0..=10_000).contains(n)) {
            Some(number) => settings.start_concurrency = number as u32,
            None => inner.error(
                node.span,
                "\"supervisor.start_concurrency\" must be a whole number from 0 to 10000",
                Some("0 means twice the number of cores".into()),
            ),
        }
    }
    if let Some(node) = inner.get(known[1]) {
        match units::duration(node) {
            Some(time) => settings.shutdown_timeout = time,
            None => inner.error(
                node.span,
                "\"supervisor.shutdown_timeout\" must be a duration",
                Some("write 30s, 2m, or a number of seconds".into()),
            ),
        }
    }
    settings
}

fn datastore(node: &Node, fields: &mut Fields<'_, '_>) -> DatastoreSettings {
    let mut settings = DatastoreSettings::default();
    let Some(mut inner) = Fields::of(node, fields.file, "\"datastore\"", fields.out) else {
        return settings;
    };
    let known = ["encryption_key", "decrypt"];
    inner.only(&known, Severity::Error, "\"datastore\"");
    let file = inner.text("encryption_key");
    settings.encryption_key = (!file.is_empty()).then(|| PathBuf::from(file));
    for prefix in inner
        .list("decrypt")
        .and_then(Node::as_list)
        .unwrap_or_default()
    {
        match prefix.scalar_text() {
            Some(text) => settings.decrypt.push(text),
            None => inner.error(prefix.span, "a prefix of names must be text", None),
        }
    }
    settings
}

/// `off` is a boolean in YAML 1.1; both ways of writing it mean the same here.
fn validation(node: &Node, fields: &mut Fields<'_, '_>) -> Validation {
    match node.scalar_text().unwrap_or_default().as_str() {
        "strict" => Validation::Strict,
        "coerce" => Validation::Coerce,
        "warn" => Validation::Warn,
        "off" | "False" => Validation::Off,
        other => {
            let near =
                crate::catalog::diagnostics::did_you_mean(other, VALIDATIONS.iter().copied());
            let help = near.unwrap_or_else(|| format!("write one of {}", VALIDATIONS.join(", ")));
            let message = format!("\"payload_validation\" cannot be {other}");
            fields.error(node.span, message, Some(help));
            Validation::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        let (settings, out) = Settings::parse("", "petrel.yaml");
        assert!(out.is_empty());
        assert_eq!(settings.payload_validation, Validation::Coerce);
        assert_eq!(settings.actions.parallel, 0);
    }

    #[test]
    fn everything_that_may_be_written_is_read() {
        let text = "defaults: {restart: {max_delay: 1m}}\nsensors:\n  'aws.*': {enabled: false, stop: {grace: 1s}}\npayload_validation: off\nactions: {parallel: 8}\npython: /usr/bin/python3\n";
        let (settings, out) = Settings::parse(text, "petrel.yaml");
        assert!(out.is_empty(), "{out:?}");
        assert_eq!(settings.payload_validation, Validation::Off);
        assert_eq!(settings.actions.parallel, 8);
        assert_eq!(settings.python, Some("/usr/bin/python3".into()));
        let aws = &settings.sensors[0];
        assert!(matches!(&aws.enabled, Some((false, place)) if place.starts_with("petrel.yaml:")));
        assert!(aws.matches("aws.SQSSensor") && !aws.matches("linux.File"));
    }

    #[test]
    fn all_faults_are_told_at_once_with_their_places() {
        let text = "defalts: {}\nsensors:\n  'a.*': {enabled: 5, restrat: {}}\n  'a.[': {}\npayload_validation: strickt\nactions: {parallel: many}\n";
        let (_, out) = Settings::parse(text, "petrel.yaml");
        let lines: Vec<_> = out.iter().map(|d| d.place.line).collect();
        assert_eq!(lines, [1, 3, 3, 4, 6, 5], "{out:?}");
        assert!(out.iter().all(Diagnostic::is_error));
        assert!(out[0].help.as_deref().unwrap().contains("defaults"));
    }
}
