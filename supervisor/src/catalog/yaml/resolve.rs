//! Scalars to values: the implicit types of YAML 1.1 as PyYAML's `Resolver` has them, and what its
//! `SafeConstructor` makes of each (`yaml/resolver.py`, `yaml/constructor.py`, PyYAML 6.0).

use std::sync::OnceLock;

use fancy_regex::{Captures, Regex};

use super::node::Data;

/// Prefix of YAML's own tags.
pub const YAML: &str = "tag:yaml.org,2002:";

const INT: &str = r"^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)\z";
const FLOAT: &str = r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\z";
const TIME: &str = r"^([0-9]{4})-([0-9][0-9]?)-([0-9][0-9]?)(?:(?:[Tt]|[ \t]+)([0-9][0-9]?):([0-9][0-9]):([0-9][0-9])(?:\.([0-9]*))?(?:[ \t]*(?:Z|([-+])([0-9][0-9]?)(?::([0-9][0-9]))?))?)?\z";

struct Patterns {
    int: Regex,
    float: Regex,
    time: Regex,
}

fn patterns() -> &'static Patterns {
    static PATTERNS: OnceLock<Patterns> = OnceLock::new();
    let compile = |text| Regex::new(text).expect("a constant pattern");
    PATTERNS.get_or_init(|| Patterns {
        int: compile(INT),
        float: compile(FLOAT),
        time: compile(TIME),
    })
}

fn matches(pattern: &Regex, text: &str) -> bool {
    pattern.is_match(text).unwrap_or(false)
}

/// The tag, without its prefix, that a plain scalar without a tag has.
pub fn implicit(text: &str) -> &'static str {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return "null",
        "<<" => return "merge",
        "=" => return "value",
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "true" | "True" | "TRUE" | "false"
        | "False" | "FALSE" | "on" | "On" | "ON" | "off" | "Off" | "OFF" => return "bool",
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || "-+.".contains(c));
    match numeric {
        true if matches(&patterns().float, text) => "float",
        true if matches(&patterns().int, text) => "int",
        true if is_time(text) => "timestamp",
        _ => "str",
    }
}

/// A date alone needs two digits for month and day, a date with a time does not.
fn is_time(text: &str) -> bool {
    matches(&patterns().time, text) && (text.contains(':') || text.len() == 10)
}

/// What the constructor of `tag` (without prefix) makes of a scalar.
///
/// # Errors
/// What is wrong with the text, or that no scalar can have this tag.
pub fn construct(tag: &str, text: &str) -> Result<Data, String> {
    Ok(match tag {
        "null" => Data::Null,
        "str" => Data::Text(text.to_owned()),
        "bool" => Data::Bool(boolean(text).ok_or_else(|| not(text, "a boolean"))?),
        "int" => integer(text).ok_or_else(|| not(text, "an integer"))?,
        "float" => Data::Float(float(text).ok_or_else(|| not(text, "a float"))?),
        "timestamp" => Data::Time(time(text).ok_or_else(|| not(text, "a date"))?),
        "binary" => Data::Bytes(base64(text).ok_or_else(|| not(text, "base64"))?),
        _ => return Err(format!("no scalar can have the tag !!{tag}")),
    })
}

/// Most of a text that a message quotes.
const QUOTED_CHARS: usize = 60;

fn not(text: &str, what: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("\"{}…\" is not {what}", &text[..end]),
        None => format!("\"{text}\" is not {what}"),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" => Some(true),
        "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn integer(text: &str) -> Option<Data> {
    let bare = text.replace('_', "");
    let (negative, digits) = signed(bare.trim());
    let size = magnitude(digits);
    match size {
        Some(size) => Some(Data::Int(if negative { -size } else { size })),
        None if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            let sign = if negative { "-" } else { "" };
            (!digits.starts_with('0')).then(|| Data::BigInt(format!("{sign}{digits}")))
        }
        None => None,
    }
}

fn magnitude(digits: &str) -> Option<i128> {
    let radix = |text: &str, radix| i128::from_str_radix(text, radix).ok().filter(|n| *n >= 0);
    if digits == "0" {
        return Some(0);
    }
    if let Some(binary) = digits.strip_prefix("0b") {
        return radix(binary, 2);
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return radix(hex, 16);
    }
    if digits.starts_with('0') {
        return radix(digits, 8);
    }
    if digits.contains(':') {
        return sexagesimal(digits);
    }
    radix(digits, 10)
}

fn sexagesimal(digits: &str) -> Option<i128> {
    digits.split(':').try_fold(0i128, |sum, part| {
        sum.checked_mul(60)?.checked_add(part.parse().ok()?)
    })
}

fn float(text: &str) -> Option<f64> {
    let bare = text.replace('_', "").to_lowercase();
    let (negative, digits) = signed(&bare);
    let size = match digits {
        ".inf" => f64::INFINITY,
        ".nan" => return Some(f64::NAN),
        _ if digits.contains(':') => sexagesimal_float(digits)?,
        _ => python_number(digits)?,
    };
    Some(if negative { -size } else { size })
}

fn sexagesimal_float(digits: &str) -> Option<f64> {
    digits
        .split(':')
        .try_fold(0.0, |sum, part| Some(sum * 60.0 + python_number(part)?))
}

/// What Python's `float` accepts of what can stand here.
fn python_number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}

/// A date or time in the form of Python's `isoformat`; `None` when there is no such day or hour.
fn time(text: &str) -> Option<String> {
    let parts = patterns().time.captures(text).ok()??;
    let number = |at: usize| {
        parts
            .get(at)
            .map_or(Some(0), |m| m.as_str().parse::<i16>().ok())
    };
    let (year, month, day) = (number(1)?, number(2)?, number(3)?);
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let date = jiff::civil::Date::new(year, month, day)
        .ok()
        .filter(|_| year > 0)?;
    if parts.get(4).is_none() {
        return Some(date.to_string());
    }
    let (hour, minute, second) = (number(4)?, number(5)?, number(6)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let zone = zone(&parts, text)?;
    let fraction = fraction(&parts);
    Some(format!(
        "{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
    ))
}

/// Microseconds, absent when they are zero.
fn fraction(parts: &Captures<'_, str>) -> String {
    let written = parts.get(7).map_or("", |m| m.as_str());
    let micros: String = format!("{written:0<6}").chars().take(6).collect();
    match micros.as_str() {
        "000000" => String::new(),
        _ => format!(".{micros}"),
    }
}

fn zone(parts: &Captures<'_, str>, text: &str) -> Option<String> {
    let Some(sign) = parts.get(8) else {
        return Some(if text.ends_with('Z') { "+00:00" } else { "" }.into());
    };
    let number = |at: usize| {
        parts
            .get(at)
            .map_or(Some(0), |m| m.as_str().parse::<u16>().ok())
    };
    let (hours, minutes) = (number(9)?, number(10)?);
    let sign = if (hours, minutes) == (0, 0) {
        "+"
    } else {
        sign.as_str()
    };
    (hours * 60 + minutes < 24 * 60).then(|| format!("{sign}{hours:02}:{minutes:02}"))
}

/// Base64 as Python's `base64.decodebytes` reads it: foreign characters are skipped, and what
/// follows the padding as well.
fn base64(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() {
        return None;
    }
    let mut bytes = Vec::new();
    let (mut bits, mut place, mut pads) = (0u32, 0, 0);
    for byte in text.bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' if place >= 2 && place + pads == 3 => return Some(bytes),
            b'=' if place >= 2 => {
                pads += 1;
                continue;
            }
            _ => continue,
        };
        pads = 0;
        bits = bits << 6 | u32::from(six);
        if place > 0 {
            bytes.push((bits >> (6 - 2 * place)) as u8);
        }
        place = (place + 1) % 4;
    }
    (place == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Data {
        construct(implicit(text), text).unwrap()
    }

    #[test]
    fn numbers_are_those_of_yaml_1_1() {
        for (text, value) in [
            ("00", 0),
            ("017", 15),
            ("1_000", 1000),
            ("0b101", 5),
            ("0x1F", 31),
            ("190:20:30", 685_230),
            ("-1:10", -70),
            ("+5", 5),
        ] {
            assert_eq!(read(text), Data::Int(value), "{text}");
        }
        for text in [
            "08",
            "0o17",
            "1e3",
            "0:1",
            "1:60",
            "0b",
            "._",
            "2016-1-1",
            "2016-11-28T05:16",
        ] {
            assert_eq!(read(text), Data::Text(text.into()), "{text}");
        }
    }

    #[test]
    fn dates_have_pythons_form() {
        for (text, iso) in [
            ("2016-11-28", "2016-11-28"),
            ("2016-11-28T05:16:59Z", "2016-11-28T05:16:59+00:00"),
            (
                "2016-11-28t05:16:59.1234567 -5",
                "2016-11-28T05:16:59.123456-05:00",
            ),
            ("2016-1-2 3:04:05", "2016-01-02T03:04:05"),
        ] {
            assert_eq!(read(text), Data::Time(iso.into()), "{text}");
        }
        assert!(construct("timestamp", "2016-13-45").is_err());
    }

    #[test]
    fn a_tag_that_does_not_fit_is_an_error() {
        for (tag, text) in [
            ("int", "foo"),
            ("int", ""),
            ("int", "0b12"),
            ("bool", "y"),
            ("x", ""),
        ] {
            assert!(construct(tag, text).is_err(), "{tag} {text}");
        }
    }
}
