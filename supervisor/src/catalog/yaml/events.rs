//! The events of libyaml, with its errors as faults and its panics kept quiet.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use libyaml_safer::{Error, ErrorKind, Event, Parser};

use super::compose::Composed;
use super::fault::{Fault, FaultKind, fault, point};
use super::padding;
use super::padding::BREAKS;
use crate::catalog::diagnostics::Span;
use crate::catalog::model::Mark;

/// A source of events.
pub struct Events<'t> {
    /// The text as the user wrote it.
    pub text: &'t str,
    /// How many lines it has.
    pub lines: usize,
    parser: Parser<&'t mut &'t [u8]>,
    /// The line of the last event, from 0: it outlives a panic of the scanner.
    line: &'t Cell<usize>,
}

impl<'t> Events<'t> {
    /// The events of `bytes`, which are `text` with a line break at its end.
    pub fn new(text: &'t str, bytes: &'t mut &'t [u8], line: &'t Cell<usize>) -> Self {
        let mut parser = Parser::new();
        parser.set_input_string(bytes);
        let lines = padding::lines(text);
        Self {
            text,
            lines,
            parser,
            line,
        }
    }

    /// The next event.
    pub fn next(&mut self) -> Composed<Event> {
        let event = self.parser.parse().map_err(|error| self.syntax(&error))?;
        self.line.set(event.start_mark.line as usize);
        Ok(event)
    }

    fn syntax(&self, error: &Error) -> Box<Fault> {
        let kind = match error.kind() {
            ErrorKind::Scanner => FaultKind::Scanner,
            ErrorKind::Parser => FaultKind::Parser,
            ErrorKind::Composer => FaultKind::Composer,
            _ => FaultKind::Reader,
        };
        let span = match error.problem_mark() {
            Some(mark) if self.ends_in_text(error) => padding::within(self.text, point(mark)),
            Some(mark) => point(mark),
            None => self.first_control_character(),
        };
        let mut found = match self.ends_in_escape(error) {
            Some(span) => fault(kind, span, "found unknown escape character"),
            None => fault(kind, span, error.problem()),
        };
        found.context = error
            .context()
            .zip(error.context_mark())
            .map(|(context, mark)| (context.to_owned(), point(mark)));
        found
    }

    /// Whether the scanner stood at the end of the text, and not at the end of the stream, which
    /// has a line of its own: a key that began on an earlier line is missed before that.
    fn ends_in_text(&self, error: &Error) -> bool {
        let lines = self.lines;
        let earlier = error
            .context_mark()
            .is_some_and(|mark| (mark.line as usize) + 1 < lines);
        let problem = error.problem();
        problem.ends_with("end of stream") || (earlier && problem == "could not find expected ':'")
    }

    /// A backslash that ends the text escapes nothing; the line break that was added hides that.
    fn ends_in_escape(&self, error: &Error) -> Option<Span> {
        let quoted = error.context() == Some("while scanning a quoted scalar");
        let backslashes = self.text.len() - self.text.trim_end_matches('\\').len();
        let ended = error.problem().ends_with("end of stream");
        (quoted && ended && backslashes % 2 == 1).then(|| {
            let mut span = padding::end(self.text);
            span.start.column -= 1;
            span
        })
    }

    /// The reader tells no place; its only fault in valid UTF-8 is a character out of range.
    fn first_control_character(&self) -> Span {
        let refused = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}');
        padding::end(self.text.split(refused).next().unwrap_or(""))
    }
}

thread_local! {
    /// True while this thread is in the scanner.
    static SCANNING: Cell<bool> = const { Cell::new(false) };
}

/// What the scanner says when it stops at a tag that a comma follows at once, as in `[!a,]`.
const TAG_PANIC: &str = "TODO: What is expected here?";

/// Keeps that one panic of the scanner, on a thread that is in it, from being printed. All others
/// are told as before.
fn quiet_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let tag = info.payload().downcast_ref::<&str>() == Some(&TAG_PANIC);
            if !(tag && SCANNING.get()) {
                before(info);
            }
        }));
    });
}

/// Does `work`, which reads events of `text` and notes their lines; a panic in it is a fault.
pub fn guarded<T>(text: &str, work: impl FnOnce(&Cell<usize>) -> Composed<T>) -> Composed<T> {
    quiet_hook();
    let line = Cell::new(0);
    SCANNING.set(true);
    let done = catch_unwind(AssertUnwindSafe(|| work(&line)));
    SCANNING.set(false);
    done.unwrap_or_else(|payload| {
        let message = match payload.downcast_ref::<&str>() == Some(&TAG_PANIC) {
            true => "a tag must be followed by a blank",
            false => "this text cannot be read as YAML",
        };
        let span = lone_tag(text, line.get());
        Err(fault(FaultKind::Scanner, span, message))
    })
}

/// The first `!tag,` from a line on.
fn lone_tag(text: &str, from: usize) -> Span {
    // Two breaks are one only as `\r\n`.
    let text = text.replace("\r\n", "\n");
    for (at, line) in text.split(BREAKS).enumerate().skip(from) {
        if let Some((column, width)) = tag_and_comma(line) {
            let start = Mark {
                line: at + 1,
                column: column + 1,
            };
            return Span { start, width };
        }
    }
    let start = Mark {
        line: from + 1,
        column: 1,
    };
    Span { start, width: 1 }
}

/// Where, in characters, a tag begins that a comma follows at once, and its width.
fn tag_and_comma(line: &str) -> Option<(usize, usize)> {
    let is_end = |c: char| c.is_whitespace() || ",[]{}\"'".contains(c);
    let mut bangs = line.match_indices('!').map(|(at, _)| at);
    bangs.find_map(|at| {
        let before = line[..at].chars().next_back();
        let starts = before.is_none_or(|c| c.is_whitespace() || ",[{:".contains(c));
        let length = line[at..].find(is_end)?;
        let comma = line[at + length..].starts_with(',');
        let chars = |text: &str| text.chars().count();
        (starts && comma).then(|| (chars(&line[..at]), chars(&line[at..at + length])))
    })
}
