//! The machine, checked on the promises of the policy; [`histories`] tries every history.

mod histories;

use super::*;
use crate::catalog::policy::{OnLimit, RestartWhen};
use crate::core::record::Exit;

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
        never_began: false,
        luck: 0.0,
    }
}

fn hello(generation: u64) -> Event {
    Event::Hello {
        generation,
        beats: true,
        pauses: true,
    }
}

/// Takes an event; where the machine then waits for a start slot there is one.
fn step(life: &mut Lifecycle, event: Event, now: Duration, policy: &Policy) -> Vec<Action> {
    let mut actions = life.step(event, now, policy);
    if life.state == State::Queued {
        actions.extend(life.step(Event::Slot, now, policy));
    }
    actions
}

fn step_ended(life: &mut Lifecycle, exit: Exit, now: Duration, policy: &Policy) -> Vec<Action> {
    step(life, ended(life, exit), now, policy)
}

/// A sensor that converses, beats and is ready, at one second.
fn ready(policy: &Policy) -> Lifecycle {
    let mut life = Lifecycle::new(0, 0.5);
    step(&mut life, Event::Start, SECOND, policy);
    step(&mut life, hello(1), SECOND, policy);
    step(&mut life, Event::Ready { generation: 1 }, SECOND, policy);
    assert_eq!(life.state, State::Ready { since: SECOND });
    life
}

/// Lets time go by until `until`, as the core would.
fn wait(life: &mut Lifecycle, until: Duration, policy: &Policy) -> Vec<Action> {
    let mut actions = Vec::new();
    while let Some(at) = life.deadline(policy).filter(|at| *at <= until) {
        actions.extend(step(life, Event::Timer, at, policy));
    }
    actions
}

/// Crashes `life` and returns the delay until it is started again.
fn crash_and_wait(life: &mut Lifecycle, now: &mut Duration, policy: &Policy) -> Duration {
    let died = *now;
    let actions = step(life, ended(life, crash()), died, policy);
    if actions == [Action::Spawn(life.generation)] {
        return Duration::ZERO;
    }
    *now = life.deadline(policy).expect("a start is planned");
    let before = life.generation;
    let actions = step(life, Event::Timer, *now, policy);
    assert_eq!(actions, [Action::Spawn(before + 1)]);
    *now - died
}

#[test]
fn delays_grow_to_the_maximum() {
    let policy = policy(|p| {
        p.restart.max_delay = 5 * SECOND;
        p.restart.limit.burst = 0;
    });
    let (mut life, mut now) = (Lifecycle::new(0, 0.5), SECOND);
    step(&mut life, Event::Start, now, &policy);
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
    let (mut life, mut now) = (Lifecycle::new(0, 0.5), SECOND);
    step(&mut life, Event::Start, now, &policy);
    for _ in 0..3000 {
        assert_eq!(crash_and_wait(&mut life, &mut now, &policy), Duration::ZERO);
    }
    assert_eq!(life.generation, 3001);
}

#[test]
fn a_crash_loop_ends_in_cooldown_with_one_probe_per_period() {
    let policy = policy(|p| {
        p.restart.limit.burst = 3;
        p.restart.limit.cooldown = 100 * SECOND;
        p.restart.limit.interval = 60 * SECOND;
    });
    let (mut life, mut now) = (Lifecycle::new(0, 0.5), SECOND);
    step(&mut life, Event::Start, now, &policy);
    let delays: Vec<_> = (0..6)
        .map(|_| crash_and_wait(&mut life, &mut now, &policy).as_secs())
        .collect();
    assert_eq!(delays, [1, 2, 4, 100, 100, 100]);
}

#[test]
fn being_ready_long_enough_forgets_the_failures() {
    let policy = policy(|p| p.restart.limit.burst = 2);
    let (mut life, mut now) = (Lifecycle::new(0, 0.5), SECOND);
    step(&mut life, Event::Start, now, &policy);
    for _ in 0..3 {
        crash_and_wait(&mut life, &mut now, &policy);
    }
    let generation = life.generation;
    step(&mut life, Event::Ready { generation }, now, &policy);
    now += policy.restart.reset_after;
    assert_eq!(crash_and_wait(&mut life, &mut now, &policy), SECOND);
}

#[test]
fn a_short_life_after_a_long_delay_forgets_nothing() {
    let policy = policy(|p| {
        p.restart.initial_delay = 100 * SECOND;
        p.restart.limit.burst = 0;
    });
    let (mut life, mut now) = (Lifecycle::new(0, 0.5), SECOND);
    step(&mut life, Event::Start, now, &policy);
    crash_and_wait(&mut life, &mut now, &policy);
    let generation = life.generation;
    step(&mut life, Event::Ready { generation }, now, &policy);
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
        (RestartWhen::OnAbnormal, planned, "completed"),
        (RestartWhen::OnAbnormal, crash(), "completed"),
        (RestartWhen::OnAbnormal, killed, "backoff"),
        (RestartWhen::Never, planned, "completed"),
        (RestartWhen::Never, killed, "completed"),
    ];
    for (when, exit, state) in expected {
        let policy = policy(|p| p.restart.policy = when);
        let mut life = Lifecycle::new(0, 0.5);
        step(&mut life, Event::Start, SECOND, &policy);
        step_ended(&mut life, exit, SECOND, &policy);
        assert_eq!(life.state.word(), state, "{when:?} after {exit:?}");
    }
}

#[test]
fn a_wrong_configuration_parks() {
    let policy = policy(|_| ());
    let mut life = Lifecycle::new(0, 0.5);
    step(&mut life, Event::Start, SECOND, &policy);
    let generation = life.generation;
    step(
        &mut life,
        Event::ConfigFault { generation },
        SECOND,
        &policy,
    );
    step_ended(&mut life, crash(), SECOND, &policy);
    assert_eq!(life.state, State::Parked(ParkedBy::Config));
    assert_eq!(
        step(&mut life, Event::Start, SECOND, &policy),
        [Action::Spawn(2)]
    );
}

#[test]
fn a_stop_climbs_from_word_to_kill() {
    let policy = policy(|_| ());
    let (mut life, now) = (Lifecycle::new(0, 0.5), SECOND);
    step(&mut life, Event::Start, now, &policy);
    step(&mut life, hello(1), now, &policy);
    step(&mut life, Event::Ready { generation: 1 }, now, &policy);
    assert_eq!(step(&mut life, Event::Stop, now, &policy), [Action::Ask(1)]);
    let grace = policy.stop.request_timeout + policy.stop.grace;
    let climb = wait(&mut life, now + grace, &policy);
    assert_eq!(
        climb,
        [
            Action::Terminate(1),
            Action::TerminateGroup(1),
            Action::Kill(1)
        ]
    );
    let after = now + grace + policy.stop.kill_timeout;
    assert_eq!(wait(&mut life, after, &policy), [Action::Kill(1)]);
    assert_eq!(life.state.word(), "unkillable");
    step_ended(&mut life, crash(), after, &policy);
    assert_eq!(life.state, State::Down);
}

#[test]
fn a_program_that_says_hello_must_say_ready() {
    let policy = policy(|_| ());
    let mut life = Lifecycle::new(0, 0.5);
    step(&mut life, Event::Start, SECOND, &policy);
    let executed = Event::Executed {
        generation: 1,
        hosted: false,
    };
    step(&mut life, executed, SECOND, &policy);
    assert_eq!(life.state.word(), "ready");
    step(&mut life, hello(1), SECOND, &policy);
    let late = life.deadline(&policy).expect("ready has a deadline");
    assert_eq!(late, SECOND + policy.start.ready_timeout);
    let killed = step(&mut life, Event::Timer, late, &policy);
    assert_eq!(killed, [Action::Kill(1)]);
    assert_eq!(life.ended_by, Some(EndedBy::StartTimeout));
}

#[test]
fn readiness_is_what_the_policy_says() {
    let executed = Event::Executed {
        generation: 1,
        hosted: false,
    };
    for (how, word) in [
        (Readiness::Auto, "ready"),
        (Readiness::None, "ready"),
        (Readiness::Hello, "starting"),
        (Readiness::Descriptor, "starting"),
    ] {
        let policy = policy(|p| p.start.ready = how);
        let mut life = Lifecycle::new(0, 0.5);
        step(&mut life, Event::Start, SECOND, &policy);
        step(&mut life, executed, SECOND, &policy);
        assert_eq!(life.state.word(), word, "{how:?}");
    }
}

#[test]
fn a_descriptor_is_the_one_proof_where_the_policy_says_so() {
    let ready = Event::Ready { generation: 1 };
    let notified = Event::Notified { generation: 1 };
    for (how, event, word) in [
        (Readiness::Descriptor, ready, "starting"),
        (Readiness::Descriptor, notified, "ready"),
        (Readiness::Hello, notified, "starting"),
        (Readiness::Hello, ready, "ready"),
    ] {
        let policy = policy(|p| p.start.ready = how);
        let mut life = Lifecycle::new(0, 0.5);
        step(&mut life, Event::Start, SECOND, &policy);
        step(&mut life, event, SECOND, &policy);
        assert_eq!(life.state.word(), word, "{how:?}, {event:?}");
        if word == "ready" && how == Readiness::Descriptor {
            // A greeting takes nothing of that back.
            step(&mut life, hello(1), SECOND, &policy);
            assert_eq!(life.state.word(), "ready");
        }
    }
}

#[test]
fn a_silent_day_ends_no_sensor_that_never_announced_heartbeats() {
    let policy = policy(|_| ());
    let mut life = Lifecycle::new(0, 0.5);
    step(&mut life, Event::Start, SECOND, &policy);
    let executed = Event::Executed {
        generation: 1,
        hosted: false,
    };
    step(&mut life, executed, SECOND, &policy);
    assert_eq!(life.deadline(&policy), None);
    assert_eq!(wait(&mut life, 86_400 * SECOND, &policy), []);
    assert_eq!(life.state, State::Ready { since: SECOND });
}

#[test]
fn silence_stalls_then_aborts_then_kills() {
    let policy = policy(|_| ());
    let dog = &policy.watchdog;
    let mut life = ready(&policy);
    let silent = wait(&mut life, SECOND + dog.soft_timeout, &policy);
    assert_eq!(silent, [Action::Trace(1)]);
    assert_eq!(life.state.word(), "stalled");
    let hard = wait(&mut life, SECOND + dog.timeout, &policy);
    assert_eq!(hard, [Action::Abort(1)]);
    let last = wait(&mut life, SECOND + dog.timeout + dog.abort_timeout, &policy);
    assert_eq!(last, [Action::Kill(1)]);
    step_ended(&mut life, crash(), 100 * SECOND, &policy);
    assert_eq!(life.ended_by, Some(EndedBy::Silence));
    assert_eq!(life.state.word(), "backoff");
}

#[test]
fn any_word_ends_a_stall() {
    let policy = policy(|_| ());
    let mut life = ready(&policy);
    wait(&mut life, 30 * SECOND, &policy);
    assert_eq!(life.state.word(), "stalled");
    step(
        &mut life,
        Event::Sign { generation: 1 },
        30 * SECOND,
        &policy,
    );
    assert_eq!(life.state, State::Ready { since: SECOND });
    assert_eq!(life.deadline(&policy), Some(50 * SECOND));
}

#[test]
fn a_poll_that_goes_on_is_ended_though_the_sensor_beats() {
    let policy = policy(|p| p.watchdog.poll_timeout = 60 * SECOND);
    let mut life = ready(&policy);
    let mut seen = Vec::new();
    for at in (5..120).step_by(5) {
        let now = at * SECOND;
        seen.extend(wait(&mut life, now, &policy));
        if !life.state.is_up() {
            break;
        }
        let beat = Event::Beat {
            generation: 1,
            extend: None,
            poll: Some(now - 2 * SECOND),
        };
        step(&mut life, beat, now, &policy);
    }
    assert_eq!(seen[..2], [Action::Trace(1), Action::Abort(1)]);
    assert_eq!(life.ended_by, Some(EndedBy::Poll));
}

#[test]
fn polls_one_after_the_other_are_no_long_one_and_extending_helps_to_ten_times_the_limit() {
    let policy = policy(|p| p.watchdog.poll_timeout = 60 * SECOND);
    let mut life = ready(&policy);
    let mut beat = |now: u32, age: u32, extend: Option<u32>| {
        let now = now * SECOND;
        let actions = wait(&mut life, now, &policy);
        let beat = Event::Beat {
            generation: 1,
            extend: extend.map(|more| more * SECOND),
            poll: Some(age * SECOND),
        };
        step(&mut life, beat, now, &policy);
        actions
    };
    for now in (10..600).step_by(10) {
        assert_eq!(beat(now, now % 50, None), []);
    }
    assert_eq!(beat(600, 0, Some(2000)), []);
    for now in (610..1200).step_by(10) {
        assert_eq!(beat(now, now - 600, None), [], "at {now}");
    }
    let ended: Vec<_> = (1200..1300)
        .flat_map(|now| beat(now, now - 600, None))
        .collect();
    assert_eq!(ended[..2], [Action::Trace(1), Action::Abort(1)]);
}

#[test]
fn while_we_did_not_run_nobody_could_be_heard() {
    let policy = policy(|_| ());
    let mut life = ready(&policy);
    let woken = 600 * SECOND;
    let lag = woken - life.deadline(&policy).expect("it is watched");
    step(&mut life, Event::Lag(lag), woken, &policy);
    assert_eq!(step(&mut life, Event::Timer, woken, &policy), []);
    assert!(life.deadline(&policy) >= Some(woken + policy.watchdog.interval));
    let proud = Policy {
        watchdog: crate::catalog::policy::Watchdog {
            lag_credit: false,
            ..policy.watchdog.clone()
        },
        ..policy
    };
    let mut life = ready(&proud);
    step(&mut life, Event::Lag(lag), woken, &proud);
    assert_eq!(
        step(&mut life, Event::Timer, woken, &proud),
        [Action::Trace(1)]
    );
}

#[test]
fn memory_and_age_restart_in_order_and_count_as_no_failure() {
    let policy = policy(|p| {
        p.watchdog.mode = crate::catalog::policy::WatchdogMode::Off;
        p.watchdog.max_rss_restart = 1000;
        p.watchdog.max_lifetime = 3600 * SECOND;
        p.restart.policy = RestartWhen::OnFailure;
    });
    let mut life = ready(&policy);
    assert_eq!(wait(&mut life, 31 * SECOND, &policy), [Action::Measure(1)]);
    let measured = |rss| Event::Measured { generation: 1, rss };
    assert_eq!(step(&mut life, measured(1000), 31 * SECOND, &policy), []);
    let asked = step(&mut life, measured(1001), 31 * SECOND, &policy);
    assert_eq!(asked, [Action::Ask(1)]);
    let planned = Exit {
        code: Some(0),
        signal: None,
    };
    let next = step_ended(&mut life, planned, 32 * SECOND, &policy);
    assert_eq!((next, life.attempts()), (vec![Action::Spawn(2)], 0));
    let mut life = ready(&policy);
    let spread = 3600 * SECOND.mul_f64(1.05);
    let old = wait(&mut life, SECOND + spread, &policy);
    assert_eq!(old.last(), Some(&Action::Ask(1)));
}

#[test]
fn what_exit_codes_mean_is_policy() {
    let policy = policy(|_| ());
    let after = |code: i32| {
        let mut life = Lifecycle::new(0, 0.5);
        step(&mut life, Event::Start, SECOND, &policy);
        let exit = Exit {
            code: Some(code),
            signal: None,
        };
        step_ended(&mut life, exit, SECOND, &policy);
        (life.state.word(), life.attempts())
    };
    assert_eq!(after(78), ("parked", 0));
    assert_eq!(after(125), ("parked", 0));
    assert_eq!(after(75), ("backoff", 0));
    assert_eq!(after(1), ("backoff", 1));
}

#[test]
fn a_passing_trouble_waits_as_long_as_the_sensor_said() {
    let policy = policy(|_| ());
    let mut life = ready(&policy);
    let transient = Event::Transient {
        generation: 1,
        retry_after: Some(7 * SECOND),
    };
    step(&mut life, transient, SECOND, &policy);
    step_ended(&mut life, crash(), SECOND, &policy);
    assert_eq!(life.deadline(&policy), Some(8 * SECOND));
    assert_eq!(life.attempts(), 0);
}

#[test]
fn what_never_begins_is_parked_after_three_times() {
    let policy = policy(|p| p.restart.initial_delay = Duration::ZERO);
    let mut life = Lifecycle::new(0, 0.5);
    step(&mut life, Event::Start, SECOND, &policy);
    let words: Vec<_> = (0..3)
        .map(|_| {
            let Event::Ended {
                generation,
                exit,
                luck,
                ..
            } = ended(&life, crash())
            else {
                unreachable!()
            };
            let event = Event::Ended {
                generation,
                exit,
                never_began: true,
                luck,
            };
            step(&mut life, event, SECOND, &policy);
            life.state.word()
        })
        .collect();
    assert_eq!(words, ["starting", "starting", "parked"]);
    assert_eq!(life.state, State::Parked(ParkedBy::Start));
}

#[test]
fn a_restart_is_a_stop_and_a_start_also_out_of_backoff() {
    let policy = policy(|_| ());
    let mut life = ready(&policy);
    assert_eq!(
        step(&mut life, Event::Restart, SECOND, &policy),
        [Action::Ask(1)]
    );
    let next = step_ended(&mut life, crash(), SECOND, &policy);
    assert_eq!((next, life.attempts()), (vec![Action::Spawn(2)], 0));
    step_ended(&mut life, crash(), SECOND, &policy);
    assert_eq!(life.state.word(), "backoff");
    let at_once = step(&mut life, Event::Restart, SECOND, &policy);
    assert_eq!(at_once, [Action::Spawn(3)]);
}

#[test]
fn a_start_while_it_stops_starts_it_again() {
    let policy = policy(|p| p.restart.policy = RestartWhen::Never);
    let mut life = ready(&policy);
    step(&mut life, Event::Stop, SECOND, &policy);
    assert_eq!(step(&mut life, Event::Start, SECOND, &policy), []);
    assert_eq!(
        step_ended(&mut life, crash(), SECOND, &policy),
        [Action::Spawn(2)]
    );
}

#[test]
fn who_can_rest_is_told_and_who_cannot_is_stopped() {
    let policy = policy(|_| ());
    let mut life = ready(&policy);
    assert_eq!(
        step(&mut life, Event::Pause, SECOND, &policy),
        [Action::Pause(1)]
    );
    assert_eq!(
        step(&mut life, Event::Resume, SECOND, &policy),
        [Action::Resume(1)]
    );
    let mut life = Lifecycle::new(0, 0.5);
    step(&mut life, Event::Start, SECOND, &policy);
    assert_eq!(
        step(&mut life, Event::Pause, SECOND, &policy),
        [Action::Terminate(1)]
    );
    assert_eq!(step_ended(&mut life, crash(), SECOND, &policy), []);
    assert_eq!((life.state, life.desired), (State::Down, Desired::Paused));
    assert_eq!(
        step(&mut life, Event::Resume, SECOND, &policy),
        [Action::Spawn(2)]
    );
}

#[test]
fn an_extension_gives_a_slow_start_ten_times_its_limit_at_most() {
    let policy = policy(|p| p.start.ready_timeout = 10 * SECOND);
    let mut life = Lifecycle::new(0, 0.5);
    step(&mut life, Event::Start, SECOND, &policy);
    step(&mut life, hello(1), SECOND, &policy);
    let beat = Event::Beat {
        generation: 1,
        extend: Some(1000 * SECOND),
        poll: None,
    };
    step(&mut life, beat, 2 * SECOND, &policy);
    assert_eq!(life.deadline(&policy), Some(101 * SECOND));
}

#[test]
fn a_limit_may_stop_the_whole_supervisor() {
    let policy = policy(|p| {
        p.restart.limit.burst = 1;
        p.restart.limit.on_limit = OnLimit::Escalate;
        p.restart.initial_delay = Duration::ZERO;
    });
    let mut life = Lifecycle::new(0, 0.5);
    step(&mut life, Event::Start, SECOND, &policy);
    assert_eq!(
        step_ended(&mut life, crash(), SECOND, &policy),
        [Action::Spawn(2)]
    );
    assert_eq!(
        step_ended(&mut life, crash(), SECOND, &policy),
        [Action::Escalate]
    );
}
