//! What a knob takes, where its value stands in a [`Policy`], and how it is written.

use std::time::Duration;

use super::units;
use crate::catalog::diagnostics::did_you_mean;
use crate::catalog::policy::{Policy, User, Word};
use crate::catalog::yaml::{Data, Node};

/// Where a value stands.
type Place<T> = fn(&mut Policy) -> &mut T;

/// What a knob takes, and for a number from where to where.
#[derive(Clone, Copy)]
pub enum Kind {
    /// `500ms`, `10s`, `5m`, `1h`.
    Duration(Place<Duration>),
    /// A number.
    Number(f64, f64, Place<f64>),
    /// A whole number, not negative.
    Count(u64, u64, Accessor<u64>),
    /// A whole number.
    Whole(i32, i32, Place<i32>),
    /// Bytes: `64KiB`, `1MiB`, or a whole number.
    Bytes(u64, u64, Accessor<u64>),
    /// `true` or `false`.
    Flag(Place<bool>),
    /// One word of a few, by its place among them.
    Choice(&'static [&'static str], Accessor<usize>),
    /// Exit codes.
    Codes(Place<Vec<u8>>),
    /// TCP ports.
    Ports(Place<Vec<u16>>),
    /// Absolute paths.
    Paths(Place<Vec<String>>),
    /// Names; any, or some of these.
    Names(&'static [&'static str], Place<Vec<String>>),
    /// `auto`, or the name or number of a user.
    User(Place<User>),
}

/// How a value of another type than its own is reached.
#[derive(Clone, Copy)]
pub struct Accessor<T> {
    /// Reads it.
    pub get: fn(&Policy) -> T,
    /// Writes it.
    pub set: fn(&mut Policy, T),
}

/// A value as it was written, fit for its knob.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// Of [`Kind::Duration`].
    Duration(Duration),
    /// Of [`Kind::Number`].
    Number(f64),
    /// Of [`Kind::Count`], [`Kind::Bytes`] and [`Kind::Choice`].
    Count(u64),
    /// Of [`Kind::Whole`].
    Whole(i32),
    /// Of [`Kind::Flag`].
    Flag(bool),
    /// Of [`Kind::Codes`] and [`Kind::Ports`].
    Numbers(Vec<u16>),
    /// Of [`Kind::Paths`], [`Kind::Names`] and [`Kind::User`].
    Texts(Vec<String>),
}

/// The words of a choice, and how it is reached.
macro_rules! choice {
    ($type:ty, $($field:ident).+) => {
        Kind::Choice(
            const { &words_of::<$type>() },
            Accessor {
                get: |policy| place_of(policy.$($field).+),
                set: |policy, at| policy.$($field).+ = <$type>::ALL[at].1,
            },
        )
    };
}
/// A number of another width.
macro_rules! number {
    ($($field:ident).+ as $type:ty) => {
        Accessor {
            get: |policy| policy.$($field).+ as u64,
            set: |policy, value| policy.$($field).+ = value as $type,
        }
    };
}
pub(super) use {choice, number};

/// The words of a choice, in order.
pub(super) const fn words_of<W: Word>() -> [&'static str; MOST_WORDS] {
    let mut words = [""; MOST_WORDS];
    let mut at = 0;
    while at < W::ALL.len() {
        words[at] = W::ALL[at].0;
        at += 1;
    }
    words
}

/// No choice has more.
pub(super) const MOST_WORDS: usize = 6;

/// Which of its choices a word is.
pub(super) fn place_of<W: Word>(word: W) -> usize {
    let found = W::ALL.iter().position(|(_, choice)| *choice == word);
    found.unwrap_or(0)
}

/// The words without the empty places at the end.
fn given(words: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    words.iter().copied().filter(|word| !word.is_empty())
}

impl Kind {
    /// Reads a value, or says what would be right.
    pub fn read(self, value: &Node) -> Result<Setting, String> {
        match self {
            Self::Duration(_) => units::duration(value)
                .map(Setting::Duration)
                .ok_or_else(|| {
                    "write a duration: 500ms, 10s, 5m, 1h, or a number of seconds".into()
                }),
            Self::Number(least, most, _) => units::number(value)
                .filter(|n| (least..=most).contains(n))
                .map(Setting::Number)
                .ok_or_else(|| format!("write a number from {least} to {most}")),
            Self::Count(least, most, _) => units::count(value)
                .filter(|n| (least..=most).contains(n))
                .map(Setting::Count)
                .ok_or_else(|| format!("write a whole number from {least} to {most}")),
            Self::Whole(least, most, _) => units::whole(value)
                .filter(|n| (least..=most).contains(n))
                .map(Setting::Whole)
                .ok_or_else(|| format!("write a whole number from {least} to {most}")),
            Self::Bytes(least, most, _) => units::bytes(value)
                .filter(|n| *n == 0 && least == 0 || (least..=most).contains(n))
                .map(Setting::Count)
                .ok_or_else(|| bytes_wanted(least, most)),
            Self::Flag(_) => match value.data {
                Data::Bool(flag) => Ok(Setting::Flag(flag)),
                _ => Err("write true or false".into()),
            },
            Self::Choice(words, _) => choose(value, words),
            Self::Codes(_) => numbers(value, 255, "exit codes from 0 to 255, such as [0, 3]"),
            Self::Ports(_) => numbers(value, u16::MAX, "ports from 0 to 65535, such as [443]"),
            Self::Paths(_) => paths(value),
            Self::Names(known, _) => names(value, known),
            Self::User(_) => user(value),
        }
    }

    /// Puts a value into its place.
    pub fn apply(self, policy: &mut Policy, setting: &Setting) {
        match (self, setting.clone()) {
            (Self::Duration(place), Setting::Duration(time)) => *place(policy) = time,
            (Self::Number(_, _, place), Setting::Number(number)) => *place(policy) = number,
            (Self::Count(_, _, to) | Self::Bytes(_, _, to), Setting::Count(count)) => {
                (to.set)(policy, count);
            }
            (Self::Whole(_, _, place), Setting::Whole(number)) => *place(policy) = number,
            (Self::Flag(place), Setting::Flag(flag)) => *place(policy) = flag,
            (Self::Choice(_, to), Setting::Count(at)) => (to.set)(policy, at as usize),
            (Self::Codes(place), Setting::Numbers(codes)) => {
                *place(policy) = codes.into_iter().map(|code| code as u8).collect();
            }
            (Self::Ports(place), Setting::Numbers(ports)) => *place(policy) = ports,
            (Self::Paths(place) | Self::Names(_, place), Setting::Texts(texts)) => {
                *place(policy) = texts;
            }
            (Self::User(place), Setting::Texts(texts)) => *place(policy) = named(&texts.concat()),
            _ => unreachable!("a setting is read by the knob that it is for"),
        }
    }

    /// The value in the words of petrel.yaml. Only looks, though its places are writable.
    pub fn show(self, policy: &mut Policy) -> serde_json::Value {
        match self {
            Self::Duration(place) => units::shown_duration(*place(policy)).into(),
            Self::Number(_, _, place) => (*place(policy)).into(),
            Self::Count(_, _, of) => (of.get)(policy).into(),
            Self::Whole(_, _, place) => (*place(policy)).into(),
            Self::Bytes(_, _, of) => units::json_bytes((of.get)(policy)),
            Self::Flag(place) => (*place(policy)).into(),
            Self::Choice(words, of) => words[(of.get)(policy)].into(),
            Self::Codes(place) => place(policy).clone().into(),
            Self::Ports(place) => place(policy).clone().into(),
            Self::Paths(place) | Self::Names(_, place) => place(policy).clone().into(),
            Self::User(place) => match place(policy) {
                User::Auto => "auto".into(),
                User::Named(name) => name.clone().into(),
            },
        }
    }
}

fn bytes_wanted(least: u64, most: u64) -> String {
    let (least, most) = (units::shown_bytes(least), units::shown_bytes(most));
    format!("write bytes from {least} to {most}: 64KiB, 1MiB, 2GiB, or a whole number")
}

fn choose(value: &Node, words: &'static [&'static str]) -> Result<Setting, String> {
    // YAML 1.1 reads these two words as booleans.
    let written = match value.data {
        Data::Bool(false) => "off".to_owned(),
        Data::Bool(true) => "on".to_owned(),
        _ => value.scalar_text().unwrap_or_default(),
    };
    match given(words).position(|word| word == written) {
        Some(at) => Ok(Setting::Count(at as u64)),
        None => Err(one_of(&written, words)),
    }
}

fn one_of(written: &str, words: &'static [&'static str]) -> String {
    let all: Vec<_> = given(words).collect();
    match did_you_mean(written, all.iter().copied()) {
        Some(near) => format!("{near} (one of {})", all.join(", ")),
        None => format!("write one of {}", all.join(", ")),
    }
}

fn numbers(value: &Node, most: u16, what: &str) -> Result<Setting, String> {
    let wanted = || format!("write a list of {what}");
    let items = value.as_list().ok_or_else(wanted)?;
    let each = items.iter().map(|item| {
        let number = units::count(item).and_then(|n| u16::try_from(n).ok());
        number.filter(|n| *n <= most).ok_or_else(wanted)
    });
    each.collect::<Result<_, _>>().map(Setting::Numbers)
}

fn texts(value: &Node, wanted: &str) -> Result<Vec<String>, String> {
    let items = value.as_list().ok_or_else(|| wanted.to_owned())?;
    let each = items.iter().map(|item| {
        let text = item.as_text().filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| wanted.to_owned())
    });
    each.collect()
}

fn paths(value: &Node) -> Result<Setting, String> {
    let wanted = "write a list of absolute paths, such as [/srv/data]";
    let paths = texts(value, wanted)?;
    match paths.iter().all(|path| path.starts_with('/')) {
        true => Ok(Setting::Texts(paths)),
        false => Err(wanted.to_owned()),
    }
}

fn names(value: &Node, known: &'static [&'static str]) -> Result<Setting, String> {
    let wanted = match known {
        [] => "write a list of names".to_owned(),
        _ => format!("write a list of some of {}", known.join(", ")),
    };
    let names = texts(value, &wanted)?;
    let strange = names
        .iter()
        .find(|name| !known.is_empty() && !known.contains(&name.as_str()));
    match strange {
        Some(name) => Err(one_of(name, known)),
        None => Ok(Setting::Texts(names)),
    }
}

fn user(value: &Node) -> Result<Setting, String> {
    let written = value.scalar_text().filter(|text| !text.is_empty());
    written
        .map(|text| Setting::Texts(vec![text]))
        .ok_or_else(|| "write auto, or the name or number of a user".to_owned())
}

fn named(text: &str) -> User {
    match text {
        "auto" => User::Auto,
        name => User::Named(name.to_owned()),
    }
}
