use super::*;
use crate::core::clock::Wall;
use crate::core::record::Status;

fn execution(seq: u64) -> Execution {
    of("p.a", seq)
}

fn of(action: &str, seq: u64) -> Execution {
    Execution {
        seq,
        event: Some(seq),
        rule: "p.r".into(),
        rule_version: "1".into(),
        action: action.into(),
        parameters: serde_json::Map::new(),
        status: Status::Requested,
        requested: Wall(0),
        started: None,
        cause: crate::core::cause::Cause::default(),
        progress: None,
        over: None,
    }
}

fn over(queue: &mut Queue, execution: &Execution) {
    queue.release(&execution.action);
    queue.leave_turn(execution);
}

/// Of a rule that keeps an order.
fn in_turn(rule: &str, turn: &str, seq: u64) -> Execution {
    let mut one = execution(seq);
    one.rule = rule.into();
    one.cause.turn = Some(turn.into());
    one
}

fn of_rule(rule: &str, seq: u64) -> Execution {
    let rule = rule.into();
    Execution {
        rule,
        ..execution(seq)
    }
}

#[test]
fn slots_are_bounded_and_order_is_kept() {
    let mut queue = Queue::new(2);
    let admitted: Vec<_> = (1..=4)
        .map(|seq| queue.admit(&execution(seq), false))
        .collect();
    use Admitted::{Runs, Waits};
    assert_eq!(admitted, [Runs, Runs, Waits, Waits]);
    assert!(queue.claim(|_| true).is_none());
    queue.release("p.a");
    assert_eq!(queue.claim(|_| true).map(|e| e.seq), Some(3));
    assert_eq!(queue.running, 2);
}

/// Plays the journal: everything admitted is there, in order.
fn drain(queue: &mut Queue, journal: &[u64], late: &mut Vec<u64>) -> Vec<u64> {
    let mut journal = journal.to_vec();
    let mut ran = Vec::new();
    loop {
        while let Some(next) = queue.claim(|_| true) {
            ran.push(next.seq);
            over(queue, &next);
        }
        let Some(Fetch { of, after, most }) = queue.wants().pop() else {
            return ran;
        };
        let found: Vec<_> = journal.iter().copied().filter(|seq| *seq > after).collect();
        for seq in late.drain(..) {
            queue.admit(&execution(seq), false);
            journal.push(seq);
        }
        let fetched: Vec<_> = found.iter().take(most).map(|seq| execution(*seq)).collect();
        let last = fetched.last().map(|one| one.seq);
        queue.refill(&of, fetched, last, found.len() <= most);
    }
}

#[test]
fn what_is_spilled_comes_back_in_order_even_when_more_arrives_during_the_fetch() {
    let mut queue = Queue::new(1);
    let most = Lane::MOST as u64;
    let all: Vec<u64> = (1..=3 * most).collect();
    for seq in &all {
        queue.admit(&execution(*seq), false);
    }
    queue.release("p.a");
    let mut late: Vec<u64> = (3 * most + 1..=3 * most + 5).collect();
    let ran = drain(&mut queue, &all, &mut late);
    assert_eq!(ran, (2..=3 * most + 5).collect::<Vec<_>>());
    assert_eq!(queue.waiting(), (0, false));
}

#[test]
fn what_is_delayed_stands_in_nobodys_way_and_comes_back() {
    let mut queue = Queue::new(2);
    let most = Lane::MOST as u64;
    let last = 2 * most;
    assert_eq!(queue.admit(&execution(1), false), Admitted::Runs);
    for seq in 2..=last {
        queue.admit(&execution(seq), true);
        for held in queue.suspects() {
            queue.delay(held);
        }
    }
    // Half of them are in the journal, and another action begins at once.
    assert_eq!(queue.waiting(), (Lane::MOST, true));
    assert_eq!(queue.admit(&of("p.b", last + 1), false), Admitted::Runs);
    queue.release("p.b");
    assert!(queue.claim(|_| false).is_none());
    queue.release("p.a");
    let mut ran = Vec::new();
    loop {
        while let Some(next) = queue.claim(|_| true) {
            ran.push(next.seq);
            queue.release("p.a");
        }
        let Some(fetch) = queue.wants().pop() else {
            break;
        };
        assert_eq!(fetch.of, Whose::Delayed("p.a".into()));
        let found: Vec<_> = (fetch.after + 1..=last).take(fetch.most).collect();
        let all = found.last() == Some(&last);
        let fetched: Vec<_> = found.iter().map(|seq| execution(*seq)).collect();
        queue.refill(
            &fetch.of,
            fetched,
            found.last().copied(),
            all && found.len() < fetch.most,
        );
    }
    assert_eq!(ran, (2..=last).collect::<Vec<_>>());
    assert_eq!(queue.waiting(), (0, false));
}

#[test]
fn rules_take_turns_however_much_one_of_them_asks_for() {
    let mut queue = Queue::new(1);
    let flood = 5000;
    for seq in 1..=flood {
        queue.admit(&of_rule("p.loud", seq), false);
    }
    for (at, rule) in ["p.a", "p.z"].iter().enumerate() {
        queue.admit(&of_rule(rule, flood + 1 + at as u64), false);
    }
    let mut ran = Vec::new();
    for _ in 0..6 {
        queue.release("p.a");
        ran.push(queue.claim(|_| true).expect("one waits").seq);
    }
    // In the order of their names, around and around.
    assert_eq!(ran, [flood + 1, 2, flood + 2, 3, 4, 5]);
}

#[test]
fn lines_share_the_memory() {
    let mut queue = Queue::new(1);
    for seq in 1..=60_000 {
        queue.admit(&of_rule(&format!("p.r{}", seq % 3000), seq), false);
    }
    let (waiting, more) = queue.waiting();
    assert!(waiting <= MOST + 3000 * FEWEST && more, "{waiting}");
}

#[test]
fn those_of_one_turn_begin_one_after_the_other_and_others_go_past() {
    let mut queue = Queue::new(4);
    let (a1, a2) = (in_turn("p.r", "a", 1), in_turn("p.r", "a", 2));
    let (b3, other) = (in_turn("p.r", "b", 3), in_turn("p.s", "a", 4));
    assert_eq!(queue.admit(&a1, false), Admitted::Runs);
    queue.take_turn(&a1);
    assert_eq!(queue.admit(&a2, false), Admitted::Waits);
    assert_eq!(queue.admit(&b3, false), Admitted::Waits);
    assert!(queue.claim(|one| one.seq != 3).is_none());
    // A line that is stuck keeps nobody else from a slot.
    assert_eq!(queue.admit(&other, false), Admitted::Runs);
    queue.look_again();
    assert_eq!(queue.claim(|_| true).map(|one| one.seq), Some(3));
    queue.take_turn(&b3);
    assert!(queue.claim(|_| true).is_none());
    over(&mut queue, &a1);
    assert_eq!(queue.claim(|_| true).map(|one| one.seq), Some(2));
}

#[test]
fn one_that_is_tried_again_is_still_first() {
    let mut queue = Queue::new(4);
    let (first, second) = (in_turn("p.r", "", 1), in_turn("p.r", "", 2));
    queue.admit(&first, false);
    queue.take_turn(&first);
    queue.admit(&second, false);
    let again = in_turn("p.r", "", 3);
    over(&mut queue, &first);
    queue.take_turn(&again);
    assert!(queue.claim(|_| true).is_none());
    queue.put(again.clone());
    assert_eq!(queue.claim(|_| true).map(|one| one.seq), Some(3));
    over(&mut queue, &again);
    assert_eq!(queue.claim(|_| true).map(|one| one.seq), Some(2));
}

#[test]
fn at_the_start_each_rule_has_its_fetch_and_a_retry_its_turn() {
    let mut queue = Queue::new(2);
    queue.leave_in_journal(&Owed {
        rules: vec![String::new(), "p.r".into()],
        again: vec![in_turn("p.r", "", 9)],
        pending: Vec::new(),
    });
    let of: Vec<_> = queue.wants().into_iter().map(|fetch| fetch.of).collect();
    let rule = |name: &str| Whose::Rule(name.into());
    assert_eq!(of, [rule(""), rule("p.r")]);
    queue.refill(&rule(""), Vec::new(), None, true);
    let both = vec![in_turn("p.r", "", 3), in_turn("p.r", "", 9)];
    queue.refill(&rule("p.r"), both, Some(9), true);
    assert_eq!(queue.claim(|_| true).map(|one| one.seq), Some(9));
}
