//! The knobs of a sensor's policy as they are written, and how the places where they may be
//! written make one [`Policy`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostics::{Diagnostic, Severity};
use super::fields::Fields;
use super::policy::{OnLimit, Policy, RestartWhen};
use super::sources::SourceFile;
use super::yaml::{Data, Node};

/// What a knob takes, and for a number from where to where.
#[derive(Clone, Copy)]
enum Kind {
    Duration,
    Number { least: f64, most: f64 },
    Count { least: u64, most: u64 },
    Choice(&'static [&'static str]),
}

const RESTART_WHEN: &[&str] = &["always", "on-failure", "never"];
const ON_LIMIT: &[&str] = &["cooldown", "park"];
const MOST: u64 = u32::MAX as u64;

/// Every knob by its dotted path.
const KNOBS: &[(&str, Kind)] = &[
    ("restart.policy", Kind::Choice(RESTART_WHEN)),
    ("restart.initial_delay", Kind::Duration),
    (
        "restart.multiplier",
        Kind::Number {
            least: 1.0,
            most: 1000.0,
        },
    ),
    ("restart.max_delay", Kind::Duration),
    (
        "restart.jitter",
        Kind::Number {
            least: 0.0,
            most: 1.0,
        },
    ),
    ("restart.reset_after", Kind::Duration),
    (
        "restart.limit.burst",
        Kind::Count {
            least: 0,
            most: MOST,
        },
    ),
    ("restart.limit.interval", Kind::Duration),
    ("restart.limit.on_limit", Kind::Choice(ON_LIMIT)),
    ("restart.limit.cooldown", Kind::Duration),
    ("start.ready_timeout", Kind::Duration),
    ("stop.request_timeout", Kind::Duration),
    ("stop.grace", Kind::Duration),
    ("stop.kill_timeout", Kind::Duration),
    ("stop.drain_timeout", Kind::Duration),
    (
        "limits.line_bytes",
        Kind::Count {
            least: 1024,
            most: 1 << 30,
        },
    ),
    (
        "limits.in_flight",
        Kind::Count {
            least: 1,
            most: 1_000_000,
        },
    ),
];

/// The top-level keys under which knobs stand.
pub const SECTIONS: &[&str] = &["restart", "start", "stop", "limits"];

/// A knob's value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Setting {
    Duration(Duration),
    Number(f64),
    Count(u64),
    Choice(&'static str),
}

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
        match setting(kind, value) {
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

fn setting(kind: Kind, value: &Node) -> Result<Setting, String> {
    match kind {
        Kind::Duration => duration(value)
            .map(Setting::Duration)
            .ok_or_else(|| "write a duration: 500ms, 10s, 5m, 1h, or a number of seconds".into()),
        Kind::Number { least, most } => number(value)
            .filter(|n| (least..=most).contains(n))
            .map(Setting::Number)
            .ok_or_else(|| format!("write a number from {least} to {most}")),
        Kind::Count { least, most } => count(value)
            .filter(|n| (least..=most).contains(n))
            .map(Setting::Count)
            .ok_or_else(|| format!("write a whole number from {least} to {most}")),
        Kind::Choice(choices) => choice(value, choices),
    }
}

fn choice(value: &Node, choices: &'static [&'static str]) -> Result<Setting, String> {
    let written = value.scalar_text().unwrap_or_default();
    let found = choices.iter().find(|choice| **choice == written);
    found.map(|choice| Setting::Choice(choice)).ok_or_else(|| {
        let all = choices.join(", ");
        match super::diagnostics::did_you_mean(&written, choices.iter().copied()) {
            Some(near) => format!("{near} (one of {all})"),
            None => format!("write one of {all}"),
        }
    })
}

fn number(value: &Node) -> Option<f64> {
    match value.data {
        Data::Int(number) => Some(number as f64),
        Data::Float(number) if number.is_finite() => Some(number),
        _ => None,
    }
}

/// A whole number, not negative.
pub fn count(value: &Node) -> Option<u64> {
    match value.data {
        Data::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

/// `500ms`, `10s`, `5m`, `1h`, `2d`, several of them in a row, or a number of seconds. At most ten
/// years, so that a sum of durations never overflows.
pub fn duration(value: &Node) -> Option<Duration> {
    let seconds = match &value.data {
        Data::Text(text) => seconds(text.trim())?,
        _ => number(value)?,
    };
    let ten_years = 10.0 * 366.0 * 86_400.0;
    (0.0..=ten_years)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

fn seconds(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, None);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let size: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..]
            .find(|c: char| c.is_ascii_digit())
            .map_or(rest.len(), |at| at + digits);
        let unit = match rest[digits..unit_end].trim() {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        sum = Some(sum.unwrap_or(0.0) + size * unit);
        rest = &rest[unit_end..];
    }
    sum
}

/// The policy that several places make together, later ones over earlier ones, with where each
/// knob came from, and a warning where the knobs contradict each other.
pub fn resolve(layers: &[&Written]) -> (Policy, BTreeMap<String, String>, Vec<Diagnostic>) {
    let mut policy = Policy::default();
    let mut winners: BTreeMap<&'static str, &Knob> = BTreeMap::new();
    for layer in layers {
        winners.extend(layer.knobs.iter().map(|(name, knob)| (*name, knob)));
    }
    for (name, knob) in &winners {
        apply(&mut policy, name, knob.setting);
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

fn apply(policy: &mut Policy, name: &str, setting: Setting) {
    let Policy {
        restart,
        start,
        stop,
        limits,
    } = policy;
    match (name, setting) {
        ("restart.policy", Setting::Choice(word)) => {
            restart.policy = match word {
                "always" => RestartWhen::Always,
                "on-failure" => RestartWhen::OnFailure,
                _ => RestartWhen::Never,
            }
        }
        ("restart.limit.on_limit", Setting::Choice(word)) => {
            restart.limit.on_limit = match word {
                "park" => OnLimit::Park,
                _ => OnLimit::Cooldown,
            }
        }
        ("restart.initial_delay", Setting::Duration(time)) => restart.initial_delay = time,
        ("restart.multiplier", Setting::Number(number)) => restart.multiplier = number,
        ("restart.max_delay", Setting::Duration(time)) => restart.max_delay = time,
        ("restart.jitter", Setting::Number(number)) => restart.jitter = number,
        ("restart.reset_after", Setting::Duration(time)) => restart.reset_after = time,
        ("restart.limit.burst", Setting::Count(count)) => restart.limit.burst = count as u32,
        ("restart.limit.interval", Setting::Duration(time)) => restart.limit.interval = time,
        ("restart.limit.cooldown", Setting::Duration(time)) => restart.limit.cooldown = time,
        ("start.ready_timeout", Setting::Duration(time)) => start.ready_timeout = time,
        ("stop.request_timeout", Setting::Duration(time)) => stop.request_timeout = time,
        ("stop.grace", Setting::Duration(time)) => stop.grace = time,
        ("stop.kill_timeout", Setting::Duration(time)) => stop.kill_timeout = time,
        ("stop.drain_timeout", Setting::Duration(time)) => stop.drain_timeout = time,
        ("limits.line_bytes", Setting::Count(count)) => limits.line_bytes = count as usize,
        ("limits.in_flight", Setting::Count(count)) => limits.in_flight = count as u32,
        _ => unreachable!("the table of knobs and this list name the same knobs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (Written, Vec<Diagnostic>) {
        let file = SourceFile::new("s.yaml", "s.yaml", text);
        let mut out = Vec::new();
        let root = file.document.clone().unwrap();
        let written = Written::read(&mut Fields::of(&root, &file, "it", &mut out).unwrap());
        (written, out)
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        for (text, millis) in [
            ("500ms", 500),
            ("1m30s", 90_000),
            ("0s", 0),
            ("2", 2000),
            ("0.5", 500),
            ("1h", 3_600_000),
        ] {
            let file = SourceFile::new("d", "d", text);
            let time = duration(file.document.as_ref().unwrap());
            assert_eq!(time, Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["5 parsecs", "-1", "s", "1e99", ".inf", "\"\"", "5"] {
            let file = SourceFile::new("d", "d", text);
            let time = duration(file.document.as_ref().unwrap());
            assert_eq!(time.is_some(), text == "5", "{text}");
        }
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
    fn every_knob_of_the_table_can_be_written() {
        for (name, kind) in KNOBS {
            let value = match kind {
                Kind::Duration => "3s".to_owned(),
                Kind::Number { least, .. } => least.to_string(),
                Kind::Count { least, .. } => least.to_string(),
                Kind::Choice(words) => words[1].to_owned(),
            };
            let text = name
                .split('.')
                .rev()
                .fold(value, |inner, key| format!("{{{key}: {inner}}}"));
            let (knobs, out) = written(&text);
            assert!(out.is_empty(), "{name}: {out:?}");
            let (_, sources, _) = resolve(&[&knobs]);
            assert_eq!(sources.keys().collect::<Vec<_>>(), [name]);
        }
    }

    #[test]
    fn wrong_knobs_are_told_with_what_would_be_right() {
        let (_, out) = written(
            "restart: {policy: on_failure, multiplier: 0.5, jitter: 2, initial_dely: 1s, limit: {burst: -1}}",
        );
        let helps: Vec<_> = out.iter().filter_map(|d| d.help.as_deref()).collect();
        assert_eq!(out.len(), 5, "{out:?}");
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
