//! `logs:` of petrel.yaml: where sensors' logs go, and how much of them is kept.

use crate::catalog::diagnostics::{Severity, did_you_mean};
use crate::catalog::fields::Fields;
use crate::catalog::knobs::{count, units};
use crate::catalog::yaml::Node;

/// `logs:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// `max_bytes`: a file of this size is full.
    pub max_bytes: u64,
    /// `keep`: files of a sensor, the current one included.
    pub keep: u32,
    /// `journald`: `auto` also sends them to systemd's journal, where the host has it.
    pub journald: bool,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            max_bytes: 10 << 20,
            keep: 5,
            journald: true,
        }
    }
}

const KEYS: [&str; 3] = ["max_bytes", "keep", "journald"];
const JOURNALD: [&str; 2] = ["auto", "off"];

/// Reads the section.
pub(super) fn read(node: &Node, fields: &mut Fields<'_, '_>) -> LogSettings {
    let mut settings = LogSettings::default();
    let Some(mut inner) = Fields::of(node, fields.file, "\"logs\"", fields.out) else {
        return settings;
    };
    inner.only(&KEYS, Severity::Error, "\"logs\"");
    if let Some(node) = inner.get(KEYS[0]) {
        match units::bytes(node).filter(|bytes| (4096..=1 << 40).contains(bytes)) {
            Some(bytes) => settings.max_bytes = bytes,
            None => inner.error(
                node.span,
                "\"logs.max_bytes\" must be a size from 4KiB to 1TiB",
                Some("write 10MiB, 500kB, or a number of bytes".into()),
            ),
        }
    }
    if let Some(node) = inner.get(KEYS[1]) {
        match count(node).filter(|files| (1..=1000).contains(files)) {
            Some(files) => settings.keep = files as u32,
            None => inner.error(
                node.span,
                "\"logs.keep\" must be a number of files from 1 to 1000",
                None,
            ),
        }
    }
    if let Some(node) = inner.get(KEYS[2]) {
        settings.journald = journald(node, &mut inner);
    }
    settings
}

/// `off` is a boolean in YAML 1.1; both ways of writing it mean the same here.
fn journald(node: &Node, fields: &mut Fields<'_, '_>) -> bool {
    match node.scalar_text().unwrap_or_default().as_str() {
        "auto" => true,
        "off" | "False" => false,
        other => {
            let near = did_you_mean(other, JOURNALD.iter().copied());
            let help = near.unwrap_or_else(|| "write auto or off".to_owned());
            let message = format!("\"logs.journald\" cannot be {other}");
            fields.error(node.span, message, Some(help));
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;

    #[test]
    fn logs_are_read_and_their_faults_told() {
        let text = "logs: {max_bytes: 1MiB, keep: 2, journald: off}\n";
        let (settings, out) = Settings::parse(text, "petrel.yaml");
        assert!(out.is_empty(), "{out:?}");
        let logs = settings.logs;
        assert_eq!(
            (logs.max_bytes, logs.keep, logs.journald),
            (1 << 20, 2, false)
        );
        let text = "logs:\n  max_bytes: 3\n  keep: 0\n  journald: audo\n  size: 1\n";
        let (settings, out) = Settings::parse(text, "petrel.yaml");
        assert_eq!(settings.logs, super::LogSettings::default());
        let mut lines: Vec<_> = out.iter().map(|one| one.place.line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [2, 3, 4, 5], "{out:?}");
        let helps: Vec<_> = out.iter().filter_map(|one| one.help.as_deref()).collect();
        assert!(helps.iter().any(|help| help.contains("auto")), "{helps:?}");
    }
}
