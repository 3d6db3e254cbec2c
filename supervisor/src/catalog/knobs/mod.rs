//! The knobs of a sensor's policy as they are written, and how the places where they may be
//! written make one [`Policy`].

mod kind;
mod table;
pub mod units;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use self::kind::{Kind, Setting};
use self::table::KNOBS;
pub use self::table::{FEATURES, SECTIONS};
pub use self::units::count;
use super::diagnostics::{Diagnostic, Severity};
use super::fields::Fields;
use super::policy::Policy;
use super::sources::SourceFile;
use super::yaml::Node;

/// The knobs of one place, each with where it stands.
#[derive(Clone, Debug, Default)]
pub struct Written {
    knobs: BTreeMap<&'static str, Knob>,
}

#[derive(Clone, Debug)]
struct Knob {
    setting: Setting,
    place: String,
    /// What to say, should this value contradict another one.
    contradiction: Diagnostic,
}

impl Written {
    /// Reads the sections of [`SECTIONS`] out of a map. Faulty knobs are reported and left out.
    pub fn read(fields: &mut Fields<'_, '_>) -> Self {
        let mut written = Self::default();
        for section in SECTIONS {
            if let Some(node) = fields.get(section) {
                written.section(node, fields.file, section, fields.out);
            }
        }
        written
    }

    fn section(&mut self, node: &Node, file: &SourceFile, path: &str, out: &mut Vec<Diagnostic>) {
        let Some(mut fields) = Fields::of(node, file, &format!("\"{path}\""), out) else {
            return;
        };
        let names = names_under(path);
        fields.only(&names, Severity::Error, &format!("\"{path}\""));
        for name in names {
            let Some(value) = fields.get(name) else {
                continue;
            };
            let full = format!("{path}.{name}");
            match KNOBS.iter().find(|(knob, _)| *knob == full) {
                Some((knob, kind)) => self.knob(knob, *kind, value, file, fields.out),
                None => self.section(value, file, &full, fields.out),
            }
        }
    }

    fn knob(
        &mut self,
        name: &'static str,
        kind: Kind,
        value: &Node,
        file: &SourceFile,
        out: &mut Vec<Diagnostic>,
    ) {
        match kind.read(value) {
            Ok(setting) => {
                let knob = Knob {
                    setting,
                    place: format!("{}:{}", file.shown, value.span.start.line),
                    contradiction: Diagnostic::warning(file, value.span, ""),
                };
                self.knobs.insert(name, knob);
            }
            Err(wanted) => {
                let written = value.scalar_text().unwrap_or_else(|| value.kind().into());
                let message = format!("\"{name}\" cannot be {written}");
                out.push(Diagnostic::error(file, value.span, message).help(wanted));
            }
        }
    }
}

/// The keys that may stand directly under a path.
fn names_under(path: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for (knob, _) in KNOBS {
        let rest = knob
            .strip_prefix(path)
            .and_then(|rest| rest.strip_prefix('.'));
        let name = rest.map(|rest| rest.split('.').next().unwrap_or(rest));
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// The policy that several places make together, later ones over earlier ones, with where each
/// knob came from, and a warning where the knobs contradict each other.
pub fn resolve(layers: &[&Written]) -> (Policy, BTreeMap<String, String>, Vec<Diagnostic>) {
    let mut policy = Policy::default();
    let mut winners: BTreeMap<&'static str, &Knob> = BTreeMap::new();
    for layer in layers {
        winners.extend(layer.knobs.iter().map(|(name, knob)| (*name, knob)));
    }
    for (name, kind) in KNOBS {
        if let Some(knob) = winners.get(name) {
            kind.apply(&mut policy, &knob.setting);
        }
    }
    let warnings = settle(&mut policy, &winners);
    let sources = winners
        .iter()
        .map(|(name, knob)| ((*name).to_owned(), knob.place.clone()));
    (policy, sources.collect(), warnings)
}

/// The first delay is never longer than the longest: whichever of the two is written gives way
/// to nothing, and the longest gives way when both are.
fn settle(policy: &mut Policy, winners: &BTreeMap<&'static str, &Knob>) -> Vec<Diagnostic> {
    let restart = &mut policy.restart;
    if restart.initial_delay <= restart.max_delay {
        return Vec::new();
    }
    let (first, longest) = (restart.initial_delay, restart.max_delay);
    let by_first = winners.get("restart.initial_delay");
    let by_longest = winners.get("restart.max_delay");
    match (by_first, by_longest) {
        (None, Some(_)) => restart.initial_delay = longest,
        _ => restart.max_delay = first,
    }
    let told = by_longest.or(by_first).map(|knob| Diagnostic {
        message: format!(
            "restart.initial_delay ({first:?}) is longer than restart.max_delay ({longest:?}): both are taken as {:?}",
            restart.max_delay
        ),
        ..knob.contradiction.clone()
    });
    told.into_iter().collect()
}

/// A policy in the words of petrel.yaml: one member a section, nested as it is written.
pub fn shown(policy: &Policy) -> Value {
    let mut policy = policy.clone();
    let mut all = Map::new();
    for (name, kind) in KNOBS {
        let value = kind.show(&mut policy);
        let mut place = &mut all;
        let (sections, own) = name.rsplit_once('.').unwrap_or(("", name));
        for section in sections.split('.') {
            let inner = place.entry(section).or_insert_with(|| Map::new().into());
            place = inner.as_object_mut().expect("sections are made here");
        }
        place.insert(own.to_owned(), value);
    }
    all.into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::catalog::policy::OnLimit;

    fn written(text: &str) -> (Written, Vec<Diagnostic>) {
        let file = SourceFile::new("s.yaml", "s.yaml", text);
        let mut out = Vec::new();
        let root = file.document.clone().unwrap();
        let written = Written::read(&mut Fields::of(&root, &file, "it", &mut out).unwrap());
        (written, out)
    }

    #[test]
    fn later_places_win_and_each_knob_tells_its_place() {
        let (low, _) = written("restart: {initial_delay: 2s, jitter: 0}");
        let (high, out) =
            written("restart:\n  initial_delay: 5s\n  limit: {on_limit: park, burst: 3}\n");
        assert!(out.is_empty());
        let (policy, sources, warnings) = resolve(&[&low, &high]);
        assert!(warnings.is_empty());
        assert_eq!(policy.restart.initial_delay, Duration::from_secs(5));
        assert_eq!(policy.restart.jitter, 0.0);
        assert_eq!(policy.restart.limit.on_limit, OnLimit::Park);
        assert_eq!(sources["restart.initial_delay"], "s.yaml:2");
        assert_eq!(sources["restart.jitter"], "s.yaml:1");
        assert!(!sources.contains_key("stop.grace"));
    }

    #[test]
    fn every_knob_of_the_table_is_shown_as_it_can_be_written() {
        for (name, kind) in KNOBS {
            let value = kind.show(&mut Policy::default());
            let text = name.split('.').rev().fold(value.to_string(), |inner, key| {
                format!("{{{key}: {inner}}}")
            });
            let (knobs, out) = written(&text);
            assert!(out.is_empty(), "{name}: {out:?}");
            let (policy, sources, _) = resolve(&[&knobs]);
            assert_eq!(sources.keys().collect::<Vec<_>>(), [name]);
            assert_eq!(policy, Policy::default(), "{name}");
        }
    }

    #[test]
    fn each_knob_has_a_place_of_its_own() {
        let (knobs, out) = written(
            "limits: {memory_max: 1GiB, tasks_max: 7, nofile: 9, rate: {events_per_s: 3, on_excess: park}}\n\
             sandbox: {profile: off, user: nobody, network: {bind: [80]}, require: [landlock]}\n\
             restart: {success_exit_codes: [0, 3], group: one_for_all}\n\
             watchdog: {mode: off}\n",
        );
        assert!(out.is_empty(), "{out:?}");
        let (policy, ..) = resolve(&[&knobs]);
        let all = shown(&policy);
        assert_eq!(all["limits"]["memory_max"], "1GiB");
        assert_eq!(all["limits"]["tasks_max"], 7);
        assert_eq!(all["limits"]["nofile"], 9);
        assert_eq!(all["limits"]["rate"]["on_excess"], "park");
        assert_eq!(all["sandbox"]["profile"], "off");
        assert_eq!(all["sandbox"]["user"], "nobody");
        assert_eq!(all["sandbox"]["network"]["bind"][0], 80);
        assert_eq!(all["sandbox"]["require"][0], "landlock");
        assert_eq!(all["restart"]["success_exit_codes"][1], 3);
        assert_eq!(all["restart"]["group"], "one_for_all");
        assert_eq!(all["watchdog"]["mode"], "off");
    }

    #[test]
    fn wrong_knobs_are_told_with_what_would_be_right() {
        let (_, out) = written(
            "restart: {policy: on_failure, multiplier: 0.5, jitter: 2, initial_dely: 1s, limit: {burst: -1}}\n\
             sandbox: {require: [landlok], filesystem: {read: [etc]}}\nstop: {request: 1}",
        );
        let helps: Vec<_> = out.iter().filter_map(|d| d.help.as_deref()).collect();
        assert_eq!(out.len(), 8, "{out:?}");
        assert!(helps.iter().any(|h| h.contains("on-failure")), "{helps:?}");
        assert!(
            helps.iter().any(|h| h.contains("initial_delay")),
            "{helps:?}"
        );
    }

    #[test]
    fn a_first_delay_above_the_longest_is_settled_with_a_warning() {
        let (knobs, _) = written("restart: {initial_delay: 10m}");
        let (policy, _, warnings) = resolve(&[&knobs]);
        assert_eq!(policy.restart.max_delay, Duration::from_secs(600));
        assert_eq!(warnings.len(), 1);
        let (knobs, _) = written("restart: {max_delay: 100ms}");
        let (policy, _, _) = resolve(&[&knobs]);
        assert_eq!(policy.restart.initial_delay, Duration::from_millis(100));
    }
}
