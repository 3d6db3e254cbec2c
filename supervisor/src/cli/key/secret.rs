//! Values that are typed or piped, and key files.

use std::fs::{self, File};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use crate::cli::print;
use crate::rules::cipher::Cipher;

/// Longest value, bytes; the datastore holds no more.
const MOST_BYTES: u64 = 64 << 20;
/// What Ctrl-C types where it is no signal.
const INTERRUPT: u8 = 3;

/// A value from standard input: its whole text without a last end of line, or, from a terminal,
/// a line that is not shown.
pub(super) fn read() -> anyhow::Result<String> {
    let stdin = io::stdin();
    match stdin.is_terminal() {
        true => typed(&stdin),
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

fn typed(stdin: &io::Stdin) -> anyhow::Result<String> {
    eprint!("Please insert value for key: ");
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
    let line = String::from_utf8(line).context("what was typed is not text")?;
    Ok(without_end(&line).to_owned())
}

/// Makes a key file that only its owner reads.
pub(super) fn generate(file: &Path) -> anyhow::Result<ExitCode> {
    let mut random = [0; 64];
    let source = File::open("/dev/urandom").and_then(|mut from| from.read_exact(&mut random));
    source.context("no randomness from /dev/urandom")?;
    let (_, text) = Cipher::generate(random);
    write_new(file, &text).with_context(|| format!("cannot make {}", file.display()))?;
    let absolute = std::path::absolute(file)?;
    print::line(&format!(
        "The key is in {}. Keep a copy: without it, what it encrypted is lost.\n\
         petrel.yaml names it:\n\ndatastore:\n  encryption_key: {}",
        file.display(),
        absolute.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A file that was not there; should it not be written to its end, it is not there either.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written
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
            ("", ""),
        ] {
            assert_eq!(piped(piped_in.as_bytes()).unwrap(), value, "{piped_in:?}");
        }
        assert!(piped(&b"\xff"[..]).is_err());
    }

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        generate(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Cipher::parse(&text).is_ok());
        assert!(generate(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}
