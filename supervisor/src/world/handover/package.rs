//! What is handed over, as JSON behind a line with its format and a checksum.
//!
//! A newer format may only add: whoever reads fills in what is missing and ignores what it does not
//! know. What cannot be told so raises [`FORMAT`], and [`OLDEST`] stays one behind it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::core::handover::{Bytes, Handed, HandedIntake};
use crate::core::isolation::Isolation;
use crate::core::logs::reader::HandedLog;

/// What we write.
pub const FORMAT: u32 = 1;

/// The oldest that we read.
pub const OLDEST: u32 = 1;

const NAME: &str = "petrel-handover";

/// Everything. Numbers of descriptors are places among those that travel with it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Package {
    /// What happens, for people.
    pub upgrade: Upgrade,
    /// The steady clock's reading at which our own time began.
    pub origin: Duration,
    /// Our time when reading stopped.
    pub held: Duration,
    /// The program of the one before, which is taken again where the next one fails.
    pub program: usize,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The lock of the data folder.
    pub lock: usize,
    /// The control socket.
    pub listener: usize,
    /// The interpreter as it was configured and as it was found: asking a shim anew takes longer
    /// than all the rest.
    #[serde(default)]
    pub python: Option<(Option<PathBuf>, PathBuf)>,
    /// Questions that were asked so far.
    #[serde(default)]
    pub asked: u64,
    /// The core's.
    pub core: Handed,
    /// Intake's.
    pub intake: HandedIntake,
    /// Children of sensors.
    pub children: Vec<HandedChild>,
    /// Running actions.
    pub actions: Vec<HandedAction>,
}

/// One upgrade, as users see it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Upgrade {
    /// From 1, over the life of the process.
    pub number: u64,
    /// The version before.
    pub from: String,
    /// The version after.
    pub to: String,
    /// The program.
    pub binary: PathBuf,
    /// Why the one before goes on, where it does.
    #[serde(default)]
    pub error: Option<String>,
    /// For how long nothing was read of sensors, milliseconds.
    #[serde(default)]
    pub pause_ms: f64,
    /// Sensors that were handed over.
    #[serde(default)]
    pub sensors: usize,
    /// Running actions that were handed over.
    #[serde(default)]
    pub actions: usize,
    /// It is over.
    #[serde(default)]
    pub done: bool,
}

/// A child of a sensor.
#[derive(Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields of world::sensor, by their names")]
pub struct HandedChild {
    pub sensor: usize,
    pub generation: u64,
    pub pid: i32,
    #[serde(default)]
    pub ended: bool,
    #[serde(default)]
    pub drained: bool,
    #[serde(default)]
    pub stdin: Option<usize>,
    #[serde(default)]
    pub stdout: Option<usize>,
    #[serde(default)]
    pub stderr: Option<usize>,
    #[serde(default)]
    pub executed_fd: Option<usize>,
    #[serde(default)]
    pub ready_fd: Option<usize>,
    #[serde(default)]
    pub pidfd: Option<usize>,
    #[serde(default)]
    pub untaken: Bytes,
    #[serde(default)]
    pub is_closing: bool,
    #[serde(default)]
    pub log: HandedLog,
    #[serde(default)]
    pub told: Bytes,
    #[serde(default)]
    pub executed: bool,
    #[serde(default)]
    pub failure: Option<String>,
    #[serde(default)]
    pub isolation: Isolation,
    #[serde(default)]
    pub marker: String,
    #[serde(default)]
    pub is_pidns: bool,
    #[serde(default)]
    pub cgroup: Option<PathBuf>,
    #[serde(default)]
    pub oom_kills: u64,
    /// It was moved into its control group after its start.
    #[serde(default)]
    pub joined_late: bool,
}

/// A running action.
#[derive(Debug, Serialize, Deserialize)]
pub struct HandedAction {
    /// Number of its execution.
    pub execution: u64,
    /// Its wrapper.
    pub pidfd: usize,
    /// Its standard input, where that is not written to its end.
    #[serde(default)]
    pub stdin: Option<usize>,
    /// What is to be written there.
    #[serde(default)]
    pub unfed: Bytes,
    /// Its parameters, by which its result is read.
    #[serde(default)]
    pub parameters: Map<String, Value>,
}

impl Package {
    /// A sealed file in memory.
    ///
    /// # Errors
    /// When the system has none.
    pub fn file(&self) -> anyhow::Result<File> {
        sealed(&serde_json::to_vec(self)?)
    }

    /// What such a file says.
    ///
    /// # Errors
    /// When it is another's, of another format, or damaged.
    pub fn read(mut file: &File) -> anyhow::Result<Self> {
        let seals = fcntl_get_seals(file)?;
        ensure!(seals.contains(SealFlags::WRITE), "it is not sealed");
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (head, body) = bytes.split_at(end.context("it has no head")?);
        let head = std::str::from_utf8(head)?;
        let words: Vec<&str> = head.split(' ').collect();
        let [NAME, format, sum] = words[..] else {
            anyhow::bail!("it begins with {head:?}");
        };
        let format: u32 = format.parse()?;
        let known = OLDEST..=FORMAT;
        ensure!(
            known.contains(&format),
            "it has format {format}; this petrel reads {OLDEST} to {FORMAT}"
        );
        let body = &body[1..];
        ensure!(blake3::hash(body).to_hex().as_str() == sum, "it is damaged");
        Ok(serde_json::from_slice(body)?)
    }
}

fn sealed(body: &[u8]) -> anyhow::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create(NAME, flags)?);
    let sum = blake3::hash(body).to_hex();
    writeln!(file, "{NAME} {FORMAT} {sum}")?;
    file.write_all(body)?;
    let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, all)?;
    Ok(file)
}

impl Upgrade {
    /// As users see it.
    pub fn view(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package() -> Package {
        Package {
            upgrade: Upgrade::default(),
            origin: Duration::from_secs(7),
            held: Duration::ZERO,
            program: 0,
            args: vec!["petrel".into(), "run".into()],
            lock: 1,
            listener: 2,
            python: None,
            asked: 3,
            core: Handed::default(),
            intake: HandedIntake::default(),
            children: Vec::new(),
            actions: Vec::new(),
        }
    }

    #[test]
    fn what_is_sealed_is_read_and_cannot_be_changed() {
        let mut file = package().file().unwrap();
        assert!(file.write_all(b"x").is_err());
        let read = Package::read(&file).unwrap();
        assert_eq!((read.origin, read.asked), (Duration::from_secs(7), 3));
        assert_eq!(read.args, package().args);
    }

    #[test]
    fn members_of_another_version_do_no_harm_and_another_format_is_refused() {
        let mut value = serde_json::to_value(package()).unwrap();
        value["of_a_later_version"] = serde_json::json!({"a": 1});
        value.as_object_mut().unwrap().remove("asked");
        let body = value.to_string();
        let sum = blake3::hash(body.as_bytes()).to_hex();
        let text = |format: u32| format!("{NAME} {format} {sum}\n{body}");
        assert_eq!(Package::parse(text(FORMAT).as_bytes()).unwrap().asked, 0);
        let other = Package::parse(text(FORMAT + 1).as_bytes()).unwrap_err();
        assert!(other.to_string().contains("has format 2"), "{other}");
        let damaged = text(FORMAT).replace("\"a\":1", "\"a\":2");
        assert!(Package::parse(damaged.as_bytes()).is_err());
    }
}
