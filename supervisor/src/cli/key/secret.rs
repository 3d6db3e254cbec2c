//! Values that are typed or piped, and key files.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use crate::cli::print;
use crate::world::secrets;

/// Longest value, bytes; the datastore holds no more.
const MOST_BYTES: u64 = 64 << 20;
/// What Ctrl-C types where it is no signal.
const INTERRUPT: u8 = 3;
const EMPTY: &str = "no value came: an empty one is given as ''";

/// A value from standard input: its whole text without a last end of line, or, from a terminal,
/// a line that is not shown.
pub(super) fn read() -> anyhow::Result<String> {
    let stdin = io::stdin();
    match stdin.is_terminal() {
        true => typed(&stdin, "Please insert value for key: "),
        false => piped(stdin.lock()),
    }
}

fn piped(from: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = from.take(MOST_BYTES + 1).read_to_string(&mut text);
    let read = read.context("the value on standard input is not text")?;
    anyhow::ensure!(
        read as u64 <= MOST_BYTES,
        "the value on standard input is longer than {} MiB",
        MOST_BYTES >> 20
    );
    anyhow::ensure!(read > 0, EMPTY);
    Ok(without_end(&text).to_owned())
}

fn without_end(text: &str) -> &str {
    let line = text.strip_suffix('\n').unwrap_or(text);
    match line.len() < text.len() {
        true => line.strip_suffix('\r').unwrap_or(line),
        false => line,
    }
}

/// A terminal whose settings are put back.
struct Quiet<'a> {
    terminal: &'a io::Stdin,
    before: Termios,
}

impl<'a> Quiet<'a> {
    /// Shows nothing of what is typed but the end of the line. Ctrl-C ends the line, too, instead
    /// of us, who would leave the terminal as it is.
    fn new(terminal: &'a io::Stdin) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes &= !(LocalModes::ECHO | LocalModes::ISIG);
        quiet.local_modes |= LocalModes::ECHONL | LocalModes::ICANON;
        quiet.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// A line from the terminal that is not shown; empty where only its end was typed.
pub(in crate::cli) fn hidden(question: &str) -> anyhow::Result<String> {
    typed(&io::stdin(), question)
}

fn typed(stdin: &io::Stdin, question: &str) -> anyhow::Result<String> {
    eprint!("{question}");
    let mut line = Vec::new();
    {
        let _quiet = Quiet::new(stdin)?;
        let mut input = stdin.lock();
        // One read gives one line, which Ctrl-C may have ended.
        while !line.ends_with(b"\n") && !line.contains(&INTERRUPT) {
            let read = input.fill_buf()?;
            let length = read.len();
            line.extend_from_slice(read);
            input.consume(length);
            if length == 0 {
                break;
            }
        }
    }
    if line.contains(&INTERRUPT) {
        eprintln!();
        anyhow::bail!("interrupted, nothing was set");
    }
    anyhow::ensure!(!line.is_empty(), EMPTY);
    let line = String::from_utf8(line).context("what was typed is not text")?;
    Ok(without_end(&line).to_owned())
}

/// Makes a key file that only its owner reads.
pub(super) fn generate(file: &Path) -> anyhow::Result<ExitCode> {
    secrets::generate(file)?;
    let absolute = std::path::absolute(file)?;
    print::line(&format!(
        "The key is in {}. Keep a copy: without it, what it encrypted is lost.\n\
         petrel.yaml names it:\n\ndatastore:\n  encryption_key: {}",
        file.display(),
        absolute.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_end_of_line_is_not_of_the_value() {
        for (piped_in, value) in [
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("a\nb\n\n", "a\nb\n"),
            ("secret", "secret"),
            ("secret\r", "secret\r"),
            ("\n", ""),
        ] {
            assert_eq!(piped(piped_in.as_bytes()).unwrap(), value, "{piped_in:?}");
        }
        assert!(piped(&b"\xff"[..]).is_err() && piped(&b""[..]).is_err());
    }
}
