//! Upper and lower case, and what characters are.

use crate::rules::jinja::convert::{is_space, plain_digit};
use crate::rules::jinja::repr::is_printable;

/// `str.capitalize`.
pub fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => title_letter(first) + &chars.as_str().to_lowercase(),
        None => String::new(),
    }
}

/// A letter at the start of a word: of several letters that it becomes only the first is large.
fn title_letter(c: char) -> String {
    let upper: Vec<char> = c.to_uppercase().collect();
    match upper.split_first() {
        Some((first, rest)) if !rest.is_empty() => {
            let rest: String = rest.iter().flat_map(|c| c.to_lowercase()).collect();
            format!("{first}{rest}")
        }
        _ => upper.into_iter().collect(),
    }
}

fn is_cased(c: char) -> bool {
    c.is_uppercase() || c.is_lowercase()
}

/// `str.title`: a word is a run of letters that have a case.
pub fn title(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match inside {
            true => out.extend(c.to_lowercase()),
            false => out.push_str(&title_letter(c)),
        }
        inside = is_cased(c);
    }
    out
}

/// `str.swapcase`.
pub fn swap(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c.is_uppercase() {
            true => out.extend(c.to_lowercase()),
            false => out.extend(c.to_uppercase()),
        }
    }
    out
}

/// `str.casefold`, as far as lower case and the sharp s go.
pub fn fold(text: &str) -> String {
    text.to_lowercase().replace('ß', "ss").replace('ς', "σ")
}

fn is_digit(c: char) -> bool {
    plain_digit(c).is_ascii_digit()
        || matches!(c, '²' | '³' | '¹' | '⁰' | '⁴'..='⁹' | '₀'..='₉' | '①'..='⑨' | '❶'..='❾')
}

/// A method that tells what all characters are.
pub fn is(text: &str, name: &str) -> bool {
    let all = |test: &dyn Fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let cased = text.chars().any(is_cased);
    match name {
        "isalnum" => all(&|c| c.is_alphabetic() && !is_mark(c) || c.is_numeric()),
        "isalpha" => all(&|c| c.is_alphabetic() && !is_mark(c) && !c.is_numeric()),
        "isascii" => text.is_ascii(),
        "isdecimal" => all(&|c| plain_digit(c).is_ascii_digit()),
        "isdigit" => all(&is_digit),
        "isnumeric" => all(&char::is_numeric),
        "isspace" => all(&is_space),
        "isprintable" => text.chars().all(is_printable),
        "isidentifier" => is_identifier(text),
        "islower" => cased && !text.chars().any(char::is_uppercase),
        "isupper" => cased && !text.chars().any(char::is_lowercase),
        _ => is_title(text),
    }
}

/// Combining marks count as alphabetic in Rust, not in Python.
fn is_mark(c: char) -> bool {
    matches!(c as u32, 0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a
        | 0x64b..=0x65f | 0x900..=0x903 | 0x93a..=0x94f | 0xe31 | 0xe34..=0xe3a | 0xe47..=0xe4e)
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next().is_some_and(|c| c == '_' || c.is_alphabetic());
    first && chars.all(|c| c == '_' || c.is_alphanumeric())
}

fn is_title(text: &str) -> bool {
    let (mut inside, mut any) = (false, false);
    for c in text.chars() {
        if (c.is_uppercase() && inside) || (c.is_lowercase() && !inside) {
            return false;
        }
        inside = is_cased(c);
        any |= inside;
    }
    any
}
