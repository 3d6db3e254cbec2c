//! The level and the logger of a line, from the prefixes that programs write.

use crate::core::notice::Level;

/// What a line says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<'l> {
    /// Info where it has none.
    pub level: Level,
    /// In Python's logging formats.
    pub logger: Option<&'l str>,
    /// Without what was taken from it.
    pub text: &'l str,
    /// It names its level.
    pub is_marked: bool,
}

/// Longest beginning of a line that is searched for a level word, bytes.
const SEARCHED: usize = 80;

/// Reads a level from `E! `, `W! `, `I! `, `D! `, `<0>` to `<7>`, or from one of Python's logging
/// formats; elsewhere from a level word near the beginning.
pub fn parse(line: &str) -> Parsed<'_> {
    let marked = telegraf(line).or_else(|| syslog(line));
    if let Some((level, text)) = marked {
        return found(level, None, text);
    }
    let named = basic(line)
        .or_else(|| dashed(line))
        .or_else(|| padded(line));
    if let Some((level, logger, text)) = named {
        return found(level, Some(logger), text);
    }
    match word_near_the_beginning(line) {
        Some(level) => found(level, None, line),
        None => Parsed {
            level: Level::Info,
            logger: None,
            text: line,
            is_marked: false,
        },
    }
}

fn found<'l>(level: Level, logger: Option<&'l str>, text: &'l str) -> Parsed<'l> {
    Parsed {
        level,
        logger,
        text,
        is_marked: true,
    }
}

fn telegraf(line: &str) -> Option<(Level, &str)> {
    let (prefix, text) = line.split_at_checked(3)?;
    let level = match prefix {
        "E! " => Level::Error,
        "W! " => Level::Warning,
        "I! " => Level::Info,
        "D! " => Level::Debug,
        _ => return None,
    };
    Some((level, text))
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

fn word(word: &str) -> Option<Level> {
    Some(match word {
        "CRITICAL" | "ERROR" | "FATAL" => Level::Error,
        "WARNING" | "WARN" => Level::Warning,
        "INFO" | "AUDIT" => Level::Info,
        "DEBUG" => Level::Debug,
        _ => return None,
    })
}

/// `LEVEL:name:message`, the default of `logging.basicConfig`.
fn basic(line: &str) -> Option<(Level, &str, &str)> {
    let (level, rest) = line.split_once(':')?;
    let level = word(level)?;
    let (logger, text) = rest.split_once(':')?;
    is_logger(logger).then_some((level, logger, text))
}

/// `time - name - LEVEL - message`, the one in Python's tutorial.
fn dashed(line: &str) -> Option<(Level, &str, &str)> {
    let mut parts = line.splitn(4, " - ");
    let (time, logger, level) = (parts.next()?, parts.next()?, parts.next()?);
    let is_time = time.starts_with(|c: char| c.is_ascii_digit());
    (is_time && is_logger(logger)).then_some(())?;
    Some((word(level)?, logger, parts.next()?))
}

/// `name        : LEVEL    message`, that of StackStorm's Python runner.
fn padded(line: &str) -> Option<(Level, &str, &str)> {
    let (logger, rest) = line.split_once(": ")?;
    let logger = logger.trim_end();
    let (level, text) = rest.split_once(' ')?;
    is_logger(logger).then_some((word(level)?, logger, text.trim_start()))
}

fn is_logger(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(fits)
}

fn word_near_the_beginning(line: &str) -> Option<Level> {
    let end = (0..=line.len().min(SEARCHED))
        .rev()
        .find(|end| line.is_char_boundary(*end))?;
    line[..end]
        .split(|c: char| !c.is_ascii_alphabetic())
        .find_map(word)
}
