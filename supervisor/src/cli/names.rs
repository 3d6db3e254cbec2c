//! `st2`, `st2ctl` and `st2sdk`: what their users type, as commands of `petrel`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{client, print};
use crate::catalog::diagnostics::did_you_mean;
use crate::world::paths;
use crate::world::runners::remote::askpass;

/// The names that we answer to beside our own.
pub const ALL: [&str; 3] = ["st2", "st2ctl", "st2sdk"];

/// Nouns of `st2`, and ours for them.
const NOUNS: [(&str, &str); 12] = [
    ("sensor", "sensor"),
    ("trigger", "trigger"),
    ("trigger-instance", "event"),
    ("action", "action"),
    ("rule", "rule"),
    ("rule-enforcement", "rule-enforcement"),
    ("execution", "execution"),
    ("key", "key"),
    ("pack", "pack"),
    ("run", "run-action"),
    ("help", "help"),
    ("--help", "--help"),
];

/// Options of `st2` before its noun that change nothing here.
const IGNORED: [&str; 2] = ["--debug", "--skip-config"];

/// Commands of `st2ctl` that belong to whoever starts us.
const OF_THE_SERVICE: [&str; 6] = [
    "start",
    "stop",
    "restart",
    "restart-component",
    "reopen-log-files",
    "clean",
];

/// The same command line in our own words, by the name that it was called by.
///
/// # Errors
/// What is not known here, with what is nearest to it.
pub fn translated(args: Vec<OsString>) -> Result<Vec<OsString>, String> {
    let called = args.first().map(Path::new).and_then(Path::file_name);
    let called = called.and_then(|name| name.to_str()).unwrap_or_default();
    let rest = args.get(1..).unwrap_or_default();
    match called {
        "st2" => st2(rest),
        "st2ctl" => st2ctl(rest),
        "st2sdk" => st2sdk(rest),
        askpass::NAME => Ok(ours(&["runner", "askpass", "--"], rest)),
        _ => Ok(args),
    }
}

fn ours(words: &[&str], rest: &[OsString]) -> Vec<OsString> {
    let words = ["petrel"].iter().chain(words).map(OsString::from);
    words.chain(rest.iter().cloned()).collect()
}

fn st2(args: &[OsString]) -> Result<Vec<OsString>, String> {
    let ignored = |arg: &&OsString| IGNORED.iter().any(|known| *arg == known);
    let args = &args[args.iter().take_while(ignored).count()..];
    let Some(noun) = args.first() else {
        return Ok(ours(&["--help"], &[]));
    };
    let noun = noun.to_string_lossy();
    if noun == "--version" {
        return Ok(ours(&["--version"], &[]));
    }
    match NOUNS.iter().find(|(theirs, _)| *theirs == noun) {
        Some((_, word)) => Ok(ours(&[word], &args[1..])),
        None if noun.starts_with('-') => Err(format!(
            "st2 {noun} is not known here: it speaks to the petrel of this machine"
        )),
        None => Err(unknown("st2", &noun, NOUNS.map(|(theirs, _)| theirs))),
    }
}

fn st2ctl(args: &[OsString]) -> Result<Vec<OsString>, String> {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let (command, options) = match words.split_first() {
        Some((command, options)) => (&**command, options),
        None => return Err("usage: st2ctl reload [--register-*] | status".into()),
    };
    match command {
        "reload" => {
            // What to register is not chosen here: all that has changed is taken.
            let known = |option: &str| {
                let plain = ["--verbose", "-v", "--debug"].contains(&option);
                plain || option.starts_with("--register-")
            };
            match options.iter().find(|option| !known(option)) {
                None => Ok(ours(&["reload"], &[])),
                Some(option) => Err(format!("st2ctl reload has no {option}")),
            }
        }
        "status" => Ok(ours(&["components"], &[])),
        command if OF_THE_SERVICE.contains(&command) => Err(format!(
            "st2ctl {command} is not done here: petrel is one program, started by \"petrel run\" \
             and stopped by whoever started it (as systemctl restart petrel)"
        )),
        command => {
            let known = ["reload", "status"];
            Err(unknown("st2ctl", command, known))
        }
    }
}

fn st2sdk(args: &[OsString]) -> Result<Vec<OsString>, String> {
    match args.split_first() {
        Some((word, rest)) if word == "bootstrap" => Ok(ours(&["bootstrap"], rest)),
        Some((word, _)) => Err(unknown("st2sdk", &word.to_string_lossy(), ["bootstrap"])),
        None => Err("usage: st2sdk bootstrap NAME [-i] [-l]".into()),
    }
}

fn unknown<const N: usize>(program: &str, word: &str, known: [&'static str; N]) -> String {
    let known = known.into_iter().filter(|word| !word.starts_with('-'));
    let help = did_you_mean(word, known.clone())
        .unwrap_or_else(|| format!("it has {}", known.collect::<Vec<_>>().join(", ")));
    format!("{program} has no \"{word}\" here: {help}")
}

/// `st2ctl status`.
#[derive(Debug, Args)]
pub struct Components {
    /// Folder of the journal of the supervisor to ask
    #[arg(long, value_name = "DIR", env = "PETREL_DATA")]
    data: Option<PathBuf>,
}

impl Components {
    /// Says of petrel and of each sensor whether it runs; exit code 1 where petrel does not.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        print::line("##### st2 components status #####")?;
        let sensors = client::get(self.data.clone(), "/v1/sensortypes");
        let Ok(sensors) = sensors else {
            return print::line("petrel is not running.").map(|()| ExitCode::FAILURE);
        };
        let lock = paths::data_dir(self.data)?.join("lock");
        let pid = fs::read_to_string(lock).unwrap_or_default();
        print::line(&format!("petrel PID: {}", pid.trim()))?;
        for sensor in sensors.body.as_array().into_iter().flatten() {
            let reference = sensor["ref"].as_str().unwrap_or_default();
            match &sensor["pid"] {
                Value::Null => print::line(&format!("{reference} is not running."))?,
                pid => {
                    let waits = sensor["journal"].as_str();
                    let waits = waits.map_or_else(String::new, |why| format!(" (waits: {why})"));
                    print::line(&format!("{reference} PID: {pid}{waits}"))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: Result<&str, &str>) {
        let args = typed.split(' ').map(OsString::from).collect();
        let found = translated(args).map(|args| {
            let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
            words.join(" ")
        });
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{typed}"),
            (Err(found), Err(part)) => assert!(found.contains(part), "{typed}: {found}"),
            (found, _) => panic!("{typed}: {found:?}"),
        }
    }

    #[test]
    fn what_the_article_types_is_known() {
        check(
            "/usr/bin/st2 sensor list --pack=x",
            Ok("petrel sensor list --pack=x"),
        );
        check(
            "st2 run packs.setup_virtualenv packs=x",
            Ok("petrel run-action packs.setup_virtualenv packs=x"),
        );
        check("st2ctl reload --register-all", Ok("petrel reload"));
        check("st2sdk bootstrap x -l", Ok("petrel bootstrap x -l"));
        check("st2 trigger-instance get 1", Ok("petrel event get 1"));
        check("st2 --debug key list", Ok("petrel key list"));
        check("petrel sensr", Ok("petrel sensr"));
    }

    #[test]
    fn what_is_not_known_is_told_with_the_nearest() {
        check("st2 sensr list", Err("did you mean \"sensor\"?"));
        check("st2ctl relaod", Err("did you mean \"reload\"?"));
        check("st2ctl reload --nope", Err("--nope"));
        check("st2ctl start", Err("petrel run"));
        check("st2sdk", Err("usage"));
        check("st2 --url=x sensor list", Err("--url=x"));
    }
}
