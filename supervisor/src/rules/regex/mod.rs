//! Python's regular expressions on `fancy-regex`: the differences in notation are translated, and
//! backtracking is bounded.

mod translate;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fancy_regex::{Captures, Regex, RegexBuilder};

use translate::{Repeats, Translated, translate};

/// Most steps of backtracking; a pattern that needs more is an error, not a mismatch.
const BACKTRACKING: usize = 1_000_000;
/// Most places that are looked at for it: after each step back, all that a pattern must have may be
/// looked at before it is found to be absent.
const LOOKED_AT: usize = 4_000_000;
/// Most places of a pattern that hold a class of letters of all scripts, written out: some 50 KiB each.
const WIDE: u64 = 200;

/// What is said where a pattern needs more.
pub const TOO_MUCH: &str = "the regular expression needs too much backtracking on this text";

/// How a pattern is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    /// Only at the start of the text: `re.match`.
    pub anchored: bool,
    /// `re.IGNORECASE`.
    pub ignore_case: bool,
    /// `re.DOTALL`.
    pub dot_all: bool,
}

/// Compiles a Python pattern.
///
/// # Errors
/// What is wrong with it.
pub fn compile(pattern: &str, flags: Flags) -> Result<Regex, String> {
    let mut options = String::new();
    options.push_str(if flags.ignore_case { "i" } else { "" });
    options.push_str(if flags.dot_all { "s" } else { "" });
    let refused = |why: String| format!("\"{pattern}\" is not a regular expression: {why}");
    let plain = translate(pattern, Repeats::Written).map_err(refused)?;
    let build = |found: &Translated| {
        let backtracking = LOOKED_AT / (1 + usize::try_from(found.least).unwrap_or(usize::MAX - 1));
        build(&found.text, &options, flags.anchored, backtracking)
    };
    let looped = || translate(pattern, Repeats::Looped).map(|found| build(&found));
    match plain.wide > WIDE {
        true => looped().map_err(refused)?.map_err(refused),
        // What is too large when its repeats are written out may do as loops.
        false => build(&plain).or_else(|why| match looped() {
            Ok(Ok(regex)) => Ok(regex),
            _ => Err(refused(why)),
        }),
    }
}

fn build(body: &str, options: &str, anchored: bool, backtracking: usize) -> Result<Regex, String> {
    let start = if anchored { r"\A" } else { "" };
    let whole = match options.is_empty() {
        true => format!("{start}(?:{body})"),
        false => format!("{start}(?{options}:{body})"),
    };
    RegexBuilder::new(&whole)
        .backtrack_limit(backtracking.clamp(1, BACKTRACKING))
        .build()
        .map_err(|error| error.to_string())
}

/// True when the pattern is found.
///
/// # Errors
/// When it needs too much backtracking.
pub fn found(regex: &Regex, text: &str) -> Result<bool, String> {
    regex.is_match(text).map_err(|error| explain(&error))
}

/// A shell wildcard as a regular expression over the whole text: Python's `fnmatch.translate`.
pub fn wildcard(pattern: &str) -> Result<Regex, String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::from(r"(?s)\A");
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => match class_end(&chars, at + 1) {
                Some(end) => {
                    push_class(&mut out, &chars[at + 1..end]);
                    at = end;
                }
                None => out.push_str(r"\["),
            },
            c => out.push_str(&fancy_regex::escape(&c.to_string())),
        }
        at += 1;
    }
    out.push_str(r"\z");
    Regex::new(&out).map_err(|error| error.to_string())
}

/// Where the `]` of a class is that begins at `from`; one directly at its start belongs to it.
fn class_end(chars: &[char], from: usize) -> Option<usize> {
    let mut start = from;
    start += usize::from(chars.get(start) == Some(&'!'));
    start += usize::from(chars.get(start) == Some(&']'));
    (start..chars.len()).find(|at| chars[*at] == ']')
}

fn push_class(out: &mut String, class: &[char]) {
    out.push('[');
    for (at, c) in class.iter().enumerate() {
        match c {
            '!' if at == 0 => out.push('^'),
            '-' => out.push('-'),
            c if c.is_ascii_punctuation() => out.extend(['\\', *c]),
            c => out.push(*c),
        }
    }
    out.push(']');
}

/// What stopped a match, in words.
pub fn explain(error: &fancy_regex::Error) -> String {
    match error {
        fancy_regex::Error::RuntimeError(_) => TOO_MUCH.to_owned(),
        other => other.to_string(),
    }
}

/// Compiled expressions that templates use again and again.
#[derive(Debug, Default)]
pub struct Cache {
    known: Mutex<HashMap<(String, Flags), Arc<Regex>>>,
}

/// Most expressions that are kept.
const MAX_CACHED: usize = 256;

impl Cache {
    /// Compiles a pattern, once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn get(&self, pattern: &str, flags: Flags) -> Result<Arc<Regex>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (pattern.to_owned(), flags);
        if let Some(found) = known.get(&key) {
            return Ok(Arc::clone(found));
        }
        let regex = Arc::new(compile(pattern, flags)?);
        if known.len() >= MAX_CACHED {
            known.clear();
        }
        known.insert(key, Arc::clone(&regex));
        Ok(regex)
    }
}

/// What `re.sub` puts in place of a match.
#[derive(Debug)]
pub struct Replacement {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Python's `\1`, `\g<1>`, `\g<name>` and its escapes.
    ///
    /// # Errors
    /// Python's words for what is none of them.
    pub fn parse(text: &str, regex: &Regex) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        while let Some(c) = chars.get(at).copied() {
            at += 1;
            if c != '\\' {
                plain.push(c);
                continue;
            }
            match escape(&chars, &mut at, regex)? {
                Part::Text(text) => plain.push_str(&text),
                group @ Part::Group(_) => {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(group);
                }
            }
        }
        parts.push(Part::Text(plain));
        Ok(Self { parts })
    }

    /// Adds what it makes of a match.
    pub fn expand(&self, found: &Captures<'_, str>, out: &mut String) {
        for part in &self.parts {
            out.push_str(match part {
                Part::Text(text) => text,
                Part::Group(at) => found.get(*at).map_or("", |found| found.as_str()),
            });
        }
    }
}

fn group(name: &str, regex: &Regex) -> Result<Part, String> {
    let at = match name.parse::<usize>() {
        Ok(at) => (at < regex.captures_len()).then_some(at),
        Err(_) => regex.capture_names().position(|known| known == Some(name)),
    };
    at.map(Part::Group)
        .ok_or_else(|| format!("invalid group reference {name}"))
}

fn escape(chars: &[char], at: &mut usize, regex: &Regex) -> Result<Part, String> {
    let Some(c) = chars.get(*at).copied() else {
        return Err("bad escape (end of pattern)".to_owned());
    };
    *at += 1;
    if c == 'g' {
        let rest = &chars[*at..];
        let end = rest.iter().position(|c| *c == '>');
        let (Some('<'), Some(end)) = (rest.first(), end) else {
            return Err("missing group name".to_owned());
        };
        *at += end + 1;
        let name: String = rest[1..end].iter().collect();
        return group(&name, regex);
    }
    let digits: String = chars[*at - 1..]
        .iter()
        .take(3)
        .take_while(|c| c.is_ascii_digit())
        .collect();
    let octal = digits.bytes().all(|b| b < b'8');
    if octal && (digits.len() == 3 || digits.starts_with('0')) {
        let take = digits.len();
        *at += take - 1;
        let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
        let c = char::from_u32(code).filter(|_| code < 0o400);
        let c =
            c.ok_or_else(|| format!("octal escape value \\{digits} outside of range 0-0o377"))?;
        return Ok(Part::Text(c.into()));
    }
    if !digits.is_empty() {
        let name = &digits[..digits.len().min(2)];
        *at += name.len() - 1;
        return group(name, regex);
    }
    Ok(Part::Text(match c {
        'n' => "\n".to_owned(),
        't' => "\t".to_owned(),
        'r' => "\r".to_owned(),
        'a' => "\u{7}".to_owned(),
        'b' => "\u{8}".to_owned(),
        'f' => "\u{c}".to_owned(),
        'v' => "\u{b}".to_owned(),
        '\\' => "\\".to_owned(),
        c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
        c => format!("\\{c}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(pattern: &str, text: &str) -> bool {
        found(&compile(pattern, Flags::default()).unwrap(), text).unwrap()
    }

    #[test]
    fn notation_is_pythons() {
        assert!(search("v1$", "v1\n") && !search(r"v1\Z", "v1\n"));
        assert!(search("[[a]", "[") && search("[]a]", "]"));
        assert!(search("[a&&b]", "&"));
        assert!(search(r"(?P<x>a)(?P=x)", "aa") && search("(?<!b)a", "ca"));
        assert!(search("^a{,2}$", "aa") && !search("^a{,2}$", "aaa"));
        assert!(search("(?i)ABC", "abc"));
        assert!(compile("(", Flags::default()).is_err());
    }

    #[test]
    fn a_hostile_pattern_is_an_error_and_not_a_hang() {
        let regex = compile(r"(a|a)*(?=b)c\1", Flags::default()).unwrap();
        assert!(found(&regex, &"a".repeat(40)).is_err());
        for (pattern, legal) in [
            ("(?:a?){5000}a{5000}", false),
            ("((?:ab){90}){90}", false),
            ("a{4000}b{,4000}", false),
            // As long as such a pattern may be, and no class of letters but where it repeats.
            (&r"\w".repeat(400), true),
            (&(r"\w".repeat(401)), false),
            (r"(?:\w{200}(?=a)){30}", true),
            ("(a{1,99}b){9}(c{9,}){99}.{0,5000}", true),
        ] {
            assert_eq!(
                compile(pattern, Flags::default()).is_ok(),
                legal,
                "{pattern}"
            );
        }
    }

    /// Each takes one or many tens of MiB where its repeats are written out, and seconds in between.
    #[test]
    fn many_letters_of_all_scripts_are_loops() {
        let mail = r"[\w.+-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63}){1,8}";
        for pattern in [mail.to_owned(), format!("^{mail}$"), format!("Q|{mail}")] {
            for text in ["me+x@a-b.example.org", "\u{43b}.\u{e9}@\u{4e2d}.org"] {
                assert!(search(&pattern, text), "{pattern}: {text}");
            }
            assert!(!search(&pattern, "me@example") && !search(&pattern, "@a.b"));
        }
        let regex = compile(mail, Flags::default()).unwrap();
        let found = regex.captures("<me@a.b.example>").unwrap().unwrap();
        assert_eq!((&found[0], &found[1]), ("me@a.b.example", ".example"));
        assert!(search(r"^(?:\w{3}-){100}\Z", &"abc-".repeat(100)));
        assert!(!search(r"^(?:\w{3}-){100}\Z", &"abc-".repeat(99)));
        assert!(search(r"(?i)(\w{1,300})=\1", "\u{e9}t\u{e9}=\u{c9}t\u{c9}"));
        // Lazy and greedy.
        let lazy = compile(r"(\w{1,300}?)(\w{0,300})", Flags::default()).unwrap();
        let found = lazy.captures("abc").unwrap().unwrap();
        assert_eq!((&found[1], &found[2]), ("a", "bc"));
    }

    #[test]
    fn wildcards_cover_the_whole_text() {
        let matches = |pattern, text| found(&wildcard(pattern).unwrap(), text).unwrap();
        assert!(matches("v?", "v1") && !matches("V?", "v1"));
        assert!(!matches("foo", "test foo test") && matches("*foo*", "test\nfoo test"));
        assert!(matches("[!a]x", "bx") && matches("a[]]", "a]") && matches("[x", "[x"));
    }
}
