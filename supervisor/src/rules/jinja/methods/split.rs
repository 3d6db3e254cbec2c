//! Taking text apart.

use crate::rules::jinja::convert::is_space;

/// `split()` and `rsplit()` at white space.
pub fn words(text: &str, most: usize, from_right: bool) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    if from_right {
        loop {
            rest = rest.trim_end_matches(is_space);
            if rest.is_empty() {
                break;
            }
            let start = rest.rfind(is_space).filter(|_| out.len() < most);
            let start = start.map_or(0, |at| {
                at + rest[at..].chars().next().map_or(1, char::len_utf8)
            });
            if out.len() >= most {
                out.push(rest.to_owned());
                break;
            }
            out.push(rest[start..].to_owned());
            rest = &rest[..start];
        }
        out.reverse();
        return out;
    }
    loop {
        rest = rest.trim_start_matches(is_space);
        if rest.is_empty() {
            break;
        }
        if out.len() >= most {
            out.push(rest.to_owned());
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        out.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    out
}

/// `split(separator)` and `rsplit(separator)`.
pub fn parts(text: &str, separator: &str, most: usize, from_right: bool) -> Vec<String> {
    match from_right {
        true => {
            let parts = text.rsplitn(most.saturating_add(1), separator);
            let mut parts: Vec<String> = parts.map(str::to_owned).collect();
            parts.reverse();
            parts
        }
        false => {
            let parts = text.splitn(most.saturating_add(1), separator);
            parts.map(str::to_owned).collect()
        }
    }
}

/// `splitlines()`.
pub fn lines(text: &str, keep_ends: bool) -> Vec<String> {
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        let end = if rest[at..].starts_with("\r\n") {
            at + 2
        } else {
            at + rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        out.push(rest[..if keep_ends { end } else { at }].to_owned());
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        out.push(rest.to_owned());
    }
    out
}

/// `expandtabs()`.
pub fn expand_tabs(text: &str, width: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for c in text.chars() {
        match c {
            '\t' if width > 0 => {
                let missing = width - column % width;
                out.push_str(&" ".repeat(missing));
                column += missing;
            }
            '\t' => {}
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}
