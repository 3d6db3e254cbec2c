//! Lines that belong to one record: a traceback, a dump of stacks, whatever is indented.
//!
//! The last record is held back until the next line shows that it is whole; its owner closes it
//! when nothing more comes for a while.

use super::LogLine;
use super::parse::parse;
use crate::core::clock::Wall;
use crate::core::notice::Level;

/// Longest record of several lines, bytes; what follows is a record of its own.
pub const MOST_BYTES: usize = 32 << 10;

const TRACEBACK: &str = "Traceback (most recent call last):";

/// Between the tracebacks of an exception and of the one that it led to.
const LINKS: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

/// What may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Indented lines.
    Plain,
    /// Frames of a traceback, then the exception.
    Frames,
    /// The exception was there: more of its text, or a link to the next traceback.
    Told,
    /// A link, or the blank line before one, was there.
    Linked,
    /// A dump of stacks by `faulthandler`.
    Dump,
}

#[derive(Debug)]
struct Open {
    line: LogLine,
    shape: Shape,
}

/// Joins the lines of one start of a sensor.
#[derive(Debug, Default)]
pub struct Joiner {
    open: Option<Open>,
}

impl Joiner {
    /// Takes a line; gives the record that it closes.
    pub fn take(&mut self, at: Wall, text: &str, cut: u64) -> Option<LogLine> {
        if let Some(open) = &mut self.open
            && open.line.cut == 0
            && open.line.text.len() + text.len() < MOST_BYTES
            && let Some(shape) = open.next(text)
        {
            open.shape = shape;
            open.line.cut = cut;
            open.line.text.push('\n');
            open.line.text.push_str(text);
            return None;
        }
        let before = self.close();
        if !text.trim().is_empty() {
            self.open = Some(begun(at, text, cut));
        }
        before
    }

    /// The record that is held back.
    pub fn close(&mut self) -> Option<LogLine> {
        let mut line = self.open.take()?.line;
        line.text.truncate(line.text.trim_end().len());
        Some(line)
    }

    /// The record that is held back, as far as it goes.
    pub fn held(&self) -> Option<&LogLine> {
        self.open.as_ref().map(|open| &open.line)
    }

    /// Goes on with a record that was held back elsewhere.
    pub fn resume(&mut self, line: LogLine) {
        let (shape, _) = shape(&line.text);
        self.open = Some(Open { line, shape });
    }

    /// A record is held back.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }
}

fn begun(at: Wall, text: &str, cut: u64) -> Open {
    let parsed = parse(text);
    let (shape, least) = shape(parsed.text);
    Open {
        line: LogLine {
            at,
            level: parsed.level.max(least),
            logger: parsed.logger.map(str::to_owned),
            text: parsed.text.to_owned(),
            cut,
        },
        shape,
    }
}

fn shape(text: &str) -> (Shape, Level) {
    match text {
        _ if is_traceback(text) => (Shape::Frames, Level::Error),
        _ if text.starts_with("Fatal Python error: ") => (Shape::Dump, Level::Error),
        _ if is_stack(text) => (Shape::Dump, Level::Warning),
        _ => (Shape::Plain, Level::Debug),
    }
}

fn is_traceback(text: &str) -> bool {
    text.trim_end().ends_with(TRACEBACK)
}

/// `Thread 0x… (most recent call first):`
fn is_stack(text: &str) -> bool {
    text.trim_end().ends_with("(most recent call first):")
}

impl Open {
    /// What may follow after this line, if it belongs to the record.
    fn next(&self, text: &str) -> Option<Shape> {
        let indented = text.starts_with([' ', '\t']) && !text.trim().is_empty();
        let blank = text.trim().is_empty();
        let linked = LINKS.contains(&text.trim());
        match self.shape {
            Shape::Plain if indented => Some(Shape::Plain),
            // `logging.exception`: the message comes first.
            Shape::Plain if is_traceback(text) && self.line.level == Level::Error => {
                Some(Shape::Frames)
            }
            Shape::Plain => None,
            Shape::Frames if indented => Some(Shape::Frames),
            Shape::Frames if blank || linked => Some(Shape::Linked),
            Shape::Frames => Some(Shape::Told),
            Shape::Told if indented => Some(Shape::Told),
            Shape::Told if blank || linked => Some(Shape::Linked),
            Shape::Told => None,
            Shape::Linked if blank || linked => Some(Shape::Linked),
            Shape::Linked if is_traceback(text) => Some(Shape::Frames),
            Shape::Linked => None,
            Shape::Dump if indented || blank || is_stack(text) => Some(Shape::Dump),
            Shape::Dump if text.starts_with("Extension modules:") => Some(Shape::Dump),
            Shape::Dump => None,
        }
    }
}
