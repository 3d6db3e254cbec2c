//! Bytes to lines in bounded memory: what a line has beyond its limit is counted and gone.

/// Collects chunks into lines.
#[derive(Debug)]
pub struct Lines {
    limit: usize,
    held: Vec<u8>,
    cut: u64,
}

impl Lines {
    /// Of at most `limit` bytes each.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Vec::new(),
            cut: 0,
        }
    }

    /// Gives each line that ends in the chunk, with the number of bytes that were cut off it.
    pub fn push(&mut self, chunk: &[u8], mut line: impl FnMut(&str, u64)) {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let part = &rest[..end];
            rest = &rest[end + 1..];
            if self.is_empty() && part.len() <= self.limit {
                line(&text(part, 0), 0);
            } else {
                self.keep(part);
                self.end(&mut line);
            }
        }
        self.keep(rest);
    }

    /// At the end of the input: the last line, if nothing ended it.
    pub fn finish(&mut self, mut line: impl FnMut(&str, u64)) {
        if !self.is_empty() {
            self.end(&mut line);
        }
    }

    /// The line that is in the middle: what is held of it, and how much was cut off.
    pub fn unfinished(&self) -> (&[u8], u64) {
        (&self.held, self.cut)
    }

    /// Goes on in the middle of a line.
    pub fn resume(&mut self, held: Vec<u8>, cut: u64) {
        self.held = held;
        self.cut = cut;
    }

    /// No line is in the middle.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.cut == 0
    }

    fn keep(&mut self, part: &[u8]) {
        let room = self.limit.saturating_sub(self.held.len()).min(part.len());
        self.held.extend_from_slice(&part[..room]);
        self.cut += (part.len() - room) as u64;
    }

    fn end(&mut self, line: &mut impl FnMut(&str, u64)) {
        let held = std::mem::take(&mut self.held);
        let cut = std::mem::take(&mut self.cut);
        line(&text(&held, cut), cut);
    }
}

/// What is not UTF-8 is replaced; a character in the middle of which a line was cut is gone.
fn text(line: &[u8], cut: u64) -> std::borrow::Cow<'_, str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let whole = match cut {
        0 => line.len(),
        _ => whole_characters(line),
    };
    String::from_utf8_lossy(&line[..whole])
}

/// Up to where a text has no character that is cut at its end.
fn whole_characters(text: &[u8]) -> usize {
    match std::str::from_utf8(text) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => text.len(),
    }
}
