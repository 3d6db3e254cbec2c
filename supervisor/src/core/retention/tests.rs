//! The keeper, against a journal that is a few numbers.

use std::time::Duration;

use super::*;
use crate::config::Free;

const SECOND: Duration = Duration::from_secs(1);
const MIB: u64 = 1 << 20;

fn at(seconds: u64) -> Now {
    Now {
        mono: SECOND * seconds as u32,
        wall: Wall(seconds as i64 * 1_000_000),
    }
}

fn settings() -> Retention {
    Retention {
        age: Some(100 * SECOND),
        size: Some(64 * MIB),
        free: Free::Bytes(0),
        failed: Some(1000 * SECOND),
    }
}

fn space(used: u64) -> Space {
    Space {
        used: used * MIB,
        can_shrink: true,
        ..Space::default()
    }
}

fn keeper(used: u64, now: Now) -> Keeper {
    let mut keeper = Keeper::new(settings(), now.wall);
    assert_eq!(keeper.next(now, "r"), Some(Chore::Measure));
    assert_eq!(keeper.next(now, "r"), None, "one at a time");
    assert!(tend(&mut keeper, used, None, now).is_empty());
    keeper
}

fn tend(keeper: &mut Keeper, used: u64, removed: Option<Removed>, now: Now) -> Vec<Change> {
    let space = space(used);
    keeper.tended(Tended { removed, space }, now)
}

fn removal(keeper: &mut Keeper, now: Now) -> Remove {
    match keeper.next(now, "r") {
        Some(Chore::Remove(remove)) => remove,
        other => panic!("{other:?}"),
    }
}

fn over(trigger: &str, bytes: u64) -> Removed {
    let unsettled = Unsettled {
        trigger: trigger.into(),
        events: 3,
        bytes: bytes * MIB,
    };
    Removed {
        unsettled: vec![unsettled],
        ..Removed::default()
    }
}

#[test]
fn the_old_go_at_their_time_and_nobody_looks_before() {
    let mut keeper = keeper(1, at(500));
    let first = removal(&mut keeper, at(500));
    assert_eq!(first.from, FRONT);
    assert_eq!(
        (first.before, first.failed_before),
        (at(400).wall, Wall(-500_000_000))
    );
    assert_eq!(keeper.alarm(), None, "the journal is at it");
    let some = Removed {
        next: Some(Place::Events(9)),
        events: 8,
        ..Removed::default()
    };
    tend(&mut keeper, 1, Some(some), at(500));
    assert_eq!(removal(&mut keeper, at(500)).from, Place::Events(9));
    let last = Removed {
        young: Some(at(430).wall),
        failed: Some(at(20).wall),
        ..Removed::default()
    };
    tend(&mut keeper, 1, Some(last), at(501));
    assert_eq!(keeper.alarm(), Some(at(530).wall));
    assert_eq!((keeper.next(at(529), "r"), keeper.deadline()), (None, None));
    assert_eq!(removal(&mut keeper, at(530)).before, at(430).wall);
    // With nothing left, what comes is young for as long.
    tend(&mut keeper, 1, Some(Removed::default()), at(530));
    assert_eq!(keeper.alarm(), Some(at(630).wall));
}

#[test]
fn what_was_not_settled_is_looked_at_soon_after_an_execution_ends() {
    let mut keeper = keeper(1, at(500));
    removal(&mut keeper, at(500));
    keeper.ended(at(500).wall);
    tend(&mut keeper, 1, Some(over("p.t", 0)), at(500));
    assert_eq!(keeper.alarm(), Some(at(600).wall));
    keeper.ended(at(501).wall);
    assert_eq!(keeper.alarm(), Some(at(561).wall));
}

/// Past the pass for age.
fn pressed(used: u64) -> Keeper {
    let mut keeper = keeper(1, at(500));
    removal(&mut keeper, at(500));
    tend(&mut keeper, used, Some(Removed::default()), at(500));
    keeper
}

#[test]
fn too_much_goes_from_the_oldest_on_and_the_next_time_from_there() {
    let mut keeper = pressed(65);
    let first = removal(&mut keeper, at(501));
    assert_eq!((first.from, first.before), (FRONT, Wall(i64::MAX)));
    assert_eq!(first.failed_before, Wall(-499_000_000), "failed ones stay");
    let next = |seq| Removed {
        next: Some(Place::Events(seq)),
        ..Removed::default()
    };
    tend(&mut keeper, 63, Some(next(50)), at(501));
    assert_eq!(removal(&mut keeper, at(501)).from, Place::Events(50));
    tend(&mut keeper, 62, Some(next(90)), at(501));
    assert_eq!(
        keeper.next(at(501), "r"),
        None,
        "there is room, with some to spare"
    );
    keeper.wrote(MIB);
    assert_eq!(keeper.next(at(502), "r"), Some(Chore::Measure));
    tend(&mut keeper, 65, None, at(502));
    assert_eq!(removal(&mut keeper, at(502)).from, Place::Events(90));
}

#[test]
fn failed_ones_go_before_anybody_waits_and_then_who_fills_it_waits() {
    let mut keeper = pressed(70);
    let mut stages = Vec::new();
    let full = loop {
        let remove = removal(&mut keeper, at(501));
        stages.push((remove.from, remove.failed_before == Wall(i64::MAX)));
        let mut seen = over("p.t", 60);
        seen.unsettled.extend(over("p.little", 1).unsettled);
        seen.unsettled.extend(over("", 900).unsettled);
        let changes = tend(&mut keeper, 70, Some(seen), at(502));
        if !changes.is_empty() {
            break changes;
        }
    };
    assert_eq!(
        stages,
        [(FRONT, false), (FRONT, true), (Place::Rejected, true)]
    );
    let [Change::Full(why)] = &full[..] else {
        panic!("{full:?}");
    };
    assert!(
        why.contains("70.0 MiB of 64MiB") && why.contains("p.t wait"),
        "{why}"
    );
    let dam = keeper.dam().expect("they wait");
    assert_eq!(dam.triggers, ["p.t".to_owned()].into());
    // Nothing changes, so nobody looks.
    assert_eq!((keeper.next(at(580), "r"), keeper.deadline()), (None, None));
    keeper.ended(at(580).wall);
    assert_eq!(keeper.deadline(), Some(at(512).mono));
    removal(&mut keeper, at(580));
    assert!(tend(&mut keeper, 63, Some(over("p.t", 50)), at(580)).is_empty());
    removal(&mut keeper, at(580));
    let changes = tend(&mut keeper, 62, Some(over("p.t", 50)), at(580));
    assert_eq!(changes, [Change::Open]);
    assert_eq!(keeper.dam(), None);
}

#[test]
fn where_no_event_fills_it_nobody_waits_and_it_is_said() {
    let mut keeper = pressed(70);
    for _ in 0..2 {
        removal(&mut keeper, at(501));
        assert!(tend(&mut keeper, 70, Some(Removed::default()), at(501)).is_empty());
    }
    removal(&mut keeper, at(501));
    let changes = tend(&mut keeper, 70, Some(Removed::default()), at(501));
    assert!(matches!(&changes[..], [Change::TooSmall(_)]), "{changes:?}");
    assert_eq!(keeper.dam(), None);
}

#[test]
fn a_disk_without_room_takes_as_much_as_it_lacks() {
    let (free, disk) = (Free::Bytes(10 * MIB), 1000 * MIB);
    let settings = Retention { free, ..settings() };
    let mut keeper = Keeper::new(settings, at(500).wall);
    let poor = |used, free, disk_free| Space {
        used: used * MIB,
        free: free * MIB,
        disk_free: disk_free * MIB,
        disk,
        can_shrink: true,
        ..Space::default()
    };
    let tended = |space, removed| Tended { removed, space };
    keeper.next(at(500), "r");
    let told = keeper.tended(tended(poor(30, 0, 4), None), at(500));
    assert!(matches!(&told[..], [Change::Poor(_)]), "{told:?}");
    removal(&mut keeper, at(500));
    let again = keeper.tended(tended(poor(30, 0, 4), Some(Removed::default())), at(500));
    assert!(again.is_empty(), "told once: {again:?}");
    let some = Removed {
        next: Some(Place::Events(5)),
        ..Removed::default()
    };
    assert_eq!(removal(&mut keeper, at(501)).before, Wall(i64::MAX));
    keeper.tended(tended(poor(24, 6, 4), Some(some)), at(501));
    // What it does not need is given back until the disk has its room.
    assert_eq!(
        keeper.next(at(501), "r"),
        Some(Chore::Shrink { pages: PAGES })
    );
    keeper.tended(tended(poor(24, 0, 10), None), at(501));
    assert_eq!(keeper.next(at(501), "r"), None);
}

#[test]
fn free_pages_are_used_again_and_what_is_beyond_is_given_back() {
    let mut keeper = pressed(20);
    let with_free = |free: u64| Tended {
        removed: None,
        space: Space {
            free: free * MIB,
            ..space(20)
        },
    };
    keeper.wrote(MIB);
    assert_eq!(keeper.next(at(501), "r"), Some(Chore::Measure));
    keeper.tended(with_free(4), at(501));
    assert_eq!(keeper.next(at(501), "r"), None);
    assert_eq!(keeper.compact(7), Ok(()));
    assert_eq!(
        keeper.next(at(501), "r"),
        Some(Chore::Shrink { pages: PAGES })
    );
    assert!(keeper.tended(with_free(1), at(501)).is_empty());
    assert_eq!(
        keeper.next(at(501), "r"),
        Some(Chore::Shrink { pages: PAGES })
    );
    assert_eq!(
        keeper.tended(with_free(0), at(501)),
        [Change::Compact(7, 4 * MIB)]
    );
    assert_eq!(keeper.next(at(501), "r"), None);
}
