//! A sensor on rung 0 that has nothing to say, for any supervisor: it notes its name, its process and
//! the moment of its first instruction in the file that `QUIET_MARKS` names, then sleeps until it is
//! signalled.
//!
//! Its name is its first argument, else the reference that Petrel gives it, else the folder in which
//! it runs. The moment is CLOCK_MONOTONIC in nanoseconds: whoever starts and kills it has the same.

use std::fs::OpenOptions;
use std::io::Write;

use rustix::time::{ClockId, clock_gettime};

fn main() {
    let now = clock_gettime(ClockId::Monotonic);
    if let Some(path) = std::env::var_os("QUIET_MARKS") {
        let moment = now.tv_sec * 1_000_000_000 + now.tv_nsec;
        let line = format!("{} {} {moment}\n", name(), std::process::id());
        let file = OpenOptions::new().create(true).append(true).open(path);
        // One write: lines of many that start at once stay whole.
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("QUIET_MARKS takes it");
    }
    loop {
        std::thread::park();
    }
}

fn name() -> String {
    let folder = || Some(std::env::current_dir().ok()?.file_name()?.to_owned());
    let name = std::env::args_os().nth(1);
    let name = name.or_else(|| std::env::var_os("PETREL_SENSOR"));
    let name = name.or_else(folder).unwrap_or_default();
    name.to_string_lossy().into_owned()
}
