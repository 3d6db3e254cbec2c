//! The machine, checked on every history of six inputs and on the promises of the policy.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn crash() -> Exit {
    Exit {
        code: Some(1),
        signal: None,
    }
}

fn policy(change: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    policy.restart.jitter = 0.0;
    change(&mut policy);
    policy
}

fn ended(life: &Lifecycle, exit: Exit) -> Event {
    Event::Ended {
        generation: life.generation,
        exit,
        luck: 0.0,
    }
}

/// Crashes `life` and returns the delay until it is started again.
fn crash_and_wait(life: &mut Lifecycle, now: &mut Duration, policy: &Policy) -> Duration {
    let died = *now;
    let actions = life.step(ended(life, crash()), died, policy);
    if actions == [Action::Spawn(life.generation)] {
        return Duration::ZERO;
    }
    *now = life.deadline().expect("a start is planned");
    let before = life.generation;
    let actions = life.step(Event::Timer, *now, policy);
    assert_eq!(actions, [Action::Spawn(before + 1)]);
    *now - died
}

#[test]
fn delays_grow_to_the_maximum() {
    let policy = policy(|p| {
        p.restart.max_delay = 5 * SECOND;
        p.restart.limit.burst = 0;
    });
    let (mut life, mut now) = (Lifecycle::new(0), SECOND);
    life.step(Event::Start, now, &policy);
    let delays: Vec<_> = (0..5)
        .map(|_| crash_and_wait(&mut life, &mut now, &policy).as_secs())
        .collect();
    assert_eq!(delays, [1, 2, 4, 5, 5]);
}

#[test]
fn jitter_only_shortens_and_by_its_share() {
    let restart = Policy::default().restart;
    for attempt in 1..40 {
        let longest = delay(&restart, attempt, 0.0);
        let shortest = delay(&restart, attempt, 1.0);
        assert!(longest <= restart.max_delay);
        assert_eq!(shortest, longest.mul_f64(0.5));
    }
}

#[test]
fn no_delay_means_at_once() {
    let policy = policy(|p| {
        p.restart.initial_delay = Duration::ZERO;
        p.restart.limit.burst = 0;
    });
    let (mut life, mut now) = (Lifecycle::new(0), SECOND);
    life.step(Event::Start, now, &policy);
    for _ in 0..1000 {
        assert_eq!(
            crash_and_wait(&mut life, &mut now, &policy),
            Duration::ZERO
        );
    }
    assert_eq!(life.generation, 1001);
}

#[test]
fn a_crash_loop_ends_in_cooldown_with_one_probe_per_period() {
    let policy = policy(|p| {
        p.restart.limit.burst = 3;
        p.restart.limit.cooldown = 100 * SECOND;
        p.restart.limit.interval = 60 * SECOND;
    });
    let (mut life, mut now) = (Lifecycle::new(0), SECOND);
    life.step(Event::Start, now, &policy);
    let delays: Vec<_> = (0..6)
        .map(|_| crash_and_wait(&mut life, &mut now, &policy).as_secs())
        .collect();
    assert_eq!(delays, [1, 2, 4, 100, 100, 100]);
}

#[test]
fn being_ready_long_enough_forgets_the_failures() {
    let policy = policy(|p| p.restart.limit.burst = 2);
    let (mut life, mut now) = (Lifecycle::new(0), SECOND);
    life.step(Event::Start, now, &policy);
    for _ in 0..3 {
        crash_and_wait(&mut life, &mut now, &policy);
    }
    let generation = life.generation;
    life.step(Event::Ready { generation }, now, &policy);
    now += policy.restart.reset_after;
    assert_eq!(crash_and_wait(&mut life, &mut now, &policy), SECOND);
}

#[test]
fn a_short_life_after_a_long_delay_forgets_nothing() {
    let policy = policy(|p| {
        p.restart.initial_delay = 100 * SECOND;
        p.restart.limit.burst = 0;
    });
    let (mut life, mut now) = (Lifecycle::new(0), SECOND);
    life.step(Event::Start, now, &policy);
    crash_and_wait(&mut life, &mut now, &policy);
    let generation = life.generation;
    life.step(Event::Ready { generation }, now, &policy);
    now += 70 * SECOND;
    assert_eq!(crash_and_wait(&mut life, &mut now, &policy), 200 * SECOND);
}

#[test]
fn the_policy_decides_which_ends_are_final() {
    let planned = Exit {
        code: Some(0),
        signal: None,
    };
    let killed = Exit {
        code: None,
        signal: Some(9),
    };
    let expected = [
        (RestartWhen::Always, planned, "backoff"),
        (RestartWhen::Always, killed, "backoff"),
        (RestartWhen::OnFailure, planned, "completed"),
        (RestartWhen::OnFailure, killed, "backoff"),
        (RestartWhen::OnFailure, crash(), "backoff"),
        (RestartWhen::Never, planned, "completed"),
        (RestartWhen::Never, killed, "completed"),
    ];
    for (when, exit, state) in expected {
        let policy = policy(|p| p.restart.policy = when);
        let mut life = Lifecycle::new(0);
        life.step(Event::Start, SECOND, &policy);
        life.step(ended(&life, exit), SECOND, &policy);
        assert_eq!(life.state.word(), state, "{when:?} after {exit:?}");
    }
}

#[test]
fn a_wrong_configuration_parks() {
    let policy = policy(|_| ());
    let mut life = Lifecycle::new(0);
    life.step(Event::Start, SECOND, &policy);
    let generation = life.generation;
    life.step(Event::ConfigFault { generation }, SECOND, &policy);
    life.step(ended(&life, crash()), SECOND, &policy);
    assert_eq!(life.state, State::Parked(ParkedBy::Config));
    assert_eq!(life.step(Event::Start, SECOND, &policy), [Action::Spawn(2)]);
}

#[test]
fn a_stop_climbs_from_word_to_kill() {
    let policy = policy(|_| ());
    let (mut life, now) = (Lifecycle::new(0), SECOND);
    life.step(Event::Start, now, &policy);
    life.step(Event::Hello { generation: 1 }, now, &policy);
    life.step(Event::Ready { generation: 1 }, now, &policy);
    assert_eq!(life.step(Event::Stop, now, &policy), [Action::Ask(1)]);
    let climb: Vec<_> = (0..3)
        .flat_map(|_| {
            let now = life.deadline().expect("a stop is bounded");
            life.step(Event::Timer, now, &policy)
        })
        .collect();
    assert_eq!(
        climb,
        [Action::Terminate(1), Action::Kill(1), Action::Kill(1)]
    );
    life.step(ended(&life, crash()), now, &policy);
    assert_eq!(life.state, State::Down);
}

#[test]
fn a_program_that_says_hello_must_say_ready() {
    let policy = policy(|_| ());
    let mut life = Lifecycle::new(0);
    life.step(Event::Start, SECOND, &policy);
    life.step(Event::Ready { generation: 1 }, SECOND, &policy);
    life.step(Event::Hello { generation: 1 }, SECOND, &policy);
    let late = life.deadline().expect("ready has a deadline");
    assert_eq!(late, SECOND + policy.start.ready_timeout);
    assert_eq!(life.step(Event::Timer, late, &policy), [Action::Kill(1)]);
}

/// Every input at a given moment: the current generation and a stale one, ends of three kinds.
fn alphabet(life: &Lifecycle) -> Vec<Event> {
    let current = life.generation;
    let mut events = vec![Event::Start, Event::Stop, Event::StopNow, Event::Timer];
    for generation in [current, current.wrapping_sub(1)] {
        events.push(Event::Hello { generation });
        events.push(Event::Ready { generation });
        events.push(Event::Ended {
            generation,
            exit: crash(),
            luck: 1.0,
        });
    }
    events.push(Event::ConfigFault {
        generation: current,
    });
    events.push(ended(
        life,
        Exit {
            code: Some(0),
            signal: None,
        },
    ));
    events
}

/// What the world knows: which generation has a process.
fn check(before: &Lifecycle, after: &Lifecycle, actions: &[Action], process: &mut Option<u64>) {
    for action in actions {
        match *action {
            Action::Spawn(generation) => {
                assert_eq!(*process, None, "two processes: {before:?} -> {after:?}");
                assert_eq!(generation, before.generation + 1);
                *process = Some(generation);
            }
            Action::Ask(generation) | Action::Terminate(generation) | Action::Kill(generation) => {
                assert_eq!(*process, Some(generation), "{before:?} -> {after:?}");
            }
        }
    }
    assert_eq!(after.state.is_live(), process.is_some(), "{after:?}");
    if after.desired == Desired::Down {
        let at_rest = matches!(after.state, State::Down);
        assert!(
            at_rest || after.deadline().is_some(),
            "a stop has no end: {after:?}"
        );
    }
    let waits_for_a_person = matches!(
        after.state,
        State::Parked(_) | State::Completed | State::Ready { .. } | State::Down
    );
    let starting = matches!(after.state, State::Starting { ready_by: None });
    assert!(waits_for_a_person || starting || after.deadline().is_some());
}

fn explore(life: &Lifecycle, process: Option<u64>, now: Duration, policy: &Policy, depth: u32) {
    if depth == 0 {
        return;
    }
    for event in alphabet(life) {
        let now = match event {
            Event::Timer => life.deadline().unwrap_or(now),
            _ => now + SECOND,
        };
        let mut next = life.clone();
        let mut process = process;
        let actions = next.step(event, now, policy);
        if let Event::Ended { generation, .. } = event
            && process == Some(generation)
        {
            process = None;
        }
        check(life, &next, &actions, &mut process);
        explore(&next, process, now, policy, depth - 1);
    }
}

#[test]
fn every_history_of_six_inputs_keeps_the_promises() {
    for when in [
        RestartWhen::Always,
        RestartWhen::OnFailure,
        RestartWhen::Never,
    ] {
        let policy = policy(|p| {
            p.restart.policy = when;
            p.restart.limit.burst = 1;
        });
        explore(&Lifecycle::new(0), None, SECOND, &policy, 6);
    }
}
