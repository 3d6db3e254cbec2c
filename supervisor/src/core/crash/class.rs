//! What kind of end it was, and what to do about it: from the exit, what made us end it, the last
//! words and the log.

use petrel_sdk::protocol::FailKind;

use super::modules;
use super::traceback::{Frame, Thrown, hung_at};
use crate::core::lifecycle::{EX_CONFIG, EndedBy};
use crate::core::record::Exit;

/// A kind of end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A module of a language is not installed.
    MissingModule,
    /// A program is not installed.
    MissingProgram,
    /// Its configuration, or what it may use, is wrong.
    Config,
    /// The other side does not let it in.
    Auth,
    /// The other side cannot be reached, or fails.
    Network,
    /// Memory ran out.
    Memory,
    /// A fault in its code.
    Bug,
    /// Somebody, or the kernel, ended it.
    Killed,
    /// It hung, and we ended it.
    Stalled,
    /// It could not be started.
    NotStarted,
    /// It broke a limit of what it may say.
    Excess,
    /// It ended by itself, and well.
    Ended,
    /// Nothing tells.
    Unknown,
}

impl Class {
    /// The word that users see.
    pub fn word(self) -> &'static str {
        match self {
            Self::MissingModule => "missing module",
            Self::MissingProgram => "missing program",
            Self::Config => "config",
            Self::Auth => "auth",
            Self::Network => "network",
            Self::Memory => "memory",
            Self::Bug => "bug",
            Self::Killed => "killed from outside",
            Self::Stalled => "stalled",
            Self::NotStarted => "not started",
            Self::Excess => "excess",
            Self::Ended => "ended",
            Self::Unknown => "unknown",
        }
    }
}

/// A kind of end, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The kind.
    pub class: Class,
    /// What to do, in a line.
    pub hint: String,
}

/// What was seen of an end.
#[derive(Clone, Debug, Default)]
pub struct Seen<'s> {
    /// How it ended.
    pub exit: Exit,
    /// The program never began.
    pub never_began: bool,
    /// Why we ended it.
    pub ended_by: Option<EndedBy>,
    /// The kind of its last words.
    pub fail: Option<FailKind>,
    /// Its last words, or what the system says of its end.
    pub words: Option<&'s str>,
    /// Its log, the newest record first.
    pub log: Vec<&'s str>,
    /// Name of its pack.
    pub pack: &'s str,
    /// Folder of its pack.
    pub folder: &'s str,
}

/// Records of the log that are searched for a cause.
const SEARCHED: usize = 10;

/// The kind of an end.
pub fn classify(seen: &Seen<'_>) -> Verdict {
    let certain = by_us(seen)
        .or_else(|| not_begun(seen))
        .or_else(|| by_word(seen));
    certain
        .or_else(|| by_signal(seen))
        .or_else(|| by_texts(seen))
        .or_else(|| by_traceback(seen))
        .unwrap_or_else(|| by_code(seen))
}

fn verdict(class: Class, hint: impl Into<String>) -> Verdict {
    let hint = hint.into();
    Verdict { class, hint }
}

/// We know why we ended it, and the kernel says why it did.
fn by_us(seen: &Seen<'_>) -> Option<Verdict> {
    if let Some(words) = seen
        .words
        .filter(|words| words.contains("limits.memory_max"))
    {
        return Some(verdict(Class::Memory, words));
    }
    let place = || {
        let frame = seen.log.iter().find_map(|text| hung_at(text));
        frame.map_or_else(String::new, |frame| format!(" at {}", shown(&frame)))
    };
    let stalled = |what: &str, knob: &str| {
        verdict(
            Class::Stalled,
            format!("{what}{}; {knob} gives it more time", place()),
        )
    };
    Some(match seen.ended_by? {
        EndedBy::StartTimeout => stalled("it hung before it was ready", "start.ready_timeout"),
        EndedBy::Silence => stalled("it hung", "watchdog.timeout"),
        EndedBy::Poll => stalled("its poll() hung", "watchdog.poll_timeout"),
        EndedBy::Memory => verdict(Class::Memory, "it outgrew watchdog.max_rss_restart"),
        EndedBy::Protocol => verdict(
            Class::Excess,
            "too many of its messages could not be used: its log says which, and the page on the \
             protocol how they are written",
        ),
        EndedBy::Rate => verdict(Class::Excess, "limits.rate says how many events it may say"),
        EndedBy::Age => return None,
    })
}

fn not_begun(seen: &Seen<'_>) -> Option<Verdict> {
    if !seen.never_began {
        return None;
    }
    let words = seen.words.unwrap_or("the system could not start it");
    let (class, hint) = match seen.exit.code {
        Some(EX_CONFIG) => (Class::Config, configure(seen)),
        Some(126 | 127) => (Class::MissingProgram, words.to_owned()),
        _ => (Class::NotStarted, words.to_owned()),
    };
    Some(verdict(class, hint))
}

fn configure(seen: &Seen<'_>) -> String {
    let pack = seen.pack;
    format!("`petrel pack config {pack}` asks for what is missing; a change starts it by itself")
}

/// The sensor itself says that its configuration is wrong.
fn by_word(seen: &Seen<'_>) -> Option<Verdict> {
    let said = seen.fail == Some(FailKind::Config) || seen.exit.code == Some(EX_CONFIG);
    if !said {
        return None;
    }
    let words = seen.words.unwrap_or_default();
    let of_code = [
        "Syntax error",
        "doesn't implement",
        "missing a class",
        "does not exist",
    ];
    let hint = words.lines().find_map(|line| line.split_once("hint:"));
    Some(match of_code.iter().any(|part| words.contains(part)) {
        true => {
            let hint = hint.map_or("the code must be changed", |(_, hint)| hint.trim());
            verdict(Class::Bug, hint)
        }
        false => verdict(Class::Config, configure(seen)),
    })
}

/// A signal says more than old lines of a log do.
fn by_signal(seen: &Seen<'_>) -> Option<Verdict> {
    let by_texts = || by_texts(seen);
    Some(match seen.exit.signal? {
        9 => verdict(
            Class::Killed,
            "petrel did not send SIGKILL: somebody did, or the kernel when the machine had no memory \
             left (`dmesg` tells)",
        ),
        1 | 2 | 3 | 15 => verdict(Class::Killed, "petrel did not send this signal"),
        24 | 25 => verdict(
            Class::Excess,
            "a limit of the system on time or on the size of files",
        ),
        31 => verdict(Class::Config, "sandbox.syscalls forbids what it did"),
        // Runtimes give up by themselves when they get no memory.
        4 | 6 | 7 | 8 | 11 => by_texts()
            .filter(|found| found.class == Class::Memory)
            .unwrap_or_else(|| verdict(Class::Bug, native(seen))),
        _ => return by_texts(),
    })
}

fn native(seen: &Seen<'_>) -> String {
    let frame = seen.log.iter().find_map(|text| hung_at(text));
    match frame {
        Some(frame) => format!("it crashed below {}", shown(&frame)),
        None => "it crashed in code that is not Python".to_owned(),
    }
}

fn by_texts(seen: &Seen<'_>) -> Option<Verdict> {
    let thrown = seen
        .log
        .iter()
        .take(SEARCHED)
        .find_map(|text| Thrown::last(text));
    if let Some(thrown) = &thrown {
        let found = by_text(thrown.line, seen).or_else(|| of_config(thrown, seen));
        return found.or_else(|| by_text(seen.words?, seen));
    }
    let words = seen.words.into_iter();
    let lines = seen.log.iter().take(SEARCHED).copied();
    words.chain(lines).find_map(|text| by_text(text, seen))
}

/// A value of the configuration that is not there.
fn of_config(thrown: &Thrown<'_>, seen: &Seen<'_>) -> Option<Verdict> {
    let code = thrown.frame.as_ref()?.code?;
    let missing = thrown.line.starts_with("KeyError:") || thrown.line.contains("'NoneType'");
    (missing && code.contains("config")).then(|| verdict(Class::Config, configure(seen)))
}

/// What texts mean, the surest first; all in lower case.
const MEANINGS: &[(Class, &[&str], &str)] = &[
    (
        Class::Memory,
        &[
            "memoryerror",
            "cannot allocate memory",
            "javascript heap out of memory",
            "out of memory",
            "memory allocation of ",
        ],
        "it wanted more memory than there was; limits.memory_max and watchdog.max_rss_restart bound it",
    ),
    (
        Class::Auth,
        &[
            "401 client error",
            "403 client error",
            "http error 401",
            "http error 403",
            "status code 401",
            "status code 403",
            "401 unauthorized",
            "403 forbidden",
            "unauthorized",
            "authenticationerror",
            "authentication failed",
            "authenticationfailed",
            "authorizationerror",
            "bad credentials",
            "invalid credentials",
            "invalid_auth",
            "invalidclienttokenid",
            "signaturedoesnotmatch",
            "expiredtoken",
            "accessdenied",
            "access_refused",
            "access denied for user",
            "nocredentialserror",
            "permission denied (publickey",
            "login failed",
            "loginerror",
        ],
        "the other side does not accept its credentials",
    ),
    (
        Class::Config,
        &["certificate_verify_failed", "certificate verify failed"],
        "the other side's certificate is not trusted here: the address, or the authorities that are \
         trusted, are wrong",
    ),
    (
        Class::Config,
        &["address already in use", "eaddrinuse"],
        "another program has the port that it listens on",
    ),
    (
        Class::Network,
        &[
            "connection refused",
            "connectionrefusederror",
            "econnrefused",
            "connection reset",
            "connectionreseterror",
            "econnreset",
            "connectionerror",
            "connection aborted",
            "connection timed out",
            "connecttimeout",
            "readtimeout",
            "timeouterror",
            "timed out",
            "etimedout",
            "no route to host",
            "ehostunreach",
            "network is unreachable",
            "enetunreach",
            "name or service not known",
            "temporary failure in name resolution",
            "nodename nor servname",
            "enotfound",
            "could not resolve host",
            "max retries exceeded",
            "amqpconnectionerror",
            "amqpconnectorerror",
            "nobrokersavailable",
            "remote end closed connection",
            "sslerror",
            "ssleoferror",
            "500 server error",
            "502 server error",
            "503 server error",
            "504 server error",
        ],
        "the other side could not be reached, or failed; it is tried again by itself",
    ),
    (
        Class::Config,
        &["permissionerror: ", "permission denied", "eacces"],
        "its user may not do that; `petrel sensor show` says what its sandbox is",
    ),
    (
        Class::MissingProgram,
        &["command not found", ": not found"],
        "a program that it calls is not installed, or not in PATH",
    ),
];

fn by_text(text: &str, seen: &Seen<'_>) -> Option<Verdict> {
    if let Some(found) = missing_module(text, seen) {
        return Some(found);
    }
    let lower = text.to_lowercase();
    let meaning = MEANINGS
        .iter()
        .find(|(_, needles, _)| needles.iter().any(|needle| lower.contains(needle)));
    let (class, _, hint) = meaning?;
    Some(match class {
        Class::Auth => verdict(
            *class,
            format!("{hint}; `petrel pack config {}` asks for others", seen.pack),
        ),
        _ => verdict(*class, *hint),
    })
}

fn missing_module(text: &str, seen: &Seen<'_>) -> Option<Verdict> {
    if let Some(module) = after(text, "No module named ") {
        let hint = modules::hint(module, seen.pack, seen.folder);
        return Some(verdict(Class::MissingModule, hint));
    }
    if let Some(module) = after(text, "Cannot find module ").or(after(text, "Cannot find package "))
    {
        let hint = match module.starts_with(['.', '/']) {
            true => format!("the file {module} is not there"),
            false => format!("`npm install {module}` in {}", seen.folder),
        };
        return Some(verdict(Class::MissingModule, hint));
    }
    if text.contains("ImportError: cannot import name ") {
        let module = after(text, " from ").unwrap_or("the package");
        let package = modules::package(module);
        let hint = format!(
            "another version of {package} is installed than it was written for: name the version in \
             {}/requirements.txt, then `petrel pack setup {}`",
            seen.folder, seen.pack
        );
        return Some(verdict(Class::MissingModule, hint));
    }
    None
}

/// The word after these words, without its quotes.
fn after<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    let (_, rest) = text.rsplit_once(words)?;
    let is_part = |c: char| c.is_alphanumeric() || "._-/@".contains(c);
    let rest = rest.trim_start_matches(['\'', '"']);
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    (end > 0).then_some(&rest[..end])
}

fn by_traceback(seen: &Seen<'_>) -> Option<Verdict> {
    let thrown = seen
        .log
        .iter()
        .take(SEARCHED)
        .find_map(|text| Thrown::last(text))?;
    let hint = match &thrown.frame {
        Some(frame) => format!("{} at {}", thrown.line, shown(frame)),
        None => thrown.line.to_owned(),
    };
    Some(verdict(Class::Bug, hint))
}

fn shown(frame: &Frame<'_>) -> String {
    let Frame {
        file,
        line,
        function,
        code,
    } = frame;
    let code = code.map_or_else(String::new, |code| format!(": {code}"));
    match function.is_empty() {
        true => format!("{file}:{line}{code}"),
        false => format!("{file}:{line} in {function}{code}"),
    }
}

fn by_code(seen: &Seen<'_>) -> Verdict {
    match seen.exit.code {
        Some(0) => verdict(
            Class::Ended,
            "a sensor runs until it is stopped; one that ends each time wants `mode: command` and a \
             `poll_interval`, one that ends once `restart: {policy: on-failure}`",
        ),
        Some(126 | 127) => verdict(
            Class::MissingProgram,
            "a program that it calls is not installed, or not in PATH",
        ),
        _ if seen.fail == Some(FailKind::Bug) => {
            let words = seen.words.and_then(|words| words.lines().next());
            verdict(Class::Bug, words.unwrap_or_default())
        }
        _ if seen.fail == Some(FailKind::Transient) => {
            verdict(Class::Network, "it says that the trouble will pass")
        }
        _ => verdict(Class::Unknown, "nothing that it wrote says why"),
    }
}
