//! What a Python traceback says, as text.

/// The exception that ended a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thrown<'t> {
    /// Its last line: `KeyError: 'items'`.
    pub line: &'t str,
    /// Where: the innermost frame that is not of a library.
    pub frame: Option<Frame<'t>>,
}

/// A line of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'t> {
    /// Path as the traceback has it.
    pub file: &'t str,
    /// Its number.
    pub line: &'t str,
    /// The function.
    pub function: &'t str,
    /// The code, where the file was there.
    pub code: Option<&'t str>,
}

const TRACEBACK: &str = "Traceback (most recent call last):";

impl<'t> Thrown<'t> {
    /// The last exception of a text; none where it has no traceback.
    pub fn last(text: &'t str) -> Option<Self> {
        let (_, body) = text.rsplit_once(TRACEBACK)?;
        let mut lines = body.lines().skip(1);
        let line = lines.find(|line| !line.is_empty() && !line.starts_with([' ', '\t']))?;
        Some(Self {
            line,
            frame: innermost(frames(body)),
        })
    }
}

/// Where a program hung: the innermost frame of the thread that got the signal, or of the last one.
pub fn hung_at(text: &str) -> Option<Frame<'_>> {
    let (_, body) = text
        .rsplit_once("Current thread")
        .or_else(|| text.rsplit_once("Thread 0x"))?;
    let (_, stack) = body.split_once("(most recent call first):")?;
    let stack = stack.split("\n\n").next()?;
    let mut all = frames(stack);
    // Here the innermost comes first.
    all.reverse();
    innermost(all)
}

/// `  File "a.py", line 3, in f`, and of a dump `  File "a.py", line 3 in f`.
fn frames(text: &str) -> Vec<Frame<'_>> {
    let mut lines = text.lines().map(str::trim).peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(mut frame) = frame(line) {
            let is_code = |next: &&str| !next.is_empty() && frame_of(next).is_none();
            frame.code = lines.next_if(is_code);
            found.push(frame);
        }
    }
    found
}

fn frame(line: &str) -> Option<Frame<'_>> {
    let (file, rest) = frame_of(line)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit());
    let (line, function) = rest.split_at(digits.unwrap_or(rest.len()));
    let function = function.trim_start_matches(',').trim();
    Some(Frame {
        file,
        line,
        function: function.strip_prefix("in ").unwrap_or(function),
        code: None,
    })
}

fn frame_of(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("File \"")?.split_once("\", line ")
}

/// Of the pack if one is, else the last.
fn innermost(frames: Vec<Frame<'_>>) -> Option<Frame<'_>> {
    let of_library = |frame: &Frame<'_>| {
        let parts = [
            "site-packages",
            "/lib/python",
            "dist-packages",
            "petrel_sdk",
            "<frozen",
        ];
        parts.iter().any(|part| frame.file.contains(part))
    };
    let own = frames.iter().rposition(|frame| !of_library(frame));
    let index = own.or_else(|| frames.len().checked_sub(1))?;
    frames.into_iter().nth(index)
}
