//! A running supervisor.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::{MARGIN, PATIENCE, Place, process, wait_within};

/// How long an ordered stop may take before the test takes it for broken.
const STOP: Duration = Duration::from_secs(40);

/// Lines of the stream that a failed test shows.
const REPORTED: usize = 300;

/// `petrel run --log-format json`. When it goes out of scope it is stopped, and nothing that it
/// started may be left.
#[derive(Debug)]
pub struct Petrel {
    child: Child,
    ended: Option<ExitStatus>,
    stream: Arc<Stream>,
    folder: PathBuf,
    errors: PathBuf,
}

#[derive(Debug, Default)]
struct Stream {
    lines: Mutex<Lines>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Lines {
    seen: Vec<Value>,
    ended: bool,
}

impl Stream {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn read(&self, stdout: ChildStdout) {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let value = serde_json::from_str(&line);
            // What is no JSON is kept as text, which no test takes for a notice.
            self.lock().seen.push(value.unwrap_or(Value::String(line)));
            self.grown.notify_all();
        }
        self.lock().ended = true;
        self.grown.notify_all();
    }
}

impl Petrel {
    /// Starts it with more arguments.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(place: &Place, args: &[&str]) -> Self {
        Self::start_with(place, args, &[])
    }

    /// Starts it with more arguments, and with these in its environment.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_with(place: &Place, args: &[&str], env: &[(&str, &str)]) -> Self {
        let errors = place.path("stderr");
        let mut child = place
            .command(&["run", "--log-format", "json"])
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).expect("a file"))
            .spawn()
            .expect("petrel starts");
        let stream = Arc::new(Stream::default());
        let stdout = child.stdout.take().expect("a pipe");
        let reader = Arc::clone(&stream);
        std::thread::spawn(move || reader.read(stdout));
        Self {
            child,
            ended: None,
            stream,
            folder: place.folder().to_owned(),
            errors,
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder that it runs in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lines so far.
    pub fn lines(&self) -> Vec<Value> {
        self.stream.lock().seen.clone()
    }

    /// How many lines there are: for [`Petrel::wait_after`].
    pub fn mark(&self) -> usize {
        self.stream.lock().seen.len()
    }

    /// The first line of this run that fits.
    pub fn wait_for(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.wait_after(0, what, fits)
    }

    /// The first line after a mark that fits.
    ///
    /// # Panics
    /// When none comes, or the stream ends before.
    pub fn wait_after(&self, mark: usize, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        let mut next = mark;
        let mut lines = self.stream.lock();
        loop {
            if let Some(found) = lines.seen[next.min(lines.seen.len())..]
                .iter()
                .find(|l| fits(l))
            {
                return found.clone();
            }
            next = lines.seen.len();
            let left = PATIENCE.saturating_sub(started.elapsed());
            let over = lines.ended || left.is_zero();
            if over {
                drop(lines);
                panic!("the stream never said: {what}");
            }
            let waited = self.stream.grown.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    /// Waits for a notice of this kind about this subject.
    pub fn wait_kind(&self, kind: &str, subject: &str) -> Value {
        self.wait_for(&format!("{kind} {subject}"), |line| is(line, kind, subject))
    }

    /// Waits until a sensor is ready.
    pub fn ready(&self, reference: &str) -> Value {
        self.wait_kind("sensor.ready", reference)
    }

    /// Waits until it answers questions.
    pub fn up(&self) {
        let socket = self.folder.join("data/socket");
        crate::wait_until("petrel answers", || {
            let path = fs::read_to_string(&socket).ok()?;
            std::os::unix::net::UnixStream::connect(path).ok()
        });
    }

    /// All that it printed so far, on both ways.
    pub fn output(&self) -> String {
        let lines: Vec<String> = self.lines().iter().map(Value::to_string).collect();
        lines.join("\n") + &self.errors()
    }

    /// How many notices of this kind there were about this subject.
    pub fn count(&self, kind: &str, subject: &str) -> usize {
        let lines = self.stream.lock();
        lines
            .seen
            .iter()
            .filter(|line| is(line, kind, subject))
            .count()
    }

    /// What it wrote to standard error.
    pub fn errors(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within `bound`.
    pub fn wait_end(&mut self, bound: Duration) -> ExitStatus {
        let child = &mut self.child;
        let ended = wait_within(bound, "the end of petrel run", || child.try_wait().ok()?);
        self.ended = Some(ended);
        // Its last lines are read to the end.
        let stream = &self.stream;
        wait_within(MARGIN, "the end of the stream", || {
            stream.lock().ended.then_some(())
        });
        ended
    }

    /// Stops it in order.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end(STOP)
    }

    /// Kills it, and waits for its end only.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is ours");
        self.ended = Some(self.child.wait().expect("it is ours"));
    }

    /// Everything that lives and was started for its folder, but itself.
    pub fn descendants(&self) -> Vec<u32> {
        process::of_folder(&self.folder, &[self.pid()])
    }

    fn end(&mut self) {
        if self.ended.is_some() {
            return;
        }
        self.signal(Signal::TERM);
        let started = Instant::now();
        while started.elapsed() < STOP {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn report(&self) {
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(REPORTED);
        eprintln!("--- the stream, without its first {skipped} lines");
        for line in &lines[skipped..] {
            eprintln!("{line}");
        }
        eprintln!("--- standard error\n{}", self.errors());
    }
}

/// True for a notice of this kind about this subject.
fn is(line: &Value, kind: &str, subject: &str) -> bool {
    line["kind"] == kind && line["subject"] == subject
}

impl Drop for Petrel {
    fn drop(&mut self) {
        let killed = self.ended.is_some_and(|ended| ended.code().is_none());
        self.end();
        if std::thread::panicking() {
            self.report();
            for pid in process::of_folder(&self.folder, &[]) {
                process::signal(pid, Signal::KILL);
            }
        } else if !killed {
            let left = process::of_folder(&self.folder, &[]);
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}
