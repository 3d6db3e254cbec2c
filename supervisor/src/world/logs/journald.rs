//! Records for systemd's journal, in its own protocol: one datagram each.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::core::logs::LogRecord;
use crate::core::notice::Level;

/// Where it listens, on hosts that have it.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Longest text of a record there, bytes: datagrams are bounded.
const MOST_TEXT: usize = 48 << 10;

/// The way to it. It may be started anew at any time, so each datagram is addressed.
#[derive(Debug)]
pub struct Journald {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journald {
    /// None where the host has no such journal.
    pub fn find() -> Option<Self> {
        Self::at(Path::new(SOCKET))
    }

    /// The one that listens here.
    pub fn at(path: &Path) -> Option<Self> {
        let socket = path.exists().then(UnixDatagram::unbound)?.ok()?;
        // Whoever is slow there does not make anybody wait here.
        socket.set_nonblocking(true).ok()?;
        let path = path.to_owned();
        Some(Self { socket, path })
    }

    /// Sends a record of a sensor.
    ///
    /// # Errors
    /// When it is not there, or does not keep up.
    pub fn send(&self, reference: &str, record: &LogRecord) -> io::Result<()> {
        let datagram = datagram(reference, record);
        self.socket.send_to(&datagram, &self.path).map(|_| ())
    }
}

fn datagram(reference: &str, record: &LogRecord) -> Vec<u8> {
    let priority = match record.level {
        Level::Error => "3",
        Level::Warning => "4",
        Level::Info => "6",
        Level::Debug => "7",
    };
    let end = (0..=record.message.len().min(MOST_TEXT))
        .rev()
        .find(|end| record.message.is_char_boundary(*end));
    let mut out = Vec::new();
    field(&mut out, "MESSAGE", &record.message[..end.unwrap_or(0)]);
    field(&mut out, "PRIORITY", priority);
    field(&mut out, "SYSLOG_IDENTIFIER", "petrel");
    field(&mut out, "PETREL_SENSOR", reference);
    field(
        &mut out,
        "PETREL_GENERATION",
        &record.generation.to_string(),
    );
    if let Some(pid) = record.pid {
        field(&mut out, "PETREL_PID", &pid.to_string());
    }
    if let Some(logger) = &record.logger {
        field(&mut out, "PETREL_LOGGER", logger);
    }
    out
}

/// `NAME=value`, or where the value has several lines `NAME`, its length and the value.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}
