//! `journal:` and `triggers:` of petrel.yaml: what the journal keeps, how long, and how much of it.

use std::time::Duration;

use globset::{Glob, GlobMatcher};
use serde_json::{Value, json};

use crate::catalog::diagnostics::{Severity, did_you_mean};
use crate::catalog::fields::Fields;
use crate::catalog::knobs::units;
use crate::catalog::policy::{Keep, Word};
use crate::catalog::yaml::{Data, Node};

/// How long what is settled stays in the journal. None where nothing is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// `age`: events, with all that came of them.
    pub age: Option<Duration>,
    /// `size`: bytes that the journal may use.
    pub size: Option<u64>,
    /// `free`: bytes that are left free on its disk.
    pub free: Free,
    /// `failed`: the same as `age`, where an execution of it failed. Never shorter than `age`.
    pub failed: Option<Duration>,
}

/// Bytes that are left free on the journal's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Free {
    /// As many as this, whatever the size of the disk; 0 for any.
    Bytes(u64),
    /// 1 GiB, and not more than a twentieth of the disk.
    Auto,
}

impl Free {
    /// How many on a disk of `whole` bytes.
    pub fn of(self, whole: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Auto => (whole / 20).min(1 << 30),
        }
    }
}

const DAY: Duration = Duration::from_secs(86_400);

impl Default for Retention {
    fn default() -> Self {
        Self {
            age: Some(7 * DAY),
            size: Some(2 << 30),
            free: Free::Auto,
            failed: Some(30 * DAY),
        }
    }
}

impl Retention {
    /// In the words of petrel.yaml.
    pub fn shown(&self) -> Value {
        json!({
            "age": self.age.map_or_else(|| "never".to_owned(), days),
            "size": self.size.map_or_else(|| json!("unlimited"), units::json_bytes),
            "free": match self.free {
                Free::Bytes(bytes) => units::json_bytes(bytes),
                Free::Auto => "auto".into(),
            },
            "failed": self.failed.map_or_else(|| "never".to_owned(), days),
        })
    }
}

fn days(time: Duration) -> String {
    match time.as_secs() {
        seconds if time.subsec_nanos() == 0 && seconds.is_multiple_of(86_400) && seconds > 0 => {
            format!("{}d", seconds / 86_400)
        }
        _ => units::shown_duration(time),
    }
}

/// `journal:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalSettings {
    /// `keep`: what is kept of events whose trigger type says nothing of it.
    pub keep: Keep,
    /// `retention:`.
    pub retention: Retention,
}

/// What is said of the trigger types whose reference a glob matches.
#[derive(Clone, Debug)]
pub struct TriggerSettings {
    /// `keep`.
    pub keep: Keep,
    matcher: GlobMatcher,
}

impl TriggerSettings {
    /// True when this speaks of the trigger type `pack.name`.
    pub fn matches(&self, reference: &str) -> bool {
        self.matcher.is_match(reference)
    }
}

const KEYS: [&str; 2] = ["keep", "retention"];
const BOUNDS: [&str; 4] = ["age", "size", "free", "failed"];

/// Reads `journal:`.
pub(super) fn read(node: &Node, fields: &mut Fields<'_, '_>) -> JournalSettings {
    let mut settings = JournalSettings::default();
    let Some(mut inner) = Fields::of(node, fields.file, "\"journal\"", fields.out) else {
        return settings;
    };
    inner.only(&KEYS, Severity::Error, "\"journal\"");
    settings.keep = keep(&mut inner, "journal.keep").unwrap_or_default();
    if let Some(node) = inner.map(KEYS[1]) {
        settings.retention = retention(node, &mut inner);
    }
    settings
}

fn retention(node: &Node, fields: &mut Fields<'_, '_>) -> Retention {
    let mut found = Retention::default();
    let what = "\"journal.retention\"";
    let Some(mut inner) = Fields::of(node, fields.file, what, fields.out) else {
        return found;
    };
    inner.only(&BOUNDS, Severity::Error, what);
    if let Some(node) = inner.get(BOUNDS[0]) {
        found.age = time(node, BOUNDS[0], &mut inner, found.age);
    }
    if let Some(node) = inner.get(BOUNDS[1]) {
        found.size = size(node, &mut inner, found.size);
    }
    if let Some(node) = inner.get(BOUNDS[2]) {
        found.free = free(node, &mut inner);
    }
    if let Some(node) = inner.get(BOUNDS[3]) {
        found.failed = time(node, BOUNDS[3], &mut inner, found.failed);
    }
    let shorter = found
        .failed
        .is_some_and(|failed| found.age.is_none_or(|age| failed < age));
    if shorter {
        if inner.get(BOUNDS[3]).is_some() {
            let message =
                "\"failed\" is shorter than \"age\": failed executions stay as long as others";
            inner.warn(inner.span_of(BOUNDS[3]), message, None);
        }
        found.failed = found.age;
    }
    found
}

/// YAML 1.1 takes `off` for a boolean.
fn is_off(node: &Node, word: &str) -> bool {
    let written = node.scalar_text().unwrap_or_default();
    matches!(node.data, Data::Bool(false)) || ["off", word].contains(&written.as_str())
}

fn time(
    node: &Node,
    key: &str,
    fields: &mut Fields<'_, '_>,
    otherwise: Option<Duration>,
) -> Option<Duration> {
    if is_off(node, "never") {
        return None;
    }
    let found = units::duration(node).filter(|time| *time >= Duration::from_secs(1));
    if found.is_none() {
        let message = format!("\"journal.retention.{key}\" must be a duration of at least 1s");
        let help = word_or(
            node,
            "never",
            "write 7d, 12h, a number of seconds, or never",
        );
        fields.error(node.span, message, Some(help));
    }
    found.or(otherwise)
}

fn size(node: &Node, fields: &mut Fields<'_, '_>, otherwise: Option<u64>) -> Option<u64> {
    if is_off(node, "unlimited") {
        return None;
    }
    let found = units::bytes(node).filter(|bytes| (1 << 20..=1 << 50).contains(bytes));
    if found.is_none() {
        let message = "\"journal.retention.size\" must be a size from 1MiB to 1024TiB";
        let help = word_or(node, "unlimited", "write 2GiB, 500MB, or unlimited");
        fields.error(node.span, message, Some(help));
    }
    found.or(otherwise)
}

fn free(node: &Node, fields: &mut Fields<'_, '_>) -> Free {
    if is_off(node, "off") {
        return Free::Bytes(0);
    }
    if node.as_text() == Some("auto") {
        return Free::Auto;
    }
    match units::bytes(node).filter(|bytes| *bytes <= 1 << 50) {
        Some(bytes) => Free::Bytes(bytes),
        None => {
            let message = "\"journal.retention.free\" must be a size";
            let help = word_or(node, "auto", "write 1GiB, auto, or 0 for no bound");
            fields.error(node.span, message, Some(help));
            Free::Auto
        }
    }
}

/// The word that was meant, else what may be written.
fn word_or(node: &Node, word: &'static str, otherwise: &str) -> String {
    let written = node.as_text().unwrap_or_default();
    did_you_mean(written, [word, "off"]).unwrap_or_else(|| otherwise.to_owned())
}

/// Reads `keep` of a map; none where it is not there, or is no word of its kind.
pub fn keep(fields: &mut Fields<'_, '_>, what: &str) -> Option<Keep> {
    let node = fields.get("keep")?;
    let written = node.scalar_text().unwrap_or_default();
    let found = Keep::ALL.iter().find(|(word, _)| *word == written);
    if found.is_none() {
        let words: Vec<_> = Keep::ALL.iter().map(|(word, _)| *word).collect();
        let near = did_you_mean(&written, words.iter().copied());
        let help = near.unwrap_or_else(|| format!("write one of {}", words.join(", ")));
        fields.error(
            node.span,
            format!("\"{what}\" cannot be {written}"),
            Some(help),
        );
    }
    found.map(|(_, keep)| *keep)
}

/// Reads one entry of `triggers:`.
pub(super) fn trigger(
    key: &Node,
    value: &Node,
    fields: &mut Fields<'_, '_>,
) -> Option<TriggerSettings> {
    let glob = key.scalar_text()?;
    let matcher = match Glob::new(&glob) {
        Ok(glob) => glob.compile_matcher(),
        Err(error) => {
            fields.error(key.span, format!("not a glob: {}", error.kind()), None);
            return None;
        }
    };
    let what = format!("\"triggers\" for \"{glob}\"");
    let mut inner = Fields::of(value, fields.file, &what, fields.out)?;
    inner.only(&["keep"], Severity::Error, &what);
    let keep = keep(&mut inner, "keep")?;
    Some(TriggerSettings { keep, matcher })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn parsed(text: &str) -> (Settings, Vec<crate::catalog::Diagnostic>) {
        Settings::parse(text, "petrel.yaml")
    }

    #[test]
    fn without_a_word_the_journal_keeps_a_week_of_2_gib() {
        let (settings, out) = parsed("");
        assert!(out.is_empty());
        let shown = json!({"age": "7d", "size": "2GiB", "free": "auto", "failed": "30d"});
        assert_eq!(settings.journal.retention.shown(), shown);
        assert_eq!(Free::Auto.of(4 << 30), (4 << 30) / 20);
        assert_eq!(Free::Auto.of(1 << 40), 1 << 30);
    }

    #[test]
    fn every_bound_is_read_and_has_an_off_switch() {
        let (settings, out) = parsed(
            "journal:\n  keep: matched\n  retention: {age: 1h, size: 3MiB, free: 5MB, failed: 2h}\n\
             triggers:\n  'a.*': {keep: all}\n  a.b: {keep: counters}\n",
        );
        assert!(out.is_empty(), "{out:?}");
        let shown = json!({"age": "1h", "size": "3MiB", "free": 5_000_000, "failed": "2h"});
        assert_eq!(settings.journal.retention.shown(), shown);
        assert_eq!(settings.journal.keep, Keep::Matched);
        let of = |name: &str| {
            settings
                .triggers
                .iter()
                .filter(|one| one.matches(name))
                .count()
        };
        assert_eq!((of("a.b"), of("a.c"), of("b.b")), (2, 1, 0));
        let (settings, out) =
            parsed("journal: {retention: {age: never, size: unlimited, free: 0, failed: off}}");
        assert!(out.is_empty(), "{out:?}");
        let found = settings.journal.retention;
        assert_eq!((found.age, found.size, found.failed), (None, None, None));
        assert_eq!(found.free, Free::Bytes(0));
        let (settings, out) = parsed("journal: {retention: {age: 60d}}");
        assert!(out.is_empty(), "{out:?}");
        assert_eq!(settings.journal.retention.failed, Some(60 * DAY));
    }

    #[test]
    fn faults_are_told_with_their_places_and_what_would_be_right() {
        let text = "journal:\n  kep: all\n  keep: mached\n  retention:\n    age: nevr\n    \
                    size: 5\n    free: lots\n    failed: 1s\ntriggers:\n  a: {keep: some}\n  'b[': {}\n";
        let (settings, out) = parsed(text);
        let mut lines: Vec<_> = out.iter().map(|one| one.place.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [2, 3, 5, 6, 7, 8, 10, 11], "{out:?}");
        let helps: Vec<_> = out.iter().filter_map(|one| one.help.as_deref()).collect();
        for word in ["\"keep\"", "\"matched\"", "\"never\""] {
            assert!(
                helps.iter().any(|help| help.contains(word)),
                "{word}: {helps:?}"
            );
        }
        let errors = out.iter().filter(|one| one.is_error()).count();
        assert_eq!(errors, 7, "failed is only a warning: {out:?}");
        assert_eq!(settings.journal.retention.age, Retention::default().age);
    }
}
