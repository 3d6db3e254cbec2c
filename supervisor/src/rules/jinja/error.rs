//! What goes wrong in a template, with the name that Python gives it.

/// An error of compiling or rendering.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The name of Python's exception, or [`LIMIT`].
    pub kind: &'static str,
    /// What happened, in Python's words where they are clear.
    pub message: String,
    /// The part of the template that did it, as byte offsets.
    pub at: Option<(usize, usize)>,
}

/// The kind of an error that Python would not have: too much work, memory, text or depth.
pub const LIMIT: &str = "LimitError";

/// The kind of an error of a template that changes what it shares with others.
pub const SHARED: &str = "SharedError";

/// A result of compiling or rendering.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a place.
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            at: None,
        }
    }

    /// With the place, unless a narrower one is known.
    pub fn within(mut self, start: usize, end: usize) -> Self {
        self.at.get_or_insert((start, end));
        self
    }

    /// True for what `except (TypeError, ValueError)` would catch.
    pub fn is_type_or_value(&self) -> bool {
        matches!(self.kind, "TypeError" | "ValueError")
    }
}

/// `TypeError`.
pub fn type_error(message: impl Into<String>) -> Error {
    Error::new("TypeError", message)
}

/// `ValueError`.
pub fn value_error(message: impl Into<String>) -> Error {
    Error::new("ValueError", message)
}

/// Too much of something.
pub fn limit(message: impl Into<String>) -> Error {
    Error::new(LIMIT, message)
}
