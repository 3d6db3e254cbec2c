//! The thread that writes.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;

use super::files::{Kept, LogFile, escaped};
use super::journald::Journald;
use super::{Entry, Order};
use crate::config::LogSettings;
use crate::core::logs::LogRecord;
use crate::core::notice::Level;

/// Files that are open at a time.
const MOST_OPEN: usize = 64;

/// Most records of one round.
const MOST_RECORDS: usize = 1000;

/// Writes records, and knows of those that it could not write.
pub struct Writer {
    folder: PathBuf,
    kept: Kept,
    journald: Option<Journald>,
    open: HashMap<String, LogFile>,
    lost: HashMap<String, u64>,
    is_failing: bool,
}

impl Writer {
    /// Into this folder.
    pub fn new(folder: PathBuf, settings: &LogSettings) -> Self {
        Self {
            folder,
            kept: Kept {
                max_bytes: settings.max_bytes,
                keep: settings.keep,
            },
            journald: settings.journald.then(Journald::find).flatten(),
            open: HashMap::new(),
            lost: HashMap::new(),
            is_failing: false,
        }
    }

    /// Until it is told that no more is to come.
    pub fn run(&mut self, waiting: &Receiver<Order>) {
        let mut goes_on = true;
        while goes_on && let Ok(first) = waiting.recv() {
            let rest: Vec<_> = waiting.try_iter().take(MOST_RECORDS).collect();
            for order in std::iter::once(first).chain(rest) {
                goes_on &= !matches!(order, Order::End);
                self.take(order);
            }
            self.flush();
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Write { entry, lost, .. } => {
                let reference = entry.spec.reference.clone();
                *self.lost.entry(reference.clone()).or_default() += lost;
                let written = self.write(&entry);
                self.judge(&reference, written);
            }
            Order::Flush(done) => {
                self.flush();
                done();
            }
            Order::End => {}
        }
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let Entry { spec, record } = entry;
        let reference = &spec.reference;
        if let Some(journald) = &self.journald {
            // It has its own bounds, and the file has the record all the same.
            let _ = journald.send(reference, record);
        }
        let lost = self.lost.get(reference).copied().unwrap_or_default();
        let kept = self.kept;
        let file = self.file(reference)?;
        if lost > 0 {
            file.append(&line(&missing(record, lost)), kept)?;
        }
        file.append(&line(record), kept)?;
        self.lost.remove(reference);
        Ok(())
    }

    fn file(&mut self, reference: &str) -> io::Result<&mut LogFile> {
        if !self.open.contains_key(reference) {
            if self.open.len() >= MOST_OPEN {
                self.flush();
                self.open.clear();
            }
            let file = LogFile::open(self.folder.join(escaped(reference)))?;
            self.open.insert(reference.to_owned(), file);
        }
        Ok(self.open.get_mut(reference).expect("it was just put there"))
    }

    fn flush(&mut self) {
        let mut failed = Vec::new();
        for (reference, file) in &mut self.open {
            match file.flush() {
                Ok(()) if file.is_gone() => failed.push((reference.clone(), Ok(()))),
                Ok(()) => {}
                Err(error) => failed.push((reference.clone(), Err(error))),
            }
        }
        for (reference, flushed) in failed {
            // It is opened anew for the next record.
            self.open.remove(&reference);
            if flushed.is_err() {
                self.judge(&reference, flushed);
            }
        }
    }

    /// That the disk refuses is told once.
    fn judge(&mut self, reference: &str, written: io::Result<()>) {
        match written {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                self.open.remove(reference);
                *self.lost.entry(reference.to_owned()).or_default() += 1;
                if !std::mem::replace(&mut self.is_failing, true) {
                    let folder = self.folder.display();
                    tracing::error!("the sensors' logs cannot be written to {folder}: {error}");
                }
            }
        }
    }
}

fn line(record: &LogRecord) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Stands for records that did not get here.
fn missing(next: &LogRecord, lost: u64) -> LogRecord {
    LogRecord {
        time: crate::core::clock::Wall(next.time.0 - 1),
        level: Level::Warning,
        logger: None,
        message: format!("{lost} records are missing here: the disk was full or too slow"),
        ..next.clone()
    }
}
