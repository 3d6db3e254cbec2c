//! A child's standard error, read to its end: it never waits for anything but us.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio::time::sleep;

use super::clock;
use super::sensor::{Reports, Shared};
use crate::core::Input;
use crate::core::logs::LogLine;
use crate::core::logs::reader::LogReader;

/// Most bytes that are read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// How long a record is held back for lines that may belong to it.
const QUIET: Duration = Duration::from_millis(50);

/// After so many chunks of one that floods there is a pause: its pipe is drained, but not at the cost
/// of all others.
const FLOOD_CHUNKS: u32 = 4;
const FLOOD_PAUSE: Duration = Duration::from_millis(4);

/// What woke the reader.
enum Woken {
    Bytes,
    Quiet,
    End,
}

/// Reads it and passes it to the core, within its limits.
pub(super) async fn read_log(stderr: Rc<pipe::Receiver>, shared: Rc<Shared>, reports: Reports) {
    let mut chunks = 0u32;
    loop {
        let is_open = shared.log.borrow().is_open();
        let woken = wait(&stderr, is_open, &shared, &reports).await;
        // Held up or not, what is read from here on is passed on before anything else.
        shared.pass(&reports.gate).await;
        shared.log_is_busy.set(true);
        let lines = match woken {
            Woken::End => break,
            Woken::Quiet => shared.log.borrow_mut().close(),
            Woken::Bytes => match read(&stderr, &mut shared.log.borrow_mut()) {
                Some(lines) => lines,
                None => break,
            },
        };
        pass_on(lines, &reports).await;
        shared.log_is_busy.set(false);
        chunks = chunks.wrapping_add(1);
        let is_flooded = shared.log.borrow().is_flooded() && !shared.is_gone.get();
        if is_flooded && chunks.is_multiple_of(FLOOD_CHUNKS) {
            sleep(FLOOD_PAUSE).await;
        }
    }
    let last = shared.log.borrow_mut().finish(clock::now());
    pass_on(last, &reports).await;
    shared.log_is_busy.set(false);
    shared.log_ended.notify_one();
}

async fn wait(stderr: &pipe::Receiver, open: bool, shared: &Shared, reports: &Reports) -> Woken {
    let quiet = async {
        match open {
            true => sleep(QUIET).await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        ready = stderr.readable() => match ready {
            Ok(()) => Woken::Bytes,
            Err(_) => Woken::End,
        },
        () = shared.late(reports.drain_timeout) => Woken::End,
        () = quiet => Woken::Quiet,
    }
}

/// None at the end. The buffer is nobody's between two reads: a silent sensor has none.
fn read(stderr: &pipe::Receiver, log: &mut LogReader) -> Option<Vec<LogLine>> {
    let mut buffer = [0; CHUNK_BYTES];
    match stderr.try_read(&mut buffer) {
        Ok(0) => None,
        Ok(count) => Some(log.push(&buffer[..count], clock::now())),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(Vec::new()),
        Err(_) => None,
    }
}

async fn pass_on(lines: Vec<LogLine>, reports: &Reports) {
    if lines.is_empty() {
        return;
    }
    let input = Input::Logged {
        sensor: reports.sensor,
        generation: reports.generation,
        lines,
    };
    // Nobody takes it only when the supervisor is at its own end.
    let _ = reports.inputs.send(input).await;
}
