//! Texts to catalog: every fault of every file reported, what is faulty left out, the rest kept.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::action_file::{self, Read};
use super::diagnostics::{Diagnostic, Severity, Span, did_you_mean};
use super::knobs::{self, Written};
use super::model::{Catalog, Rule, Sensor, TriggerType};
use super::sensor_file::{self, SensorFile, TriggerTypes};
use super::sources::{PackSource, SourceFile, Sources};
use super::{manifest, rule_file, system};
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
    let types = system::trigger_types().map(|one| (one.reference.clone(), Arc::new(one)));
    builder.built.catalog.trigger_types.extend(types);
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
            enabled_source: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::sources::testing::{pack, sources};
    use serde_json::json;

    const SENSOR: &str = "class_name: A\nentry_point: a.py\npoll_interval: 5\nrestart: {initial_delay: 2s}\ntrigger_types:\n  - name: t\n    payload_schema: {type: object}\n";
    const ACTION: &str =
        "name: act\nrunner_type: run-local\nparameters: {cmd: {default: 'true'}}\n";
    const RULE: &str = "name: r\nenabled: true\ntrigger: {type: p.t}\naction: {ref: p.act}\n";

    fn built(files: &[(&str, &str)], settings: &str) -> Built {
        let (settings, faults) = Settings::parse(settings, "petrel.yaml");
        assert!(faults.is_empty(), "{faults:?}");
        build(&sources(vec![pack("p", files)]), &settings)
    }

    fn whole(extra: &[(&'static str, &'static str)]) -> Built {
        let mut files = vec![
            ("sensors/a.yaml", SENSOR),
            ("sensors/a.py", ""),
            ("actions/act.yaml", ACTION),
            ("rules/r.yaml", RULE),
        ];
        files.extend(extra);
        built(&files, "")
    }

    #[test]
    fn a_faultless_pack_is_whole() {
        let built = whole(&[]);
        assert!(built.diagnostics.is_empty(), "{:?}", built.diagnostics);
        let catalog = built.catalog;
        assert_eq!(catalog.sensors["p.A"].trigger_types, ["p.t"]);
        assert_eq!(
            catalog.actions["p.act"].all_parameters["timeout"]["default"],
            60
        );
        assert_eq!(catalog.rules["p.r"].trigger_type, "p.t");
    }

    #[test]
    fn a_faulty_file_leaves_out_only_itself() {
        for (path, text, says) in [
            ("rules/x.yaml", "a: b: c", "colon"),
            (
                "rules/x.yaml",
                "enabled: true\ntrigger: {type: p.t}\naction: {ref: p.act}",
                "no \"name\"",
            ),
            (
                "rules/x.yaml",
                "name: x\ntrigger: p.t\naction: {ref: p.act}",
                "must be a map",
            ),
            (
                "rules/x.yaml",
                "name: x\npack: q\ntrigger: {type: p.t}\naction: {ref: p.act}",
                "says it is in",
            ),
            (
                "sensors/x.yaml",
                "class_name: X\nentry_point: b.py",
                "does not exist",
            ),
            (
                "sensors/x.yaml",
                "class_name: A\nentry_point: a.py",
                "already there",
            ),
            ("sensors/x.yaml", "entry_point: a.py", "no \"class_name\""),
            (
                "actions/x.yaml",
                "name: x\nrunner_type: run-pyton",
                "unknown runner",
            ),
            (
                "actions/x.yaml",
                "name: x\nrunner_type: python-script",
                "no \"entry_point\"",
            ),
            ("triggers/x.yaml", "description: x", "no \"name\""),
        ] {
            let built = whole(&[(path, text)]);
            let told: Vec<_> = built.diagnostics.iter().filter(|d| d.is_error()).collect();
            assert_eq!(told.len(), 1, "{text}: {told:?}");
            assert!(told[0].message.contains(says), "{text}: {told:?}");
            assert!(
                told[0].file.ends_with(path) && told[0].place.line > 0,
                "{told:?}"
            );
            let catalog = &built.catalog;
            assert_eq!(
                (
                    catalog.sensors.len(),
                    catalog.actions.len(),
                    catalog.rules.len()
                ),
                (1, 1, 1)
            );
        }
    }

    #[test]
    fn unknown_keys_and_runners_of_other_versions_are_warnings() {
        let built = whole(&[
            (
                "rules/x.yaml",
                "name: x\nenabeld: true\ntrigger: {type: p.t}\naction: {ref: p.act}",
            ),
            (
                "actions/x.yaml",
                "name: x\nrunner_type: orquesta\nentry_point: x.yaml",
            ),
        ]);
        assert!(!built.has_errors(), "{:?}", built.diagnostics);
        assert_eq!(built.diagnostics.len(), 2);
        assert!(
            built
                .diagnostics
                .iter()
                .any(|d| d.help.as_deref() == Some("did you mean \"enabled\"?"))
        );
        assert!(built.catalog.left_out.contains_key("p.x"));
        assert_eq!(built.catalog.rules.len(), 2);
    }

    #[test]
    fn a_policy_is_resolved_over_its_three_places() {
        let files = [("sensors/a.yaml", SENSOR), ("sensors/a.py", "")];
        let settings = "defaults: {restart: {initial_delay: 9s, jitter: 0}}\nsensors:\n  p.*: {enabled: false, stop: {grace: 3s}}\n";
        let catalog = built(&files, settings).catalog;
        let sensor = &catalog.sensors["p.A"];
        assert!(!sensor.enabled);
        assert_eq!(sensor.policy.restart.initial_delay.as_secs(), 2);
        assert_eq!(sensor.policy.restart.jitter, 0.0);
        assert_eq!(sensor.policy.stop.grace.as_secs(), 3);
        assert_eq!(
            sensor.policy_sources["restart.initial_delay"],
            "packs/p/sensors/a.yaml:4"
        );
        assert_eq!(sensor.policy_sources["stop.grace"], "petrel.yaml:3");
    }

    #[test]
    fn the_second_pack_of_a_name_is_left_out_with_a_warning() {
        let twice = sources(vec![
            pack("p", &[]),
            pack("p", &[("actions/act.yaml", ACTION)]),
        ]);
        let built = build(&twice, &Settings::default());
        assert!(built.catalog.actions.is_empty() && !built.has_errors());
        assert_eq!(built.diagnostics.len(), 1);
    }

    #[test]
    fn the_configuration_is_the_central_one_else_the_packs_own() {
        let files = [
            (
                "config.schema.yaml",
                "k: {type: string, default: x}\ntoken: {secret: true}",
            ),
            ("config.yaml", "log: /tmp/output\ntoken: t"),
        ];
        let mut read = sources(vec![pack("p", &files)]);
        let config = |read: &Sources| build(read, &Settings::default()).catalog.packs["p"].clone();
        let pack = config(&read);
        assert_eq!(
            json!(pack.config),
            json!({"log": "/tmp/output", "token": "t", "k": "x"})
        );
        assert_eq!(
            json!(pack.public_config()),
            json!({"log": "/tmp/output", "k": "x"})
        );
        let central = SourceFile::new("configs/p.yaml", "p.yaml", "k: y");
        read.configs.insert("p".into(), central);
        assert_eq!(json!(config(&read).config), json!({"k": "y"}));
    }

    #[test]
    fn a_pack_is_named_by_its_ref_else_its_name_else_its_folder() {
        for (manifest, name) in [
            ("name: My Pack\nref: mine", Some("mine")),
            ("name: mine", Some("mine")),
            ("name: My Pack", Some("p")),
            ("name: p\nref: b-2", None),
            ("", None),
        ] {
            let read = sources(vec![pack("p", &[("pack.yaml", manifest)])]);
            let built = build(&read, &Settings::default());
            let found = built.catalog.packs.keys().next().map(String::as_str);
            assert_eq!(found, name, "{manifest}");
            assert_eq!(built.has_errors(), name.is_none());
        }
    }
}
