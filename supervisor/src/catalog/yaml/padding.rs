//! The scanner needs a line break at the end of the text. Where the file has none, one is added,
//! and what it adds to the value or the place of an error is taken away again.

use std::borrow::Cow;

use libyaml_safer::{EventData, Mark as YamlMark, ScalarStyle};

use crate::catalog::diagnostics::Span;
use crate::catalog::model::Mark;

pub(super) const BREAKS: [char; 5] = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];

fn needs_break(text: &str) -> bool {
    !text.is_empty() && !text.ends_with(BREAKS)
}

/// The text with a line break at its end.
pub fn padded(text: &str) -> Cow<'_, str> {
    match needs_break(text) {
        true => Cow::Owned(format!("{text}\n")),
        false => Cow::Borrowed(text),
    }
}

fn last_line(text: &str) -> &str {
    text.rsplit(BREAKS).next().unwrap_or("")
}

/// How many lines the text has; one that is empty at its end counts.
pub fn lines(text: &str) -> usize {
    text.replace("\r\n", "\n").matches(BREAKS).count() + 1
}

/// A place behind the end of the text is its end.
pub fn within(text: &str, span: Span) -> Span {
    let lines = lines(text);
    if !needs_break(text) || span.start.line <= lines {
        return span;
    }
    end(text)
}

/// The place after the last character.
pub fn end(text: &str) -> Span {
    let last = last_line(text).trim_start_matches('\u{feff}');
    let (line, column) = (lines(text), last.chars().count() + 1);
    Span {
        start: Mark { line, column },
        width: 1,
    }
}

/// A block scalar that goes to the end of the text, which has so many lines, without the break that
/// was added to it.
pub fn unpadded(
    text: &str,
    lines: usize,
    data: EventData,
    start: YamlMark,
    end: YamlMark,
) -> EventData {
    let mut data = data;
    if let EventData::Scalar {
        value,
        style: ScalarStyle::Literal | ScalarStyle::Folded,
        ..
    } = &mut data
        && needs_break(text)
        && end.line as usize >= lines
        && ends_in_padding(text, value, start)
    {
        value.truncate(value.strip_suffix('\n').map_or(value.len(), str::len));
    }
    data
}

/// Whether the last break of the value is the added one. With `+` it always is; else the last line
/// must be content, which one of blanks alone is only where it is indented further.
fn ends_in_padding(text: &str, value: &str, start: YamlMark) -> bool {
    let header = text.split('\n').nth(start.line as usize).unwrap_or("");
    let keeps = header
        .chars()
        .skip(start.column as usize)
        .take_while(|c| !c.is_whitespace())
        .any(|c| c == '+');
    let blank = |line: &str| !line.is_empty() && line.chars().all(|c| c == ' ' || c == '\t');
    let written = value.strip_suffix('\n').unwrap_or(value);
    keeps || !blank(last_line(text)) || blank(last_line(written))
}
