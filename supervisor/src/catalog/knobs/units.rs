//! Numbers with and without units, as they are written and shown.

use std::time::Duration;

use crate::catalog::yaml::{Data, Node};

/// A finite number.
pub fn number(value: &Node) -> Option<f64> {
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

/// A whole number.
pub fn whole(value: &Node) -> Option<i32> {
    match value.data {
        Data::Int(number) => i32::try_from(number).ok(),
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
    duration_of(seconds)
}

/// The same of a text, such as an argument of a command; a bare number is seconds.
pub fn duration_text(text: &str) -> Option<Duration> {
    let text = text.trim();
    duration_of(text.parse().ok().or_else(|| seconds(text))?)
}

fn duration_of(seconds: f64) -> Option<Duration> {
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

/// Units of bytes, the larger ones first.
const BYTES: [(&str, u64); 7] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
];

/// `64KiB`, `1.5MiB`, `2GB`, or a whole number of bytes.
pub fn bytes(value: &Node) -> Option<u64> {
    let Data::Text(text) = &value.data else {
        return count(value);
    };
    let text = text.trim();
    let (digits, unit) = BYTES
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    let number: f64 = digits.trim().parse().ok()?;
    (0.0..1e6)
        .contains(&number)
        .then_some((number * unit as f64) as u64)
}

/// The shortest form that is read back: `64KiB`, `1500`.
pub fn shown_bytes(bytes: u64) -> String {
    let fits = |unit: u64| bytes >= unit && bytes.is_multiple_of(unit);
    match BYTES[..4].iter().find(|(_, unit)| fits(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// For people, to one digit after the point: `1.4 GiB`.
pub fn about_bytes(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let found = units.iter().find(|(_, power)| bytes >> power > 0);
    match found {
        Some((unit, power)) => format!("{:.1} {unit}", bytes as f64 / 2f64.powi(*power)),
        None => format!("{bytes} bytes"),
    }
}

/// The same, a number where it has no unit.
pub fn json_bytes(bytes: u64) -> serde_json::Value {
    let shown = shown_bytes(bytes);
    match shown.parse::<u64>() {
        Ok(number) => number.into(),
        Err(_) => shown.into(),
    }
}

/// The shortest form that is read back: `1s`, `500ms`, `5m`, `1h`.
pub fn shown_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        _ => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::sources::SourceFile;

    fn node<T>(text: &str, read: fn(&Node) -> Option<T>) -> Option<T> {
        let file = SourceFile::new("n", "n", text);
        read(file.document.as_ref().unwrap())
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
            let time = Some(Duration::from_millis(millis));
            assert_eq!(node(text, duration), time, "{text}");
            assert_eq!(duration_text(text), time, "{text}");
        }
        for text in ["5 parsecs", "-1", "s", "1e99", ".inf", "\"\"", "5"] {
            assert_eq!(node(text, duration).is_some(), text == "5", "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        let shown = [0, 500, 1000, 90_000, 300_000, 7_200_000]
            .map(|ms| shown_duration(Duration::from_millis(ms)));
        assert_eq!(shown, ["0s", "500ms", "1s", "90s", "5m", "2h"]);
    }

    #[test]
    fn bytes_have_units_or_are_whole() {
        for (text, wanted) in [
            ("64KiB", Some(65_536)),
            ("1.5 MiB", Some(1_572_864)),
            ("2GB", Some(2_000_000_000)),
            ("1500", Some(1500)),
            ("1.5", None),
            ("-1", None),
            ("lots", None),
        ] {
            assert_eq!(node(text, bytes), wanted, "{text}");
        }
        assert_eq!(
            [0, 1500, 65_536, 1 << 30].map(shown_bytes),
            ["0", "1500", "64KiB", "1GiB"]
        );
    }
}
