//! A line of a sensor's standard error, as a record with a level.

use super::notice::Level;

/// One record of a sensor's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// From its prefix; info where it has none.
    pub level: Level,
    /// Without the prefix.
    pub text: String,
}

/// Longest prefix of a line that is searched for a level in Python's logging format, bytes.
const SEARCHED: usize = 80;

impl LogLine {
    /// Reads a level from `E! `, `W! `, `I! `, `D! `, `<0>` to `<7>`, or a level word of Python's
    /// logging near the beginning.
    pub fn parse(line: &str) -> Self {
        let line = line.trim_end_matches(['\r', '\n']);
        let (level, text) = telegraf(line)
            .or_else(|| syslog(line))
            .unwrap_or_else(|| (python(line).unwrap_or(Level::Info), line));
        Self {
            level,
            text: text.to_owned(),
        }
    }
}

fn telegraf(line: &str) -> Option<(Level, &str)> {
    [
        ("E! ", Level::Error),
        ("W! ", Level::Warning),
        ("I! ", Level::Info),
        ("D! ", Level::Debug),
    ]
    .into_iter()
    .find_map(|(prefix, level)| line.strip_prefix(prefix).map(|text| (level, text)))
}

fn syslog(line: &str) -> Option<(Level, &str)> {
    let (number, text) = line.strip_prefix('<')?.split_once('>')?;
    let level = match number {
        "0" | "1" | "2" | "3" => Level::Error,
        "4" => Level::Warning,
        "5" | "6" => Level::Info,
        "7" => Level::Debug,
        _ => return None,
    };
    Some((level, text))
}

fn python(line: &str) -> Option<Level> {
    let end = (0..=line.len().min(SEARCHED))
        .rev()
        .find(|end| line.is_char_boundary(*end))?;
    line[..end]
        .split(|c: char| !c.is_ascii_alphabetic())
        .find_map(|word| match word {
            "CRITICAL" | "ERROR" | "FATAL" => Some(Level::Error),
            "WARNING" | "WARN" => Some(Level::Warning),
            "INFO" => Some(Level::Info),
            "DEBUG" => Some(Level::Debug),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_from_the_usual_prefixes() {
        let cases = [
            ("E! broken", Level::Error, "broken"),
            ("<4>careful", Level::Warning, "careful"),
            (
                "2016-11-28 05:16:59,123 WARNING [-] x",
                Level::Warning,
                "2016-11-28 05:16:59,123 WARNING [-] x",
            ),
            ("plain text", Level::Info, "plain text"),
            ("<9>odd", Level::Info, "<9>odd"),
            ("informal errors", Level::Info, "informal errors"),
        ];
        for (line, level, text) in cases {
            let text = text.to_owned();
            assert_eq!(LogLine::parse(line), LogLine { level, text }, "{line}");
        }
    }
}
