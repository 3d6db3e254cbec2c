//! What one output of the far side says between its two marks, bounded.

/// Most of one output that is kept, bytes; the rest is read and dropped.
const MOST: usize = 16 << 20;

/// Longest code behind the mark of the end, with its newline, bytes.
const CODE: usize = 4;

/// One output.
#[derive(Debug)]
pub struct Output {
    begins: Vec<u8>,
    ends: Vec<u8>,
    kept: Vec<u8>,
    began: bool,
    code: Option<i32>,
}

impl Output {
    /// Between these marks; behind the second are a number and a newline.
    pub fn new(begins: &str, ends: &str) -> Self {
        Self {
            begins: begins.into(),
            ends: ends.into(),
            kept: Vec::new(),
            began: false,
            code: None,
        }
    }

    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.code.is_some() {
            return;
        }
        let mark = if self.began { &self.ends } else { &self.begins };
        let from = self.kept.len().saturating_sub(mark.len() + CODE);
        self.kept.extend_from_slice(bytes);
        match self.began {
            true => self.look_for_end(from),
            false => self.look_for_begin(from),
        }
    }

    fn look_for_begin(&mut self, from: usize) {
        if let Some(at) = position(&self.kept, from, &self.begins) {
            self.kept.drain(..at + self.begins.len());
            self.began = true;
            self.look_for_end(0);
        } else {
            self.bound(self.begins.len());
        }
    }

    fn look_for_end(&mut self, from: usize) {
        let found = position(&self.kept, from, &self.ends).and_then(|at| {
            let behind = &self.kept[at + self.ends.len()..];
            let newline = behind.iter().position(|byte| *byte == b'\n')?;
            let code = str::from_utf8(&behind[..newline]).ok()?.parse().ok()?;
            Some((at, code))
        });
        match found {
            Some((at, code)) => {
                self.kept.truncate(at);
                self.code = Some(code);
            }
            None => self.bound(self.ends.len() + CODE),
        }
    }

    /// Only as much of what is too much is kept as a mark may begin in.
    fn bound(&mut self, window: usize) {
        let end = self.kept.len().saturating_sub(window);
        if end > MOST {
            self.kept.drain(MOST..end);
        }
    }

    /// The first mark was there.
    pub fn began(&self) -> bool {
        self.began
    }

    /// The number behind the second mark, once that was there.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// What stood between the marks, or all where the first never came.
    pub fn text(&self) -> String {
        let end = self.kept.len().min(MOST);
        String::from_utf8_lossy(&self.kept[..end]).into_owned()
    }
}

fn position(bytes: &[u8], from: usize, mark: &[u8]) -> Option<usize> {
    let mut windows = bytes[from..].windows(mark.len());
    windows
        .position(|window| window == mark)
        .map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, piece: usize) -> Output {
        let mut output = Output::new("<begins>\n", "<ends> ");
        text.as_bytes()
            .chunks(piece)
            .for_each(|bytes| output.push(bytes));
        output
    }

    #[test]
    fn marks_are_found_however_it_is_cut() {
        let text = "Welcome!\n<begins>\nhi <ends\n<ends> 255\nlate";
        for piece in 1..text.len() {
            let output = read(text, piece);
            assert!(output.began());
            assert_eq!((output.code(), &*output.text()), (Some(255), "hi <ends\n"));
        }
        let output = read("no such host", 5);
        assert!(!output.began());
        assert_eq!((output.code(), &*output.text()), (None, "no such host"));
    }

    #[test]
    fn what_is_too_much_is_dropped_and_its_end_is_seen() {
        let text = format!("<begins>\n{}<ends> 0\n", "x".repeat(MOST + 100_000));
        let output = read(&text, 16 << 10);
        assert_eq!((output.code(), output.text().len()), (Some(0), MOST));
    }
}
