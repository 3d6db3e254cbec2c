//! A program's output, copied into a file up to a bound; the rest is read and counted.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use crate::child::Await;
use crate::codes;
use crate::failure::{Failure, Outcome};

const CHUNK_BYTES: usize = 64 << 10;

/// One stream of a program.
pub(crate) struct Output {
    pipe: Option<File>,
    file: File,
    room: u64,
    /// Bytes in the file.
    pub kept: u64,
    /// Bytes read and thrown away.
    pub dropped: u64,
}

impl Output {
    /// An empty file that takes at most `limit_bytes`.
    pub fn create(path: &Path, limit_bytes: u64) -> Outcome<Self> {
        let file = File::create(path).map_err(|e| {
            let target = path.to_string_lossy();
            Failure::system(codes::EXECUTION, "create", target, &e)
        })?;
        Ok(Self {
            pipe: None,
            file,
            room: limit_bytes,
            kept: 0,
            dropped: 0,
        })
    }

    pub fn attach(&mut self, pipe: Option<File>) {
        self.pipe = pipe;
    }

    pub fn awaited(&self) -> Await<'_> {
        match &self.pipe {
            Some(pipe) => Await::Readable(pipe.as_fd()),
            None => Await::Nothing,
        }
    }

    /// Reads once, when the pipe is ready.
    pub fn pump(&mut self) {
        self.read(CHUNK_BYTES);
    }

    /// Reads what is in the pipe now. A leaked process may hold its other end and go on writing;
    /// what comes later is not waited for.
    pub fn drain(&mut self) {
        let waiting = |pipe: &File| rustix::io::ioctl_fionread(pipe).unwrap_or(0);
        let mut left = self.pipe.as_ref().map_or(0, waiting) as usize;
        while left > 0 {
            match self.read(left.min(CHUNK_BYTES)) {
                0 => break,
                got => left -= got,
            }
        }
        self.pipe = None;
    }

    fn read(&mut self, most: usize) -> usize {
        let mut chunk = [0; CHUNK_BYTES];
        let Some(pipe) = &mut self.pipe else { return 0 };
        match pipe.read(&mut chunk[..most]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            Ok(0) | Err(_) => {
                self.pipe = None;
                0
            }
            Ok(got) => {
                self.keep(&chunk[..got]);
                got
            }
        }
    }

    /// A full disk must not stop the program: what cannot be written counts as dropped.
    fn keep(&mut self, bytes: &[u8]) {
        let fits = bytes
            .len()
            .min(usize::try_from(self.room).unwrap_or(usize::MAX));
        let kept = match self.file.write_all(&bytes[..fits]) {
            Ok(()) => fits as u64,
            Err(_) => 0,
        };
        self.room -= kept;
        self.kept += kept;
        self.dropped += bytes.len() as u64 - kept;
    }
}
