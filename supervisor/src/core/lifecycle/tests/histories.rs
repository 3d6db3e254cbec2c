//! Every history of five inputs, and every state by every event.

use super::*;

const ENDS: [Exit; 3] = [
    Exit {
        code: Some(0),
        signal: None,
    },
    Exit {
        code: Some(1),
        signal: None,
    },
    Exit {
        code: Some(75),
        signal: None,
    },
];

/// Every input at a given moment; those of processes for the current generation and a stale one.
fn alphabet(life: &Lifecycle) -> Vec<Event> {
    let mut events = vec![
        Event::Start,
        Event::Slot,
        Event::Stop,
        Event::StopNow,
        Event::Restart,
        Event::Pause,
        Event::Resume,
        Event::Lag(SECOND),
        Event::Timer,
    ];
    events.extend(of_process(life.generation));
    events.push(Event::Ready {
        generation: life.generation.wrapping_sub(1),
    });
    events.push(Event::Ended {
        generation: life.generation.wrapping_sub(1),
        exit: crash(),
        never_began: false,
        luck: 1.0,
    });
    events
}

fn of_process(generation: u64) -> Vec<Event> {
    let mut events = vec![
        Event::Executed {
            generation,
            hosted: false,
        },
        hello(generation),
        Event::Ready { generation },
        Event::Notified { generation },
        Event::Sign { generation },
        Event::Beat {
            generation,
            extend: Some(SECOND),
            poll: Some(SECOND),
        },
        Event::ConfigFault { generation },
        Event::Transient {
            generation,
            retry_after: None,
        },
        Event::Fault {
            generation,
            by: EndedBy::Protocol,
        },
        Event::Measured {
            generation,
            rss: u64::MAX,
        },
    ];
    events.extend(ENDS.map(|exit| Event::Ended {
        generation,
        exit,
        never_began: exit == crash(),
        luck: 1.0,
    }));
    events
}

/// What the world knows: which generation has a process.
fn check(
    before: &Lifecycle,
    after: &Lifecycle,
    actions: &[Action],
    process: &mut Option<u64>,
    policy: &Policy,
) {
    for action in actions {
        match *action {
            Action::Spawn(generation) => {
                assert_eq!(*process, None, "two processes: {before:?} -> {after:?}");
                assert_eq!(generation, before.generation + 1);
                *process = Some(generation);
            }
            Action::Escalate => {}
            Action::Ask(generation)
            | Action::Terminate(generation)
            | Action::TerminateGroup(generation)
            | Action::Abort(generation)
            | Action::Kill(generation)
            | Action::Trace(generation)
            | Action::Pause(generation)
            | Action::Resume(generation)
            | Action::Measure(generation) => {
                assert_eq!(*process, Some(generation), "{before:?} -> {after:?}");
            }
        }
    }
    assert_eq!(after.state.is_live(), process.is_some(), "{after:?}");
    let deadline = after.deadline(policy);
    if after.desired == Desired::Down {
        let at_rest = matches!(after.state, State::Down);
        assert!(
            at_rest || deadline.is_some(),
            "a stop has no end: {after:?}"
        );
    }
    let waits_for_others = matches!(
        after.state,
        State::Parked(_) | State::Completed | State::Ready { .. } | State::Down | State::Queued
    );
    assert!(
        waits_for_others || deadline.is_some(),
        "{after:?} has no end"
    );
    if after.state == State::Down {
        assert_ne!(after.desired, Desired::Up, "{before:?} -> {after:?}");
    }
}

fn explore(life: &Lifecycle, process: Option<u64>, now: Duration, policy: &Policy, depth: u32) {
    if depth == 0 {
        return;
    }
    for event in alphabet(life) {
        let now = match event {
            Event::Timer => life.deadline(policy).unwrap_or(now),
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
        check(life, &next, &actions, &mut process, policy);
        explore(&next, process, now, policy, depth - 1);
    }
}

/// One policy for each choice that leads elsewhere.
fn policies() -> Vec<Policy> {
    let with = |when| {
        policy(|p| {
            p.restart.policy = when;
            p.restart.limit.burst = 1;
            p.watchdog.max_rss_restart = 1;
        })
    };
    let whens = [
        RestartWhen::Always,
        RestartWhen::OnFailure,
        RestartWhen::OnAbnormal,
        RestartWhen::Never,
    ];
    whens.map(with).into()
}

#[test]
fn every_history_of_four_inputs_keeps_the_promises() {
    for policy in policies() {
        explore(&Lifecycle::new(0, 0.5), None, SECOND, &policy, 4);
    }
}

/// A life in each state, with the process that it then has.
fn one_of_each(policy: &Policy) -> Vec<Lifecycle> {
    let fresh = Lifecycle::new(0, 0.5);
    let in_state = |state| {
        let mut life = ready(policy);
        life.state = state;
        life
    };
    let until = 2 * SECOND;
    let states = [
        State::Starting { ready_by: until },
        State::Ready { since: SECOND },
        State::Stalled {
            since: SECOND,
            until,
            by: StalledBy::Silence,
        },
        State::Stalled {
            since: SECOND,
            until,
            by: StalledBy::Poll,
        },
        State::Asked { until },
        State::Terminated {
            until,
            group: false,
        },
        State::Terminated { until, group: true },
        State::Aborting { until },
        State::Killing { until },
        State::Unkillable { until },
        State::Queued,
        State::Backoff { until },
        State::Cooldown { until },
        State::Completed,
        State::Parked(ParkedBy::Config),
        State::Parked(ParkedBy::ExitCode),
        State::Parked(ParkedBy::Start),
        State::Parked(ParkedBy::Limit),
        State::Parked(ParkedBy::Protocol),
        State::Parked(ParkedBy::Rate),
    ];
    std::iter::once(fresh).chain(states.map(in_state)).collect()
}

#[test]
fn every_state_takes_every_event_and_two_more() {
    for policy in policies() {
        for life in one_of_each(&policy) {
            let process = life.state.is_live().then_some(life.generation);
            explore(&life, process, 3 * SECOND, &policy, 3);
        }
    }
}

/// What people do is never refused: from every state a stop comes to rest, and a start runs again.
#[test]
fn every_state_can_be_stopped_and_started_by_hand() {
    for policy in policies() {
        for mut life in one_of_each(&policy) {
            let mut now = 3 * SECOND;
            life.step(Event::Stop, now, &policy);
            while life.state.is_live() {
                now = life.deadline(&policy).expect("a stop has an end");
                let actions = life.step(Event::Timer, now, &policy);
                if matches!(actions[..], [Action::Kill(_)]) {
                    life.step(ended(&life, crash()), now, &policy);
                }
            }
            assert_eq!(life.state, State::Down);
            let next = life.generation + 1;
            assert_eq!(
                step(&mut life, Event::Start, now, &policy),
                [Action::Spawn(next)]
            );
        }
    }
}
