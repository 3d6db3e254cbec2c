//! `overrides/_global.yaml` and `overrides/<pack>.yaml`: what is enabled, whatever its own file
//! says (StackStorm's `OverrideLoader`; reference st2.md 1.9).

use std::collections::BTreeMap;

use super::diagnostics::{Diagnostic, Severity, did_you_mean};
use super::fields::Fields;
use super::sources::SourceFile;
use super::yaml::{Data, Node};

/// The file that speaks of all packs.
const GLOBAL: &str = "_global";
const KINDS: &[&str] = &["sensors", "actions", "rules", "aliases"];

/// What is overridden in one pack.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// In the order in which they hold: the last that speaks of a thing decides.
    all: Vec<Override>,
}

#[derive(Clone, Debug)]
struct Override {
    kind: &'static str,
    /// None for all of the kind.
    name: Option<String>,
    enabled: bool,
    file: String,
    place: Diagnostic,
}

impl Overrides {
    /// Reads the files that speak of a pack, out of all files of a folder by their name without
    /// the suffix.
    pub fn read(
        pack: &str,
        files: &BTreeMap<String, SourceFile>,
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut overrides = Self::default();
        for name in [GLOBAL, pack] {
            let Some(file) = files.get(name) else {
                continue;
            };
            let mut found = file.diagnostics.clone();
            overrides.file(file, name == GLOBAL, &mut found);
            // The global file is read for every pack and its faults are told once.
            found.retain(|one| !out.contains(one));
            out.append(&mut found);
        }
        overrides
    }

    fn file(&mut self, file: &SourceFile, global: bool, out: &mut Vec<Diagnostic>) {
        let Some(root) = file.document.as_ref().filter(|root| !root.is_null()) else {
            return;
        };
        let Some(mut fields) = Fields::of(root, file, "an override file", out) else {
            return;
        };
        fields.only(KINDS, Severity::Warning, "an override file");
        for kind in KINDS {
            let Some(node) = fields.map(kind) else {
                continue;
            };
            let Some(mut inner) = Fields::of(node, file, kind, fields.out) else {
                continue;
            };
            inner.only(&["defaults", "exceptions"], Severity::Warning, kind);
            if let Some(node) = inner.map("defaults") {
                self.settings(kind, None, node, file, inner.out);
            }
            let exceptions = inner.map("exceptions");
            if let Some(node) = exceptions.filter(|_| global) {
                let help = Some("write them in overrides/<pack>.yaml".to_owned());
                inner.warn(node.span, "exceptions for all packs have no effect", help);
                continue;
            }
            let exceptions = exceptions.and_then(Node::as_map).unwrap_or_default();
            for (name, node) in inner.few(exceptions, "exceptions") {
                self.settings(kind, name.scalar_text(), node, file, inner.out);
            }
        }
    }

    fn settings(
        &mut self,
        kind: &'static str,
        name: Option<String>,
        node: &Node,
        file: &SourceFile,
        out: &mut Vec<Diagnostic>,
    ) {
        let Some(mut fields) = Fields::of(node, file, "an override", out) else {
            return;
        };
        fields.only(&["enabled"], Severity::Error, "an override");
        let Some(value) = fields.get("enabled") else {
            return;
        };
        let enabled = fields.flag("enabled", true);
        if matches!(value.data, Data::Bool(_)) {
            let span = fields.span_of("enabled");
            self.all.push(Override {
                kind,
                name,
                enabled,
                file: format!("{}:{}", file.shown, span.start.line),
                place: Diagnostic::warning(file, span, ""),
            });
        }
    }

    /// Whether a thing is enabled, and where that is said; none where nothing speaks of it.
    pub fn enabled(&self, kind: &str, name: &str) -> Option<(bool, &str)> {
        let mut all = self.all.iter().rev();
        let found = all.find(|one| {
            one.kind == kind && one.name.as_ref().is_none_or(|exception| exception == name)
        });
        found.map(|one| (one.enabled, one.file.as_str()))
    }

    /// Exceptions for things that the pack does not have.
    pub fn strangers(&self, kind: &str, known: &[&str]) -> Vec<Diagnostic> {
        let of_kind = self.all.iter().filter(|one| one.kind == kind);
        let unknown = of_kind.filter_map(|one| {
            let name = one.name.as_deref().filter(|name| !known.contains(name))?;
            let message = format!("the pack has no \"{name}\" under {kind}");
            let help = did_you_mean(name, known.iter().copied());
            let found = Diagnostic {
                message,
                ..one.place.clone()
            };
            Some(found.maybe_help(help))
        });
        unknown.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> (Overrides, Vec<Diagnostic>) {
        let file = |(name, text): &(&str, &str)| {
            let shown = format!("overrides/{name}.yaml");
            (
                name.to_string(),
                SourceFile::new(shown.clone(), shown, *text),
            )
        };
        let files = files.iter().map(file).collect();
        let mut out = Vec::new();
        let overrides = Overrides::read("p", &files, &mut out);
        Overrides::read("q", &files, &mut out);
        (overrides, out)
    }

    #[test]
    fn exceptions_go_before_defaults_and_the_pack_before_all_packs() {
        let (overrides, out) = read(&[
            (
                "_global",
                "sensors: {defaults: {enabled: false}}\nrules: {defaults: {enabled: false}}\n",
            ),
            (
                "p",
                "rules:\n  defaults: {enabled: yes}\n  exceptions:\n    r:\n      enabled: no\n",
            ),
            ("q", "actions: {defaults: {enabled: false}}"),
        ]);
        assert!(out.is_empty(), "{out:?}");
        for (kind, name, wanted) in [
            ("sensors", "S", Some((false, "overrides/_global.yaml:1"))),
            ("rules", "x", Some((true, "overrides/p.yaml:2"))),
            ("rules", "r", Some((false, "overrides/p.yaml:5"))),
            ("actions", "a", None),
        ] {
            assert_eq!(overrides.enabled(kind, name), wanted, "{kind} {name}");
        }
        assert_eq!(overrides.strangers("rules", &["r"]).len(), 0);
        let strange = overrides.strangers("rules", &["rr"]);
        assert_eq!(strange[0].help.as_deref(), Some("did you mean \"rr\"?"));
        assert!(strange[0].message.contains("no \"r\""), "{strange:?}");
    }

    #[test]
    fn what_cannot_be_overridden_is_told_once() {
        for (text, says) in [
            ("sensor: {}", "unknown key \"sensor\""),
            (
                "sensors: {defaults: {poll_interval: 5}}",
                "unknown key \"poll_interval\"",
            ),
            ("sensors: {defaults: {enabled: 1}}", "must be true or false"),
            (
                "sensors: {exceptions: {A: {enabled: true}}}",
                "have no effect",
            ),
            ("[]", "must be a map"),
        ] {
            let (overrides, out) = read(&[("_global", text)]);
            assert!(overrides.all.is_empty());
            assert_eq!(out.len(), 1, "{out:?}");
            assert!(out[0].message.contains(says), "{out:?}");
        }
    }
}
