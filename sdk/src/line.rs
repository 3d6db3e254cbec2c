//! Bytes to lines, in bounded memory.
//!
//! A line above the limit is never held: the buffer keeps its first 4 KiB, hashes the rest as it
//! passes, and gives [`Line::TooLong`] at its end. What a reader gets does not depend on how the
//! bytes were cut into chunks.

use std::borrow::Cow;

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

/// What is kept of a line that is too long, in bytes.
pub const PREFIX_BYTES: usize = 4096;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One line, without its terminator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line within the limit, without `\n` or `\r\n`; borrowed where it lay in one chunk.
    Whole(Cow<'a, [u8]>),
    /// A line above the limit; its bytes are gone.
    TooLong {
        /// Its first [`PREFIX_BYTES`] bytes.
        prefix: Vec<u8>,
        /// How long it was, in bytes before the `\n`.
        bytes: u64,
        /// SHA-256 of these bytes.
        sha256: [u8; 32],
    },
}

impl Line<'_> {
    /// The same line, independent of the chunk that it came from.
    pub fn into_owned(self) -> Line<'static> {
        match self {
            Line::Whole(bytes) => Line::Whole(Cow::Owned(bytes.into_owned())),
            Line::TooLong {
                prefix,
                bytes,
                sha256,
            } => Line::TooLong {
                prefix,
                bytes,
                sha256,
            },
        }
    }
}

/// Collects chunks into lines. Holds at most the limit (or 4 KiB, whichever is more) between chunks.
#[derive(Debug)]
pub struct LineBuffer {
    limit_bytes: usize,
    held: Vec<u8>,
    skipping: Option<Skipped>,
    first_line: bool,
}

/// What a [`LineBuffer`] holds between two chunks, for another process that reads on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// The bytes of a line whose end has not been seen; the first ones where it is too long.
    pub held: Vec<u8>,
    /// Of a line that is too long: how many bytes have passed, and the state of their hash.
    pub passed: Option<(u64, Vec<u8>)>,
    /// No line has ended yet.
    pub first_line: bool,
}

#[derive(Debug)]
struct Skipped {
    prefix: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

/// The lines that a chunk completed. Must be exhausted: bytes not asked for are lost.
#[derive(Debug)]
#[must_use = "bytes that are not iterated over are lost"]
pub struct Lines<'a> {
    buffer: &'a mut LineBuffer,
    chunk: &'a [u8],
}

impl LineBuffer {
    /// A buffer for lines of at most `limit_bytes`, counted before the `\n`.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            held: Vec::new(),
            skipping: None,
            first_line: true,
        }
    }

    /// What is held, as it stands.
    pub fn unfinished(&self) -> Unfinished {
        let (held, passed) = match &self.skipping {
            None => (self.held.clone(), None),
            Some(one) => {
                let hash = one.hash.serialize().to_vec();
                (one.prefix.clone(), Some((one.bytes, hash)))
            }
        };
        Unfinished {
            held,
            passed,
            first_line: self.first_line,
        }
    }

    /// A buffer that goes on where another one stood; none where that cannot have stood there.
    pub fn resume(limit_bytes: usize, from: Unfinished) -> Option<Self> {
        let mut buffer = Self::new(limit_bytes);
        buffer.first_line = from.first_line;
        match from.passed {
            None => buffer.held = from.held,
            Some((bytes, hash)) => {
                let state = SerializedState::<Sha256>::try_from(&hash[..]).ok()?;
                let hash = Sha256::deserialize(&state).ok()?;
                let prefix = from.held;
                let possible = prefix.len() <= PREFIX_BYTES;
                buffer.skipping = possible.then_some(Skipped {
                    prefix,
                    bytes,
                    hash,
                });
                buffer.skipping.as_ref()?;
            }
        }
        Some(buffer)
    }

    /// Takes a chunk; the iterator gives the lines that end in it.
    pub fn push<'a>(&'a mut self, chunk: &'a [u8]) -> Lines<'a> {
        Lines {
            buffer: self,
            chunk,
        }
    }

    /// At the end of input: the last line, if it had no terminator.
    pub fn finish(&mut self) -> Option<Line<'static>> {
        if self.held.is_empty() && self.skipping.is_none() {
            return None;
        }
        Some(self.end_line(&[]).into_owned())
    }

    /// The bytes held of an unfinished line.
    pub fn held_bytes(&self) -> usize {
        self.held.len() + self.skipping.as_ref().map_or(0, |s| s.prefix.len())
    }

    /// Keeps a part of a line whose end has not been seen.
    fn keep(&mut self, part: &[u8]) {
        if let Some(skipped) = &mut self.skipping {
            skipped.add(part);
        } else if self.held.len() + part.len() > self.limit_bytes {
            self.skip(part);
        } else {
            self.held.extend_from_slice(part);
        }
    }

    fn skip(&mut self, part: &[u8]) {
        let mut skipped = Skipped {
            prefix: Vec::with_capacity(PREFIX_BYTES),
            bytes: 0,
            hash: Sha256::new(),
        };
        skipped.add(&std::mem::take(&mut self.held));
        skipped.add(part);
        self.skipping = Some(skipped);
    }

    /// Ends the line in progress with its last part.
    fn end_line<'a>(&mut self, last: &'a [u8]) -> Line<'a> {
        let whole_in_chunk = self.held.is_empty() && last.len() <= self.limit_bytes;
        if self.skipping.is_none() && whole_in_chunk {
            return Line::Whole(Cow::Borrowed(trim(last, self.take_first())));
        }
        self.keep(last);
        let first = self.take_first();
        match self.skipping.take() {
            Some(skipped) => skipped.end(),
            None => {
                let held = std::mem::take(&mut self.held);
                Line::Whole(Cow::Owned(trim(&held, first).to_vec()))
            }
        }
    }

    fn take_first(&mut self) -> bool {
        std::mem::replace(&mut self.first_line, false)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        match self.chunk.iter().position(|b| *b == b'\n') {
            Some(end) => {
                let (line, rest) = (&self.chunk[..end], &self.chunk[end + 1..]);
                self.chunk = rest;
                Some(self.buffer.end_line(line))
            }
            None => {
                self.buffer.keep(std::mem::take(&mut self.chunk));
                None
            }
        }
    }
}

impl Skipped {
    fn add(&mut self, part: &[u8]) {
        let room = PREFIX_BYTES - self.prefix.len();
        self.prefix.extend_from_slice(&part[..part.len().min(room)]);
        self.bytes += part.len() as u64;
        self.hash.update(part);
    }

    fn end(self) -> Line<'static> {
        Line::TooLong {
            prefix: self.prefix,
            bytes: self.bytes,
            sha256: self.hash.finalize().into(),
        }
    }
}

/// Without a `\r` at the end, and without a byte order mark at the start of the first line.
fn trim(line: &[u8], first: bool) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match first {
        true => line.strip_prefix(BOM).unwrap_or(line),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines_of<'a>(
        limit_bytes: usize,
        chunks: impl IntoIterator<Item = &'a [u8]>,
    ) -> Vec<Line<'static>> {
        let mut buffer = LineBuffer::new(limit_bytes);
        let mut lines = Vec::new();
        for chunk in chunks {
            lines.extend(buffer.push(chunk).map(Line::into_owned));
            assert!(buffer.held_bytes() <= limit_bytes.max(PREFIX_BYTES));
        }
        lines.extend(buffer.finish());
        lines
    }

    fn whole(text: &str) -> Line<'static> {
        Line::Whole(text.as_bytes().to_vec().into())
    }

    #[test]
    fn ends_of_lines_and_the_byte_order_mark() {
        let text = "\u{feff}a\r\n\nb\r\u{feff}\nlast".as_bytes();
        let expected = [whole("a"), whole(""), whole("b\r\u{feff}"), whole("last")];
        assert_eq!(lines_of(100, [text]), expected);
    }

    #[test]
    fn nothing_is_left_after_a_terminated_line() {
        assert_eq!(lines_of(10, [&b"a\n"[..]]), [whole("a")]);
        assert_eq!(lines_of(10, [&b""[..]]), []);
    }

    #[test]
    fn the_limit_is_exact_and_a_long_line_is_hashed() {
        assert_eq!(lines_of(3, [&b"abc\n"[..]]), [whole("abc")]);
        let long = lines_of(2, [&b"abc\nd\n"[..]]);
        let sha256 = Sha256::digest(b"abc").into();
        let prefix = b"abc".to_vec();
        let skipped = Line::TooLong {
            prefix,
            bytes: 3,
            sha256,
        };
        assert_eq!(long, [skipped, whole("d")]);
    }

    #[test]
    fn a_gigantic_line_is_not_held() {
        let chunk = vec![b'x'; 1 << 16];
        let mut buffer = LineBuffer::new(1 << 20);
        for _ in 0..64 {
            assert_eq!(buffer.push(&chunk).count(), 0);
            assert!(buffer.held_bytes() <= 1 << 20);
        }
        let Some(Line::TooLong { prefix, bytes, .. }) = buffer.finish() else {
            panic!("it must be too long");
        };
        assert_eq!((prefix.len(), bytes), (PREFIX_BYTES, 64 << 16));
    }

    /// The cuts are positions in the bytes; the chunks are what lies between them.
    fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|c| c % (bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect()
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            bytes in proptest::collection::vec(prop_oneof![
                Just(b'\n'), Just(b'\r'), Just(b'a'), Just(0xef), Just(0xbb), Just(0xbf), any::<u8>(),
            ], 0..200),
            cuts in proptest::collection::vec(any::<usize>(), 0..20),
            limit_bytes in 0_usize..40,
        ) {
            let split = lines_of(limit_bytes, cut(&bytes, &cuts));
            prop_assert_eq!(split, lines_of(limit_bytes, [&bytes[..]]));
        }

        #[test]
        fn a_buffer_that_is_handed_over_loses_nothing(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cuts in proptest::collection::vec(any::<usize>(), 0..20),
            limit_bytes in 0_usize..40,
        ) {
            let mut buffer = LineBuffer::new(limit_bytes);
            let mut lines = Vec::new();
            for chunk in cut(&bytes, &cuts) {
                lines.extend(buffer.push(chunk).map(Line::into_owned));
                let there = buffer.unfinished();
                buffer = LineBuffer::resume(limit_bytes, there).expect("its own state");
            }
            lines.extend(buffer.finish());
            prop_assert_eq!(lines, lines_of(limit_bytes, [&bytes[..]]));
        }
    }
}
