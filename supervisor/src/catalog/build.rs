//! Texts to catalog: every fault of every file reported, what is faulty left out, the rest kept.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::action_file::{self, Read};
use super::action_policy;
use super::diagnostics::{Diagnostic, Severity, Span, did_you_mean};
use super::knobs::{self, Written};
use super::model::{Catalog, Instance, Rule, Sensor, TriggerType};
use super::overrides::Overrides;
use super::policy::{Keep, Policy};
use super::sensor_file::{self, SensorFile, TriggerTypes};
use super::sources::{PackSource, SourceFile, Sources};
use super::trigger_parameters::Checks;
use super::{manifest, pack_config, rule_file, system};
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
    let mut builder = Builder::new(&sources.configs, settings);
    for source in &sources.packs {
        builder.pack(source);
    }
    builder.finish(sources.diagnostics.clone())
}

/// Compiles every payload schema and tells those that are not valid. `build` leaves this out: it
/// takes milliseconds for each, and a schema is compiled anyway when its first payload comes.
pub fn check_schemas(catalog: &Catalog) -> Vec<Diagnostic> {
    let types = catalog.trigger_types.values();
    types
        .filter_map(|found| found.payload_check.fault())
        .collect()
}

/// A policy, and where each knob of it came from.
type Looked = (Policy, BTreeMap<String, String>);

/// Whether something is enabled, and who says so where that is not its own file.
type Enabled = (bool, Option<String>);

/// A catalog that grows pack by pack: what was read of one need not be kept while the next is.
#[derive(Debug)]
pub struct Builder<'a> {
    settings: &'a Settings,
    configs: &'a BTreeMap<String, SourceFile>,
    /// Of the pack that is being read.
    overrides: Overrides,
    /// The file of every rule, for what can be checked only when all is read.
    rule_files: BTreeMap<String, SourceFile>,
    built: Built,
    /// Trigger types that sensors name without describing them, to be found when all is read.
    listed: Vec<(String, Diagnostic)>,
    /// Sensors of which petrel.yaml wants several, and that are there.
    used_instances: BTreeSet<String>,
}

impl<'a> Builder<'a> {
    /// A catalog without packs, for those with these `configs/<pack>.yaml`.
    pub fn new(configs: &'a BTreeMap<String, SourceFile>, settings: &'a Settings) -> Self {
        let mut built = Built::default();
        let types = system::trigger_types().map(|one| (one.reference.clone(), Arc::new(one)));
        built.catalog.trigger_types.extend(types);
        Self {
            settings,
            configs,
            overrides: Overrides::default(),
            rule_files: BTreeMap::new(),
            built,
            listed: Vec::new(),
            used_instances: BTreeSet::new(),
        }
    }

    /// What can be checked only when all is read; the faults of the reading come first.
    pub fn finish(mut self, mut faults: Vec<Diagnostic>) -> Built {
        self.check_listed();
        self.check_instances();
        self.check_trigger_parameters();
        self.look_after_triggers();
        faults.append(&mut self.built.diagnostics);
        self.built.diagnostics = faults;
        self.built
    }

    fn out(&mut self) -> &mut Vec<Diagnostic> {
        &mut self.built.diagnostics
    }

    /// Adds a pack.
    pub fn pack(&mut self, source: &PackSource) {
        let configs = self.configs;
        let Some(pack) = manifest::pack(source, configs, self.out()) else {
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
        self.overrides = Overrides::read(&name, &source.overrides, self.out());
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
        for file in &source.policies {
            self.policy(&name, file);
        }
        self.strangers(&name);
    }

    /// Tells of overrides for what the pack does not have.
    fn strangers(&mut self, pack: &str) {
        let catalog = &self.built.catalog;
        let rules = catalog.rules.values().filter(|one| one.pack == pack);
        let sensors = catalog.sensors.values().filter(|one| one.pack == pack);
        let actions = catalog.actions.values().filter(|one| one.pack == pack);
        let left_out = catalog.left_out.keys();
        let left_out = left_out.filter_map(|name| name.strip_prefix(pack)?.strip_prefix('.'));
        let actions = actions.map(|one| one.name.as_str()).chain(left_out);
        let known: [(&str, Vec<&str>); 3] = [
            ("rules", rules.map(|one| one.name.as_str()).collect()),
            (
                "sensors",
                sensors.map(|one| one.class_name.as_str()).collect(),
            ),
            ("actions", actions.collect()),
        ];
        let each = known.iter();
        let told: Vec<_> = each
            .flat_map(|(kind, names)| self.overrides.strangers(kind, names))
            .collect();
        self.built.diagnostics.extend(told);
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
        let types = references.into_iter().map(|(name, _)| name).collect();
        let sensor = self.resolve(read, reference, types, pack, file);
        self.add_instances(sensor, pack);
    }

    /// A sensor is itself, or several of it, each with a policy of its own reference.
    fn add_instances(&mut self, (read, mut plain): (SensorFile, Sensor), pack: &str) {
        let found = self.settings.instances.get(&plain.reference);
        let sensors = &mut self.built.catalog.sensors;
        let Some(instances) = found else {
            sensors.insert(plain.reference.clone(), Arc::new(plain));
            return;
        };
        self.used_instances.insert(plain.reference.clone());
        let trigger_types = std::mem::take(&mut plain.trigger_types);
        for one in instances {
            let whole = Arc::clone(&self.built.catalog.packs[pack]);
            let (own, faults) = pack_config::of_instance(&whole, one);
            self.built.diagnostics.extend(faults);
            let reference = format!("{}@{}", plain.reference, one.name);
            let (policy, enabled) = self.looked_after(&read, &reference);
            let sensor = Sensor {
                reference: reference.clone(),
                enabled: enabled.0,
                enabled_source: enabled.1,
                trigger_types: trigger_types.clone(),
                policy: policy.0,
                policy_sources: policy.1,
                instance: Some(Instance {
                    name: one.name.clone(),
                    pack: Arc::new(own),
                }),
                ..plain.clone()
            };
            let sensors = &mut self.built.catalog.sensors;
            sensors.insert(reference, Arc::new(sensor));
        }
    }

    /// The policy of a sensor with its sources, and whether it is enabled with who says so.
    fn looked_after(&mut self, read: &SensorFile, reference: &str) -> (Looked, Enabled) {
        let matching = self.settings.sensors.iter();
        let above: Vec<_> = matching.filter(|one| one.matches(reference)).collect();
        let mut layers: Vec<&Written> = vec![&self.settings.defaults, &read.written];
        layers.extend(above.iter().map(|one| &one.written));
        let (policy, sources, warnings) = knobs::resolve(&layers);
        let enabled = above
            .iter()
            .rev()
            .find_map(|one| one.enabled.clone())
            .or_else(|| overridden(&self.overrides, "sensors", &read.class_name.0))
            .map_or((read.enabled, None), |(enabled, place)| {
                (enabled, Some(place))
            });
        self.built.diagnostics.extend(warnings);
        ((policy, sources), enabled)
    }

    fn resolve(
        &mut self,
        read: SensorFile,
        reference: String,
        trigger_types: Vec<String>,
        pack: &str,
        file: &SourceFile,
    ) -> (SensorFile, Sensor) {
        let ((policy, policy_sources), (enabled, enabled_source)) =
            self.looked_after(&read, &reference);
        let sensor = Sensor {
            reference,
            pack: pack.to_owned(),
            class_name: read.class_name.0.clone(),
            description: read.description.clone(),
            enabled,
            enabled_source,
            file_path: read.file_path.clone(),
            poll_interval: read.poll_interval,
            trigger_types,
            is_command: read.is_command,
            protocol: read.protocol,
            reload: read.reload,
            code: read.code.clone(),
            instance: None,
            policy,
            policy_sources,
            metadata_file: file.relative.clone(),
        };
        (read, sensor)
    }

    fn action(&mut self, source: &PackSource, pack: &str, file: &SourceFile) {
        self.out().extend(file.diagnostics.iter().cloned());
        let action = match action_file::action(source, pack, file, self.out()) {
            Read::Action(mut action) => {
                if let Some((enabled, place)) = overridden(&self.overrides, "actions", &action.name)
                {
                    (action.enabled, action.enabled_source) = (enabled, Some(place));
                }
                action
            }
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
        let Some((mut rule, _)) = rule_file::rule(pack, file, self.out()) else {
            return;
        };
        if let Some((enabled, place)) = overridden(&self.overrides, "rules", &rule.name) {
            (rule.enabled, rule.enabled_source) = (enabled, Some(place));
        }
        if let Some(first) = self.built.catalog.rules.get(&rule.reference) {
            let found = twice("rule", &rule.reference, &first.metadata_file, file);
            return self.out().push(found);
        }
        let rules: &mut BTreeMap<String, Arc<Rule>> = &mut self.built.catalog.rules;
        self.rule_files.insert(rule.reference.clone(), file.clone());
        rules.insert(rule.reference.clone(), Arc::new(rule));
    }

    fn policy(&mut self, pack: &str, file: &SourceFile) {
        self.out().extend(file.diagnostics.iter().cloned());
        let Some(policy) = action_policy::policy(pack, file, self.out()) else {
            return;
        };
        if self.built.catalog.policies.contains_key(&policy.reference) {
            let found = twice("policy", &policy.reference, "another file", file);
            return self.out().push(found);
        }
        let policies = &mut self.built.catalog.policies;
        policies.insert(policy.reference.clone(), Arc::new(policy));
    }

    /// Leaves out the rules whose trigger does not take the parameters that they give.
    fn check_trigger_parameters(&mut self) {
        let Catalog {
            rules,
            trigger_types,
            ..
        } = &mut self.built.catalog;
        let (files, mut checks) = (&self.rule_files, Checks::default());
        let out = &mut self.built.diagnostics;
        rules.retain(|reference, rule| {
            let kind = trigger_types.get(&rule.trigger_type);
            let Some((kind, file)) = kind.zip(files.get(reference)) else {
                return true;
            };
            let faults = checks.faults(rule, kind, file);
            let fits = faults.is_empty();
            out.extend(faults);
            fits
        });
    }

    /// What is kept of their events: petrel.yaml for the type, the type itself, petrel.yaml for all.
    fn look_after_triggers(&mut self) {
        let settings = self.settings;
        for kind in self.built.catalog.trigger_types.values_mut() {
            let mut above = settings.triggers.iter().rev();
            let above = above.find(|one| one.matches(&kind.reference));
            let of_all = Some(settings.journal.keep).filter(|keep| *keep != Keep::All);
            let keep = above.map(|one| one.keep).or(kind.keep).or(of_all);
            if keep != kind.keep {
                Arc::make_mut(kind).keep = keep;
            }
        }
    }

    fn check_instances(&mut self) {
        let sensors = self.built.catalog.sensors.keys().map(String::as_str);
        let known: Vec<_> = sensors.filter(|name| !name.contains('@')).collect();
        let unused = self.settings.instances.iter();
        let unused = unused.filter(|(reference, _)| !self.used_instances.contains(*reference));
        let told = unused.flat_map(|(reference, all)| {
            let message = format!("there is no sensor \"{reference}\" to have instances of");
            let help = did_you_mean(reference, known.iter().copied());
            all.first().map(|one| {
                let found = Diagnostic {
                    message,
                    ..one.place.clone()
                };
                found.maybe_help(help)
            })
        });
        let told: Vec<_> = told.collect();
        self.built.diagnostics.extend(told);
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

fn overridden(overrides: &Overrides, kind: &str, name: &str) -> Option<(bool, String)> {
    let (enabled, place) = overrides.enabled(kind, name)?;
    Some((enabled, place.to_owned()))
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
