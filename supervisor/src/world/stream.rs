//! The stream of `petrel run`: notices through `tracing`, as quiet lines for people or as JSON.
//!
//! Written by a thread of its own with a bounded queue: a terminal that is stopped never stops the
//! supervisor; what does not fit is dropped.

use std::fmt;
use std::io::{self, IsTerminal, Write, stdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::core::logs::LogRecord;
use crate::core::notice::{Level as NoticeLevel, Notice};

/// Lines that wait for whoever reads the stream; more are dropped, for nobody waits for them.
const LINES: usize = 8192;

/// How the stream is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts the stream; it ends, written out, with the guard. `PETREL_LOG` sets the level (`debug`
/// shows the sensors' own log).
pub fn start(format: LogFormat) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES)
        .finish(Counting(stdout(), &WRITTEN));
    let writer = move || Counting(writer.clone(), &SHOWN);
    let filter = EnvFilter::try_from_env("PETREL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let stream = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    match format {
        LogFormat::Json => stream.json().flatten_event(true).with_target(false).init(),
        LogFormat::Text => stream
            .event_format(ForPeople {
                color: stdout().is_terminal(),
            })
            .init(),
    }
    guard
}

/// Shows a record of a sensor's log.
pub fn log(reference: &str, record: &LogRecord) {
    let notice =
        |text: &str| Notice::new(record.level, "sensor.log", reference, text).pid(record.pid);
    let level = record.level;
    if level >= NoticeLevel::Warning || tracing::enabled!(Level::DEBUG) {
        show(&notice(&record.message));
    }
}

/// Lines that were shown, and that were written.
static SHOWN: AtomicU64 = AtomicU64::new(0);
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// How long a terminal that takes nothing is waited for.
const FLUSH: Duration = Duration::from_millis(200);

/// Counts what is written, line by line.
#[derive(Debug)]
struct Counting<W>(W, &'static AtomicU64);

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.0.write(line);
        self.1.fetch_add(1, Ordering::AcqRel);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Waits until what was shown is written, but not for ever: what does not fit is dropped.
pub fn flush() {
    let begun = super::clock::now().mono;
    while WRITTEN.load(Ordering::Acquire) < SHOWN.load(Ordering::Acquire)
        && super::clock::now().mono.saturating_sub(begun) < FLUSH
    {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Shows one notice.
pub fn show(notice: &Notice) {
    // The level of an event is fixed where it is written, hence one line each.
    macro_rules! write {
        ($level:ident) => {
            tracing::$level!(
                kind = notice.kind,
                subject = notice.subject,
                pid = notice.pid,
                event = notice.event,
                execution = notice.execution,
                "{}",
                notice.text
            )
        };
    }
    match level(notice) {
        NoticeLevel::Debug => write!(debug),
        NoticeLevel::Info => write!(info),
        NoticeLevel::Warning => write!(warn),
        NoticeLevel::Error => write!(error),
    }
}

/// A sensor's own log is quiet unless it warns.
fn level(notice: &Notice) -> NoticeLevel {
    match notice.level {
        NoticeLevel::Info if notice.kind == "sensor.log" => NoticeLevel::Debug,
        level => level,
    }
}

/// `11:02:47 sensor.ready  mypack.DirectorySensor  ready`
#[derive(Debug)]
struct ForPeople {
    color: bool,
}

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let time = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        let style = match (self.color, *event.metadata().level()) {
            (false, _) => Style::new(),
            (true, Level::ERROR) => AnsiColor::Red.on_default(),
            (true, Level::WARN) => AnsiColor::Yellow.on_default(),
            (true, Level::INFO) => Style::new(),
            (true, _) => Style::new().dimmed(),
        };
        let kind = if line.kind.is_empty() {
            "petrel"
        } else {
            &line.kind
        };
        write!(writer, "{time} {style}{kind:<16}{style:#}")?;
        if !line.subject.is_empty() {
            write!(writer, " {}", line.subject)?;
        }
        write!(writer, "  {}", line.message)?;
        if let Some(pid) = line.pid {
            write!(writer, " (pid {pid})")?;
        }
        if let Some(id) = &line.execution {
            write!(writer, "  {id}")?;
        }
        writeln!(writer)
    }
}

#[derive(Debug, Default)]
struct Line {
    kind: String,
    subject: String,
    message: String,
    pid: Option<u64>,
    execution: Option<String>,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "kind" => self.kind = value.to_owned(),
            "subject" => self.subject = value.to_owned(),
            "execution" => self.execution = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "pid" {
            self.pid = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}
