//! One field of a cron timer: APScheduler's expressions (`triggers/cron/expressions.py`, 3.11), what
//! they accept and which value they give next.

use jiff::civil::DateTime;

use super::kind::{self, Kind};
use super::{TimerFault, quoted, suggestion};

const POSITIONS: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "last"];
/// Expressions in one field; a list of every value of any field is shorter.
const MAX_EXPRESSIONS: usize = 1000;

/// One expression of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expression {
    /// `*`, `*/3`, `5`, `5-9`, `5-9/2`, `5/2`: from the first, to the last if there is one.
    Range {
        first: i64,
        last: Option<i64>,
        step: Option<i64>,
    },
    /// `2nd fri`: the position is 0 to 4, or 5 for the last.
    Weekday { position: i64, weekday: i64 },
    /// `last`: the last day of the month.
    LastDay,
}

impl Expression {
    fn next(self, at: DateTime, kind: Kind) -> Option<i64> {
        match self {
            Self::Range { first, last, step } => {
                let max = kind.max_at(at);
                let max = last.map_or(max, |last| last.min(max));
                let value = kind.of(at).max(first);
                let value = match step {
                    Some(step) => value + (first - value).rem_euclid(step),
                    None => value,
                };
                (value <= max).then_some(value)
            }
            Self::Weekday { position, weekday } => {
                let days = i64::from(at.days_in_month());
                let first = 1 + (weekday - kind::weekday(at.date().first_of_month())).rem_euclid(7);
                let day = match position {
                    5 => first + (days - first) / 7 * 7,
                    _ => first + position * 7,
                };
                (day <= days && day >= i64::from(at.day())).then_some(day)
            }
            Self::LastDay => Some(i64::from(at.days_in_month())),
        }
    }
}

/// A field: a list of expressions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    kind: Kind,
    expressions: Vec<Expression>,
}

impl Field {
    /// Reads a field as its rule gives it.
    pub(super) fn parse(kind: Kind, text: &str) -> Result<Self, TimerFault> {
        let parts: Vec<_> = text.trim().split(',').take(MAX_EXPRESSIONS + 1).collect();
        if parts.len() > MAX_EXPRESSIONS {
            let message = format!("the list has more than {MAX_EXPRESSIONS} entries");
            return Err(TimerFault::at(kind.name(), message));
        }
        let read = |part: &&str| expression(kind, part.trim_matches(' '));
        let expressions = parts.iter().map(read).collect::<Result<_, _>>();
        match expressions {
            Ok(expressions) => Ok(Self { kind, expressions }),
            Err(message) => Err(TimerFault::at(kind.name(), message).help(kind.allowed())),
        }
    }

    /// The field where its rule does not give it: every value, or only the smallest.
    pub(super) fn absent(kind: Kind, after_the_last_given: bool) -> Result<Self, TimerFault> {
        match after_the_last_given {
            true => Self::parse(kind, kind.default_text()),
            false => Self::parse(kind, "*"),
        }
    }

    /// Smallest value that is not below the one of the date.
    pub(super) fn next(&self, at: DateTime) -> Option<i64> {
        let values = self.expressions.iter();
        values.filter_map(|it| it.next(at, self.kind)).min()
    }
}

fn expression(kind: Kind, text: &str) -> Result<Expression, String> {
    if let Some(range) = numbers(kind, text) {
        return range.checked(kind, text);
    }
    if kind == Kind::Day
        && let Some(day) = day_expression(text)
    {
        return day;
    }
    let (first, rest) = word(text);
    if kind.names().is_empty() || first.is_empty() {
        return Err(format!("{} is not understood", quoted(text)));
    }
    // What follows a name is ignored, as APScheduler does: `mon/2` is `mon`.
    let last = rest.strip_prefix('-').map_or("", |rest| word(rest).0);
    let first = name(kind, first)?;
    let last = match last {
        "" => first,
        last => name(kind, last)?,
    };
    Expression::between(first, last)
}

impl Expression {
    fn between(first: i64, last: i64) -> Result<Self, String> {
        match first <= last {
            true => Ok(Self::Range {
                first,
                last: Some(last),
                step: None,
            }),
            false => Err(
                "a range begins with its smaller value; write two ranges, as in \
                          `fri-sun,mon`"
                    .to_owned(),
            ),
        }
    }

    fn checked(self, kind: Kind, text: &str) -> Result<Self, String> {
        let Self::Range { first, last, step } = self else {
            return Ok(self);
        };
        let wrong = |what: String| Err(format!("{}: {what}", quoted(text)));
        if last.is_some_and(|last| first > last) {
            return wrong("a range begins with its smaller value".into());
        }
        if first < kind.min() {
            return wrong(format!("{first} is below {}", kind.min()));
        }
        if let Some(value) = last.filter(|last| *last > kind.max()) {
            return wrong(format!("{value} is above {}", kind.max()));
        }
        // APScheduler takes a range that ends with 0 for one that ends with the largest value.
        let end = last.filter(|last| *last != 0).unwrap_or(kind.max());
        match step {
            Some(0) => wrong("a step is 1 or more".into()),
            Some(step) if step > end - first => {
                wrong(format!("the step {step} is wider than the range"))
            }
            _ => Ok(self),
        }
    }
}

/// `*`, `*/3`, `5`, `5-9`, `5/2`, `5-9/2`; nothing for any other text.
fn numbers(kind: Kind, text: &str) -> Option<Expression> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, Some(number(step)?)),
        None => (text, None),
    };
    if range == "*" {
        let first = kind.min();
        let last = None;
        return Some(Expression::Range { first, last, step });
    }
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, Some(number(last)?)),
        None => (number(range)?, None),
    };
    let last = last.or(step.is_none().then_some(first));
    Some(Expression::Range { first, last, step })
}

/// A number of digits; one that is far too large stays far too large.
fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(i64::from(u32::MAX)))
}

/// `2nd fri`, `last sun`, `last`; nothing for any other text.
fn day_expression(text: &str) -> Option<Result<Expression, String>> {
    let starts = |word: &&&str| {
        text.get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    let position = POSITIONS.iter().position(|word| starts(&word))?;
    let rest = &text[POSITIONS[position].len()..];
    let weekday = rest.trim_start_matches(' ');
    let letters = |c: char| !c.is_alphanumeric() && c != '_';
    let weekday = &weekday[..weekday.find(letters).unwrap_or(weekday.len())];
    match (weekday, rest.starts_with(' ')) {
        ("", _) | (_, false) if position == 5 => Some(Ok(Expression::LastDay)),
        ("", _) | (_, false) => None,
        (weekday, true) => Some(name(Kind::DayOfWeek, weekday).map(|weekday| {
            let position = position as i64;
            Expression::Weekday { position, weekday }
        })),
    }
}

/// The letters with which a text begins, and the rest.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphabetic());
    text.split_at(end.unwrap_or(text.len()))
}

/// The value of a name of a month or of a day of the week.
fn name(kind: Kind, text: &str) -> Result<i64, String> {
    let names = kind.names();
    let index = names
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    match index {
        Some(index) => Ok(index as i64 + kind.min()),
        None => {
            let what = match kind {
                Kind::Month => "month",
                _ => "day of the week",
            };
            let near = match text.get(..3).map(str::to_lowercase) {
                Some(cut) if names.contains(&cut.as_str()) => Some(format!("write `{cut}`")),
                _ => suggestion(text, names),
            };
            let near = near.map_or(String::new(), |near| format!("; {near}"));
            Err(format!(
                "{} is not the short name of a {what}{near}",
                quoted(text)
            ))
        }
    }
}
