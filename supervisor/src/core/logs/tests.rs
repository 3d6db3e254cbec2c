use std::time::Duration;

use super::join::{Joiner, MOST_BYTES};
use super::lines::Lines;
use super::parse::parse;
use super::reader::LogReader;
use super::visible::visible;
use super::*;
use crate::catalog::policy::LogLimits;
use crate::core::clock::Now;

const LIMITS: LogLimits = LogLimits {
    bytes_per_s: 1000,
    burst: 4000,
    line_bytes: 100,
};

fn at(ms: u64) -> Now {
    Now {
        mono: Duration::from_millis(ms),
        wall: Wall(ms as i64 * 1000),
    }
}

/// The records of a whole text.
fn joined(text: &str) -> Vec<(Level, String)> {
    let mut joiner = Joiner::default();
    let mut out: Vec<_> = text
        .lines()
        .filter_map(|line| joiner.take(Wall(0), line, 0))
        .collect();
    out.extend(joiner.close());
    out.into_iter().map(|one| (one.level, one.text)).collect()
}

#[test]
fn levels_and_loggers_come_from_the_usual_prefixes() {
    let cases = [
        ("E! broken", Level::Error, None, "broken"),
        ("D! 日本", Level::Debug, None, "日本"),
        ("<4>careful", Level::Warning, None, "careful"),
        ("<0>gone", Level::Error, None, "gone"),
        ("<9>odd", Level::Info, None, "<9>odd"),
        ("WARNING:root:a: b", Level::Warning, Some("root"), "a: b"),
        (
            "2024-01-01 00:00:00,1 - my.log - ERROR - no - way",
            Level::Error,
            Some("my.log"),
            "no - way",
        ),
        (
            "actions.python.X: DEBUG    said",
            Level::Debug,
            Some("actions.python.X"),
            "said",
        ),
        (
            "2016-11-28 05:16:59,123 WARNING [-] x",
            Level::Warning,
            None,
            "2016-11-28 05:16:59,123 WARNING [-] x",
        ),
        ("plain text", Level::Info, None, "plain text"),
        (
            "informal errors: INFORMATION",
            Level::Info,
            None,
            "informal errors: INFORMATION",
        ),
        ("日本", Level::Info, None, "日本"),
    ];
    for (line, level, logger, text) in cases {
        let found = parse(line);
        assert_eq!(
            (found.level, found.logger, found.text),
            (level, logger, text),
            "{line}"
        );
    }
}

#[test]
fn a_chained_traceback_is_one_record_with_the_message_before_it() {
    let trace = "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\n    ^^^\n\
        KeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n\
        Traceback (most recent call last):\n  File \"a.py\", line 3, in h\n    raise X\nX: no";
    let text = format!("ERROR:root:it failed\n{trace}\nE! next\n  more of it\n\nlast");
    let expected = [
        (Level::Error, format!("it failed\n{trace}")),
        (Level::Error, "next\n  more of it".to_owned()),
        (Level::Info, "last".to_owned()),
    ];
    assert_eq!(joined(&text), expected);
    let alone = format!("I! hello\n{trace}\n\nbye");
    let expected = [
        (Level::Info, "hello".to_owned()),
        (Level::Error, trace.to_owned()),
        (Level::Info, "bye".to_owned()),
    ];
    assert_eq!(joined(&alone), expected);
}

#[test]
fn a_dump_of_stacks_is_one_record() {
    let dump = "Thread 0x00007f01 (most recent call first):\n  File \"t.py\", line 2 in wait\n\n\
        Current thread 0x00007f02 (most recent call first):\n  File \"s.py\", line 9 in poll";
    let expected = [
        (Level::Warning, dump.to_owned()),
        (Level::Info, "on".to_owned()),
    ];
    assert_eq!(joined(&format!("{dump}\non")), expected);
    let fatal = format!("Fatal Python error: Aborted\n\n{dump}\n\nExtension modules: a (total: 1)");
    assert_eq!(joined(&fatal), [(Level::Error, fatal.clone())]);
}

#[test]
fn a_joined_record_is_bounded() {
    let text = format!("first\n{}", format!(" {}\n", "x".repeat(99)).repeat(2000));
    let found = joined(&text);
    assert!(found.len() > 5);
    assert!(found.iter().all(|(_, text)| text.len() <= MOST_BYTES));
    assert_eq!(
        found
            .iter()
            .map(|(_, text)| text.lines().count())
            .sum::<usize>(),
        2001
    );
}

#[test]
fn lines_do_not_depend_on_how_they_were_cut_into_chunks() {
    let text = "one\r\ntwo\n\nééééééééé\nlast".as_bytes();
    for size in 1..text.len() {
        let (mut lines, mut found) = (Lines::new(9), Vec::new());
        for chunk in text.chunks(size) {
            lines.push(chunk, |line, cut| found.push((line.to_owned(), cut)));
        }
        lines.finish(|line, cut| found.push((line.to_owned(), cut)));
        let expected = [("one", 0), ("two", 0), ("", 0), ("éééé", 9), ("last", 0)];
        let expected = expected.map(|(line, cut)| (line.to_owned(), cut));
        assert_eq!(found, expected, "chunks of {size}");
    }
}

#[test]
fn a_flood_is_counted_and_its_end_is_kept() {
    let mut reader = LogReader::new(&LIMITS, at(0));
    let mut out = Vec::new();
    for number in 0..5000 {
        out.extend(reader.push(format!("line {number:04}\n").as_bytes(), at(0)));
    }
    assert!(reader.is_flooded());
    out.extend(reader.finish(at(10)));
    let told = out
        .iter()
        .position(|one| one.text.contains("dropped"))
        .unwrap();
    assert_eq!(out[told].level, Level::Warning);
    let lines: u64 = out[told].text.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(lines + out.len() as u64 - 1, 5000);
    assert_eq!(out[0].text, "line 0000");
    assert_eq!(out.last().unwrap().text, "line 4999");
    // The burst, 10 bytes a line.
    assert!((399..=401).contains(&told), "{told}");
}

#[test]
fn after_a_flood_whole_lines_come_again() {
    let mut reader = LogReader::new(&LIMITS, at(0));
    let flood = "0123456789\n".repeat(1000);
    assert!(reader.push(flood.as_bytes(), at(0)).len() > 900);
    assert!(reader.push(flood.as_bytes(), at(1)).is_empty() || reader.is_flooded());
    reader.push(b"half a li", at(2));
    // The debt is paid and a second's worth is there.
    let out = reader.push(b"ne\nwhole\nnext\n", at(20_000));
    let texts: Vec<_> = out.iter().map(|one| one.text.as_str()).collect();
    assert!(
        texts[0].starts_with("1001 lines of its log were dropped (11012 bytes)"),
        "{texts:?}"
    );
    assert_eq!(texts[1..], ["whole"]);
    assert_eq!(reader.close()[0].text, "next");
}

#[test]
fn no_limit_drops_nothing() {
    let limits = LogLimits {
        bytes_per_s: 0,
        ..LIMITS
    };
    let mut reader = LogReader::new(&limits, at(0));
    let mut out = Vec::new();
    for _ in 0..1000 {
        out.extend(reader.push("0123456789\n".repeat(100).as_bytes(), at(0)));
    }
    out.extend(reader.finish(at(0)));
    assert_eq!(out.len(), 100_000);
}

#[test]
fn control_characters_are_escaped() {
    assert_eq!(visible("plain\n\ttext é"), "plain\n\ttext é");
    assert_eq!(
        visible("\x1b[2Jx\r\u{9b}\u{202e}"),
        "\\x1b[2Jx\\x0d\\x9b\\u{202e}"
    );
}
