//! Scalars as libyaml writes them: plain where they may be, else in single or double quotes,
//! folded at column 80.

/// Where lines are folded.
const WIDTH: usize = 80;

/// Text that grows, with what libyaml remembers of it.
pub struct Writer {
    out: String,
    column: usize,
    whitespace: bool,
    /// Nothing but indention stands on the line.
    pub indention: bool,
    unicode: bool,
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

/// True for text of several lines.
pub fn is_multiline(text: &str) -> bool {
    text.contains(is_break)
}

/// In which ways a scalar may be written.
struct Ways {
    plain: bool,
    single: bool,
}

fn analyse(text: &str, unicode: bool) -> Ways {
    let chars: Vec<char> = text.chars().collect();
    let blank = |at: usize| {
        chars
            .get(at)
            .is_none_or(|c| " \t".contains(*c) || is_break(*c))
    };
    let mut indicators = text.starts_with("---") || text.starts_with("...");
    let (mut breaks, mut special) = (false, false);
    let (mut break_space, mut space_break) = (false, false);
    let (mut after_space, mut after_break, mut after_blank) = (false, false, true);
    for (at, c) in chars.iter().copied().enumerate() {
        indicators |= match c {
            '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
            | '@' | '`'
                if at == 0 =>
            {
                true
            }
            '?' | '-' if at == 0 => blank(at + 1),
            ':' => blank(at + 1),
            '#' => after_blank,
            _ => false,
        };
        special |= !is_printable(c) || (!c.is_ascii() && !unicode);
        breaks |= is_break(c);
        break_space |= c == ' ' && after_break;
        space_break |= is_break(c) && after_space;
        (after_space, after_break) = (c == ' ', is_break(c));
        after_blank = blank(at);
    }
    let edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
    let edges = edge(chars.first()) || edge(chars.last());
    Ways {
        plain: !(edges || break_space || space_break || special || breaks || indicators),
        single: !(break_space || space_break || special),
    }
}

impl Writer {
    /// An empty one; without `unicode` all beyond ASCII is escaped.
    pub fn new(unicode: bool) -> Self {
        Self {
            out: String::new(),
            column: 0,
            whitespace: true,
            indention: true,
            unicode,
        }
    }

    /// The text with its last newline.
    pub fn finish(mut self) -> String {
        self.out.push('\n');
        self.out
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column = if is_break(c) { 0 } else { self.column + 1 };
    }

    /// A sign, after a blank where one is needed.
    pub fn indicator(&mut self, sign: &str, needs_blank: bool, is_indention: bool) {
        if needs_blank && !self.whitespace {
            self.put(' ');
        }
        sign.chars().for_each(|c| self.put(c));
        self.whitespace = false;
        self.indention &= is_indention;
    }

    /// Goes to a column, on a new line unless only indention stands before it.
    pub fn write_indent(&mut self, indent: usize) {
        let here = self.column == indent;
        if !self.indention || self.column > indent || (here && !self.whitespace) {
            self.put('\n');
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    /// A scalar; `plain` when it means itself without quotes.
    pub fn scalar(&mut self, text: &str, plain: bool, key: bool, indent: usize) {
        let ways = analyse(text, self.unicode);
        let chars: Vec<char> = text.chars().collect();
        if ways.plain && plain && !(text.is_empty() && key) {
            self.plain(&chars, !key, indent);
        } else if ways.single && !(key && is_multiline(text)) {
            self.single(&chars, !key, indent);
        } else {
            self.double(&chars, !key, indent);
        }
    }

    fn plain(&mut self, chars: &[char], folds: bool, indent: usize) {
        if !self.whitespace && !chars.is_empty() {
            self.put(' ');
        }
        let mut after_space = false;
        for (at, c) in chars.iter().copied().enumerate() {
            let lone = !after_space && chars.get(at + 1) != Some(&' ');
            if c == ' ' && folds && lone && self.column > WIDTH {
                self.write_indent(indent);
            } else {
                self.put(c);
            }
            after_space = c == ' ';
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, chars: &[char], folds: bool, indent: usize) {
        self.indicator("'", true, false);
        let (mut after_space, mut after_break) = (false, false);
        for (at, c) in chars.iter().copied().enumerate() {
            if c == ' ' {
                let inner = at > 0 && at + 1 < chars.len() && chars.get(at + 1) != Some(&' ');
                if folds && !after_space && inner && self.column > WIDTH {
                    self.write_indent(indent);
                } else {
                    self.put(c);
                }
                after_space = true;
            } else if is_break(c) {
                if !after_break && c == '\n' {
                    self.put('\n');
                }
                self.put(c);
                self.indention = true;
                after_break = true;
            } else {
                if after_break {
                    self.write_indent(indent);
                }
                if c == '\'' {
                    self.put(c);
                }
                self.put(c);
                self.indention = false;
                (after_space, after_break) = (false, false);
            }
        }
        if after_break {
            self.write_indent(indent);
        }
        self.indicator("'", false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double(&mut self, chars: &[char], folds: bool, indent: usize) {
        self.indicator("\"", true, false);
        let mut after_space = false;
        for (at, c) in chars.iter().copied().enumerate() {
            let plain = is_printable(c) && (c.is_ascii() || self.unicode);
            if !plain || is_break(c) || c == '"' || c == '\\' {
                escape(c).chars().for_each(|c| self.put(c));
                after_space = false;
            } else if c == ' ' {
                let inner = at > 0 && at + 1 < chars.len();
                if folds && !after_space && inner && self.column > WIDTH {
                    self.write_indent(indent);
                    if chars.get(at + 1) == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                after_space = true;
            } else {
                self.put(c);
                after_space = false;
            }
        }
        self.indicator("\"", false, false);
        self.whitespace = false;
        self.indention = false;
    }
}

fn escape(c: char) -> String {
    let code = c as u32;
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => c,
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ if code < 0x100 => return format!("\\x{code:02X}"),
        _ if code < 0x1_0000 => return format!("\\u{code:04X}"),
        _ => return format!("\\U{code:08X}"),
    };
    format!("\\{short}")
}
