//! `petrel sensor logs`.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::client::{self, escaped};
use super::{Client, print};
use crate::catalog::knobs::units::duration_text;
use crate::core::clock::Wall;
use crate::core::logs::{Level, LogRecord};
use crate::world::clock;

/// How long a follower waits for another supervisor, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Names sensors, and which of their records.
#[derive(Debug, Args)]
pub struct Logs {
    /// References, pack.ClassName, or a glob such as 'aws.*'
    reference: String,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Only from then on: 10m, 2h, 7d ago, or a moment such as 2026-12-01T08:00+01:00
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only records at least as grave
    #[arg(long)]
    level: Option<Least>,
    /// The newest, at most so many [default: 100; with --since all]
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u32>,
    #[command(flatten)]
    client: Client,
}

/// A level, by the names that people write.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Least {
    Debug,
    Info,
    #[value(alias = "warn")]
    Warning,
    #[value(alias = "critical")]
    Error,
}

impl Least {
    fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A record as the API tells it.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(flatten)]
    record: LogRecord,
}

impl Logs {
    /// Prints them.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        if self.client.yaml {
            bail!("records are printed as lines: --json gives one JSON object each");
        }
        let mut last = clock::now().wall;
        self.show(&self.path(None)?, &mut last)?;
        while self.follow && self.goes_on(&mut last)? {}
        if self.follow {
            eprintln!("petrel has stopped");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// After an upgrade, or a quick start anew, there is somebody to go on with.
    fn goes_on(&self, last: &mut Wall) -> anyhow::Result<bool> {
        let begun = clock::now().mono;
        while clock::now().mono.saturating_sub(begun) < PATIENCE {
            std::thread::sleep(LOOK_EVERY);
            let path = self.path(Some(Wall(last.0 + 1)))?;
            match self.show(&path, last) {
                Err(error) if error.is::<client::Unreachable>() => {}
                shown => return shown.map(|()| true),
            }
        }
        Ok(false)
    }

    /// Prints what comes, and notes the moment of the last record.
    fn show(&self, path: &str, last: &mut Wall) -> anyhow::Result<()> {
        let is_one = !self.reference.contains(['*', '?', '[', '{']);
        let color = stdout().is_terminal();
        let shown = client::lines(self.client.data.clone(), path, |line| {
            let row: Row = serde_json::from_str(line)?;
            *last = row.record.time;
            match self.client.json {
                true => print::line(line),
                false => print::line(&text(&row, is_one, color)),
            }
        });
        match shown {
            // Nobody was left to end the answer in order.
            Err(error) if self.follow && error.is::<hyper::Error>() => Ok(()),
            shown => shown,
        }
    }

    /// `again` goes on after a moment, whatever was asked for.
    fn path(&self, again: Option<Wall>) -> anyhow::Result<String> {
        let mut path = format!("/v1/sensortypes/{}/logs", escaped(&self.reference));
        let since = match again {
            Some(at) => Some(at),
            None => self.since.as_deref().map(since).transpose()?,
        };
        let limit = self.limit.filter(|_| again.is_none());
        let query = [
            ("follow", self.follow.then(|| "true".to_owned())),
            ("since", since.map(Wall::rfc3339)),
            ("level", self.level.map(|level| level.word().to_owned())),
            ("limit", limit.map(|limit| limit.to_string())),
        ];
        let given = query.into_iter().filter_map(|(name, value)| {
            let value = escaped(&value?);
            Some(format!("{name}={value}"))
        });
        path.push('?');
        path.push_str(&given.collect::<Vec<_>>().join("&"));
        Ok(path)
    }
}

/// So long ago, or a moment.
pub fn since(text: &str) -> anyhow::Result<Wall> {
    if let Some(time) = duration_text(text) {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        return Ok(Wall(clock::now().wall.0.saturating_sub(micros).max(0)));
    }
    let moment: jiff::Timestamp = text.parse().with_context(|| {
        format!("\"{text}\" is no time: write 30m, 2h, 7d, or a moment with its zone")
    })?;
    Ok(Wall(moment.as_microsecond()))
}

/// `2026-11-27 08:00:01.123 ERROR   aws.SQS  text`; further lines are indented.
fn text(row: &Row, is_one: bool, color: bool) -> String {
    let record = &row.record;
    let (word, style) = match record.level {
        Level::Error => ("ERROR", AnsiColor::Red.on_default()),
        Level::Warning => ("WARNING", AnsiColor::Yellow.on_default()),
        Level::Info => ("INFO", Style::new()),
        Level::Debug => ("DEBUG", Style::new().dimmed()),
    };
    let style = if color { style } else { Style::new() };
    let mut head = format!("{} {style}{word:<7}{style:#} ", local(record.time));
    if !is_one {
        head.push_str(&format!("{}  ", row.reference));
    }
    if let Some(logger) = &record.logger {
        head.push_str(&format!("{logger}: "));
    }
    head + &record.message.replace('\n', "\n    ")
}

/// By the clock on the wall here.
pub fn local(at: Wall) -> String {
    let at = jiff::Timestamp::from_microsecond(at.0).unwrap_or_default();
    let at = at.to_zoned(clock::zone());
    at.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_and_what_belongs_to_it_is_indented() {
        let line = r#"{"ref": "a.B", "time": "2026-01-01T00:00:00.5Z", "level": "error",
            "logger": "root", "message": "one\ntwo", "generation": 3}"#;
        let row: Row = serde_json::from_str(line).unwrap();
        let shown = text(&row, false, false);
        assert!(
            shown.ends_with(".500 ERROR   a.B  root: one\n    two"),
            "{shown}"
        );
        assert!(text(&row, true, true).contains("\u{1b}[31mERROR  \u{1b}[0m root: one"));
    }

    #[test]
    fn since_is_a_time_ago_or_a_moment() {
        let moment = since("2026-12-01T08:00+01:00").unwrap();
        assert_eq!(moment.rfc3339(), "2026-12-01T07:00:00.000000Z");
        let then = since("10m").unwrap();
        let ago = clock::now().wall.0 - then.0;
        assert!((600_000_000..601_000_000).contains(&ago), "{ago}");
        assert!(since("yesterday").is_err());
    }
}
