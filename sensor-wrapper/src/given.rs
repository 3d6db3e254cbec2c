//! Options as they stand on a command line: split apart, and put together.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::args::usage;
use crate::failure::Outcome;

const FLAGS: [&str; 8] = [
    "--help",
    "--action",
    "--exec",
    "--command",
    "--check",
    "--build",
    "--init",
    "--probe",
];

/// A command line, split.
#[derive(Debug, Default)]
pub(crate) struct Given {
    flags: Vec<&'static str>,
    options: Vec<(String, OsString)>,
    rest: Option<Vec<OsString>>,
}

impl Given {
    /// Splits; what follows a lone `--` stays as it is.
    pub fn split(args: impl IntoIterator<Item = OsString>) -> Outcome<Self> {
        let mut given = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                given.rest = Some(args.collect());
                break;
            }
            match FLAGS.into_iter().find(|flag| arg == *flag) {
                Some(flag) => given.flags.push(flag),
                None => given.option(&arg, || args.next())?,
            }
        }
        Ok(given)
    }

    fn option(&mut self, arg: &OsStr, next: impl FnOnce() -> Option<OsString>) -> Outcome<()> {
        let Some(option) = arg.as_bytes().strip_prefix(b"--") else {
            return Err(usage(&format!("unexpected {arg:?}")));
        };
        let (name, value) = split_at_equals(option);
        let name = String::from_utf8_lossy(name).into_owned();
        let value = value
            .or_else(next)
            .ok_or_else(|| usage(&format!("--{name} needs a value")))?;
        self.options.push((name, value));
        Ok(())
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    /// Refuses every option that is not in a list, names separated by spaces.
    pub fn only(&self, known: &str) -> Outcome<()> {
        let unknown = |name: &str| !known.split_whitespace().any(|k| k == name);
        match self.options.iter().find(|(name, _)| unknown(name)) {
            Some((name, _)) => Err(usage(&format!("unknown option --{name}"))),
            None => Ok(()),
        }
    }

    /// The last value of an option, as with every command line.
    pub fn last(&mut self, name: &str) -> Option<OsString> {
        let at = self.options.iter().rposition(|(n, _)| n == name)?;
        Some(self.options.remove(at).1)
    }

    pub fn required(&mut self, name: &str) -> Outcome<OsString> {
        self.last(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| usage(&format!("--{name} is required")))
    }

    /// All values of an option, each split at its first `=`.
    pub fn pairs(&self, name: &str) -> Outcome<Vec<(OsString, OsString)>> {
        let values = self.options.iter().filter(|(n, _)| n == name);
        values
            .map(|(_, value)| match split_at_equals(value.as_bytes()) {
                (key, Some(value)) if !key.is_empty() => Ok((os(key), value)),
                _ => Err(usage(&format!("--{name}: {value:?} is not NAME=VALUE"))),
            })
            .collect()
    }

    /// What follows `--`.
    pub fn program(&mut self) -> Outcome<(OsString, Vec<OsString>)> {
        let mut rest = self.rest.take().unwrap_or_default();
        match rest.is_empty() {
            true => Err(usage("a program is required after --")),
            false => Ok((rest.remove(0), rest)),
        }
    }

    pub fn no_program(&self) -> Outcome<()> {
        match self.rest {
            Some(_) => Err(usage("a program after -- goes with --action")),
            None => Ok(()),
        }
    }
}

/// A command line in the making.
pub(crate) struct Options(pub Vec<OsString>);

impl Options {
    pub fn flag(flag: &str) -> Self {
        Self(vec![flag.into()])
    }

    pub fn add(&mut self, name: &str, value: Option<impl AsRef<OsStr>>) {
        let name = OsString::from(format!("--{name}"));
        self.0
            .extend(value.map(|value| join(&name, value.as_ref())));
    }

    pub fn rest(mut self, program: &OsStr, args: &[OsString]) -> Vec<OsString> {
        self.0.extend(["--".into(), program.to_owned()]);
        self.0.extend_from_slice(args);
        self.0
    }
}

/// `name=value`
pub(crate) fn join(name: &OsStr, value: &OsStr) -> OsString {
    [name, value].join(OsStr::new("="))
}

fn split_at_equals(text: &[u8]) -> (&[u8], Option<OsString>) {
    match text.iter().position(|b| *b == b'=') {
        Some(at) => (&text[..at], Some(os(&text[at + 1..]))),
        None => (text, None),
    }
}

fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
