//! Texts to catalog: every fault of every file reported, what is faulty left out, the rest kept.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::action_file::{self, Read};
use super::diagnostics::{Diagnostic, Severity, Span, did_you_mean};
use super::knobs::{self, Written};
use super::model::{Catalog, Pack, Rule, Sensor, TriggerType};
use super::sensor_file::{self, SensorFile, TriggerTypes};
use super::sources::{PackSource, SourceFile, Sources};
use super::{manifest, rule_file};
use crate::config::Settings;

/// The catalog and what is wrong with the files that it came from.
#[derive(Clone, Debug, Default)]
pub struct Built {
    /// What can be used.
    pub catalog: Catalog,
    /// In the order of the packs and their files.
    pub diagnostics: Vec<Diagnostic>,
}

impl Built {
    /// True when something had to be left out.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Builds the catalog of what was read, under the settings of petrel.yaml.
pub fn build(sources: &Sources, settings: &Settings) -> Built {
    let mut builder = Builder {
        settings,
        built: Built::default(),
        listed: Vec::new(),
    };
    builder
        .built
        .diagnostics
        .extend(sources.diagnostics.iter().cloned());
    for source in &sources.packs {
        builder.pack(source, sources);
    }
    builder.check_listed();
    builder.built
}

/// Compiles every payload schema and tells those that are not valid. `build` leaves this out: it
/// takes milliseconds for each, and a schema is compiled anyway when its first payload comes.
pub fn check_schemas(catalog: &Catalog) -> Vec<Diagnostic> {
    let types = catalog.trigger_types.values();
    types
        .filter_map(|found| found.payload_check.fault())
        .collect()
}

struct Builder<'a> {
    settings: &'a Settings,
    built: Built,
    /// Trigger types that sensors name without describing them, to be found when all is read.
    listed: Vec<(String, Diagnostic)>,
}

impl Builder<'_> {
    fn out(&mut self) -> &mut Vec<Diagnostic> {
        &mut self.built.diagnostics
    }

    fn pack(&mut self, source: &PackSource, sources: &Sources) {
        let Some(pack) = manifest::pack(source, sources, self.out()) else {
            return;
        };
        if let Some(first) = self.built.catalog.packs.get(&pack.name) {
            let message = format!(
                "pack \"{}\" is already there from {}: this one is left out",
                pack.name,
                first.dir.display()
            );
            let found = Diagnostic::of_file(Severity::Warning, &source.shown, message);
            return self.out().push(found);
        }
        let name = pack.name.clone();
        self.built
            .catalog
            .packs
            .insert(name.clone(), Arc::new(pack));
        for file in &source.triggers {
            self.trigger(&name, file);
        }
        for file in &source.sensors {
            self.sensor(source, &name, file);
        }
        for file in &source.actions {
            self.action(source, &name, file);
        }
        for file in &source.rules {
            self.rule(&name, file);
        }
    }

    fn trigger(&mut self, pack: &str, file: &SourceFile) {
        self.out().extend(file.diagnostics.iter().cloned());
        if let Some((found, span)) = sensor_file::trigger_type(pack, file, self.out()) {
            self.add_trigger_type(found, file, span);
        }
    }

    /// Two sensors may describe the same type; when they differ, the first description counts.
    fn add_trigger_type(&mut self, found: TriggerType, file: &SourceFile, span: Span) {
        match self
            .built
            .catalog
            .trigger_types
            .entry(found.reference.clone())
        {
            Entry::Vacant(entry) => drop(entry.insert(Arc::new(found))),
            Entry::Occupied(entry) => {
                let first = Arc::clone(entry.get());
                if first.payload_schema == found.payload_schema
                    && first.parameters_schema == found.parameters_schema
                {
                    return;
                }
                let message = format!(
                    "trigger type \"{}\" is described otherwise in {}, which counts",
                    found.reference, first.metadata_file
                );
                self.out().push(Diagnostic::warning(file, span, message));
            }
        }
    }

    fn sensor(&mut self, source: &PackSource, pack: &str, file: &SourceFile) {
        self.out().extend(file.diagnostics.iter().cloned());
        let (sensor, types) = sensor_file::sensor(source, pack, file, self.out());
        let TriggerTypes {
            described,
            references,
        } = types;
        for found in described {
            let span = references.iter().find(|(name, _)| *name == found.reference);
            let span = span.map_or(Span::default(), |(_, span)| *span);
            self.add_trigger_type(found, file, span);
        }
        if let Some(sensor) = sensor {
            self.add_sensor(sensor, references, pack, file);
        }
    }

    fn add_sensor(
        &mut self,
        read: SensorFile,
        references: Vec<(String, Span)>,
        pack: &str,
        file: &SourceFile,
    ) {
        let (class_name, span) = read.class_name.clone();
        let reference = format!("{pack}.{class_name}");
        if let Some(first) = self.built.catalog.sensors.get(&reference) {
            let message = format!(
                "sensor \"{reference}\" is already there from {}: this one is left out",
                first.metadata_file
            );
            let help = "give one of the classes another name";
            let found = Diagnostic::error(file, span, message).help(help);
            return self.out().push(found);
        }
        for (name, span) in &references {
            let found = Diagnostic::error(file, *span, format!("unknown trigger type \"{name}\""));
            self.listed.push((name.clone(), found));
        }
        let sensor = self.resolve(read, reference, references, pack, file);
        let sensors = &mut self.built.catalog.sensors;
        sensors.insert(sensor.reference.clone(), Arc::new(sensor));
    }

    fn resolve(
        &mut self,
        read: SensorFile,
        reference: String,
        references: Vec<(String, Span)>,
        pack: &str,
        file: &SourceFile,
    ) -> Sensor {
        let matching = self.settings.sensors.iter();
        let above: Vec<_> = matching.filter(|one| one.matches(&reference)).collect();
        let mut layers: Vec<&Written> = vec![&self.settings.defaults, &read.written];
        layers.extend(above.iter().map(|one| &one.written));
        let (policy, policy_sources, warnings) = knobs::resolve(&layers);
        let enabled = above.iter().rev().find_map(|one| one.enabled);
        self.built.diagnostics.extend(warnings);
        Sensor {
            reference,
            pack: pack.to_owned(),
            class_name: read.class_name.0,
            description: read.description,
            enabled: enabled.unwrap_or(read.enabled),
            file_path: read.file_path,
            poll_interval: read.poll_interval,
            trigger_types: references.into_iter().map(|(name, _)| name).collect(),
            protocol: read.protocol,
            policy,
            policy_sources,
            metadata_file: file.relative.clone(),
        }
    }

    fn action(&mut self, source: &PackSource, pack: &str, file: &SourceFile) {
        self.out().extend(file.diagnostics.iter().cloned());
        let action = match action_file::action(source, pack, file, self.out()) {
            Read::Action(action) => action,
            Read::LeftOut(Some(name), why) => {
                let left_out = &mut self.built.catalog.left_out;
                left_out.insert(format!("{pack}.{name}"), why);
                return;
            }
            Read::LeftOut(None, _) => return,
        };
        if let Some(first) = self.built.catalog.actions.get(&action.reference) {
            let found = twice("action", &action.reference, &first.metadata_file, file);
            return self.out().push(found);
        }
        let actions = &mut self.built.catalog.actions;
        actions.insert(action.reference.clone(), Arc::new(*action));
    }

    fn rule(&mut self, pack: &str, file: &SourceFile) {
        self.out().extend(file.diagnostics.iter().cloned());
        let Some((rule, _)) = rule_file::rule(pack, file, self.out()) else {
            return;
        };
        if let Some(first) = self.built.catalog.rules.get(&rule.reference) {
            let found = twice("rule", &rule.reference, &first.metadata_file, file);
            return self.out().push(found);
        }
        let rules: &mut BTreeMap<String, Arc<Rule>> = &mut self.built.catalog.rules;
        rules.insert(rule.reference.clone(), Arc::new(rule));
    }

    fn check_listed(&mut self) {
        let types = &self.built.catalog.trigger_types;
        let missing = self
            .listed
            .drain(..)
            .filter(|(name, _)| !types.contains_key(name));
        let told: Vec<Diagnostic> = missing
            .map(|(name, found)| {
                found.maybe_help(did_you_mean(&name, types.keys().map(String::as_str)))
            })
            .collect();
        self.built.diagnostics.extend(told);
    }
}

fn twice(what: &str, reference: &str, first: &str, file: &SourceFile) -> Diagnostic {
    let span = file
        .document
        .as_ref()
        .and_then(|root| root.get("name"))
        .map_or(Span::default(), |node| node.span);
    let message =
        format!("{what} \"{reference}\" is already there from {first}: this one is left out");
    Diagnostic::error(file, span, message).help("give one of them another name")
}

impl Pack {
    /// The configuration without what the schema calls secret.
    pub fn public_config(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut config = self.config.clone();
        for path in &self.secrets {
            remove(&mut config, path);
        }
        config
    }
}

fn remove(config: &mut serde_json::Map<String, serde_json::Value>, path: &str) {
    match path.split_once('.') {
        None => drop(config.remove(path)),
        Some((first, rest)) => {
            if let Some(serde_json::Value::Object(inner)) = config.get_mut(first) {
                remove(inner, rest);
            }
        }
    }
}
