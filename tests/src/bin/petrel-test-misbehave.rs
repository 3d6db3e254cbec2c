//! A sensor that misbehaves on request. A sensor's script becomes it: `exec petrel-test-misbehave WHAT
//! [ARGUMENTS]`; [`WHATS`] is the list of what it does. Whatever multiplies or grows has a hard bound
//! of its own, so that a supervisor without limits is tried and the machine is not.
//!
//! With `MISBEHAVE_STARTS` it first notes its process and the moment of its first instruction there
//! (CLOCK_MONOTONIC, nanoseconds).
#![allow(
    clippy::disallowed_methods,
    reason = "a sensor has no supervisor to make its children"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::process::{Command, exit};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, raise};
use rustix::process::setsid;
use rustix::time::{ClockId, clock_gettime};

/// Most processes of a tree or a storm.
const MOST_PROCESSES: usize = 300;
/// Most memory of a hog, MiB.
const MOST_MIB: usize = 512;
/// Most descriptors of a hog.
const MOST_DESCRIPTORS: usize = 4096;
/// Longest line, MiB.
const LONGEST_LINE_MIB: usize = 1024;
/// How much a flood pours before it ends by itself, MiB.
const FLOOD_MIB: usize = 4096;

/// What is to be done with the arguments after its name.
type What = fn(&[String]) -> io::Result<()>;

const WHATS: &[(&str, What)] = &[
    // CODE [MILLISECONDS]: ends with this code after this time.
    ("exit", |args| {
        rest_ms(number(args, 1, 0) as u64);
        exit(number(args, 0, 0) as i32)
    }),
    // Has nothing to say.
    ("silent", |_| sleep_for_ever()),
    // Says noise, then is a usual sensor.
    ("noise", |_| {
        println!("Python 2.7 reached the end of its life\n\u{1b}[31mwarning\u{1b}[0m: [1, 2");
        say("{\"n\": 1}")?;
        sleep_for_ever()
    }),
    // Announces heartbeat and poll, beats once, then no more.
    ("hang-in-poll", |_| {
        hello("\"heartbeat\", \"poll\"")?;
        notify("heartbeat", "{}")?;
        sleep_for_ever()
    }),
    // Beats twice, then stops itself as if a debugger held it.
    ("stopped", |_| {
        hello("\"heartbeat\"")?;
        notify("heartbeat", "{}")?;
        notify("heartbeat", "{}")?;
        signal(Signal::SIGSTOP)?;
        sleep_for_ever()
    }),
    // Beats as often as it is told to, and is otherwise silent: MILLISECONDS.
    ("beats", |args| {
        hello("\"heartbeat\"")?;
        loop {
            notify("heartbeat", "{}")?;
            rest_ms(number(args, 0, 100) as u64);
        }
    }),
    // Says `hello` and never `ready`.
    ("never-ready", |_| {
        say(&greeting(""))?;
        sleep_for_ever()
    }),
    // Asks for more than it reads: its standard input is never read.
    ("deaf", |_| {
        hello("")?;
        for id in 0..u64::MAX {
            say(&format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"kv.list\",\"params\":{{\"prefix\":\"\"}}}}"
            ))?;
        }
        Ok(())
    }),
    // noise | events: as much standard output as is taken.
    ("flood", |args| {
        let line = match args.first().map(String::as_str) {
            Some("events") => "{\"n\": 1}\n".to_owned(),
            _ => format!("{}\n", "noise ".repeat(20)),
        };
        flood(io::stdout().lock(), &line)
    }),
    // As much standard error as is taken.
    ("flood-log", |_| {
        flood(
            io::stderr().lock(),
            &format!("E! {}\n", "trouble ".repeat(20)),
        )
    }),
    // MIB: a line without an end in sight, then an event.
    ("long-line", |args| {
        let mut out = io::stdout().lock();
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..number(args, 0, LONGEST_LINE_MIB).min(LONGEST_LINE_MIB) {
            out.write_all(&piece)?;
        }
        drop(out);
        say("\n{\"n\": 1}")?;
        sleep_for_ever()
    }),
    // An event, half of a second one, and death.
    ("half-line", |_| {
        say("{\"n\": 1}")?;
        print!("{{\"n\": 2, \"text\": \"cut o");
        io::stdout().flush()?;
        signal(Signal::SIGKILL)
    }),
    // Hears no SIGTERM.
    ("deaf-to-term", |_| {
        block_term()?;
        say("{\"n\": 1}")?;
        sleep_for_ever()
    }),
    // Leaves a daemon behind, in a session of its own and deaf to SIGTERM, and stays.
    ("daemon", |_| {
        again(&["in-session", "deaf-to-term-quietly"])?;
        say("{\"n\": 1}")?;
        sleep_for_ever()
    }),
    // The same, and is gone at once itself.
    ("daemon-and-gone", |_| {
        again(&["in-session", "deaf-to-term-quietly"])
    }),
    // COUNT: a tree of so many processes below it, every third in a session of its own, every second
    // deaf to SIGTERM; says an event once all are there.
    ("tree", |args| {
        let count = number(args, 0, 10).min(MOST_PROCESSES);
        grow(count)?;
        say(&format!("{{\"n\": {count}}}"))?;
        sleep_for_ever()
    }),
    // COUNT: processes that make processes as fast as they can, until there are so many.
    ("storm", |args| {
        let left = number(args, 0, MOST_PROCESSES).min(MOST_PROCESSES);
        if left > 1 {
            for half in [(left - 1) / 2, left - 1 - (left - 1) / 2] {
                if half > 0 {
                    again(&["storm", &half.to_string()])?;
                }
            }
        }
        sleep_for_ever()
    }),
    // MIB: takes so much memory and touches it.
    ("memory", |args| {
        let mib = number(args, 0, MOST_MIB).min(MOST_MIB);
        let held: Vec<_> = (0..mib).map(|n| vec![n as u8 | 1; 1 << 20]).collect();
        say(&format!("{{\"n\": {}}}", held.len()))?;
        sleep_for_ever()
    }),
    // COUNT: opens so many descriptors, or as many as it may; says how many it got.
    ("descriptors", |args| {
        let most = number(args, 0, MOST_DESCRIPTORS).min(MOST_DESCRIPTORS);
        let held: Vec<_> = (0..most)
            .map_while(|_| File::open("/dev/null").ok())
            .collect();
        say(&format!("{{\"n\": {}}}", held.len()))?;
        sleep_for_ever()
    }),
    // KIND MESSAGE [HINT]: its last words, then it ends with code 1.
    ("fail", |args| {
        hello("")?;
        let word = |at: usize| args.get(at).map_or("", String::as_str);
        let (kind, message, hint) = (word(0), word(1), word(2));
        notify(
            "fail",
            &format!("{{\"kind\":{kind:?},\"message\":{message:?},\"hint\":{hint:?}}}"),
        )?;
        exit(1)
    }),
    // COMMAND ...: becomes a leader of a session of its own, starts this, and is gone.
    ("in-session", |args| {
        setsid()?;
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        again(&args)
    }),
    // What a daemon or a branch of a tree does.
    ("deaf-to-term-quietly", |_| {
        block_term()?;
        sleep_for_ever()
    }),
    ("leaf", |_| sleep_for_ever()),
];

fn main() -> io::Result<()> {
    note_start()?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let wanted = args.first().cloned().unwrap_or_default();
    match WHATS.iter().find(|(name, _)| *name == wanted) {
        Some((_, what)) => what(&args[1..]),
        None => {
            let names: Vec<_> = WHATS.iter().map(|(name, _)| *name).collect();
            eprintln!("{wanted:?} is none of {}", names.join(", "));
            exit(2)
        }
    }
}

fn note_start() -> io::Result<()> {
    let now = clock_gettime(ClockId::Monotonic);
    let Some(path) = std::env::var_os("MISBEHAVE_STARTS") else {
        return Ok(());
    };
    let moment = now.tv_sec * 1_000_000_000 + now.tv_nsec;
    let line = format!("{} {moment}\n", std::process::id());
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

fn number(args: &[String], at: usize, default: usize) -> usize {
    let given = args.get(at).map(|text| text.parse());
    given.unwrap_or(Ok(default)).expect("a number")
}

fn rest_ms(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn sleep_for_ever() -> io::Result<()> {
    loop {
        std::thread::park();
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())?;
    out.flush()
}

fn notify(method: &str, params: &str) -> io::Result<()> {
    say(&format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{params}}}"
    ))
}

fn greeting(capabilities: &str) -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"hello\",\
        \"params\":{{\"protocol\":1,\"capabilities\":[{capabilities}]}}}}"
    )
}

/// Greets, and is ready once it is answered.
fn hello(capabilities: &str) -> io::Result<()> {
    say(&greeting(capabilities))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    notify("ready", "{}")
}

fn flood(mut to: impl Write, line: &str) -> io::Result<()> {
    let piece = line.repeat((64 << 10) / line.len() + 1);
    for _ in 0..(FLOOD_MIB << 20) / piece.len() {
        to.write_all(piece.as_bytes())?;
    }
    sleep_for_ever()
}

/// A blocked SIGTERM waits for ever. What is started from here does not inherit that.
fn block_term() -> io::Result<()> {
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    Ok(term.thread_block()?)
}

fn signal(signal: Signal) -> io::Result<()> {
    Ok(raise(signal)?)
}

/// Starts this program once more and leaves it alone.
fn again(args: &[&str]) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    // A pipe of the sensor's own that outlives it is what holds a careless supervisor up.
    command.args(args).env_remove("MISBEHAVE_STARTS").spawn()?;
    Ok(())
}

/// So many processes below this one.
fn grow(count: usize) -> io::Result<()> {
    for at in 0..count {
        let what = match at % 2 {
            0 => "leaf",
            _ => "deaf-to-term-quietly",
        };
        match at % 3 {
            0 => again(&["in-session", what])?,
            _ => again(&[what])?,
        }
    }
    Ok(())
}
