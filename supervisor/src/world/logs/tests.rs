#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::files::{Kept, LogFile, escaped, folder, unescaped};
use super::journald::Journald;
use super::read::{Wanted, known, read};
use crate::core::clock::Wall;
use crate::core::logs::LogRecord;
use crate::core::notice::Level;

const ALL: Wanted = Wanted {
    limit: usize::MAX,
    since: None,
    level: Level::Debug,
};

fn record(number: i64, level: Level, text: &str) -> LogRecord {
    LogRecord {
        time: Wall(1_700_000_000_000_000 + number),
        level,
        logger: None,
        message: text.to_owned(),
        generation: 1,
        pid: Some(7),
    }
}

fn line(record: &LogRecord) -> Vec<u8> {
    (serde_json::to_string(record).unwrap() + "\n").into_bytes()
}

fn numbers(data: &Path, wanted: &Wanted) -> Vec<i64> {
    let found = read(data, "a.B", wanted).unwrap();
    found
        .iter()
        .map(|one| one.time.0 - 1_700_000_000_000_000)
        .collect()
}

#[test]
fn full_files_are_turned_and_the_oldest_goes() {
    let data = tempfile::tempdir().unwrap();
    let dir = folder(data.path()).join(escaped("a.B"));
    let one = line(&record(100, Level::Info, "text")).len() as u64;
    let kept = Kept {
        max_bytes: 10 * one,
        keep: 3,
    };
    let mut file = LogFile::open(dir.clone()).unwrap();
    for number in 100..145 {
        let level = if number % 2 == 0 {
            Level::Info
        } else {
            Level::Error
        };
        file.append(&line(&record(number, level, "text")), kept)
            .unwrap();
    }
    file.flush().unwrap();
    let mut names: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|one| one.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["1", "2", "current"]);
    for name in names {
        assert!(fs::metadata(dir.join(name)).unwrap().len() <= 10 * (one + 1));
    }
    let all = numbers(data.path(), &ALL);
    assert_eq!(all.last(), Some(&144));
    assert_eq!(all.windows(2).filter(|two| two[1] != two[0] + 1).count(), 0);
    assert!((20..=30).contains(&all.len()), "{all:?}");
    assert_eq!(
        numbers(data.path(), &Wanted { limit: 3, ..ALL }),
        [142, 143, 144]
    );
    let errors = Wanted {
        limit: 2,
        level: Level::Error,
        ..ALL
    };
    assert_eq!(numbers(data.path(), &errors), [141, 143]);
    let since = Some(Wall(1_700_000_000_000_143));
    assert_eq!(numbers(data.path(), &Wanted { since, ..ALL }), [143, 144]);
}

#[test]
fn a_line_that_a_crash_cut_in_two_spoils_no_other() {
    let data = tempfile::tempdir().unwrap();
    let dir = folder(data.path()).join("a.B");
    fs::create_dir_all(&dir).unwrap();
    let mut torn = line(&record(1, Level::Info, "one"));
    torn.extend_from_slice(b"{\"time\":\"2023-");
    fs::write(dir.join("current"), torn).unwrap();
    let kept = Kept {
        max_bytes: 1000,
        keep: 2,
    };
    let mut file = LogFile::open(dir).unwrap();
    file.append(&line(&record(2, Level::Info, "two")), kept)
        .unwrap();
    file.flush().unwrap();
    assert_eq!(numbers(data.path(), &ALL), [1, 2]);
}

#[test]
fn a_reference_is_found_again_by_its_folder() {
    let data = tempfile::tempdir().unwrap();
    let names = ["a.B", "a.B@eu", ".x/../y", "é%41"];
    for name in names {
        let folder = escaped(name);
        assert!(
            !folder.contains('/') && !folder.starts_with('.'),
            "{folder}"
        );
        assert_eq!(unescaped(&folder).as_deref(), Some(name));
        LogFile::open(super::files::folder(data.path()).join(folder)).unwrap();
    }
    let mut found = known(data.path());
    found.sort();
    let mut names = names.map(str::to_owned);
    names.sort();
    assert_eq!(found, names);
    assert_eq!(unescaped("%zz"), None);
    assert!(read(data.path(), "no.Such", &ALL).unwrap().is_empty());
}

#[test]
fn the_journal_of_systemd_gets_every_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    assert!(Journald::at(&path).is_none());
    let journal = UnixDatagram::bind(&path).unwrap();
    let journald = Journald::at(&path).unwrap();
    let mut sent = record(1, Level::Error, "two\nlines");
    sent.logger = Some("root".into());
    journald.send("a.B", &sent).unwrap();
    let mut buffer = [0; 4096];
    let count = journal.recv(&mut buffer).unwrap();
    let mut expected = b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n".to_vec();
    expected.extend_from_slice(
        b"PRIORITY=3\nSYSLOG_IDENTIFIER=petrel\nPETREL_SENSOR=a.B\nPETREL_GENERATION=1\n\
        PETREL_PID=7\nPETREL_LOGGER=root\n",
    );
    assert_eq!(
        String::from_utf8_lossy(&buffer[..count]),
        String::from_utf8_lossy(&expected)
    );
    // Nobody takes them: nobody waits.
    while journald.send("a.B", &sent).is_ok() {}
}
