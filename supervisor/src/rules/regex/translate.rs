//! Python's notation of regular expressions in that of `fancy-regex`; what Python refuses is
//! refused here too.

/// Longest pattern, characters.
const MAX_LENGTH: usize = 20_000;
/// Deepest nesting of groups.
const MAX_DEPTH: usize = 100;
/// Most places that a pattern has once its counted repeats are written out: a search may look at each
/// of them at each character of the text.
const MAX_PLACES: u64 = 7_000;

/// Most classes of letters of all scripts in the text of a pattern.
const MAX_WIDE: u64 = 400;

/// Holds always; the engine does not write out what stands behind it.
const ALONE: &str = "(?=)";

/// What becomes of counted repeats.
#[derive(Clone, Copy, PartialEq)]
pub enum Repeats {
    /// The engine may write them out.
    Written,
    /// It may not: with [`ALONE`] in each it counts, which takes no memory.
    Looped,
}

/// A translated pattern, and its size.
pub struct Translated {
    /// In the engine's notation.
    pub text: String,
    /// Places with a class of letters of all scripts, repeats written out.
    pub wide: u64,
    /// Places that a text must have for all of it, at the least, without those of plain text, which is
    /// looked at as one.
    pub least: u64,
}

/// Translates a pattern.
///
/// # Errors
/// Python's words for what is wrong with it.
pub fn translate(pattern: &str, repeats: Repeats) -> Result<Translated, String> {
    let mut translator = Translator {
        chars: pattern.chars().collect(),
        at: 0,
        out: String::with_capacity(pattern.len() + 8),
        open: Vec::new(),
        verbose: false,
        repeats,
        size: Size::default(),
        item: Size::default(),
        letters: 0,
    };
    if translator.chars.len() > MAX_LENGTH {
        return Err("it is too long".to_owned());
    }
    translator.run()?;
    if translator.letters > MAX_WIDE {
        return Err(format!(r"it has more than {MAX_WIDE} times \w"));
    }
    Ok(Translated {
        text: translator.out,
        wide: translator.size.wide,
        least: translator.size.least,
    })
}

/// How large a part of a pattern is, its repeats written out.
#[derive(Clone, Copy, Default)]
struct Size {
    /// See [`MAX_PLACES`].
    places: u64,
    /// See [`Translated`].
    wide: u64,
    least: u64,
}

impl Size {
    fn since(self, before: Self) -> Self {
        Self {
            places: self.places - before.places,
            wide: self.wide - before.wide,
            least: self.least - before.least,
        }
    }

    /// `part`, which is in it once, `times` times, and at least `fewest`.
    fn repeated(self, part: Self, fewest: u64, times: u64) -> Self {
        let more = |sum: u64, part: u64, times: u64| {
            (sum - part).saturating_add(part.saturating_mul(times))
        };
        Self {
            places: more(self.places, part.places, times.max(1)),
            wide: more(self.wide, part.wide, times.max(1)),
            least: match fewest {
                0 | 1 => more(self.least, part.least, fewest),
                _ => more(self.least, part.least, 0)
                    .saturating_add(part.least.max(1).saturating_mul(fewest)),
            },
        }
    }
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    open: Vec<Open>,
    verbose: bool,
    repeats: Repeats,
    size: Size,
    /// That of the last item.
    item: Size,
    /// Classes of letters of all scripts so far.
    letters: u64,
}

/// An open group.
struct Open {
    /// Where it began in the output.
    from: usize,
    /// Blanks meant nothing outside.
    verbose: bool,
    /// What is before it.
    size: Size,
}

/// How often an item is there.
struct Bounds {
    /// In the engine's notation.
    text: String,
    /// At the least.
    fewest: u64,
    /// How often it is written for that.
    times: u64,
}

/// What stood last: a repeat may follow on an item only, and only one.
#[derive(Clone, Copy, PartialEq)]
enum Last {
    Nothing,
    Item(usize),
    Repeat,
}

impl Translator {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(at, c)| self.peek(at) == Some(c))
    }

    fn run(&mut self) -> Result<(), String> {
        let mut last = Last::Nothing;
        while let Some(c) = self.peek(0) {
            let start = self.out.len();
            let letters = self.letters;
            match c {
                '\\' => {
                    self.at += 1;
                    self.escape()?;
                    last = Last::Item(start);
                }
                '[' => {
                    self.class()?;
                    last = Last::Item(start);
                }
                '(' => last = self.group()?,
                ')' => {
                    let open = self.open.pop().ok_or("unbalanced parenthesis")?;
                    self.verbose = open.verbose;
                    self.out.push(')');
                    self.at += 1;
                    last = Last::Item(open.from);
                    self.item = self.size.since(open.size);
                }
                '*' | '+' | '?' => {
                    self.at += 1;
                    last = self.repeat(
                        last,
                        Bounds {
                            text: c.to_string(),
                            fewest: u64::from(c == '+'),
                            times: 1,
                        },
                    )?;
                }
                '{' => match self.bounds()? {
                    Some(bounds) => last = self.repeat(last, bounds)?,
                    None => {
                        self.out.push_str("\\{");
                        self.at += 1;
                        last = Last::Item(start);
                    }
                },
                '|' => {
                    self.out.push('|');
                    self.at += 1;
                    last = Last::Nothing;
                }
                '^' => {
                    self.out.push('^');
                    self.at += 1;
                    last = Last::Item(start);
                }
                '$' => {
                    // Python's `$` also holds before a final newline.
                    self.out.push_str(r"(?:$|(?=\n\z))");
                    self.at += 1;
                    last = Last::Item(start);
                }
                '#' if self.verbose => {
                    while self.peek(0).is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                c if self.verbose && c.is_ascii_whitespace() => self.at += 1,
                c => {
                    self.literal(c);
                    self.at += 1;
                    last = Last::Item(start);
                }
            }
            if last == Last::Item(start) {
                self.item = Size {
                    places: 1,
                    wide: self.letters - letters,
                    least: u64::from(matches!(c, '\\' | '[' | '.')),
                };
                if self.item.wide > 0 && self.repeats == Repeats::Looped {
                    self.out.insert_str(start, ALONE);
                }
                self.size.places += 1;
                self.size.wide += self.item.wide;
                self.size.least += self.item.least;
            }
        }
        match self.open.is_empty() {
            true => Ok(()),
            false => Err("missing ), unterminated subpattern".to_owned()),
        }
    }

    fn literal(&mut self, c: char) {
        let special = c.is_ascii_punctuation() && !"_'\"`<>/!%,:;=@".contains(c);
        match special && c != '.' {
            true => self.out.extend(['\\', c]),
            false if self.verbose && c == ' ' => self.out.push_str("\\ "),
            false => self.out.push(c),
        }
    }

    /// A repeat; assertions are put into a group, for the engine repeats none of them bare.
    fn repeat(&mut self, last: Last, bounds: Bounds) -> Result<Last, String> {
        let from = match last {
            Last::Nothing => return Err("nothing to repeat".to_owned()),
            Last::Repeat => return Err("multiple repeat".to_owned()),
            Last::Item(from) => from,
        };
        let Bounds {
            text,
            fewest,
            times,
        } = bounds;
        self.size = self.size.repeated(self.item, fewest, times);
        if times > 1 && self.size.places > MAX_PLACES {
            return Err(format!("written out, it has more than {MAX_PLACES} places"));
        }
        let item = self.out.split_off(from);
        let plain = item.chars().count() == 1 && item != "^" || item.starts_with('[');
        let grouped = item.starts_with("(?:") && item.ends_with(')') && !item.starts_with("(?:$|");
        match plain || grouped {
            _ if times > 1 && self.repeats == Repeats::Looped => {
                self.out.push_str(&format!("(?:{ALONE}{item})"));
            }
            true => self.out.push_str(&item),
            false => self.out.push_str(&format!("(?:{item})")),
        }
        self.out.push_str(&text);
        if let Some(mode @ ('?' | '+')) = self.peek(0) {
            self.out.push(mode);
            self.at += 1;
        }
        Ok(Last::Repeat)
    }

    /// `{2}`, `{1,}`, `{,3}`; none for a brace that means itself.
    fn bounds(&mut self) -> Result<Option<Bounds>, String> {
        let rest: String = self.chars[self.at + 1..].iter().take(24).collect();
        let Some((inside, _)) = rest.split_once('}') else {
            return Ok(None);
        };
        let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if inside.is_empty() || !digits(least) || !digits(most) {
            return Ok(None);
        }
        let parse = |text: &str| text.parse::<u64>().ok();
        if let (Some(least), Some(most)) = (parse(least), parse(most))
            && least > most
        {
            return Err("min repeat greater than max repeat".to_owned());
        }
        self.at += inside.chars().count() + 2;
        let times = parse(most).or_else(|| parse(least)).unwrap_or(1);
        let fewest = parse(least).unwrap_or(0);
        let least = if least.is_empty() { "0" } else { least };
        let text = match inside.contains(',') {
            true => format!("{{{least},{most}}}"),
            false => format!("{{{least}}}"),
        };
        Ok(Some(Bounds {
            text,
            fewest,
            times,
        }))
    }

    fn group(&mut self) -> Result<Last, String> {
        let start = self.out.len();
        if self.open.len() >= MAX_DEPTH {
            return Err("its groups are nested too deeply".to_owned());
        }
        if self.starts("(?#") {
            let end = self.chars[self.at..].iter().position(|c| *c == ')');
            self.at += end.ok_or("missing ), unterminated comment")? + 1;
            return Ok(Last::Nothing);
        }
        if self.starts("(?P=") {
            let name = self.name(4, ')')?;
            self.out.push_str(&format!("(?P={name})"));
            return Ok(Last::Item(start));
        }
        let verbose = self.verbose;
        if self.starts("(?P<") {
            let name = self.name(4, '>')?;
            self.out.push_str(&format!("(?P<{name}>"));
        } else if self.starts("(?(") {
            let name = self.name(3, ')')?;
            self.out.push_str(&format!("(?({name})"));
        } else {
            let known = ["(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"];
            if let Some(open) = known.iter().find(|open| self.starts(open)) {
                self.out.push_str(open);
                self.at += open.len();
            } else if self.starts("(?") {
                return self.flags(start);
            } else {
                self.out.push('(');
                self.at += 1;
            }
        }
        self.open.push(Open {
            from: start,
            verbose,
            size: self.size,
        });
        Ok(Last::Nothing)
    }

    fn name(&mut self, skip: usize, close: char) -> Result<String, String> {
        let from = self.at + skip;
        let rest = self.chars.get(from..).unwrap_or_default();
        let end = rest.iter().position(|c| *c == close);
        let end = end.ok_or_else(|| format!("missing {close}, unterminated name"))?;
        let name: String = rest[..end].iter().collect();
        let legal = |c: char| c == '_' || c.is_alphanumeric();
        if name.is_empty() || !name.chars().all(legal) {
            return Err(format!("bad character in group name '{name}'"));
        }
        self.at = from + end + 1;
        Ok(name)
    }

    /// `(?i)` at the start, `(?i:…)` anywhere.
    fn flags(&mut self, start: usize) -> Result<Last, String> {
        let rest = &self.chars[self.at + 2..];
        let length = rest.iter().take_while(|c| "aiLmsux-".contains(**c)).count();
        let flags: String = rest[..length].iter().collect();
        let end = rest.get(length).copied();
        let at_start = self.at == 0;
        let (on, off) = flags.split_once('-').unwrap_or((&flags, ""));
        if flags.is_empty() || on.contains('L') || !matches!(end, Some(')' | ':')) {
            return Err("unknown extension".to_owned());
        }
        self.at += length + 3;
        let verbose = self.verbose;
        if on.contains('x') {
            self.verbose = true;
        }
        self.verbose &= !off.contains('x');
        let keep =
            |flags: &str| -> String { flags.chars().filter(|c| "ims".contains(*c)).collect() };
        let (on, off) = (keep(on), keep(off));
        let shown = match off.is_empty() {
            true => on,
            false => format!("{on}-{off}"),
        };
        match end {
            Some(')') if !at_start => Err("global flags not at the start of the expression".into()),
            Some(')') => {
                if flags.contains('-') {
                    return Err("missing :".to_owned());
                }
                if !shown.is_empty() {
                    self.out.push_str(&format!("(?{shown})"));
                }
                Ok(Last::Nothing)
            }
            _ => {
                self.out.push_str(&format!("(?{shown}:"));
                self.open.push(Open {
                    from: start,
                    verbose,
                    size: self.size,
                });
                Ok(Last::Nothing)
            }
        }
    }

    fn code(&mut self, digits: usize, escape: char) -> Result<char, String> {
        let text: String = self.chars[self.at..].iter().take(digits).collect();
        let whole = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        let code = u32::from_str_radix(&text, 16).ok().and_then(char::from_u32);
        self.at += digits;
        code.filter(|_| whole)
            .ok_or_else(|| format!("incomplete escape \\{escape}{text}"))
    }

    /// Octal escapes; none where the digits are a group's number.
    fn octal(&mut self, in_class: bool) -> Result<Option<char>, String> {
        let digits: String = self.chars[self.at..]
            .iter()
            .take(3)
            .take_while(|c| c.is_digit(8))
            .collect();
        let zero = digits.starts_with('0');
        if !(zero || digits.len() == 3 || (in_class && !digits.is_empty())) {
            return Ok(None);
        }
        self.at += digits.len();
        let code = u32::from_str_radix(&digits, 8).unwrap_or(u32::MAX);
        let c = char::from_u32(code).filter(|_| code < 0o400);
        c.map(Some)
            .ok_or_else(|| format!("octal escape value \\{digits} outside of range 0-0o377"))
    }

    fn push_code(&mut self, c: char) {
        self.out.push_str(&format!("\\x{{{:X}}}", c as u32));
    }

    fn escape(&mut self) -> Result<(), String> {
        let c = self.peek(0).ok_or("bad escape (end of pattern)")?;
        if c.is_ascii_digit() {
            if let Some(c) = self.octal(false)? {
                self.push_code(c);
                return Ok(());
            }
            let digits: String = self.chars[self.at..]
                .iter()
                .take(2)
                .take_while(|c| c.is_ascii_digit())
                .collect();
            self.at += digits.len();
            self.out.push_str(&format!("(?:\\{digits})"));
            return Ok(());
        }
        self.at += 1;
        match c {
            'A' => self.out.push_str(r"\A"),
            'Z' => self.out.push_str(r"\z"),
            'b' | 'B' => self.out.extend(['\\', c]),
            _ => return self.shared_escape(c, false),
        }
        Ok(())
    }

    /// Escapes that mean the same within a class and outside.
    fn shared_escape(&mut self, c: char, in_class: bool) -> Result<(), String> {
        self.letters += u64::from(c == 'w' || c == 'W');
        match c {
            'd' | 'D' | 's' | 'S' => self.out.extend(['\\', c]),
            // What is alphabetic by Rust's table is not all that Python takes: a number is too.
            'w' if in_class => self.out.push_str(r"\p{L}\p{N}_"),
            'w' => self.out.push_str(r"[\p{L}\p{N}_]"),
            'W' if in_class => self.out.push_str(r"[^\p{L}\p{N}_]"),
            'W' => self.out.push_str(r"[^\p{L}\p{N}_]"),
            'n' | 't' | 'r' | 'f' | 'v' | 'a' => self.out.extend(['\\', c]),
            'x' | 'u' | 'U' => {
                let digits = match c {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code = self.code(digits, c)?;
                self.push_code(code);
            }
            'N' => return Err("names of characters are not supported".to_owned()),
            c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
            c if c.is_ascii_punctuation() || c.is_ascii_whitespace() => self.push_code(c),
            c => self.out.push(c),
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        self.at += 1;
        if self.peek(0) == Some('^') {
            self.out.push('^');
            self.at += 1;
        }
        let first = self.at;
        loop {
            let c = self.peek(0).ok_or("unterminated character set")?;
            if c == ']' && self.at > first {
                self.at += 1;
                self.out.push(']');
                return Ok(());
            }
            let low = self.member()?;
            let ranged = self.peek(0) == Some('-') && self.peek(1).is_some_and(|c| c != ']');
            if !ranged {
                continue;
            }
            self.at += 1;
            self.out.push('-');
            let high = self.member()?;
            match (low, high) {
                (Some(low), Some(high)) if low <= high => {}
                _ => return Err("bad character range".to_owned()),
            }
        }
    }

    /// One member of a class; its character where it is one.
    fn member(&mut self) -> Result<Option<char>, String> {
        let c = self.peek(0).ok_or("unterminated character set")?;
        self.at += 1;
        if c != '\\' {
            self.push_code(c);
            return Ok(Some(c));
        }
        let escaped = self.peek(0).ok_or("bad escape (end of pattern)")?;
        if escaped.is_ascii_digit() {
            let c = self
                .octal(true)?
                .ok_or_else(|| format!("bad escape \\{escaped}"))?;
            self.push_code(c);
            return Ok(Some(c));
        }
        self.at += 1;
        let c = match escaped {
            'b' => '\u{8}',
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'a' => '\u{7}',
            'x' | 'u' | 'U' => {
                let digits = match escaped {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                self.code(digits, escaped)?
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.shared_escape(escaped, true)?;
                return Ok(None);
            }
            c if c.is_ascii_alphabetic() => return Err(format!("bad escape \\{c}")),
            c => c,
        };
        self.push_code(c);
        Ok(Some(c))
    }
}
