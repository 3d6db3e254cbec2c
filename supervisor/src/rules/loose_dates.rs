//! Dates as people write them: the common forms of `dateutil.parser.parse`. What is missing comes
//! from today, a day beyond the end of a month becomes its last one, and a zone that is not known
//! by its name is UTC.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Longest text that is tried.
const MAX_LENGTH: usize = 100;

/// The time that a text names, if it is a date.
pub fn parse(text: &str, now: Timestamp) -> Option<Timestamp> {
    let tokens = (text.len() <= MAX_LENGTH).then(|| split(text))?;
    let mut reader = Reader::default();
    let mut at = 0;
    while at < tokens.len() {
        at += reader.take(&tokens[at..], &tokens[..at])?;
    }
    reader.finish(now)
}

/// Runs of digits (with a fraction), runs of letters, and single signs; white space is dropped.
fn split(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in text.chars() {
        let joins = match out.last() {
            Some(_) if last.is_ascii_digit() => c.is_ascii_digit(),
            Some(_) if last.is_alphabetic() => c.is_alphabetic(),
            _ => false,
        };
        match out.last_mut().filter(|_| joins) {
            Some(token) => token.push(c),
            None if c.is_whitespace() => {}
            None => out.push(c.into()),
        }
        last = c;
    }
    out
}

#[derive(Default)]
struct Reader {
    /// Numbers of the date in the order of writing, with whether a name or four digits settle them.
    numbers: Vec<i32>,
    long_year: Option<usize>,
    month: Option<i8>,
    month_at: usize,
    weekday: Option<Weekday>,
    hour: Option<i8>,
    minute: i8,
    second: i8,
    nanosecond: i32,
    offset: Option<i32>,
}

fn number<T: std::str::FromStr>(token: Option<&String>) -> Option<T> {
    let digits = token.filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok()
}

fn is(tokens: &[String], at: usize, wanted: &str) -> bool {
    tokens
        .get(at)
        .is_some_and(|token| token.eq_ignore_ascii_case(wanted))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

fn month(word: &str) -> Option<i8> {
    let found = MONTHS.iter().position(|name| {
        *name == word || name[..3] == *word || (word == "sept" && name.starts_with("sept"))
    });
    found.map(|at| at as i8 + 1)
}

fn weekday(word: &str) -> Option<Weekday> {
    let found = DAYS
        .iter()
        .find(|(name, _)| *name == word || name[..3] == *word);
    found.map(|(_, day)| *day)
}

impl Reader {
    /// Takes one piece; gives how many tokens it was.
    fn take(&mut self, rest: &[String], before: &[String]) -> Option<usize> {
        let first = rest.first()?;
        if first.bytes().all(|b| b.is_ascii_digit()) {
            return self.digits(rest, before);
        }
        let word = first.to_lowercase();
        if let Some(month) = month(&word) {
            if self.month.replace(month).is_some() {
                return None;
            }
            self.month_at = self.numbers.len();
            return Some(1);
        }
        if let Some(day) = weekday(&word) {
            self.weekday = Some(day);
            return Some(1);
        }
        match word.as_str() {
            "am" | "pm" | "a" | "p" if self.hour.is_some() => return self.half_day(&word),
            "utc" | "gmt" | "z" if self.hour.is_some() => {
                self.offset = self.offset.or(Some(0));
                return Some(1);
            }
            "+" | "-" if self.hour.is_some() => return self.zone(rest),
            "t" | "at" | "on" | "of" | "and" | "ad" | "m" | "st" | "nd" | "rd" | "th" => {}
            "," | "." | "/" | "-" | ";" | " " | "'" => {}
            // The name of a zone that is not known: dateutil takes it and leaves the time as UTC.
            _ if self.hour.is_some()
                && self.offset.is_none()
                && (3..=5).contains(&first.len())
                && first.bytes().all(|b| b.is_ascii_uppercase()) => {}
            _ => return None,
        }
        Some(1)
    }

    fn digits(&mut self, rest: &[String], before: &[String]) -> Option<usize> {
        let first = rest.first()?;
        if is(rest, 1, ":") && self.hour.is_none() {
            return self.clock(rest);
        }
        let after_t = before
            .last()
            .is_some_and(|token| token.eq_ignore_ascii_case("t"));
        if self.hour.is_none() {
            if is(rest, 1, "am") || is(rest, 1, "pm") {
                self.hour = number(Some(first));
                return self.half_day(&rest[1].to_lowercase()).map(|_| 2);
            }
            if is(rest, 1, "h") {
                self.hour = number(Some(first));
                let minutes = is(rest, 3, "m");
                if minutes || (rest.len() == 3 && number::<i8>(rest.get(2)).is_some()) {
                    self.minute = number(rest.get(2))?;
                    let seconds = is(rest, 5, "s");
                    if seconds {
                        self.second = number(rest.get(4))?;
                    }
                    return Some(if seconds { 6 } else { 4 }.min(rest.len()));
                }
                return Some(2);
            }
            let dated = self.numbers.len() == 3;
            if (after_t || dated) && matches!(first.len(), 2 | 4 | 6) {
                self.compact_clock(first)?;
                return Some(1);
            }
        }
        match first.len() {
            6 if self.numbers.is_empty() => self.compact_date(first, 2)?,
            8 if self.numbers.is_empty() => self.compact_date(first, 4)?,
            12 | 14 if self.numbers.is_empty() => {
                self.compact_date(&first[..8], 4)?;
                self.compact_clock(&first[8..])?;
            }
            1..=4 => {
                if first.len() > 2 {
                    self.long_year = Some(self.numbers.len());
                }
                self.numbers.push(first.parse().ok()?);
            }
            _ => return None,
        }
        (self.numbers.len() <= 3).then_some(1)
    }

    fn compact_date(&mut self, digits: &str, year: usize) -> Option<()> {
        let parts = [
            &digits[..year],
            &digits[year..year + 2],
            &digits[year + 2..],
        ];
        for part in parts {
            self.numbers.push(part.parse().ok()?);
        }
        self.long_year = Some(0);
        if year == 2 {
            self.numbers[0] = century(self.numbers[0]);
        }
        Some(())
    }

    fn compact_clock(&mut self, digits: &str) -> Option<()> {
        self.hour = Some(digits.get(..2)?.parse().ok()?);
        self.minute = digits.get(2..4).map_or(Ok(0), str::parse).ok()?;
        self.second = digits.get(4..6).map_or(Ok(0), str::parse).ok()?;
        Some(())
    }

    /// `10:00`, `10:00:30`, `10:00:30.5`.
    fn clock(&mut self, rest: &[String]) -> Option<usize> {
        self.hour = number(rest.first());
        self.minute = number(rest.get(2))?;
        let fraction = |at: usize| {
            let point = is(rest, at, ".") || is(rest, at, ",");
            rest.get(at + 1)
                .filter(|d| point && d.bytes().all(|b| b.is_ascii_digit()))
        };
        let mut taken = 3;
        if is(rest, 3, ":") {
            self.second = number(rest.get(4))?;
            taken = 5;
            if let Some(digits) = fraction(5) {
                let digits: String = digits.chars().chain("000000".chars()).take(6).collect();
                self.nanosecond = digits.parse::<i32>().ok()? * 1000;
                taken = 7;
            }
        } else if let Some(digits) = fraction(3) {
            let part: f64 = format!("0.{digits}").parse().ok()?;
            self.second = (part * 60.0) as i8;
            taken = 5;
        }
        Some(taken)
    }

    fn half_day(&mut self, word: &str) -> Option<usize> {
        let hour = self.hour.filter(|hour| (0..=12).contains(hour))?;
        self.hour = Some(match (word.starts_with('p'), hour) {
            (true, 12) => 12,
            (true, hour) => hour + 12,
            (false, 12) => 0,
            (false, hour) => hour,
        });
        Some(1)
    }

    /// `+02:00`, `-0500`, `+2`; after `GMT` the sign is turned, as in `GMT+3`.
    fn zone(&mut self, rest: &[String]) -> Option<usize> {
        let digits = rest.get(1)?;
        let colon = is(rest, 2, ":");
        let (hours, minutes): (i32, i32) = match (digits.len(), colon) {
            (1 | 2, true) => (number(Some(digits))?, number(rest.get(3))?),
            (1 | 2, false) => (number(Some(digits))?, 0),
            (4, _) => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
            _ => return None,
        };
        let sign = if rest[0] == "-" { -1 } else { 1 };
        let turned = if self.offset == Some(0) { -1 } else { 1 };
        self.offset = Some(sign * turned * (hours * 3600 + minutes * 60));
        Some(if colon { 4 } else { 2 })
    }

    fn finish(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let nothing = self.numbers.is_empty() && self.month.is_none() && self.weekday.is_none();
        if nothing && self.hour.is_none() {
            return None;
        }
        let mut date = self.date(today)?;
        if let (Some(day), true) = (self.weekday, self.numbers.is_empty()) {
            while date.weekday() != day {
                date = date.checked_add(1.day()).ok()?;
            }
        }
        let hour = self.hour.unwrap_or(0);
        let time = DateTime::new(
            date.year(),
            date.month(),
            date.day(),
            hour,
            self.minute,
            self.second,
            self.nanosecond,
        );
        let zoned = time.ok()?.to_zoned(TimeZone::UTC).ok()?;
        let offset = i64::from(self.offset.unwrap_or(0));
        zoned.timestamp().checked_sub(offset.seconds()).ok()
    }

    fn date(&self, today: Date) -> Option<Date> {
        let (year, month, day) = self.parts()?;
        let year = i16::try_from(year.unwrap_or(i32::from(today.year()))).ok()?;
        let month = month.map_or(Ok(today.month()), i8::try_from).ok()?;
        match day {
            Some(day) => Date::new(year, month, i8::try_from(day).ok()?).ok(),
            None => {
                let last = Date::new(year, month, 1).ok()?.days_in_month();
                Date::new(year, month, today.day().min(last)).ok()
            }
        }
    }

    /// Year, month and day out of the numbers: month first, unless that is not possible.
    fn parts(&self) -> Option<(Option<i32>, Option<i32>, Option<i32>)> {
        let is_year = |at: usize| self.long_year == Some(at) || self.numbers[at] > 31;
        let year_of = |at: usize| match self.long_year == Some(at) {
            true => self.numbers[at],
            false => century(self.numbers[at]),
        };
        let month = self.month.map(i32::from);
        let n = &self.numbers;
        Some(match (n.len(), month) {
            (0, month) => (None, month, None),
            (1, _) if is_year(0) => (Some(year_of(0)), month, None),
            (1, month) => (None, month, Some(n[0])),
            (2, Some(_)) if is_year(0) => (Some(year_of(0)), month, Some(n[1])),
            (2, Some(_)) => (Some(year_of(1)), month, Some(n[0])),
            (2, None) if is_year(0) => (Some(year_of(0)), Some(n[1]), None),
            (2, None) if is_year(1) => (Some(year_of(1)), Some(n[0]), None),
            (2, None) if n[0] > 12 => (None, Some(n[1]), Some(n[0])),
            (2, None) => (None, Some(n[0]), Some(n[1])),
            (3, None) if is_year(0) && n[2] <= 12 && n[1] > 12 => {
                (Some(year_of(0)), Some(n[2]), Some(n[1]))
            }
            (3, None) if is_year(0) => (Some(year_of(0)), Some(n[1]), Some(n[2])),
            (3, None) if n[0] > 12 => (Some(year_of(2)), Some(n[1]), Some(n[0])),
            (3, None) => (Some(year_of(2)), Some(n[0]), Some(n[1])),
            _ => return None,
        })
    }
}

/// Two digits are a year near now: within fifty years of 2026, as dateutil counts.
fn century(year: i32) -> i32 {
    match year {
        0..=75 => year + 2000,
        76..=99 => year + 1900,
        _ => year,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use jiff::Timestamp;

    #[test]
    fn dates_as_people_write_them() {
        let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        for (text, time) in [
            ("Jul 1 2014 10:00", "2014-07-01T10:00:00Z"),
            ("2014/07/01", "2014-07-01T00:00:00Z"),
            ("1 July 2014", "2014-07-01T00:00:00Z"),
            ("July 1st, 2014 10 pm", "2014-07-01T22:00:00Z"),
            ("07/13/2014", "2014-07-13T00:00:00Z"),
            ("13/07/2014", "2014-07-13T00:00:00Z"),
            ("10:00", "2026-11-24T10:00:00Z"),
            ("10:00 PM", "2026-11-24T22:00:00Z"),
            ("Tue Jul  1 10:00:00 2014", "2014-07-01T10:00:00Z"),
            ("2014-07-01 10:00 +02:00", "2014-07-01T08:00:00Z"),
            ("20140701100000", "2014-07-01T10:00:00Z"),
            ("July 2014", "2014-07-24T00:00:00Z"),
            ("Friday", "2026-11-27T00:00:00Z"),
        ] {
            let wanted = time.parse::<Timestamp>().ok();
            assert_eq!(parse(text, now), wanted, "{text}");
        }
        for text in [
            "",
            "not a date",
            "x",
            "2014-13-45",
            "10:99",
            &"1 ".repeat(100),
        ] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }
}
